"""From a plan to a publication: the gateway first, then the rows, and a job for what fails between.

A plan is queued in the outbox and committed before the gateway is called, so that a crash on the
way never leaves the two different: the job finishes the plan, or resets the gateway to the rows.
During the call to the gateway no transaction is open. The rows are written last, and only if they
are as the plan has seen them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.resources.models import ApiResource, ApiResourceOwner
from idp.directory.scopes import Scope
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Unavailable, Unprocessable
from idp.platform.jobs import service as jobs
from idp.platform.runtime import Runtime
from idp.publishing import slots
from idp.publishing.gateway import announcements, drivers, tables
from idp.publishing.gateway.drivers import Driver
from idp.publishing.gateway.models import Publication
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.state import Published
from idp.publishing.gateway.upstreams import choose

log = structlog.get_logger("idp.gateway")

RETRY_JOB = "gateway-change"
REPAIR_JOB = "gateway-repair"
LANE = "gateway"
"""A lane of its own: a slow gateway must not delay mails and codes."""
RETRY_SECONDS = 90
"""When the job takes over a plan whose process has stopped."""


PERMISSIONS: Mapping[str, Scope] = {
    "publish": Scope.APIRESOURCE_PUBLISH,
    "revise": Scope.APIRESOURCE_PUBLISHREVISION,
    "add-version": Scope.APIRESOURCE_PUBLISHVERSION,
    "go-online": Scope.APIRESOURCE_SETONLINEVERSION,
    "add-release": Scope.APIRESOURCE_POSTRELEASE,
    "change-release": Scope.APIRESOURCE_PUTRELEASE,
    "remove-release": Scope.APIRESOURCE_DELETERELEASE,
}
"""Permissions of the actions; a job that finishes one later checks them again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A change of one publication, from one state to another."""

    action: str
    actor: Actor
    before: Published | None
    after: Published
    routed: Published
    """The part of `after` that the gateway gets; see `live`."""
    driver: Driver
    message_id: int | None = None
    """The job in the outbox that takes the plan over; None: no gateway can fail."""


def make(
    session: Session, actor: Actor, action: str, before: Published | None, after: Published
) -> Plan:
    """Check a plan and queue it in the outbox; return it for `carry_out`."""
    check(session, before, after)
    driver = drivers.of(session, after.tenant_id)
    message_id = None
    if driver.is_remote:
        payload = {
            "action": action,
            "author": {
                "user_id": actor.user_id,
                "tenant_id": actor.tenant_id,
                "permission": PERMISSIONS[action].value,
                "at_platform": actor.at_platform,
            },
            "stamp": before.stamp if before else "",
            "after": after.to_json(),
        }
        message_id = jobs.enqueue(
            session, RETRY_JOB, payload, lane=LANE, delay_seconds=RETRY_SECONDS
        )
    (routed,) = live(session, [after])
    return Plan(action, actor, before, after, routed, driver, message_id)


def check(session: Session, before: Published | None, after: Published) -> None:
    """Refuse a suffix that another microservice has, and upstreams that are not on the list."""
    taken = select(Publication.id).where(
        Publication.suffix_key == after.suffix.lower(),
        Publication.api_resource_id != after.api_id,
    )
    if session.scalar(taken) is not None:
        raise NotPublished(Reason.SUFFIX_TAKEN)
    allowed = tables.upstreams(session).get(after.tenant_id, [])
    for version in after.versions:
        known = before.find(version.aid) if before else None
        for revision in version.revisions:
            earlier = known.find(revision.number) if known else None
            goes_online = revision.is_current and not (earlier and earlier.is_current)
            if (earlier is None or goes_online) and choose([revision.upstream], allowed) is None:
                raise NotPublished(Reason.UPSTREAM_REFUSED, revision.upstream)


def live(session: Session, states: Iterable[Published]) -> list[Published]:
    """Leave out versions whose upstream the operator has removed from the list."""
    allowed = tables.upstreams(session)
    return [
        replace(
            state,
            versions=tuple(
                version
                for version in state.versions
                if choose([version.current.upstream], allowed.get(state.tenant_id, []))
            ),
        )
        for state in states
    ]


def carry_out(session: Session, plan: Plan) -> None:
    """Carry out a plan; commits before the call to the gateway and after its response.

    A refusal is raised after the second commit, so that the job for the worker stays.
    """
    # If no more requests may wait for a gateway, nothing has been written yet.
    with slots.taken() if plan.driver.is_remote else nullcontext():
        session.commit()
        refused = _apply(plan)
    problem = _finish(session, plan, refused)
    session.commit()
    if problem is not None:
        raise problem


def _apply(plan: Plan) -> NotPublished | None:
    """Call the gateway, outside of any transaction; return its refusal."""
    try:
        plan.driver.apply(plan.before, plan.routed)
    except NotPublished as problem:
        log.warning(
            "gateway_refused",
            api_id=plan.after.api_id,
            action=plan.action,
            reason=problem.reason.name,
            debug=problem.debug,
        )
        return problem
    return None


def _finish(session: Session, plan: Plan, problem: NotPublished | None) -> NotPublished | None:
    """Write the rows if the gateway accepted the plan, else schedule another attempt.

    Return the remaining refusal, by the gateway or by the rows.
    """
    if problem is None:
        problem = _write(session, plan)
    if plan.message_id is None:
        return problem
    if problem is not None and problem.may_pass:
        jobs.hasten(session, plan.message_id)
        return problem
    jobs.withdraw(session, plan.message_id)
    if problem is not None:
        payload = {"api_id": plan.after.api_id, "tried": plan.after.to_json()}
        jobs.enqueue(session, REPAIR_JOB, payload, lane=LANE)
    return problem


def retry_job(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Finish what a request could not, or reset the gateway to the rows."""
    author = payload["author"]
    after = Published.from_json(payload["after"])
    with runtime.sessions() as session:
        before = tables.find(session, after.api_id)
        try:
            if (before.stamp if before else "") != payload["stamp"]:
                raise NotPublished(Reason.CHANGED_MEANWHILE)  # noqa: TRY301 - or done by now
            actor = _actor_of(session, author)
            _check_permitted(session, actor, author["permission"], after.api_id)
            check(session, before, after)
            driver = drivers.of(session, after.tenant_id)
            (routed,) = live(session, [after])
        except NotPublished as problem:
            log.info("gateway_change_dropped", api_id=after.api_id, reason=problem.reason.name)
            session.rollback()
            repair(runtime, after.api_id, after)
            return
        session.rollback()
        plan = Plan(payload["action"], actor, before, after, routed, driver)
        refused = _apply(plan) or _write(session, plan)
        session.commit()
    if refused is None:
        return
    if refused.may_pass:
        raise Unavailable(refused.detail)
    repair(runtime, after.api_id, after)
    raise Unprocessable(refused.detail)


