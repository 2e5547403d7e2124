"""Concurrency stamps: a write names the state of the row that it is based on."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import String
from sqlalchemy.orm import mapped_column

from idp.platform.errors import Outdated
from idp.platform.secrets import random_token
from idp.platform.translation import N_


def new_stamp() -> str:
    """Make a value that distinguishes one state of a row from every other."""
    return random_token(16)


Stamp = Annotated[str, mapped_column(String(64), default=new_stamp)]


def check(held: str, given: str | None) -> None:
    """Refuse a form that was read before another change; None: accept any state."""
    if given is not None and given != held:
        raise outdated()


def outdated() -> Outdated:
    """Refuse a change of what somebody else has changed."""
    return Outdated.at(
        "concurrency_stamp", N_("This was changed by someone else. Reload and try again.")
    )
