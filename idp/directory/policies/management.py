"""Managing the policies of a tenant, of the platform, and of roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, union
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.actor import Actor
from idp.directory.policies import rules, snapshot
from idp.directory.policies.models import Policy, RolePolicy
from idp.directory.policies.rules import (
    COLUMNS,
    EXEMPT,
    OF_ROLES,
    PolicySpec,
    Required,
    RolePolicySpec,
)
from idp.directory.roles import management as roles
from idp.directory.roles.models import Role
from idp.directory.tenants import management as tenants
from idp.directory.tenants import service as tenant_rules
from idp.directory.users.models import User
from idp.directory.users.standing import is_active
from idp.platform import clock, runtime, stamps
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_, filled

UNSET = "unset"
"""Stamp of a tenant that has set nothing."""
MOST_LISTED = 100
MOST_SORTED = 1000
TOO_MANY_EXEMPT = N_("At most %(most)s people can be exempt.")
ONLY_ADMINISTRATORS = N_("Only administrators of the organisation can be exempt.")


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What a tenant sets, and what applies to its people with the policy of the platform."""

    row: Policy
    above: PolicySpec
    """What the platform sets, or the settings; of the platform itself nothing."""
    required: Required


def get(session: Session, actor: Actor, tenant_id: int) -> PolicyState:
    """Return the policy of a tenant; one without values where nothing was set."""
    tenants.check_served(session, actor, tenant_id)
    return _state(session, tenant_id)


def replace(
    session: Session, actor: Actor, tenant_id: int, spec: PolicySpec, *, stamp: str | None = None
) -> PolicyState:
    """Replace the policy of a tenant; without a difference nothing changes, not even the stamp.

    `stamp` is that of the state that was read; None accepts any.
    """
    tenants.check_served(session, actor, tenant_id, lock=True)
    state = _state(session, tenant_id)
    stamps.check(state.row.concurrency_stamp, stamp)
    rules.check(spec, state.above, state.row)
    _check_settings(runtime.of(session).settings, spec, state.row)
    _check_way_in(session, tenant_id, _combined(session, tenant_id, spec, state.above))
    if tenant_id == PLATFORM_TENANT_ID:
        _check_ways_in_below(session, spec)
    _check_exempt(session, tenant_id, spec.exempt_user_ids or ())
    before, after = _values(state.row), _values(spec)
    if before == after:
        return state
    for name, value in after.items():
        setattr(state.row, name, value)
    state.row.concurrency_stamp = stamps.new_stamp()
    session.add(state.row)
    session.flush()
    audit.record_change(
        session, Tag.POLICY_CHANGED, f"tenant:{tenant_id}", before, after, tenant_id=tenant_id
    )
    return _state(session, tenant_id)


def _state(session: Session, tenant_id: int) -> PolicyState:
    found = snapshot.find_row(session, tenant_id)
    row = found or Policy(tenant_id=tenant_id, concurrency_stamp=UNSET)
    above = PolicySpec()
    if tenant_id != PLATFORM_TENANT_ID:
        platform = snapshot.find_row(session, PLATFORM_TENANT_ID)
        above = snapshot.with_settings(runtime.of(session).settings, platform)
    return PolicyState(row, above, _combined(session, tenant_id, row, above))


def _combined(
    session: Session, tenant_id: int, own: Policy | PolicySpec, above: PolicySpec
) -> Required:
    if tenant_id == PLATFORM_TENANT_ID:
        own = snapshot.with_settings(runtime.of(session).settings, own)
    return rules.combined([own, above])


def _check_settings(settings: Settings, spec: PolicySpec, before: Policy) -> None:
    """Refuse sessions longer than the settings, and proofs of addresses that get no codes.

    A value that stays as it is in `before` is not compared with settings, which may have changed.
    """
    for name, most in snapshot.longest_sessions(settings).items():
        value = getattr(spec, name)
        if value is not None and value > most and value != getattr(before, name):
            raise BadRequest.at(name, filled(rules.TOO_LONG, value=most))
    added = set(spec.verify or ()) - set(before.verify or ())
    if any(not snapshot.can_send(settings, name) for name in added):
        raise BadRequest.at("verify", rules.NO_WAY_TO_SEND)


def _check_way_in(session: Session, tenant_id: int, required: Required) -> None:
    """Refuse policies with which the people of a tenant could not sign in any more."""
    issuer = tenant_rules.issuer_of(session, tenant_id)
    takes_passkeys = issuer.passkey_host is not None
    rules.check_way_in(required, issuer.url, takes_passkeys=takes_passkeys)


def _check_ways_in_below(session: Session, spec: PolicySpec) -> None:
    """Refuse a policy of the platform with which the people of a tenant could not sign in any more.

    What a tenant requires itself counts with it, and so does the address at which they sign in.
    """
    above = snapshot.with_settings(runtime.of(session).settings, spec)
    others = Policy.tenant_id != PLATFORM_TENANT_ID
    own = {row.tenant_id: row for row in session.scalars(select(Policy).where(others))}
    platform = tenant_rules.issuer_of(session, PLATFORM_TENANT_ID)
    issuers = tenant_rules.issuers(session)
    for tenant_id in sorted(own.keys() | issuers.keys()):
        row, issuer = own.get(tenant_id), issuers.get(tenant_id, platform)
        required = rules.combined([above] if row is None else [row, above])
        takes_passkeys = issuer.passkey_host is not None
        rules.check_way_in(required, issuer.url, takes_passkeys=takes_passkeys)


