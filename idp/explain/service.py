"""Explain the tokens that a client would get, for a person or for itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.clients import documents, strangers
from idp.directory.clients import service as clients
from idp.directory.clients.models import DOCUMENT, Client
from idp.directory.clients.snapshot import ClientView
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users import visibility
from idp.directory.users.models import User
from idp.explain import lines, preview, rights, rules
from idp.explain.preview import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, Wish
from idp.explain.recording import Recorded
from idp.explain.results import Explanation, Refused, ScopeLine, TokenContent
from idp.oauth import callers, refused_requests
from idp.platform.errors import NotFound, OAuthError
from idp.platform.issuer import Issuer
from idp.platform.translation import N_

_NO_ROW = 0
_NOT_LET_IN = "The issuer does not let the application in"


@dataclass(frozen=True, slots=True)
class Question:
    """Which token is to be explained."""

    client_id: str
    tenant_id: int
    user_id: int | None = None
    """None: the client asks for itself."""
    scopes: tuple[str, ...] = ()
    """Empty, for the client itself: all that it may have."""
    resources: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    """Permissions that are explained whatever the token has."""


def explain(session: Session, question: Question, *, within: int | None) -> Explanation:
    """Return the tokens that would be issued now, with the origin of all that they say.

    `within` is the one tenant whose clients and people may be explained; None: all. What is out of
    reach, or not there, is NotFound. A refusal of the protocol is part of the explanation.
    """
    if within not in {None, question.tenant_id}:
        raise NotFound(N_("There is no such tenant."))
    tenant = tenants.get(session, question.tenant_id)
    issuer = tenants.issuer_of(session, tenant.id)
    try:
        client, missing = _client(session, issuer, question.client_id, within)
    except OAuthError as problem:
        return _refusal(question, issuer, refusal_of(problem))
    user = None if question.user_id is None else _person(session, question.user_id, within)
    if client is None:
        return _refusal(question, issuer, Refused("invalid_client", missing, "Client", None))
    wish = Wish(issuer, tenant, client, user, question.scopes, question.resources)
    try:
        found = preview.run(session, wish)
    except OAuthError as problem:
        refused = refusal_of(problem)
        return _refusal(question, issuer, refused, scopes=lines.scope_lines(session, wish, None))
    roles, permissions, has_more = rights.explain(session, wish, found, question.permissions)
    return Explanation(
        **_head(question, issuer),
        consent=found.consent,
        refused=None,
        access_token=_content(found.access_token),
        id_token=None if found.id_token is None else _content(found.id_token),
        has_refresh_token=user is not None and found.granted.is_offline,
        scopes=lines.scope_lines(session, wish, found),
        claims=lines.claim_lines(session, wish, found),
        roles=roles,
        permissions=permissions,
        has_more_permissions=has_more,
    )


def _client(
    session: Session, issuer: Issuer, client_id: str, within: int | None
) -> tuple[ClientView | None, str]:
    """Return a client, or None and why the issuer does not serve it.

    One that nobody allowed anything yet is taken from its document, which may be fetched for that;
    an OAuthError says what is wrong with it.
    """
    row = clients.find(session, client_id)
    if row is None and within is None and documents.is_id(client_id):
        described = callers.find_now(session, issuer, client_id)
        if described is None:
            return None, _NOT_LET_IN
        return replace(described, row_id=_NO_ROW), ""
    if row is None or within not in {None, row.tenant_id}:
        raise NotFound(N_("There is no such client."))
    client = strangers.find(session, row.client_id, issuer.tenant_id)
    if client is None or not client.is_served_by(issuer):
        return None, _why_not_served(row, client)
    return client, ""


def _why_not_served(row: Client, client: ClientView | None) -> str:
    """Return why an issuer does not know a client that has a row."""
    if client is not None:
        return "The client is served at another issuer"
    if row.origin == DOCUMENT and row.enabled:
        return _NOT_LET_IN
    return "The client or its tenant is disabled"


def refusal_of(problem: OAuthError) -> Refused:
    """Return which check of the protocol refused, with the rule behind it."""
    check, rule = rules.find(refused_requests.check_of(problem), problem.code)
    return Refused(problem.code, problem.detail, check, rule)


def _person(session: Session, user_id: int, within: int | None) -> User:
    """Return the person; in one tenant only its members, and nobody with rights of the platform."""
    user = users.find(session, user_id)
    is_in_reach = user is not None and (
        within is None
        or (
            tenants.find_member(session, within, user.id) is not None
            and not visibility.is_of_the_platform(session, user.id)
        )
    )
    if user is None or not is_in_reach:
        raise NotFound(N_("There is no such user."))
    return user


def _head(question: Question, issuer: Issuer) -> dict[str, Any]:
    return {
        "issuer": issuer.url,
        "client_id": question.client_id,
        "tenant_id": question.tenant_id,
        "user_id": question.user_id,
        "grant_type": CLIENT_CREDENTIALS if question.user_id is None else AUTHORIZATION_CODE,
    }


def _refusal(
    question: Question, issuer: Issuer, refused: Refused, scopes: Sequence[ScopeLine] | None = None
) -> Explanation:
    return Explanation(
        **_head(question, issuer),
        consent="not_needed",
        refused=refused,
        access_token=None,
        id_token=None,
        has_refresh_token=False,
        scopes=scopes or [],
        claims=[],
        roles=[],
        permissions=[],
        has_more_permissions=False,
    )


def _content(token: Recorded) -> TokenContent:
    claims = token.claims
    audience = claims["aud"]
    return TokenContent(
        format="reference" if token.algorithm is None else "jwt",
        algorithm=token.algorithm,
        audience=[audience] if isinstance(audience, str) else list(audience),
        expires_in=int(claims["exp"]) - int(claims["iat"]),
        claims=claims,
    )
