"""Where the scopes and claims of tokens come from, and why others are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.orm import Session

from idp.claims import registry
from idp.claims.registry import CLAIMS, RESERVED
from idp.explain import origins
from idp.explain.origins import KnownScope
from idp.explain.preview import Preview, Wish
from idp.explain.reasons import reason
from idp.explain.results import ClaimLine, Reason, ScopeLine
from idp.oauth import access_tokens, id_tokens
from idp.oauth.checks import scope as scopes
from idp.platform.issuer import PLATFORM_TENANT_ID

_EACH_TOKEN = frozenset({"jti", "exp", "iat", "at_hash", "cnf"})
_SIGN_IN = frozenset({"auth_time", "acr", "amr", "sid", "nonce"})
_REFERENCES = ("permission_ref", "role_ref", "claims_ref")
Kept = Mapping[str, Sequence[str | None]]
"""Roles (None: the person) that claims are kept for."""


def scope_lines(session: Session, wish: Wish, preview: Preview | None) -> list[ScopeLine]:
    """Explain every scope that was asked for; where none was, those that are granted."""
    names = wish.scopes or (() if preview is None else preview.granted.names)
    known = origins.read_scopes(session, wish.client.kept_id, names)
    return [_scope_line(wish, preview, name, known.get(name)) for name in names]


def _scope_line(
    wish: Wish, preview: Preview | None, name: str, known: KnownScope | None
) -> ScopeLine:
    api = None if known is None else known.api
    is_granted = preview is not None and name in preview.narrowed.names
    refusal = _absence_of_scope(wish, name, known)
    if refusal is None and preview is not None and not is_granted:
        refusal = reason("other_resource", api)
    reasons = [refusal] if refusal is not None else _what_scope_does(wish, name)
    return ScopeLine(name, is_granted, api, reasons)


def _absence_of_scope(wish: Wish, name: str, known: KnownScope | None) -> Reason | None:
    """Explain why the client cannot have a scope; None: it can."""
    if name in scopes.listed(wish.client):
        is_for_person = wish.user is None and name not in wish.client.api_scopes
        return reason("needs_person") if is_for_person else None
    if name == scopes.OFFLINE_ACCESS:
        return reason("not_offline")
    if known is None:
        return reason("unknown_scope")
    if not known.is_listed:
        return reason("not_of_client")
    if not known.is_enabled:
        return reason(
            "identity_disabled" if known.api is None else "api_disabled", known.api or name
        )
    return reason("other_tenant")


def _what_scope_does(wish: Wish, name: str) -> list[Reason]:
    found = [reason("granted")]
    identity = wish.client.identity_scopes.get(name)
    if identity is not None and identity.user_claims:
        found.append(reason("releases", ", ".join(sorted(identity.user_claims))))
    if name == scopes.OFFLINE_ACCESS:
        found.append(reason("refresh_token"))
    return found


def claim_lines(session: Session, wish: Wish, preview: Preview) -> list[ClaimLine]:
    """Explain every claim of the tokens, and those that they could have."""
    kept: Kept = {}
    if wish.user is not None:
        at_platform = wish.issuer.tenant_id == PLATFORM_TENANT_ID
        kept = origins.read_kept(session, wish.user.id, wish.tenant.id, platform=at_platform)
    found = [*_of_access_token(wish, preview, kept)]
    if preview.id_token is not None:
        found += _of_id_token(wish, preview, preview.id_token.claims, kept)
    return found


def _of_access_token(wish: Wish, preview: Preview, kept: Kept) -> Iterator[ClaimLine]:
    claims = preview.access_token.claims
    asked = access_tokens.claim_names(preview.narrowed) if wish.user is not None else set()
    wanted = {*asked, "role", "permission"} if wish.user is not None else set()
    own = wish.client.client_claims
    for name in sorted(claims.keys() | wanted | own.keys()):
        reasons = [*_askers(preview, name)] if name in asked else []
        reasons += _source(name, kept) if name in asked else []
        is_protocols = name in claims and name in RESERVED
        if name in own and name not in asked and not is_protocols:
            reasons.append(_of_client(wish, name))
        if name in claims and not reasons:
            reasons.append(_of_protocol(name))
        if name not in claims:
            reasons += _absence_of_claim(preview, name, claims, reasons)
        yield ClaimLine("access_token", name, name in claims, reasons)


def _askers(preview: Preview, name: str) -> Iterator[Reason]:
    """Name the APIs and scopes that ask for a claim."""
    for api in preview.narrowed.apis:
        if name in api.user_claims:
            yield reason("api_asks", api.name)
    for scope in preview.narrowed.api_scopes:
        if name in scope.user_claims:
            yield reason("scope_asks", scope.name)


def _source(name: str, kept: Kept) -> list[Reason]:
    """Name what a claim about the person is read from; empty: nothing has a value."""
    if name in CLAIMS:
        return (
            [_of_protocol(name)]
            if name in {"tenant", "role", "permission"}
            else [reason("account")]
        )
    if name in RESERVED:
        return [reason("reserved")]
    return [
        reason("kept_for_person") if role is None else reason("kept_for_role", role)
        for role in kept.get(name, ())
    ]


def _of_client(wish: Wish, name: str) -> Reason:
    if name in RESERVED:
        return reason("reserved")
    is_sent = wish.user is None or wish.client.always_send_client_claims
    return reason("client_claim" if is_sent else "client_claim_withheld")


def _of_protocol(name: str) -> Reason:
    if name in _EACH_TOKEN:
        return reason("each_token")
    if name in _SIGN_IN:
        return reason("sign_in")
    if name in _REFERENCES:
        return reason("too_large", "introspection")
    if name in {"role", "permission"}:
        return reason("by_roles" if name == "role" else "by_permissions")
    return reason("protocol")


def _absence_of_claim(
    preview: Preview, name: str, claims: Mapping[str, object], reasons: Sequence[Reason]
) -> list[Reason]:
    """Explain why an access token lacks a claim."""
    codes = {found.code for found in reasons}
    if codes & {"reserved", "client_claim_withheld"}:
        return []
    if name in {"role", "permission"} and not preview.narrowed.api_scopes:
        return [reason("no_api")]
    reference = f"{name}_ref" if name in {"role", "permission"} else "claims_ref"
    if reference in claims:
        return [reason("too_large", "introspection")]
    return [reason("nothing" if name in {"role", "permission"} else "no_value")]


def _of_id_token(
    wish: Wish, preview: Preview, claims: Mapping[str, object], kept: Kept
) -> Iterator[ClaimLine]:
    released = id_tokens.userinfo_names(preview.granted)
    is_included = wish.client.always_include_user_claims_in_id_token
    for name in sorted(claims.keys() | released - registry.PROTOCOL_CLAIMS):
        reasons = [
            reason("scope_releases", identity.name)
            for identity in preview.granted.identities
            if name in identity.user_claims and name not in registry.PROTOCOL_CLAIMS
        ]
        if name in claims:
            is_asked = name in released and is_included and name != "tenant"
            reasons = [*reasons, *_source(name, kept)] if is_asked else [_of_protocol(name)]
        elif not is_included:
            reasons.append(reason("at_userinfo"))
        elif "claims_ref" in claims:
            reasons.append(reason("too_large", "userinfo"))
        else:
            reasons.append(reason("no_value"))
        yield ClaimLine("id_token", name, name in claims, reasons)
