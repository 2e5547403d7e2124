"""What becomes of a finished SDK outside of its job: `app.py` names who takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Finished:
    """An SDK of an API that can be had now."""

    job_id: int
    api_resource_id: int
    package: str
    """Name of the package; of an archive: that of its generator."""
    version: str
    language: str
    """`angular2`, `jQuery`, or the name of the generator."""
    platform: str
    """`npm`, or `archive` where it is only to be downloaded here."""
    link: str
    """Where it was published, or where its archive is downloaded."""
    user_id: int | None
    """Who asked for it; None: a machine."""


Taker = Callable[[Session, Finished], None]

TAKERS: list[Taker] = []
"""Called in the transaction that says that the SDK can be had; may be called twice."""


def enter(session: Session, finished: Finished) -> None:
    """Tell everybody who takes SDKs."""
    for taker in TAKERS:
        taker(session, finished)
