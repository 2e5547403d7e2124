"""Rows in reach, locked and compared by stamp; every change is recorded."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.resources import audited, rules
from idp.directory.resources.models import ApiResource, IdentityResource
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.difference import State
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_

Row = TypeVar("Row", ApiResource, IdentityResource)


def get(
    session: Session,
    query: Select[Row],
    model: type[Row],
    row_id: int,
    *conditions: ColumnElement[bool],
    lock: bool = False,
) -> Row:
    """Return a row that fulfils the conditions; with `lock` it stays so until the end."""
    if lock:
        query = query.with_for_update(of=model).execution_options(populate_existing=True)
    row = None
    if 0 < row_id <= INT64_MAX:
        row = session.scalar(query.where(model.id == row_id, *conditions))
    if row is None:
        raise NotFound
    return row


def check_stamp(row: ApiResource | IdentityResource, given: str | None) -> None:
    """Refuse a form that was read before another change."""
    stamps.check(row.concurrency_stamp, given)


def note(
    session: Session,
    row: ApiResource | IdentityResource,
    tag: Tag,
    before: State,
    after: State,
) -> None:
    """Record a change and renew the stamp; of two changes, the conditional update decides."""
    if before == after:
        return
    model = type(row)
    done = session.execute(
        update(model)
        .where(model.id == row.id, model.concurrency_stamp == row.concurrency_stamp)
        .values(concurrency_stamp=stamps.new_stamp())
        .returning(model.concurrency_stamp)
    ).all()
    if not done:
        raise stamps.outdated()
    record(session, row, tag, before, after)


def record(
    session: Session,
    row: ApiResource | IdentityResource,
    tag: Tag,
    before: State,
    after: State,
) -> None:
    """Record a change of a resource."""
    kind = "api" if isinstance(row, ApiResource) else "identity-resource"
    target = f"{kind}:{row.name}"
    audit.record_change(
        session, tag, target, before, after, private=audited.PRIVATE, tenant_id=row.tenant_id
    )


def insert(session: Session, row: ApiResource | IdentityResource) -> None:
    """Insert a row with its children; a missing tenant is named in the refusal."""
    name = row.name
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        model = type(row)
        if session.scalar(select(model.id).where(model.name == name)) is not None:
            raise rules.taken("name", name) from None
        raise NotFound(N_("There is no such tenant.")) from None
