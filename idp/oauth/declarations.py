"""The forms in which `server` declares what the protocol offers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth.client_auth.credentials import Credentials
from idp.oauth.grants import GrantType
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse
from idp.platform.issuer import Issuer
from idp.platform.storage import Storage

EXTENSION = "idp.oauth"
"""Where the application keeps its `Server`."""

Answer = Callable[[ProtocolRequest, Storage], Awaitable[ProtocolResponse | None]]


class Readers(Enum):
    """Pages of which origins may read the answers of an endpoint (CORS protocol of Fetch)."""

    SAME_ORIGIN = auto()
    CLIENTS = auto()
    """Origins that the calling client registered."""
    ANYBODY = auto()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the protocol."""

    path: str
    methods: Sequence[str]
    answer: Answer | None
    """Answers a request; None in place of a response: the person must see a page, which the
    application behind renders. No function at all: it always does."""
    metadata: str | None = None
    """Member of the metadata that holds the address (RFC 8414 2)."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further members that come with the endpoint."""
    readers: Readers = Readers.SAME_ORIGIN
    has_pages: bool = False
    """Whether the application behind answers what is not answered here."""
    needs_host: bool = True
    """Whether the Host header names the issuer; gateways ask by any address."""
    exists: Callable[[Session, Issuer], bool] | None = None
    """Whether an issuer has it, where that is a matter of its configuration."""
    is_canonical: bool = False
    """Whether it exists only at the host that the issuer is named after."""
    has_paths_below: bool = False
    """Whether it answers for all paths below its own too, and at any host."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A way in which clients prove who they are (RFC 7591 2)."""

    name: str
    is_valid: Callable[[Storage, ProtocolRequest, ClientView, Credentials], Awaitable[bool]]
    is_secret: bool = True
    """Whether it proves anything: `none` does not."""
    needs_certificate: bool = False
    """Whether a proxy must pass on the certificate of the connection."""


@dataclass(frozen=True, eq=False)
class Server:
    """Everything that the protocol offers."""

    endpoints: Mapping[str, Endpoint]
    grants: Mapping[str, GrantType]
    proofs: Mapping[str, Proof]
    response_types: Sequence[str]
    response_modes: Sequence[str]
    assertion_algorithms: Sequence[str] = field(default=())
    """Algorithms that clients may sign assertions with."""
