"""Access tokens (RFC 9068, or references to what is kept here): make, read and revoke them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from idp.claims import access, registry
from idp.claims.subject import Subject, subject_id
from idp.directory.clients.snapshot import ClientView
from idp.directory.resources.snapshot import ApiView
from idp.directory.tenants import service as tenants
from idp.oauth import callers, grant_state, token_ids
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.grant_state import HeldGrant, StandingGrant
from idp.oauth.holder import Holder
from idp.oauth.models import Grant, ReferenceToken, RevokedToken
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH, authentication, sign_within
from idp.platform import clock
from idp.platform.db import AtomicWrite, count_hits, insert, new_row
from idp.platform.errors import InvalidDpopProof, InvalidToken, OAuthError
from idp.platform.issuer import Issuer
from idp.platform.runtime import Runtime
from idp.platform.secrets import digest, random_token
from idp.platform.signing import signer
from idp.platform.storage import Storage

ACCESS_TOKEN_TYPE = "at+jwt"
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
    def cnf(self) -> Mapping[str, Any] | None:
        """The key that its sender must prove to hold; None: whoever has it may use it."""
        return self.claims.get("cnf")

    @property
    def audience(self) -> tuple[str, ...]:
        """Names of the APIs (or the issuer) that may accept it."""
        value = self.claims["aud"]
        return (value,) if isinstance(value, str) else tuple(value)


async def issue_access_token(  # noqa: PLR0913 - each by its name
    storage: Storage,
    issuer: Issuer,
    client: ClientView,
    scopes: ValidatedScopes,
    holder: Holder,
    *,
    standing: StandingGrant | None = None,
    lifetime: int | None = None,
    not_after: int | None = None,
    token_id: str | None = None,
) -> str:
    """Return a new access token (RFC 9068, or a reference to the same claims kept here).

    It expires after `lifetime` seconds, by default those of the client, and at `not_after` at the
    latest. InvalidDpopProof where one of its APIs takes no token that is not bound to a key.
    """
    apis = scopes.apis
    if holder.jkt is None and any(api.dpop_required for api in apis):
        raise InvalidDpopProof("An API of these scopes requires a DPoP proof")
    now = clock.timestamp()
    expiry = now + (lifetime or client.access_token_lifetime)
    audience = list(scopes.audience) or [api.name for api in apis]
    if scopes.for_issuer or not audience:
        audience.append(issuer.url)
    claims: dict[str, Any] = {
        "iss": issuer.url,
        "client_id": client.client_id,
        "aud": audience[0] if len(audience) == 1 else audience,
        "exp": expiry if not_after is None else min(expiry, not_after),
        "iat": now,
        "scope": " ".join(scopes.names),
    }
    cnf = holder.cnf
    if cnf is not None:
        claims["cnf"] = cnf
    subject: Subject | None = None
    if standing is None:
        claims["sub"] = client.client_id
        claims["jti"] = random_token(16)
    else:
        subject = await standing.subject(storage, claim_names(scopes), needs_rights=bool(apis))
        claims["sub"] = subject_id(client, standing.user.id)
        claims["jti"] = token_id or new_token_id(storage.runtime, standing.grant)
        claims["tenant"] = access.tenant(subject)
        claims |= authentication(standing.grant)

    def within(budget: int) -> dict[str, Any]:
        released = access.other_claims(other_claims(client, scopes, subject), budget=budget)
        if apis and subject is not None:
            released |= access.role_claims(access.role(subject), budget=budget)
            if not client.is_stranger:
                released |= permission_claims(subject, apis, budget=budget)
        return released | claims

    if client.access_token_is_reference:
        return await _keep(storage, client, within(access.BUDGET_BYTES), standing)
    keys = await storage.look_up(signer.keys)
    alg = _algorithm(client, scopes, keys.default_algorithm)
    return sign_within(keys, within, alg=alg, typ=ACCESS_TOKEN_TYPE)


def _algorithm(client: ClientView, scopes: ValidatedScopes, default: str) -> str:
    """Return the algorithm of a JWT: the one that all of its APIs ask for.

    Where they differ and were named, one JWT cannot be for all of them: `invalid_target`. Else it
    is signed as the client's other tokens are.
    """
    own = client.signing_alg or default
    wanted = {api.signing_alg or own for api in scopes.apis}
    if len(wanted) == 1:
        return wanted.pop()
    if wanted and scopes.audience:
        message = "Tokens for these resources are signed differently: ask for one at a time"
        raise OAuthError(message, code="invalid_target")
    return own


def new_token_id(runtime: Runtime, grant: HeldGrant) -> str:
    """Make the `jti` of an access token; it leads back to the grant that the token belongs to."""
    return token_ids.make(runtime.keyring, grant.id)


def claim_names(scopes: ValidatedScopes) -> set[str]:
    """List the claims that the APIs of the scopes ask for, but for those with their own budget."""
    names = {name for scope in scopes.api_scopes for name in scope.api.user_claims}
    names.update(name for scope in scopes.api_scopes for name in scope.user_claims)
    return names - {*access.LISTS, "tenant"}


def other_claims(
    client: ClientView, scopes: ValidatedScopes, subject: Subject | None
) -> dict[str, Any]:
    """Return what an access token states besides roles and permissions, however much it is.

    No subject: a machine's token.
    """
    if subject is None:
        return own_claims(client)
    claims = registry.collect(subject, claim_names(scopes))
    return own_claims(client) | claims if client.always_send_client_claims else claims


def own_claims(client: ClientView) -> dict[str, Any]:
    """Return the claims kept for a client; none may pass for the protocol's or a person's."""
    return {
        name: value for name, value in client.client_claims.items() if name not in registry.RESERVED
    }


def permission_claims(
    subject: Subject, apis: Collection[ApiView], *, budget: int | None
) -> dict[str, Any]:
    """Return the `permission` claim (or `permission_ref`) that an audience reads."""
    return access.permission_claims(
        access.permissions_for(subject.permissions, apis),
        as_text=any(api.permission_as_text for api in apis),
        budget=budget,
    )


async def _keep(
    storage: Storage, client: ClientView, claims: dict[str, Any], standing: StandingGrant | None
) -> str:
    token = REFERENCE_PREFIX + random_token()
    await storage.write(
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


# Statements that every token needs are made once: making one costs more than executing it.
_KEEP = AtomicWrite(
    new_row(ReferenceToken, "token_hash", "grant_id", "client_id", "claims", "expires_at")
)
_REFERENCE = select(ReferenceToken.id, ReferenceToken.claims).where(
    ReferenceToken.token_hash == bindparam("token_hash"), ReferenceToken.revoked_at.is_(None)
)
_REVOKED = select(RevokedToken.jti).where(RevokedToken.jti == bindparam("jti"))


async def read_access_token(
    storage: Storage, issuer: Issuer | None, unverified_token: str
) -> AccessToken:
    """Check an access token of this issuer; InvalidToken unless it is good in every respect.

    No issuer: whichever of ours the token names.
    """
    token = await _read(storage, issuer, unverified_token)
    storage.caller = token.client
    grant_id = grant_id_of(storage.runtime, token.claims)
    if grant_id is None:
        await _check_not_revoked(storage, token)
        return token
    jti = str(token.claims["jti"]) if token.reference_id is None else ""
    standing = await grant_state.find_standing(storage, grant_id, jti)
    if standing is None:
        raise InvalidToken(debug="grant ended or jti revoked")
    return replace(token, standing=standing)


async def recall_access_token(
    storage: Storage, issuer: Issuer | None, unverified_token: str
) -> AccessToken:
    """Check an access token as `read_access_token` does, or remember that it was good just now.

    For endpoints that only describe a token: see `ConfigurationCache.recently`.
    """
    token = await storage.runtime.cache.recently(
        ("token", None if issuer is None else issuer.tenant_id, digest(unverified_token)),
        lambda: read_access_token(storage, issuer, unverified_token),
    )
    if int(token.claims["exp"]) <= clock.timestamp():
        raise InvalidToken(debug="expired")
    storage.caller = token.client
    return token


async def read_issued(
    storage: Storage, issuer: Issuer | None, unverified_token: str
) -> AccessToken:
    """Check that a token was issued here, is not expired and was not revoked by itself.

    Whether its grant stands at the moment is not asked: a client may also give up a token whose
    person is locked out for a while.
    """
    token = await _read(storage, issuer, unverified_token)
    await _check_not_revoked(storage, token)
    return token


async def _read(storage: Storage, issuer: Issuer | None, unverified_token: str) -> AccessToken:
    if len(unverified_token) > MAX_TOKEN_LENGTH:
        raise InvalidToken(debug="too long")
    reference_id: int | None = None
    claims: Mapping[str, Any]
    if unverified_token.startswith(REFERENCE_PREFIX):
        row = await storage.one(_REFERENCE, {"token_hash": digest(unverified_token)})
        if row is None:
            raise InvalidToken(debug="unknown or revoked reference token")
        reference_id, claims = row
    else:
        keys = await storage.look_up(signer.keys)
        claims = keys.verify(unverified_token, typ=ACCESS_TOKEN_TYPE)
    if issuer is None:
        host = str(claims.get("iss")).partition("://")[2]
        issuer = await storage.look_up(tenants.find_issuer, host)
    if issuer is None or claims.get("iss") != issuer.url:
        raise InvalidToken(debug="token of another issuer")
    if int(claims["exp"]) <= clock.timestamp():
        raise InvalidToken(debug="expired")
    client = await callers.known(storage, issuer, claims["client_id"])
    if client is None:
        raise InvalidToken(debug="client disabled")
    return AccessToken(claims, client, None, reference_id)


def grant_id_of(runtime: Runtime, claims: Mapping[str, Any]) -> int | None:
    """Read the grant that a token belongs to out of its `jti`; None: a machine's token."""
    return token_ids.grant_id_of(runtime.keyring, str(claims["jti"]))


async def _check_not_revoked(storage: Storage, token: AccessToken) -> None:
    """Refuse a JWT that was revoked by itself; a reference token is marked in its own row."""
    if token.reference_id is not None:
        return
    if await storage.one(_REVOKED, {"jti": token.claims["jti"]}) is not None:
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
