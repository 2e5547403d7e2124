"""ID tokens (OpenID Connect Core 2): make them, and read them as hints."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from idp.claims import access, registry
from idp.claims.subject import subject_id
from idp.directory.clients.snapshot import ClientView
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.grant_state import HeldGrant, StandingGrant
from idp.oauth.signed_tokens import authentication, sign_within
from idp.platform import clock
from idp.platform.errors import InvalidToken
from idp.platform.issuer import Issuer
from idp.platform.secrets import b64url
from idp.platform.signing import signer
from idp.platform.signing.signer import Keys
from idp.platform.storage import Storage

TYPE = "JWT"
"""The header's `typ`; no other kind of JWT that has `sub` and `exp` is signed with it."""


async def issue_id_token(
    storage: Storage,
    issuer: Issuer,
    client: ClientView,
    scopes: ValidatedScopes,
    standing: StandingGrant,
    *,
    nonce: str | None,
    access_token: str,
) -> str:
    """Return a new ID token."""
    keys = await storage.look_up(signer.keys)
    now = clock.timestamp()
    requested = requested_claims(client, standing.grant, "id_token")
    if client.always_include_user_claims_in_id_token:
        requested |= userinfo_names(scopes)
    subject = await standing.subject(storage, requested)
    found = registry.collect(subject, requested)
    claims = authentication(standing.grant) | {
        "iss": issuer.url,
        "sub": subject_id(client, standing.user.id),
        "aud": client.client_id,
        "exp": now + client.identity_token_lifetime,
        "iat": now,
        "tenant": access.tenant(subject),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    alg = client.id_token_signed_response_alg
    claims["at_hash"] = half_hash(access_token, alg or keys.default_algorithm)

    def within(budget: int) -> dict[str, Any]:
        return access.identity_claims(found, budget=budget) | claims

    return sign_within(keys, within, alg=alg, typ=TYPE)


def read_id_token(keys: Keys, issuer: Issuer, unverified_jwt: str) -> dict[str, Any] | None:
    """Return the claims of an ID token of this issuer, however old: it serves as a hint.

    None for anything else, a signed userinfo answer too: that one has no `exp`.
    """
    try:
        claims = keys.verify(unverified_jwt, typ=TYPE, as_hint=True)
    except InvalidToken:
        return None
    has_texts = all(isinstance(claims.get(name), str) for name in ("aud", "sub"))
    is_ours = claims.get("iss") == issuer.url and has_texts
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
    members = (grant.claims_request or {}).get(section) or {}
    return {name for name in members if may_request(client, name)}


def may_request(client: ClientView, name: str, allowed: Collection[str] | None = None) -> bool:
    """Return whether a client may ask for a claim by name: an identity resource of it releases it.

    `allowed` names the scopes that the person consented to, where the person was asked.
    """
    if name in {"permission", "role"}:
        return not client.is_stranger
    if name == "tenant":
        return True
    return any(
        name in identity.user_claims
        for identity in client.identity_scopes.values()
        if allowed is None or identity.name in allowed
    )
