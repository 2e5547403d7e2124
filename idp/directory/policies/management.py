"""Managing the policy of a tenant, or of the platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.policies import rules, snapshot
from idp.directory.policies.models import Policy
from idp.directory.policies.rules import COLUMNS, PolicySpec, Required
from idp.directory.tenants import management as tenants
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import PLATFORM_TENANT_ID

UNSET = "unset"
"""Stamp of a tenant that has set nothing."""


@dataclass(frozen=True, slots=True)
class PolicyState:
    """What a tenant sets, and what applies to its people with the policy of the platform."""

    row: Policy
    floor: Required
    """What the platform requires; of the platform itself nothing."""
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
    rules.check(spec, state.floor, state.row)
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
    if tenant_id == PLATFORM_TENANT_ID:
        return PolicyState(row, rules.NOTHING, rules.combined([row]))
    floor = snapshot.of_platform(session)
    return PolicyState(row, floor, rules.combined([row, floor]))


def _values(source: Any) -> dict[str, Any]:
    return {name: getattr(source, name) for name in COLUMNS}
