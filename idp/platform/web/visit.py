"""One HTTP request under way, whichever door answers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sqlalchemy.orm import Session

from idp.platform.cache import Lookup
from idp.platform.issuer import Issuer
from idp.platform.storage import SessionStorage, Storage
from idp.platform.web.certificates import Passing

WSGI = WSGIApplication
Environ = WSGIEnvironment
Start = StartResponse
Body = Iterable[bytes]
Headers = list[tuple[str, str]]
Pairs = tuple[tuple[str, str], ...]
Sent = tuple[int, Headers, bytes]
"""Status, headers and body of an answer as it is sent."""

ENVIRON_KEY = "idp.visit"

FindIssuer = Lookup[..., Issuer | None]
"""Looks an issuer up by the host and port that a browser named."""


@dataclass(slots=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    """Decoded, a character for each byte."""
    query: str
    version: str
    headers: dict[str, str]
    """By the names of their WSGI variables, a character for each byte."""
    client: str
    server: tuple[str, str]
    body: bytes = b""
    environ: Environ | None = None
    """Where the body is read from, when it is not here."""


@dataclass(slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    policy: str | None = None
    """The content security policy of a page; None: nothing is to be loaded."""


@dataclass(slots=True)
class Visit:
    """What is known of a request; Flask finds it in the WSGI environment under `idp.visit`."""

    request: Request
    storage: Storage
    request_id: str
    method: str
    path: str
    remote_addr: str | None
    started: float
    is_proxied: bool = False
    """Whether a trusted proxy passed it on."""
    certificates: Passing | None = None
    """How a trusted proxy passed on the certificate of the client; None: it did not."""
    host: str = ""
    alias: str = ""
    """What stands before the host where clients are asked for certificates."""
    issuer: Issuer | None = None
    body: bytes = b""
    form: str | None = None
    """The body, a character for each byte, when it is a form."""
    endpoint: str = "(none)"
    """The route, for metrics: never a path with personal data in it."""

    @property
    def session(self) -> Session:
        """Database session of the thread that answers."""
        return cast("SessionStorage", self.storage).session


def of(environ: dict[str, Any]) -> Visit:
    """Return the visit that a WSGI environment belongs to."""
    return cast("Visit", environ[ENVIRON_KEY])
