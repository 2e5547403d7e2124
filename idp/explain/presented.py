"""A token that somebody has: taken apart, verified, and compared with what would be issued now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients import snapshot as clients
from idp.directory.tenants import service as tenants
from idp.explain import service
from idp.explain.results import Explanation, PresentedToken, TokenCheck
from idp.explain.service import Question
from idp.oauth import access_tokens
from idp.oauth.access_tokens import ACCESS_TOKEN_TYPE, REFERENCE_PREFIX
from idp.oauth.models import Grant
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH
from idp.platform import clock, runtime
from idp.platform.errors import InvalidToken, NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import Issuer
from idp.platform.signing import compact, signer
from idp.platform.storage import SessionStorage, complete

EACH_TOKEN = frozenset(
    {"jti", "exp", "iat", "at_hash", "cnf", "nonce", "auth_time", "acr", "amr", "sid"}
)
"""Claims that differ from token to token, or from sign-in to sign-in."""
_KINDS = {ACCESS_TOKEN_TYPE: "access_token", "jwt": "id_token"}


@dataclass(slots=True)
class _Findings:
    """What is found out about a token, check by check."""

    kind: str = "unknown"
    checks: list[TokenCheck] = field(default_factory=list)
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)

    def note(self, name: str, text: str, *, passed: bool | None) -> bool:
        """Note a check; None: it was skipped."""
        state = "skipped" if passed is None else "passed" if passed else "failed"
        self.checks.append(TokenCheck(name, state, text))
        return bool(passed)


def explain(session: Session, unverified_token: str, *, within: int | None) -> PresentedToken:
    """Take a token apart, verify it, and explain what would be issued in its place now.

    `within` is the one tenant whose clients may be explained; None: all. Of any other token the
    result has only what anyone who holds it can find out: content, signature, issuer and expiry.
    The token is not kept, and no message holds a part of it.
    """
    found = _Findings()
    text = unverified_token.strip()
    if len(text) > MAX_TOKEN_LENGTH:
        message = f"No token of this server has more than {MAX_TOKEN_LENGTH} characters."
        found.note("form", message, passed=False)
        return _result(found)
    if text.startswith(REFERENCE_PREFIX):
        return _explain_reference(session, text, found, within)
    return _explain_jwt(session, text, found, within)


def _explain_reference(
    session: Session, token: str, found: _Findings, within: int | None
) -> PresentedToken:
    """Explain a reference token; one out of reach is as unknown as one that was never issued."""
    found.kind = "reference_token"
    found.note("form", "A reference token: its content is kept by this server.", passed=True)
    storage = SessionStorage(session)
    try:
        known = complete(access_tokens.read_access_token(storage, None, token))
    except InvalidToken:
        known = None
    if known is None or within not in {None, known.client.tenant_id}:
        message = "There is no such token, or it is expired, revoked or out of reach."
        found.note("revocation", message, passed=False)
        return _result(found)
    found.claims = known.claims
    found.note("revocation", "It is in force.", passed=True)
    return _result(found, is_active=True, now=_now(session, found, within))


def _explain_jwt(
    session: Session, token: str, found: _Findings, within: int | None
) -> PresentedToken:
    try:
        parts = compact.split(token)
        found.header, found.claims = parts.header, compact.json_object(parts.payload)
        orjson.dumps([found.header, found.claims])
    except (ValueError, TypeError):
        found.header = found.claims = {}
        found.note(
            "form", "It is neither a JWT nor a reference token of this server.", passed=False
        )
        return _result(found)
    if "exp" in found.claims:
        found.kind = _KINDS.get(str(found.header.get("typ")).lower(), "unknown")
    found.note("form", "A JWT.", passed=True)
    is_signed = _check_signature(session, token, found)
    issuer = _check_issuer(session, found)
    is_fresh = _check_expiry(found)
    if not is_signed or issuer is None:
        return _result(found)
    if found.kind != "access_token":
        found.note("revocation", "Only access tokens can be revoked.", passed=None)
        return _result(found, is_active=found.kind == "id_token" and is_fresh)
    client = clients.find(session, str(found.claims.get("client_id")))
    if within is not None and (client is None or client.tenant_id != within):
        message = "Not told: the client of the token does not belong to the tenant."
        found.note("revocation", message, passed=None)
        return _result(found)
    is_active = _check_force(session, token, found)
    return _result(found, is_active=is_active, now=_now(session, found, within))


def _check_signature(session: Session, token: str, found: _Findings) -> bool:
    try:
        signer.keys(session).verify(token, typ=None)
    except InvalidToken as problem:
        return found.note(
            "signature", f"Not signed by a key of this server: {problem.debug}.", passed=False
        )
    return found.note("signature", "Signed by a key of this server.", passed=True)


def _check_issuer(session: Session, found: _Findings) -> Issuer | None:
    url = found.claims.get("iss")
    host = str(url).partition("://")[2]
    issuer = tenants.find_issuer(session, host)
    is_ours = issuer is not None and url == issuer.url
    message = "An issuer of this server." if is_ours else "The issuer is not one of this server."
    found.note("issuer", message, passed=is_ours)
    return issuer if is_ours else None


def _check_expiry(found: _Findings) -> bool:
    expiry = found.claims.get("exp")
    if not isinstance(expiry, int) or not 0 <= expiry <= INT64_MAX:
        return found.note("expiry", "It does not say when it expires.", passed=False)
    left = expiry - clock.timestamp()
    message = f"Expires in {left} seconds." if left > 0 else f"Expired {-left} seconds ago."
    return found.note("expiry", message, passed=left > 0)


def _check_force(session: Session, token: str, found: _Findings) -> bool:
    """Ask what every endpoint asks: whether client, person, grant and token are still good."""
    try:
        complete(access_tokens.read_access_token(SessionStorage(session), None, token))
    except InvalidToken as problem:
        if problem.debug == "expired":
            return found.note("revocation", "Expired, so it does not matter.", passed=None)
        return found.note("revocation", f"It is not in force: {problem.debug}.", passed=False)
    return found.note("revocation", "Client, person, grant and token are in force.", passed=True)


def _now(session: Session, found: _Findings, within: int | None) -> Explanation | None:
    """Explain what would be issued in place of a verified access token."""
    claims = found.claims
    tenant = claims.get("tenant")
    issuer = tenants.find_issuer(session, str(claims["iss"]).partition("://")[2])
    if issuer is None:
        return None
    scopes = tuple(str(claims["scope"]).split())
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    is_narrowed = "openid" in scopes and issuer.url not in audience
    client = clients.find(session, str(claims["client_id"]))
    if isinstance(tenant, dict):
        tenant_id = int(tenant["id"])
    else:
        tenant_id = (client and client.tenant_id) or issuer.tenant_id
    question = Question(
        client_id=str(claims["client_id"]),
        tenant_id=tenant_id,
        user_id=_person_of(session, claims),
        scopes=scopes,
        resources=tuple(audience) if is_narrowed else (),
    )
    try:
        return service.explain(session, question, within=within)
    except NotFound:
        return None


def _person_of(session: Session, claims: Mapping[str, Any]) -> int | None:
    """Return whose sign-in a token is of; None: a machine's, or its grant is gone."""
    grant_id = access_tokens.grant_id_of(runtime.of(session), claims)
    if grant_id is None:
        return None
    return session.scalar(select(Grant.user_id).where(Grant.id == grant_id))


def _result(
    found: _Findings, *, is_active: bool = False, now: Explanation | None = None
) -> PresentedToken:
    differences: list[str] = []
    if now is not None and now.access_token is not None:
        fresh = now.access_token.claims
        names = (found.claims.keys() | fresh.keys()) - EACH_TOKEN
        differences = sorted(name for name in names if found.claims.get(name) != fresh.get(name))
    return PresentedToken(
        found.kind, is_active, found.checks, found.header, found.claims, differences, now
    )
