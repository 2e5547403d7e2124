"""JWTs that a client signed: assertions and authorization requests."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, TypeGuard

from sqlalchemy.orm import Session

from idp.directory.clients import profiles
from idp.directory.clients.snapshot import ClientView
from idp.platform import clock, runtime
from idp.platform.db import release
from idp.platform.documents import Wanted
from idp.platform.errors import InvalidToken
from idp.platform.fetch import MAX_BYTES, REFRESH_SECONDS, Fetched, json_object
from idp.platform.signing.algorithms import ALGORITHMS
from idp.platform.signing.foreign import UnknownKeyError, verify_foreign

CLOCK_SKEW_SECONDS = 10
"""By how much the clocks of clients may differ from ours."""


def verify(
    session: Session, client: ClientView, unverified_jwt: str, alg: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a JWT that one of the client's keys signed.

    InvalidToken when none did; Busy or another Problem when the keys cannot be had. They are
    fetched again for an unknown key. Without `alg` any algorithm that is offered is accepted.
    """
    if client.jwks is not None or client.jwks_uri is None:
        return verify_registered(client, unverified_jwt, alg)
    algorithms = _algorithms(client, alg)
    fetch = _of_stranger if client.is_stranger else _of_registered
    keys = fetch(session, client.jwks_uri, refresh=False)
    try:
        return verify_foreign(unverified_jwt, keys, algorithms=algorithms)
    except UnknownKeyError:
        keys = fetch(session, client.jwks_uri, refresh=True)
        return verify_foreign(unverified_jwt, keys, algorithms=algorithms)


def _of_registered(session: Session, url: str, *, refresh: bool) -> dict[str, Any]:
    return runtime.of(session).fetcher.get_json(url, refresh=refresh)


def _of_stranger(session: Session, url: str, *, refresh: bool) -> dict[str, Any]:
    """Fetch by the pool of strangers, so that no number of them delays registered clients."""
    since = clock.now() - timedelta(seconds=REFRESH_SECONDS) if refresh else None
    documents = runtime.of(session).documents
    if documents.peek(url, _KEYS, since) is None:
        release(session)
    return documents.get(url, _KEYS, since)


def _read_keys(_url: str, fetched: Fetched) -> dict[str, Any]:
    return json_object(fetched.body)


_KEYS = Wanted("keys", "application/json, */*", MAX_BYTES, _read_keys)


def verify_registered(
    client: ClientView, unverified_jwt: str, alg: str | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the same where the client registered its keys themselves; nothing is waited for."""
    if client.jwks is None:
        raise InvalidToken(debug="the client has no keys here")
    return verify_foreign(unverified_jwt, client.jwks, algorithms=_algorithms(client, alg))


def _algorithms(client: ClientView, alg: str | None) -> Collection[str]:
    if alg is not None:
        return (alg,)
    return ALGORITHMS if client.security_profile is None else profiles.ALGORITHMS


def has_begun(claim: Any) -> bool:
    """Return whether `nbf` or `iat` is absent or in the past, as far as clocks agree."""
    if claim is None:
        return True
    return is_time(claim) and claim <= clock.timestamp() + CLOCK_SKEW_SECONDS


def is_time(claim: Any) -> TypeGuard[float]:
    """Return whether a claim is a NumericDate (RFC 7519 2)."""
    return isinstance(claim, int | float) and not isinstance(claim, bool)