def repair_job(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Reset the gateway to the rows after an unfinished change."""
    repair(runtime, payload["api_id"], Published.from_json(payload["tried"]))


def repair(runtime: Runtime, api_id: int, tried: Published) -> None:
    """Bring the gateway to the state of the rows, whatever part of `tried` has reached it."""
    with runtime.sessions() as session:
        found = tables.find(session, api_id)
        current = live(session, [found])[0] if found else None
        driver = drivers.of(session, tried.tenant_id)
        session.rollback()
    try:
        driver.apply(tried, current)
    except NotPublished as problem:
        raise Unavailable(problem.detail, debug=problem.debug) from None


def watch(runtime: Runtime, _stop: threading.Event) -> None:
    """Restore missing routes of Caddy, and remove those of ended publications."""
    with runtime.sessions() as session:
        caddy = drivers.find_caddy(session)
        if caddy is None:
            return
        states = live(session, tables.everything(session))
        session.rollback()
    try:
        changed = caddy.synchronise(states)
    except NotPublished as problem:
        log.warning("gateway_unreachable", debug=problem.debug)
        return
    if changed:
        log.info("gateway_repaired", routes=len(states))


def _write(session: Session, plan: Plan) -> NotPublished | None:
    try:
        with session.begin_nested():
            tables.store(session, plan.before, plan.after)
    except IntegrityError:
        return NotPublished(Reason.CHANGED_MEANWHILE)
    except NotPublished as problem:
        return problem
    audit.record(
        session,
        Tag.PUBLICATION_CHANGED,
        user_id=plan.actor.user_id,
        tenant_id=plan.after.tenant_id,
        target=f"publication:{plan.after.suffix}",
        details={"action": plan.action, "number": plan.after.number},
    )
    if plan.before is None or plan.before.number != plan.after.number:
        announcements.announce(session, plan.after.api_id, plan.after.number)
    return None


def _actor_of(session: Session, author: Mapping[str, Any]) -> Actor:
    """Return the actor of a job, with their present rights."""
    user_id, at_platform = author["user_id"], author["at_platform"]
    is_admin = at_platform and permissions.is_platform_administrator(session, user_id)
    return Actor(user_id, author["tenant_id"], is_admin, at_platform)


def _check_permitted(session: Session, actor: Actor, permission: str, api_id: int) -> None:
    """Refuse a change if the actor has lost the permission or the microservice since."""
    exists = session.scalar(select(ApiResource.id).where(ApiResource.id == api_id))
    is_linked = session.get(ApiResourceOwner, (actor.person_id, api_id)) is not None
    may = permissions.has_permission(
        session, actor.person_id, actor.tenant_id, permission, platform=actor.at_platform
    )
    if exists is None or not may or not (is_linked or actor.is_platform_admin):
        raise NotPublished(Reason.CHANGED_MEANWHILE)
