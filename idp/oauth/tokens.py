"""Access tokens and ID tokens: make, read and revoke."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from idp.claims import access, registry
from idp.claims.subject import Subject
from idp.directory.clients import view as clients
from idp.directory.clients.view import ClientView
from idp.directory.resources.view import ApiView
from idp.directory.tenants import service as tenants
from idp.oauth import people, token_ids
from idp.oauth.checks.scope import ValidatedScopes, apis_of
from idp.oauth.models import Grant, ReferenceToken, RevokedToken
from idp.oauth.people import HeldGrant, StandingGrant
from idp.oauth.request import CALLER
from idp.platform import clock, runtime
from idp.platform.db import count_hits, insert, new_row, run_one, write
from idp.platform.errors import InvalidToken, OAuthError
from idp.platform.issuer import Issuer
from idp.platform.secrets import b64url, digest, random_token
from idp.platform.signing import signer
from idp.platform.web.principal import Principal

MANAGEMENT_AUDIENCE = "ids4.ms"
ACCESS_TOKEN_TYPE = "at+jwt"
MAX_TOKEN_LENGTH = 16_384
REFERENCE_PREFIX = "at_"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token that was read and is still good."""

    claims: Mapping[str, Any]
    client: ClientView
    standing: StandingGrant | None
    """None: a machine's token."""
    reference_id: int | None = None
    """Row of a reference token; None: a JWT."""

    @property
    def scopes(self) -> frozenset[str]:
        """Granted scopes."""
        return frozenset(str(self.claims["scope"]).split())

    @property
    def audience(self) -> tuple[str, ...]:
        """Names of the APIs (or the issuer) that may accept it."""
        value = self.claims["aud"]
        return (value,) if isinstance(value, str) else tuple(value)


def issue_access_token(
    session: Session,
    issuer: Issuer,
    client: ClientView,
    scopes: ValidatedScopes,
    *,
    standing: StandingGrant | None = None,
    lifetime: int | None = None,
    token_id: str | None = None,
) -> str:
    """Make an access token (RFC 9068, or a reference to the same claims kept here)."""
    apis = apis_of(scopes)
    now = clock.timestamp()
    lifetime = lifetime or client.access_token_lifetime
    audience = [api.name for api in apis]
    if scopes.for_issuer or not audience:
        audience.append(issuer.url)
    claims: dict[str, Any] = {
        "iss": issuer.url,
        "client_id": client.client_id,
        "aud": audience[0] if len(audience) == 1 else audience,
        "exp": now + lifetime,
        "iat": now,
        "scope": " ".join(scopes.names),
    }
    subject: Subject | None = None
    if standing is None:
        claims["sub"] = client.client_id
        claims["jti"] = random_token(16)
    else:
        subject = standing.subject(session)
        claims["sub"] = str(standing.user.id)
        claims["jti"] = token_id or new_token_id(session, standing.grant)
        claims["tenant"] = access.tenant(subject)
        claims |= _authentication(standing.grant)

    def within(budget: int) -> dict[str, Any]:
        told = access.other_claims(other_claims(client, scopes, subject), budget=budget)
        if apis and subject is not None:
            told |= access.role_claims(access.role(subject), budget=budget)
            told |= permission_claims(subject, apis, budget=budget)
        return told | claims

    if client.access_token_is_reference:
        return _keep(session, client, within(access.BUDGET_BYTES), standing)
    alg = apis[0].signing_alg if len(apis) == 1 else None
    return _sign(session, within, alg=alg, typ=ACCESS_TOKEN_TYPE)


def _sign(
    session: Session, within: Callable[[int], dict[str, Any]], *, alg: str | None, typ: str
) -> str:
    """Sign claims within the budget, or without all that it is for: what we issue, we can read."""
    for budget in (access.BUDGET_BYTES, 0):
        token = signer.sign(session, within(budget), alg=alg, typ=typ)
        if len(token) <= MAX_TOKEN_LENGTH:
            return token
    message = "The token would be too large; ask for fewer scopes"
    raise OAuthError(message, code="invalid_scope")


def new_token_id(session: Session, grant: HeldGrant) -> str:
    """Make the `jti` of an access token; it leads back to the grant that the token hangs on."""
    return token_ids.make(runtime.of(session).keyring, grant.id)


def other_claims(
    client: ClientView, scopes: ValidatedScopes, subject: Subject | None
) -> dict[str, Any]:
    """Return what an access token says besides roles and permissions, however much it is.

    No subject: a machine's token.
    """
    if subject is None:
        return own_claims(client)
    names = {name for scope in scopes.api_scopes for name in scope.api.user_claims}
    names.update(name for scope in scopes.api_scopes for name in scope.user_claims)
    claims = registry.collect(subject, names - {*access.LISTS, "tenant"})
    return own_claims(client) | claims if client.always_send_client_claims else claims


def own_claims(client: ClientView) -> dict[str, Any]:
    """Give the claims kept for a client; none may pass for one of the protocol's or a person's."""
    return {
        name: value for name, value in client.client_claims.items() if name not in registry.RESERVED
    }


