"""Software statements: what somebody who is trusted says of a client (RFC 7591 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from sqlalchemy.orm import Session

from idp.directory.clients.metadata import READ_ONLY, STATEMENT
from idp.directory.clients.registration_tokens import Policy, Statements
from idp.platform import clock, runtime
from idp.platform.db import release
from idp.platform.errors import (
    Busy,
    InvalidSoftwareStatement,
    Problem,
    UnapprovedSoftwareStatement,
)
from idp.platform.issuer import Issuer
from idp.platform.signing.foreign import UnknownKeyError, verify_foreign

CLOCK_SKEW_SECONDS = 10
OF_JWT = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf"})
"""Claims about the statement, not about the client (RFC 7519 4.1)."""
_NOT_OF_STATEMENTS = frozenset({*OF_JWT, *READ_ONLY, "client_id", "client_secret", STATEMENT})


def merged(
    session: Session, issuer: Issuer, policy: Policy, sent: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a client sent, with the claims of its statement in place of its own."""
    statement = sent.get(STATEMENT)
    if statement is None:
        return dict(sent)
    if not isinstance(statement, str):
        raise InvalidSoftwareStatement("The software statement must be text")
    if policy.statements is None:
        raise UnapprovedSoftwareStatement
    claims = _verified(session, issuer, policy.statements, statement)
    own = {name: value for name, value in claims.items() if name not in _NOT_OF_STATEMENTS}
    return {**sent, **own}


def check_there(extra: Mapping[str, Any]) -> None:
    """Refuse a client without a statement where one is required."""
    if STATEMENT not in extra:
        raise InvalidSoftwareStatement("A software statement is required")


def _verified(
    session: Session, issuer: Issuer, trusted: Statements, unverified: str
) -> dict[str, Any]:
    fetcher = runtime.of(session).fetcher
    algorithms = trusted.algorithms
    release(session)  # its keys may have to be fetched
    try:
        keys = fetcher.get_json(trusted.jwks_uri)
        try:
            _, claims = verify_foreign(unverified, keys, algorithms=algorithms)
        except UnknownKeyError:
            keys = fetcher.get_json(trusted.jwks_uri, refresh=True)
            _, claims = verify_foreign(unverified, keys, algorithms=algorithms)
    except Busy:
        raise
    except Problem as problem:
        raise InvalidSoftwareStatement(debug=problem.debug or problem.detail) from None
    _check_claims(issuer, trusted, claims)
    return claims


def _check_claims(issuer: Issuer, trusted: Statements, claims: Mapping[str, Any]) -> None:
    if claims.get("iss") != trusted.issuer:
        raise UnapprovedSoftwareStatement(debug="iss is another issuer")
    audience = claims.get("aud", issuer.url)
    if audience != issuer.url and not (isinstance(audience, list) and issuer.url in audience):
        _refuse("aud is not this issuer")
    now = clock.timestamp()
    expiry, begin = claims.get("exp", now + 1), claims.get("nbf", now)
    if not _is_time(expiry) or expiry <= now - CLOCK_SKEW_SECONDS:
        _refuse("expired")
    if not _is_time(begin) or begin > now + CLOCK_SKEW_SECONDS:
        _refuse("not valid yet")


def _is_time(claim: Any) -> bool:
    return isinstance(claim, int | float) and not isinstance(claim, bool)


def _refuse(reason: str) -> NoReturn:
    raise InvalidSoftwareStatement(debug=reason)
