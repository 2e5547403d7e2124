"""The description that an SDK or a page is made from."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from idp.platform import runtime
from idp.publishing.descriptions import fetching
from idp.publishing.descriptions.fetching import OwnDescriptions
from idp.publishing.descriptions.flaws import Flaw, UnusableError


def fetch(session: Session, url: str, issuer_url: str, own: OwnDescriptions) -> dict[str, Any]:
    """Return the description at an address; commits, so that no transaction is open meanwhile."""
    session.commit()
    document = fetching.fetch(runtime.of(session).fetcher, url, issuer_url, own)
    check(document)
    return document


def check(document: dict[str, Any]) -> None:
    """Refuse a description without operations: nothing can be made from it."""
    paths = document.get("paths")
    if not isinstance(paths, dict) or not paths:
        raise UnusableError(Flaw.NO_OPERATIONS)