@dataclass(frozen=True, slots=True)
class RolePolicyState:
    """What the policy of a role sets, and the role."""

    row: RolePolicy
    role: Role


def get_of_role(session: Session, actor: Actor, role_id: int) -> RolePolicyState:
    """Return the policy of a role of the actor's tenant; one without values where nothing was set.

    Roles of the platform have theirs in tenant 1.
    """
    role = roles.get(session, actor, role_id)
    if _tenant_of(role) != actor.tenant_id:
        raise NotFound
    row = snapshot.find_role_row(session, role.id)
    return RolePolicyState(row or RolePolicy(role_id=role.id, concurrency_stamp=UNSET), role)


def replace_of_role(
    session: Session,
    actor: Actor,
    role_id: int,
    spec: RolePolicySpec,
    *,
    stamp: str | None = None,
) -> RolePolicyState:
    """Replace the policy of a role; without a difference nothing changes, not even the stamp."""
    state = _lock_role(session, actor, role_id)
    stamps.check(state.row.concurrency_stamp, stamp)
    tenant_id = _tenant_of(state.role)
    rules.check_role(spec)
    required = rules.with_roles(snapshot.of_tenant(session, tenant_id), [spec])
    _check_way_in(session, tenant_id, required)
    before, after = _values_of_role(state.row), _values_of_role(spec)
    if before != after:
        state.row.second_factor, state.row.level = spec.second_factor, spec.level
        state.row.concurrency_stamp = stamps.new_stamp()
        session.add(state.row)
        session.flush()
        _record_role(session, state.role, before, after)
    return state


def remove_of_role(
    session: Session, actor: Actor, role_id: int, *, stamp: str | None = None
) -> None:
    """Delete the policy of a role; raise NotFound where it has none."""
    state = _lock_role(session, actor, role_id)
    if state.row.id is None:
        raise NotFound
    stamps.check(state.row.concurrency_stamp, stamp)
    before = _values_of_role(state.row)
    session.delete(state.row)
    session.flush()
    _record_role(session, state.role, before, dict.fromkeys(before))


def _lock_role(session: Session, actor: Actor, role_id: int) -> RolePolicyState:
    roles.get(session, actor, role_id)
    session.execute(select(Role.id).where(Role.id == role_id).with_for_update())
    return get_of_role(session, actor, role_id)


def _tenant_of(role: Role) -> int:
    return PLATFORM_TENANT_ID if role.tenant_id is None else role.tenant_id


def _values_of_role(source: Any) -> dict[str, Any]:
    return {name: getattr(source, name) for name in OF_ROLES}


def _record_role(
    session: Session, role: Role, before: dict[str, Any], after: dict[str, Any]
) -> None:
    target = f"role:{role.id}"
    audit.record_change(
        session, Tag.ROLE_POLICY_CHANGED, target, before, after, tenant_id=role.tenant_id
    )


def administrators(session: Session, actor: Actor, tenant_id: int) -> Sequence[tuple[int, str]]:
    """List id and user name of those whom the policy of a tenant can exempt, and of those it does.

    Of many administrators the first ones are listed, of more than `MOST_SORTED` those of any so
    many: their ids are read first, since a database that looks for a few people in the order of
    their names reads all others too.
    """
    tenants.check_served(session, actor, tenant_id)
    row = snapshot.find_row(session, tenant_id)
    is_exempt = User.id.in_((row and row.exempt_user_ids) or ())
    some = snapshot.administrators(tenant_id).limit(MOST_SORTED).subquery()
    ids = union(select(User.id).where(is_exempt), select(some)).subquery()
    query = select(User.id, User.username).where(or_(is_exempt, is_active(clock.now())))
    query = query.join(ids, ids.c.id == User.id)
    query = query.order_by(is_exempt.desc(), User.username_key).limit(MOST_LISTED)
    return [(user_id, name) for user_id, name in session.execute(query)]


def _check_exempt(session: Session, tenant_id: int, user_ids: Sequence[int]) -> None:
    """Refuse to exempt others than a few administrators of the tenant."""
    if len(set(user_ids)) > rules.MOST_EXEMPT:
        raise BadRequest.at(EXEMPT, filled(TOO_MANY_EXEMPT, most=rules.MOST_EXEMPT))
    if not user_ids:
        return
    administrators = snapshot.administrators(tenant_id)
    found = session.scalars(
        select(User.id).where(User.id.in_(user_ids), User.id.in_(administrators))
    )
    if set(found) != set(user_ids):
        raise BadRequest.at(EXEMPT, ONLY_ADMINISTRATORS)


def _values(source: Any) -> dict[str, Any]:
    return {name: _plain(getattr(source, name)) for name in COLUMNS}


def _plain(value: Any) -> Any:
    """Return a list in the order in which it is stored, whatever the order in a request."""
    return sorted(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
