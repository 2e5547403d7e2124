"""What the pages ask of the protocol: requests under way, consents, sign-out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from idp.directory.clients import view as clients
from idp.directory.clients.models import Client
from idp.directory.clients.view import ClientView
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.oauth import pending as requests
from idp.oauth import people, tokens
from idp.oauth.checks import prompt
from idp.oauth.checks import scope as scopes_of
from idp.oauth.checks.scope import OFFLINE_ACCESS
from idp.oauth.models import AuthorizationRequest, Consent, Grant
from idp.oauth.request import Parameters
from idp.oauth.visitor import Visitor
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits, insert
from idp.platform.errors import BadRequest, Forbidden, NotFound
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest, random_token
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.web.principal import Principal


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that waits for an answer, as a page shows it."""

    handle: str
    client: ClientView | None
    """None: a logout that no known application asked for."""
    scopes: tuple[str, ...]
    """Scopes to be consented to, those that cover claims asked for by name included."""
    redirect_uri: str | None
    login_hint: str | None
    ui_locales: tuple[str, ...]
    tenant_id: int | None
    """Tenant that the request names."""


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A remembered consent, as its person sees it."""

    id: int
    client_name: str
    client_uri: str | None
    logo_uri: str | None
    tenant_name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None


def pending(session: Session, handle: str) -> Pending | None:
    """Find a request under way by the handle that its pages carry."""
    row = _find(session, handle)
    if row is None:
        return None
    parameters = Parameters(requests.parameters_of(session, row))
    client_id = parameters.get("client_id")
    client = None if client_id is None else clients.find(session, client_id)
    if row.endpoint == "authorize" and client is None:
        return None
    return Pending(
        handle=handle,
        client=client,
        scopes=() if client is None else _scopes_to_consent(client, parameters),
        redirect_uri=parameters.get("redirect_uri"),
        login_hint=parameters.get("login_hint"),
        ui_locales=tuple((parameters.get("ui_locales") or "").split()),
        tenant_id=prompt.read_id(parameters, "tenant"),
    )


def _find(session: Session, handle: str) -> AuthorizationRequest | None:
    return session.scalars(
        select(AuthorizationRequest).where(
            AuthorizationRequest.handle_hash == digest(handle),
            AuthorizationRequest.expires_at > clock.now(),
        )
    ).one_or_none()


def _get(session: Session, handle: str) -> AuthorizationRequest:
    row = _find(session, handle)
    if row is None:
        raise requests.gone()
    return row


def _scopes_to_consent(client: ClientView, parameters: Parameters) -> tuple[str, ...]:
    return scopes_of.to_consent(
        client,
        scopes_of.retain(client, scopes_of.split(parameters.get("scope") or "")).names,
        prompt.read_claims(parameters).names,
    )


def choose_account(session: Session, handle: str, browser: BrowserSession) -> None:
    """Note that the person goes on as who is signed in."""
    requests.answer(session, _get(session, handle), browser, account_chosen=True)


def choose_tenant(session: Session, handle: str, browser: BrowserSession, tenant_id: int) -> None:
    """Note the tenant of this sign-in, and remember it for the rest of the session."""
    requests.answer(session, _get(session, handle), browser, tenant_id=tenant_id)
    session.execute(
        update(BrowserSession).where(BrowserSession.id == browser.id).values(tenant_id=tenant_id)
    )
    tenants.confirm_member(session, tenant_id, browser.user_id)
    audit.record(session, Tag.TENANT_CHOSEN, user_id=browser.user_id, tenant_id=tenant_id)


def decide_consent(
    session: Session,
    handle: str,
    browser: BrowserSession,
    scopes: Sequence[str],
    remember: bool,  # noqa: FBT001 - the answer of a check box
) -> None:
    """Note what the person allows; no scope at all is a refusal."""
    row = _get(session, handle)
    asked = pending(session, handle)
    if asked is None or asked.client is None:
        message = "Nothing to consent to"
        raise BadRequest(message)
    allowed = [name for name in asked.scopes if name in scopes]
    requests.answer(session, row, browser, consented_scopes=allowed, consent_remember=remember)
    audit.record(
        session,
        Tag.CONSENT_GIVEN if allowed else Tag.CONSENT_REFUSED,
        user_id=browser.user_id,
        client_id=asked.client.client_id,
        details={"scopes": allowed},
    )


def refuse(session: Session, issuer: Issuer, handle: str) -> None:
    """Note that the person refuses a request, whether somebody is signed in or not."""
    row = requests.get(session, issuer, "authorize", handle)
    requests.refuse(session, row)
    client_id = Parameters(requests.parameters_of(session, row)).get("client_id")
    audit.record(session, Tag.CONSENT_REFUSED, client_id=client_id, details={"scopes": []})


def remember_consent(
    session: Session,
    client: ClientView,
    user_id: int,
    tenant_id: int,
    scopes: Sequence[str],
    refused: Collection[str] = (),
) -> None:
    """Remember what a person allows a client, on top of what was allowed before.

    What the person was shown and did not tick is allowed no more.
    """
    now = clock.now()
    lifetime = client.consent_lifetime
    before = session.scalars(
        select(Consent).where(
            Consent.user_id == user_id,
            Consent.client_id == client.row_id,
            Consent.tenant_id == tenant_id,
            or_(Consent.expires_at.is_(None), Consent.expires_at > now),
        )
    ).one_or_none()
    expires_at = None if lifetime is None else now + timedelta(seconds=lifetime)
    kept = set(before.scopes) - {*refused, *scopes} if before is not None else set()
    if before is not None and kept and expires_at is not None and before.expires_at is not None:
        # What was not shown this time lives no longer than it would have.
        expires_at = min(expires_at, before.expires_at)
    values = {"scopes": sorted({*scopes, *kept}), "created_at": now, "expires_at": expires_at}
    session.execute(
        insert(session, Consent)
        .values(user_id=user_id, client_id=client.row_id, tenant_id=tenant_id, **values)
        .on_conflict_do_update(index_elements=["user_id", "client_id", "tenant_id"], set_=values)
    )


def list_consents(session: Session, user_id: int) -> list[GivenConsent]:
    """List what a person allows which clients, sorted by client."""
    rows = session.execute(
        select(Consent, Client, Tenant.name)
        .join(Client, Client.id == Consent.client_id)
        .join(Tenant, Tenant.id == Consent.tenant_id)
        .where(
            Consent.user_id == user_id,
            or_(Consent.expires_at.is_(None), Consent.expires_at > clock.now()),
        )
        .order_by(Client.client_name, Client.id, Consent.id)
    )
    return [
        GivenConsent(
            consent.id,
            client.client_name or client.client_id,
            client.client_uri,
            client.logo_uri,
            tenant_name,
            tuple(consent.scopes),
            consent.created_at,
            consent.expires_at,
        )
        for consent, client, tenant_name in rows
    ]


def revoke_consent(session: Session, user_id: int, consent_id: int) -> None:
    """Forget a consent and end every grant of that client for its person in that tenant."""
    row = session.execute(
        delete(Consent)
        .where(Consent.id == consent_id, Consent.user_id == user_id)
        .returning(Consent.client_id, Consent.tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    _revoke(session, "consent revoked", user_id=user_id, client_id=row[0], tenant_id=row[1])
    audit.record(
        session,
        Tag.CONSENT_REVOKED,
        user_id=user_id,
        tenant_id=row[1],
        target=f"client:{row[0]}",
    )


def revoke_session_grants(session: Session, browser_session_id: int) -> int:
    """End every grant made in a browser session, with all tokens; give their number."""
    return _revoke(session, "session revoked", session_id=browser_session_id)


def revoke_member_grants(session: Session, user_id: int, tenant_id: int) -> int:
    """End every grant of somebody who left a tenant; coming back does not bring them back."""
    return _revoke(session, "left the tenant", user_id=user_id, tenant_id=tenant_id)


def _revoke(session: Session, reason: str, **of: int) -> int:
    return count_hits(
        session,
        update(Grant)
        .filter_by(**of)
        .where(Grant.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason=reason)
        .execution_options(synchronize_session=False),
    )


COMMAND_TOKEN_SECONDS = 900
AGAIN_SECONDS = 3600


def issue_by_command(
    session: Session, client: ClientView, user: User, tenant_id: int, scopes: Sequence[str]
) -> str:
    """Make an access token for a person without a sign-in, as an operator may; audited.

    The person must belong to the tenant; the token is issued by the tenant's issuer and lives for
    fifteen minutes. Forbidden or an OAuthError says what is wrong.
    """
    issuer = tenants.issuer_of(session, tenant_id)
    if not client.is_served_by(issuer) or client.tenant_id not in {None, tenant_id}:
        message = "The client does not serve this tenant"
        raise Forbidden(message)
    granted = scopes_of.validate(client, scopes)
    now = clock.now()
    grant = Grant(
        user_id=user.id,
        client_id=client.row_id,
        tenant_id=tenant_id,
        issuer_tenant_id=issuer.tenant_id,
        sid=random_token(16),
        security_stamp=user.security_stamp,
        scopes=list(granted.names),
        resources=[],
        auth_time=now,
        acr="0",  # OpenID Connect Core 2: nobody was asked for anything
        amr=[],
        expires_at=now + timedelta(seconds=COMMAND_TOKEN_SECONDS),
    )
    session.add(grant)
    session.flush()
    standing = people.find_standing(session, grant.id)
    if standing is None:
        message = "The person may not sign in for this tenant"
        raise Forbidden(message)
    audit.record(
        session,
        Tag.TOKEN_MADE,
        client_id=client.client_id,
        tenant_id=tenant_id,
        target=f"user:{user.id}",
        details={"scopes": list(granted.names)},
    )
    return tokens.issue_access_token(
        session, issuer, client, granted, standing=standing, lifetime=COMMAND_TOKEN_SECONDS
    )


def issue_again(session: Session, issuer: Issuer, presented: Principal, lifetime: int = 0) -> str:
    """Make a fresh access token on the grant of the one presented; audited.

    It is no wider and lives no longer, and whatever ends the grant ends it as well. A lifetime
    below 1 is taken for an hour.
    """
    client = clients.find(session, presented.client_id)
    grant_id = presented.grant_id
    standing = None if grant_id is None else people.find_standing(session, grant_id)
    if client is None or standing is None:
        message = "Only a person's token can be issued again"
        raise Forbidden(message)
    left = presented.expires_at - clock.timestamp()
    lifetime = max(1, min(lifetime if lifetime > 0 else AGAIN_SECONDS, left))
    granted = scopes_of.retain(client, presented.token_scopes)
    granted = replace(granted, for_issuer=issuer.url in presented.audience)
    token_id = tokens.new_token_id(session, standing.grant)
    audit.record(
        session,
        Tag.TOKEN_ISSUED,
        user_id=standing.user.id,
        client_id=client.client_id,
        tenant_id=standing.grant.tenant_id,
        details={
            "by": "token",
            "jti": token_id,
            "from_jti": presented.jti,
            "lifetime": lifetime,
            "scopes": list(granted.names),
        },
    )
    return tokens.issue_access_token(
        session,
        issuer,
        client,
        granted,
        standing=standing,
        lifetime=lifetime,
        token_id=token_id,
    )


def sign_out(session: Session, visitor: Visitor) -> None:
    """End a browser session and its grants; those with offline access live on by design.

    OpenID Connect Core 11: offline access is for when the person is not there.
    """
    if not sessions.end(session, visitor.browser):
        return
    online = [
        grant.id
        for grant in session.scalars(
            select(Grant).where(Grant.session_id == visitor.browser.id, Grant.revoked_at.is_(None))
        )
        if OFFLINE_ACCESS not in grant.scopes
    ]
    session.execute(
        update(Grant)
        .where(Grant.id.in_(online), Grant.revoked_at.is_(None))
        .values(revoked_at=clock.now(), revoked_reason="signed out")
        .execution_options(synchronize_session=False)
    )
    audit.record(
        session,
        Tag.SIGN_OUT,
        user_id=visitor.user.id,
        tenant_id=visitor.browser.issuer_tenant_id,
    )
