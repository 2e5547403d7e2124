"""The grant and the code that an authorization request leads to: one statement makes both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    String,
    Table,
    and_,
    bindparam,
    case,
    column,
    exists,
    func,
    insert,
    literal,
    select,
    table,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import aliased

from idp.directory import levels
from idp.directory.clients.snapshot import ClientView
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.oauth import visitor as visitors
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.id_tokens import may_request
from idp.oauth.models import AuthorizationCode, Grant, PushedRequest, SessionClient
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import AtomicWrite, BigInt, new_row
from idp.platform.secrets import digest, random_token
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.storage import Storage


def values(
    storage: Storage, validated: ValidatedRequest, approved: Approved, code: str
) -> dict[str, Any]:
    """Return the values of `GRANT`."""
    client, visitor = validated.client, approved.visitor
    return {
        **_values_of_request(validated, approved.scopes, approved.consented, code),
        "user_id": visitor.user_id,
        "client_id": client.row_id,
        "tenant_id": approved.tenant_id,
        "issuer_tenant_id": validated.issuer.tenant_id,
        "session_id": visitor.session_id,
        "sid": visitor.sid,
        "security_stamp": visitor.security_stamp,
        "auth_time": visitor.auth_time,
        "acr": validated.levels.stated(visitor.acr),
        "amr": visitor.amr,
        "session_client__session_id": visitor.session_id,
        "session_client__sid_sent": visitor.sid,
        **audit.columns(
            storage.context,
            Tag.CODE_ISSUED,
            user_id=visitor.user_id,
            client_id=client.client_id,
            tenant_id=approved.tenant_id,
        ),
    }


def _values_of_request(
    validated: ValidatedRequest,
    granted: ValidatedScopes,
    consented: frozenset[str] | None,
    code: str,
) -> dict[str, Any]:
    """Return of grant and code what does not depend on the person."""
    now = clock.now()
    return {
        "scopes": list(granted.names),
        "resources": list(validated.resources),
        "claims_request": _kept_claims(validated, consented),
        "created_at": now,
        "expires_at": _end_of_grant(validated.client, granted, now),
        "authorization_code__code_hash": digest(code),
        "authorization_code__redirect_uri": validated.redirect_uri,
        "authorization_code__code_challenge": validated.code_challenge,
        "authorization_code__dpop_jkt": validated.dpop_jkt,
        "authorization_code__nonce": validated.nonce,
        "session_client__client_id": validated.client.row_id,
        "session_client__last_at": now,
        "authorization_code__expires_at": now
        + timedelta(seconds=validated.client.authorization_code_lifetime),
    }


_FOUND = ("user_id", "tenant_id", "session_id", "sid", "security_stamp", "auth_time", "acr", "amr")
_KNOWN = (
    *("client_id", "issuer_tenant_id", "scopes", "resources", "claims_request"),
    *("created_at", "expires_at"),
)


def _target(grant: Any) -> ColumnElement[str]:
    return literal("grant:").concat(cast_to(grant.id, String))


GRANT = AtomicWrite(
    new_row(Grant, *_FOUND, *_KNOWN),
    AuthorizationCode,
    SessionClient,
    AuditEvent,
    grant_id=lambda grant: grant.id,
    target=_target,
)


# Of these columns alone: SQLAlchemy would set others that have the names of values, too.
_PUSHED = table(
    PushedRequest.__tablename__,
    column("id", BigInt),
    column("used_at", PushedRequest.__table__.c.used_at.type),
)
_SPENT = (
    update(_PUSHED)
    .where(_PUSHED.c.id == bindparam("pushed_id", type_=BigInt), _PUSHED.c.used_at.is_(None))
    .values(used_at=bindparam("created_at", type_=_PUSHED.c.used_at.type))
    .returning(_PUSHED.c.id)
    .cte("spent")
)
GRANT_OF_PUSHED = AtomicWrite(
    insert(cast("Table", Grant.__table__)).from_select(
        [*_FOUND, *_KNOWN],
        select(
            *(bindparam(name, type_=Grant.__table__.c[name].type) for name in (*_FOUND, *_KNOWN))
        ).select_from(_SPENT),
        include_defaults=False,
    ),
    AuthorizationCode,
    SessionClient,
    AuditEvent,
    found=(Grant.user_id,),
    grant_id=lambda grant: grant.id,
    target=_target,
)
"""The same, and the pushed request `pushed_id` is spent: there is no grant if it was before.

