"""One HTTP request under way, whichever door answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sqlalchemy.orm import Session

from idp.platform.issuer import Issuer

WSGI = WSGIApplication
Environ = WSGIEnvironment
Start = StartResponse

ENVIRON_KEY = "idp.visit"

AT_ONCE_KEY = "idp.at_once"
"""Set on the event loop, where nothing may be waited for."""

FindIssuer = Callable[[Session, str], Issuer | None]
"""Looks an issuer up by the host and port that a browser named."""

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    policy: str | None = None
    """The content security policy of a page; None: nothing is to be loaded."""


@dataclass(slots=True)
class Visit:
    """What is known of a request; kept in the WSGI environment under `idp.visit`."""

    request_id: str
    method: str
    path: str
    remote_addr: str | None
    started: float
    session: Session
    host: str = ""
    issuer: Issuer | None = None
    body: bytes = b""
    endpoint: str = "(none)"
    """The route, for metrics: never a path with somebody's data in it."""
    cleanup: list[Callable[[], None]] = field(default_factory=list)


def of(environ: dict[str, Any]) -> Visit:
    """Give the visit that a WSGI environment belongs to."""
    return cast("Visit", environ[ENVIRON_KEY])


Body = Iterable[bytes]
