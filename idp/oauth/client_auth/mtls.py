"""Clients that prove who they are by the certificate of their connection (RFC 8705 2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.oauth.client_auth.credentials import Credentials
from idp.oauth.request import ProtocolRequest
from idp.platform import certificates, clock, runtime
from idp.platform.errors import Busy, Problem
from idp.platform.storage import Storage

log = structlog.get_logger("idp.oauth.mtls")


async def is_vouched_for(
    storage: Storage, request: ProtocolRequest, client: ClientView, _credentials: Credentials
) -> bool:
    """Return whether an authority of ours vouches for the client's registered name."""
    path = storage.runtime.settings.client_ca
    if request.certificate is None or client.certificate_name is None or not path:
        return False
    try:
        is_good = certificates.is_vouched_for(request.certificate, path, clock.now())
    except (OSError, ValueError) as error:
        reason = type(error).__name__
        log.error("client_authorities_unreadable", reason=reason, path=path)  # noqa: TRY400 - says it all
        return False
    return is_good and certificates.is_called(request.certificate, *client.certificate_name)


async def is_registered(
    storage: Storage, request: ProtocolRequest, client: ClientView, _credentials: Credentials
) -> bool:
    """Return whether the certificate is one that the client registered with its keys."""
    if request.certificate is None or not is_in_force(request.certificate):
        return False
    # On a thread: the client's keys may have to be fetched.
    return await storage.in_session(_is_registered, client, request.certificate)


def is_in_force(certificate: bytes) -> bool:
    """Return whether a certificate may be used now."""
    return certificates.is_in_force(certificate, clock.now())


def _is_registered(session: Session, client: ClientView, certificate: bytes) -> bool:
    """Look among the registered certificates, fetched again for one that is unknown.

    Busy when they are not here and no more callers may wait for them.
    """
    if client.jwks is not None:
        return certificate in _registered(client.jwks)
    if client.jwks_uri is None:
        return False
    fetcher = runtime.of(session).fetcher
    try:
        return certificate in _registered(
            fetcher.get_json(client.jwks_uri)
        ) or certificate in _registered(fetcher.get_json(client.jwks_uri, refresh=True))
    except Busy:
        raise
    except Problem:
        return False


def _registered(jwks: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the certificates of a key set (RFC 7517 4.7)."""
    keys = jwks.get("keys")
    for key in keys if isinstance(keys, list) else ():
        chain = key.get("x5c") if isinstance(key, dict) else None
        if isinstance(chain, list) and chain and isinstance(chain[0], str):
            try:
                yield base64.b64decode(chain[0], validate=True)
            except (binascii.Error, ValueError):
                continue
