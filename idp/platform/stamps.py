"""Concurrency stamps: whoever writes says which state of a row he has read."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import String
from sqlalchemy.orm import mapped_column

from idp.platform.errors import Outdated
from idp.platform.secrets import random_token


def new_stamp() -> str:
    """Make a value that tells one state of a row from every other."""
    return random_token(16)


Stamp = Annotated[str, mapped_column(String(64), default=new_stamp)]


def check(held: str, given: str | None) -> None:
    """Refuse a form that was read before somebody else's change; None: whatever it is by now."""
    if given is not None and given != held:
        raise outdated()


def outdated() -> Outdated:
    """Refuse a change of what somebody else has changed."""
    return Outdated.at("concurrency_stamp", "Somebody else changed this meanwhile: read it again.")
