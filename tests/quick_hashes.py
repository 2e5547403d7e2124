"""Hashes of passwords that cost next to nothing; what they cost for real is tested by itself."""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher

from idp.directory.users import passwords

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def replacements() -> dict[str, object]:
    """Return what takes the place of names in `passwords`."""
    return {"_hasher": HASHER, "_NOBODY": HASHER.hash(secrets.token_hex())}


def use() -> None:
    """Hash cheaply in this process and those that it forks."""
    vars(passwords).update(replacements())