PostgreSQL only: see `Storage.write_and_read`.
"""


async def grant_at_once(
    storage: Storage, validated: ValidatedRequest, cookie: str | None
) -> str | None:
    """Find the person and make grant and code by one statement, and return the code.

    That is done only where `decide` would find everything settled: a session that needs no new
    sign-in and has the level asked for, a client that needs no consent, and exactly one tenant that
    fits. None: nothing was done.
    """
    client = validated.client
    if not cookie or not _is_settled(validated):
        return None
    code, now = random_token(), clock.now()
    max_age, asked = validated.max_age, validated.levels
    given = {
        **_values_of_request(validated, validated.scopes, None, code),
        **visitors.live_values(validated.issuer, cookie),
        **audit.columns(storage.context, Tag.CODE_ISSUED, client_id=client.client_id),
        "client_id": client.row_id,
        "only_tenant": validated.tenant_id if client.tenant_id is None else client.tenant_id,
        "seen_after": now - sessions.SEEN_EVERY,
        "signed_in_at": _ALWAYS if max_age is None else now - timedelta(seconds=max_age),
        **{
            f"acr_of_{level}": asked.stated(level) if asked.is_met(level) else None
            for level in levels.LEVELS
        },
    }
    found = await storage.write_and_read(_AT_ONCE, given)
    return None if found is None else code


def _is_settled(validated: ValidatedRequest) -> bool:
    """Return whether only the person and the tenant are left to be found."""
    tenants = {validated.client.tenant_id, validated.tenant_id} - {None}
    return (
        validated.prompt <= {"none"}
        and not validated.client.require_consent
        and validated.hinted_subject is None
        and not validated.claims.values("id_token", "sub")
        and len(tenants) <= 1
    )


_ALWAYS = datetime.min.replace(tzinfo=UTC)


def _fits(membership: Any, tenant: Any) -> ColumnElement[bool]:
    """Return the condition that the person may sign in for a tenant."""
    return and_(
        membership.user_id == User.id,
        tenant.id == membership.tenant_id,
        tenant.issuer_tenant_id == BrowserSession.issuer_tenant_id,
        tenant.status == TenantStatus.ENABLED,
        func.coalesce(bindparam("only_tenant", type_=BigInt), tenant.id) == tenant.id,
    )


_OTHER, _OTHER_TENANT = aliased(Membership), aliased(Tenant)
_ACR = case(
    *(
        (BrowserSession.acr == level, bindparam(f"acr_of_{level}", type_=String))
        for level in reversed(levels.LEVELS[1:])
    ),
    else_=bindparam(f"acr_of_{levels.LEVELS[0]}", type_=String),
)
"""What tokens state of the level of the session; NULL: it is not what the request asks for."""
_PERSON = (
    *(User.id, Tenant.id, BrowserSession.id, BrowserSession.sid, User.security_stamp),
    *(BrowserSession.auth_time, _ACR, BrowserSession.amr),
)
_AT_ONCE = AtomicWrite(
    insert(cast("Table", Grant.__table__)).from_select(
        [*_FOUND, *_KNOWN],
        select(*_PERSON, *(bindparam(name, type_=Grant.__table__.c[name].type) for name in _KNOWN))
        .select_from(BrowserSession)
        .join(User, User.id == BrowserSession.user_id)
        .join(Membership, Membership.user_id == User.id)
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .where(
            *visitors.LIVE,
            _fits(Membership, Tenant),
            BrowserSession.last_seen_at > bindparam("seen_after"),
            BrowserSession.auth_time >= bindparam("signed_in_at"),
            _ACR.is_not(None),
            ~exists().where(_fits(_OTHER, _OTHER_TENANT), _OTHER.id != Membership.id),
        ),
        include_defaults=False,
    ),
    AuthorizationCode,
    SessionClient,
    AuditEvent,
    found=(Grant.user_id, Grant.tenant_id, Grant.session_id, Grant.sid),
    grant_id=lambda grant: grant.id,
    target=_target,
    user_id=lambda grant: grant.grant_user_id,
    tenant_id=lambda grant: grant.grant_tenant_id,
    session_id=lambda grant: grant.grant_session_id,
    sid_sent=lambda grant: grant.grant_sid,
)


def _kept_claims(
    validated: ValidatedRequest, consented: frozenset[str] | None
) -> dict[str, Any] | None:
    """Keep of the `claims` parameter the names that client and person agree on.

    The values asked for were compared before; they are unverified JSON and are not kept.
    """
    kept = {
        section: {name: None for name in names if may_request(validated.client, name, consented)}
        for section, names in validated.claims.sections.items()
    }
    return kept or None


def _end_of_grant(client: ClientView, granted: ValidatedScopes, now: datetime) -> datetime:
    """Return when nothing that depends on a grant can be valid any more."""
    seconds = client.authorization_code_lifetime + client.access_token_lifetime
    if granted.is_offline:
        seconds += client.absolute_refresh_token_lifetime
    return now + timedelta(seconds=seconds)