def permission_claims(
    subject: Subject, apis: Collection[ApiView], *, budget: int | None
) -> dict[str, Any]:
    """Give the `permission` claim (or `permission_ref`) that an audience reads."""
    return access.permission_claims(
        access.permissions_for(subject.permissions, apis),
        as_text=any(api.permission_as_text for api in apis),
        budget=budget,
    )


def _authentication(grant: HeldGrant) -> dict[str, Any]:
    """Tell when and how the person signed in (OpenID Connect Core 2)."""
    return {
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": grant.amr,
        "sid": grant.sid,
    }


def _keep(
    session: Session, client: ClientView, claims: dict[str, Any], standing: StandingGrant | None
) -> str:
    token = REFERENCE_PREFIX + random_token()
    write(
        session,
        _KEEP,
        {
            "token_hash": digest(token),
            "grant_id": None if standing is None else standing.grant.id,
            "client_id": client.row_id,
            "claims": claims,
            "expires_at": clock.now() + timedelta(seconds=claims["exp"] - claims["iat"]),
        },
    )
    return token


# Statements that every token needs are made once: making one costs more than asking it.
_KEEP = new_row(ReferenceToken)
_REFERENCE = select(ReferenceToken.id, ReferenceToken.claims).where(
    ReferenceToken.token_hash == bindparam("token_hash"), ReferenceToken.revoked_at.is_(None)
)
_REVOKED = select(RevokedToken.jti).where(RevokedToken.jti == bindparam("jti"))


