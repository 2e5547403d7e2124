"""Cheap hashes of passwords: a real one takes a fifth of a second of the processor.

Tests use them, and so do servers and commands that are forks of the nursery. Tests of the hashing
itself hash for real, and so do servers that are started as `idp serve` in a process of its own.
"""

from __future__ import annotations

import secrets

from argon2 import PasswordHasher

from idp.directory.users import passwords

QUICK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def hash_quickly() -> None:
    """Hash cheaply in this process from now on."""
    passwords._hasher = QUICK_HASHER
    passwords._NOBODY = QUICK_HASHER.hash(secrets.token_hex())
