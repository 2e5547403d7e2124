"""The grant and the code that an authorization request leads to: one statement makes both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    CTE,
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
    true,
    update,
)
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session, aliased

from idp.directory import levels
from idp.directory.clients.snapshot import ClientView
from idp.directory.factors import service as factors
from idp.directory.policies import snapshot as policies
from idp.directory.policies.models import Policy, RolePolicy
from idp.directory.policies.rules import NOTHING, Required
from idp.directory.roles.models import Role
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.users.models import User
from idp.oauth import visitor as visitors
from idp.oauth.authorization.validated import Approved, ValidatedRequest
from idp.oauth.checks.levels import LevelRequest
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.id_tokens import may_request
from idp.oauth.models import AuthorizationCode, Grant, PushedRequest, SessionClient
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import AtomicWrite, BigInt, new_row
from idp.platform.issuer import PLATFORM_TENANT_ID
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


def make_for_device(
    session: Session, validated: ValidatedRequest, approved: Approved, until: datetime
) -> int:
    """Make the grant of a device, which may redeem it `until` then; return its id."""
    client, visitor, now = validated.client, approved.visitor, clock.now()
    given = {
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
        "scopes": list(approved.scopes.names),
        "resources": list(validated.resources),
        "claims_request": None,
        "created_at": now,
        "expires_at": _end_of_tokens(client, approved.scopes, until),
        "session_client__session_id": visitor.session_id,
        "session_client__client_id": client.row_id,
        "session_client__sid_sent": visitor.sid,
        "session_client__last_at": now,
        **audit.columns(
            runtime.context_of(session),
            Tag.DEVICE_ALLOWED,
            user_id=visitor.user_id,
            client_id=client.client_id,
            tenant_id=approved.tenant_id,
        ),
    }
    made = _OF_DEVICE.run(session, given)
    assert made is not None  # noqa: S101 - a new row has an id
    return made


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


_OF_DEVICE = AtomicWrite(
    new_row(Grant, *_FOUND, *_KNOWN), SessionClient, AuditEvent, target=_target
)

# Of these columns alone: SQLAlchemy would set others that have the names of values, too.
_PUSHED = table(
    PushedRequest.__tablename__,
    column("id", BigInt),
    column("used_at", PushedRequest.__table__.c.used_at.type),
)


def _spent(*conditions: ColumnElement[bool]) -> CTE:
    """Spend the pushed request `pushed_id`; there is no row if it was before."""
    return (
        update(_PUSHED)
        .where(
            _PUSHED.c.id == bindparam("pushed_id", type_=BigInt),
            _PUSHED.c.used_at.is_(None),
            *conditions,
        )
        .values(used_at=bindparam("created_at", type_=_PUSHED.c.used_at.type))
        .returning(_PUSHED.c.id)
        .cte("spent")
    )


GRANT_OF_PUSHED = AtomicWrite(
    insert(cast("Table", Grant.__table__)).from_select(
        [*_FOUND, *_KNOWN],
        select(
            *(bindparam(name, type_=Grant.__table__.c[name].type) for name in (*_FOUND, *_KNOWN))
        ).select_from(_spent()),
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
    storage: Storage, validated: ValidatedRequest, cookie: str | None, pushed_id: int | None
) -> str | None:
    """Find the person and make grant and code by one statement, and return the code.

    The pushed request is spent by it, if the request is one.

    That is done only where `decide` would find everything settled: a session that needs no new
    sign-in and has the level that request and policy ask for, a client that needs no consent, and
    exactly one tenant that fits. None: nothing was done.
    """
    client = validated.client
    if not cookie or not _is_settled(validated):
        return None
    policy = await _policy_of(storage, validated)
    if policy is None:
        return None
    code, now = random_token(), clock.now()
    max_age = validated.max_age
    given = {
        **_values_of_request(validated, validated.scopes, None, code),
        **visitors.live_values(validated.issuer, cookie),
        **audit.columns(storage.context, Tag.CODE_ISSUED, client_id=client.client_id),
        "client_id": client.row_id,
        "only_tenant": validated.tenant_id if client.tenant_id is None else client.tenant_id,
        "seen_after": now - sessions.SEEN_EVERY,
        "signed_in_at": _ALWAYS if max_age is None else now - timedelta(seconds=max_age),
        **_values_of_levels(validated.levels, policy.required),
    }
    if pushed_id is not None:
        given["pushed_id"] = pushed_id
    statement = _AT_ONCE[policy.is_of_tenant, pushed_id is not None]
    found = await storage.write_and_read(statement, given)
    return None if found is None else code


@dataclass(frozen=True, slots=True)
class _Policy:
    """What is required of everybody in the tenant that a request is for."""

    required: Required
    is_of_tenant: bool
    """Whether that is so of the tenant, or only of tenants without a policy of their own."""


async def _policy_of(storage: Storage, validated: ValidatedRequest) -> _Policy | None:
    """Return what policies require, from memory; None: it depends on the roles of the person."""
    if not await storage.look_up(policies.any_level):
        return _Policy(NOTHING, is_of_tenant=True)
    client, issuer_id = validated.client, validated.issuer.tenant_id
    known = validated.tenant_id if client.tenant_id is None else client.tenant_id
    tenant_id = PLATFORM_TENANT_ID if known is None else known
    with_roles = await storage.look_up(policies.with_roles)
    if policies.any_role(with_roles, tenant_id, issuer_id):
        return None
    required = await storage.look_up(policies.own, tenant_id)
    if required is None:
        required = await storage.look_up(policies.floor)
    return _Policy(required, is_of_tenant=known is not None)


def _values_of_levels(asked: LevelRequest, required: Required) -> dict[str, Any]:
    """Return which `acr` a session of each level gets; None: it has to be raised first.

    A session of a remembered device gets that of its level where a policy asks for more, but for
    a passkey: whether the person has one is not known here.
    """
    now, minutes, wanted = clock.now(), required.level_minutes, required.wanted
    stated = {
        level: asked.stated(level) if asked.is_met(level) else None for level in levels.LEVELS
    }
    enough = {level: levels.satisfies(level, wanted) for level in levels.LEVELS}
    may_be_trusted = wanted != levels.PHR
    return {
        **{f"acr_of_{level}": stated[level] if enough[level] else None for level in stated},
        "acr_of_trusted": stated[levels.PWD] if may_be_trusted else None,
        "level_after": levels.holding_since(minutes) if minutes else _ALWAYS,
        "trusted_after": now - timedelta(days=required.device_days),
    }


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
        (proven_at >= bindparam("level_after"), bindparam(f"acr_of_{level}", type_=String))
        for level, proven_at in (
            (levels.PHR, BrowserSession.phr_at),
            (levels.MFA, BrowserSession.mfa_at),
        )
    ),
    (
        and_(
            BrowserSession.trusted_until > bindparam("now"),
            BrowserSession.auth_time > bindparam("trusted_after"),
            factors.condition_columns(BrowserSession.user_id)[0],  # who has none is not spared
        ),
        bindparam("acr_of_trusted", type_=String),
    ),
    else_=bindparam(f"acr_of_{levels.PWD}", type_=String),
)
"""What tokens state of the level of the session; NULL: it is not what the request asks for."""
_PERSON = (
    *(User.id, Tenant.id, BrowserSession.id, BrowserSession.sid, User.security_stamp),
    *(BrowserSession.auth_time, _ACR, BrowserSession.amr),
)


_WITHOUT_OWN = (
    ~exists().where(Policy.tenant_id == Tenant.id, Policy.tenant_id != PLATFORM_TENANT_ID),
    ~exists().where(Role.tenant_id == Tenant.id, RolePolicy.role_id == Role.id),
)
"""True of tenants in which nothing more is required than by the platform."""


def _at_once(*, is_of_tenant: bool, is_pushed: bool) -> AtomicWrite:
    known = (bindparam(name, type_=Grant.__table__.c[name].type) for name in _KNOWN)
    named = zip((*_FOUND, *_KNOWN), (*_PERSON, *known), strict=True)
    columns: list[ColumnElement[Any]] = [value.label(name) for name, value in named]
    found = (
        select(*columns)
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
            *(() if is_of_tenant else _WITHOUT_OWN),
        )
    )
    if is_pushed:
        person = found.cte("person")
        spent = _spent(exists().select_from(person))
        found = select(*person.c).join_from(person, spent, true())
    return AtomicWrite(
        insert(cast("Table", Grant.__table__)).from_select(
            [*_FOUND, *_KNOWN], found, include_defaults=False
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


_AT_ONCE = {
    (is_of_tenant, is_pushed): _at_once(is_of_tenant=is_of_tenant, is_pushed=is_pushed)
    for is_of_tenant in (True, False)
    for is_pushed in (True, False)
}
"""By whether what is required is so of the tenant, and whether the request was pushed."""


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
    until = now + timedelta(seconds=client.authorization_code_lifetime)
    return _end_of_tokens(client, granted, until)


def _end_of_tokens(client: ClientView, granted: ValidatedScopes, until: datetime) -> datetime:
    """Return when tokens that are issued `until` then have all expired."""
    seconds = client.access_token_lifetime
    if granted.is_offline:
        seconds += client.absolute_refresh_token_lifetime
    return until + timedelta(seconds=seconds)