def issue_id_token(
    session: Session,
    issuer: Issuer,
    client: ClientView,
    scopes: ValidatedScopes,
    standing: StandingGrant,
    *,
    nonce: str | None,
    access_token: str,
) -> str:
    """Make an ID token (OpenID Connect Core 2)."""
    now = clock.timestamp()
    subject = standing.subject(session)
    requested = requested_claims(client, standing.grant, "id_token")
    if client.always_include_user_claims_in_id_token:
        requested |= userinfo_names(scopes)
    found = registry.collect(subject, requested)
    claims = _authentication(standing.grant) | {
        "iss": issuer.url,
        "sub": str(standing.user.id),
        "aud": client.client_id,
        "exp": now + client.identity_token_lifetime,
        "iat": now,
        "tenant": access.tenant(subject),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    alg = client.id_token_signed_response_alg
    claims["at_hash"] = half_hash(access_token, alg or signer.default_algorithm(session))

    def within(budget: int) -> dict[str, Any]:
        return access.identity_claims(found, budget=budget) | claims

    return _sign(session, within, alg=alg, typ="JWT")


def read_id_token(session: Session, issuer: Issuer, unverified_jwt: str) -> dict[str, Any] | None:
    """Give the claims of an ID token of this issuer, however old: it serves as a hint.

    None for anything else, a signed userinfo answer too: that one has no `exp`.
    """
    try:
        claims = signer.verify(session, unverified_jwt, typ="JWT", as_hint=True)
    except InvalidToken:
        return None
    is_ours = claims.get("iss") == issuer.url and isinstance(claims.get("aud"), str)
    return claims if is_ours and "exp" in claims else None


def half_hash(value: str, alg: str) -> str:
    """Hash as `at_hash` asks: the left half, with the hash of the signature's algorithm.

    OpenID Connect Core 3.1.3.6; EdDSA with Ed25519 hashes with SHA-512.
    """
    hashed = (hashlib.sha512 if alg == "EdDSA" else hashlib.sha256)(value.encode()).digest()
    return b64url(hashed[: len(hashed) // 2])


def userinfo_names(scopes: ValidatedScopes) -> set[str]:
    """List the claims that the identity resources among the scopes release.

    `permission` only leaves by name (the `claims` parameter), whatever the rows say.
    """
    return {name for identity in scopes.identities for name in identity.user_claims} - {
        "permission"
    }


def requested_claims(client: ClientView, grant: HeldGrant, section: str) -> set[str]:
    """List what the `claims` parameter of the grant asks for and the client may have."""
    wanted = (grant.claims_request or {}).get(section) or {}
    return {name for name in wanted if may_request(client, name)}


def may_request(client: ClientView, name: str, allowed: Collection[str] | None = None) -> bool:
    """Whether a client may ask for a claim by name: one of its identity resources releases it.

    `allowed` names the scopes that the person consented to, where she was asked.
    """
    if name in {"permission", "role", "tenant"}:
        return True
    return any(
        name in identity.user_claims
        for identity in client.identity_scopes.values()
        if allowed is None or identity.name in allowed
    )


def read_access_token(
    session: Session, issuer: Issuer | None, unverified_token: str
) -> AccessToken:
    """Check an access token of this issuer; InvalidToken unless it is good in every respect.

    No issuer: whichever of ours the token names.
    """
    token = _read(session, issuer, unverified_token)
    session.info[CALLER] = token.client
    grant_id = grant_id_of(session, token.claims)
    if grant_id is None:
        _check_not_revoked(session, token)
        return token
    jti = str(token.claims["jti"]) if token.reference_id is None else ""
    standing = people.find_standing(session, grant_id, jti)
    if standing is None:
        raise InvalidToken(debug="grant ended or jti revoked")
    return replace(token, standing=standing)


def recall_access_token(
    session: Session, issuer: Issuer | None, unverified_token: str
) -> AccessToken:
    """Check an access token as `read_access_token` does, or remember that it was good just now.

    For those who only tell what a token is worth: see `ConfigurationCache.recently`.
    """
    token = runtime.of(session).cache.recently(
        ("token", None if issuer is None else issuer.tenant_id, digest(unverified_token)),
        lambda: read_access_token(session, issuer, unverified_token),
    )
    if int(token.claims["exp"]) <= clock.timestamp():
        raise InvalidToken(debug="expired")
    session.info[CALLER] = token.client
    return token


def read_issued(session: Session, issuer: Issuer | None, unverified_token: str) -> AccessToken:
    """Check that a token was issued here, is not expired and was not revoked by itself.

    Whether its grant stands at the moment is not asked: a client may also give up a token whose
    person is locked out for a while.
    """
    token = _read(session, issuer, unverified_token)
    _check_not_revoked(session, token)
    return token


def _read(session: Session, issuer: Issuer | None, unverified_token: str) -> AccessToken:
    if len(unverified_token) > MAX_TOKEN_LENGTH:
        raise InvalidToken(debug="too long")
    reference_id: int | None = None
    claims: Mapping[str, Any]
    if unverified_token.startswith(REFERENCE_PREFIX):
        row = run_one(session, _REFERENCE, {"token_hash": digest(unverified_token)})
        if row is None:
            raise InvalidToken(debug="unknown or revoked reference token")
        reference_id, claims = row
    else:
        claims = signer.verify(session, unverified_token, typ=ACCESS_TOKEN_TYPE)
    if issuer is None:
        issuer = tenants.find_issuer(session, str(claims.get("iss")).partition("://")[2])
    if issuer is None or claims.get("iss") != issuer.url:
        raise InvalidToken(debug="token of another issuer")
    if int(claims["exp"]) <= clock.timestamp():
        raise InvalidToken(debug="expired")
    client = clients.find(session, claims["client_id"])
    if client is None or not client.is_served_by(issuer):
        raise InvalidToken(debug="client disabled")
    return AccessToken(claims, client, None, reference_id)


def grant_id_of(session: Session, claims: Mapping[str, Any]) -> int | None:
    """Read the grant that a token hangs on out of its `jti`; None: a machine's token."""
    return token_ids.grant_id_of(runtime.of(session).keyring, str(claims["jti"]))


def _check_not_revoked(session: Session, token: AccessToken) -> None:
    """Refuse a JWT that was revoked by itself; a reference token says so in its own row."""
    if token.reference_id is not None:
        return
    if run_one(session, _REVOKED, {"jti": token.claims["jti"]}) is not None:
        raise InvalidToken(debug="jti revoked")


def revoke_access_token(session: Session, token: AccessToken) -> None:
    """End one access token before its time."""
    if token.reference_id is not None:
        session.execute(
            update(ReferenceToken)
            .where(ReferenceToken.id == token.reference_id, ReferenceToken.revoked_at.is_(None))
            .values(revoked_at=clock.now())
        )
        return
    session.execute(
        insert(session, RevokedToken)
        .values(
            jti=token.claims["jti"],
            expires_at=datetime.fromtimestamp(token.claims["exp"], tz=clock.now().tzinfo),
        )
        .on_conflict_do_nothing()
    )


def revoke_grant(session: Session, grant_id: int, reason: str) -> bool:
    """End a grant and with it all its codes and tokens; False when it had ended before."""
    hits = count_hits(
        session,
        update(Grant)
        .where(Grant.id == grant_id, Grant.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason),
    )
    return hits > 0


def authenticate_bearer(session: Session, issuer: Issuer, unverified_token: str) -> Principal:
    """Tell who calls a management operation by an access token for `ids4.ms`."""
    token = read_access_token(session, issuer, unverified_token)
    if MANAGEMENT_AUDIENCE not in token.audience:
        raise InvalidToken(debug="token for another audience")
    standing = token.standing
    return Principal(
        client_id=token.client.client_id,
        client_row_id=token.client.row_id,
        client_tenant_id=token.client.tenant_id,
        user_id=None if standing is None else standing.user.id,
        tenant_id=None if standing is None else standing.grant.tenant_id,
        issuer_tenant_id=issuer.tenant_id,
        scopes=_management_scopes(token),
        grant_id=None if standing is None else standing.grant.id,
        jti=str(token.claims["jti"]),
        expires_at=int(token.claims["exp"]),
        token_scopes=tuple(str(token.claims["scope"]).split()),
        audience=token.audience,
    )


def _management_scopes(token: AccessToken) -> frozenset[str]:
    """Select the token's scopes that are the management API's own.

    `.all` scopes are matched by prefix, and any other API may have one called `ids4.all`.
    """
    own = token.client.api_scopes
    return frozenset(
        name for name in token.scopes if name in own and own[name].api.name == MANAGEMENT_AUDIENCE
    )
