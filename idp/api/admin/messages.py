"""Messages and jobs of the outbox that are not done; their content is never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.api.actor import current_actor, platform
from idp.api.admin.dialect import (
    AdminShape,
    Page,
    Paging,
    admin,
    page,
    row_id,
    yes_or_no,
)
from idp.api.answers import current_language
from idp.directory.scopes import Scope
from idp.directory.users import service as users
from idp.platform.jobs import service as jobs
from idp.platform.jobs.service import Waiting
from idp.platform.notify import service as notify
from idp.platform.web.views import current_issuer, database
from idp.platform.wire.shapes import Moment, int32, int64, text


class MessageShape(AdminShape):
    """A message that waits or failed, without its content."""

    schema_name = "Message"

    id = int64()
    lane = text()
    job = text()
    attempts = int32()
    created_at = Moment()
    due_at = Moment()
    failed_at = Moment(allow_none=True)
    last_error = text(allow_none=True)


class ListQuery(Paging):
    """Filters of the list."""

    failed = yes_or_no()
    after = row_id(minimum=0, load_default=0)


MESSAGE = MessageShape()


@admin.operation(
    "messages-list",
    "GET",
    "/messages",
    scope=Scope.ADMIN_MESSAGES_READ,
    tenant=platform,
    query=ListQuery(),
    result=MESSAGE,
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List messages that are not done, the oldest first."""
    found = jobs.list_open(
        database(), failed=query["failed"], after_id=query["after"], limit=query["limit"] + 1
    )
    return page(found, query["limit"], lambda message: message.id)


@admin.operation(
    "messages-retry",
    "POST",
    "/messages/<int:id>/retry",
    scope=Scope.ADMIN_MESSAGES_WRITE,
    tenant=platform,
    result=MESSAGE,
)
def retry(id: int) -> Waiting:
    """Retry a failed message; one that still waits stays as it is."""
    jobs.retry_failed(database(), [id])
    message = jobs.get_open(database(), id)
    database().commit()
    return message


@admin.operation(
    "messages-drop",
    "POST",
    "/messages/<int:id>/drop",
    scope=Scope.ADMIN_MESSAGES_WRITE,
    tenant=platform,
    form="empty",
)
def drop(id: int) -> None:
    """Erase a message that waits or was given up; it is not sent."""
    jobs.drop(database(), id)
    database().commit()


@admin.operation(
    "messages-test",
    "POST",
    "/messages/test",
    scope=Scope.ADMIN_MESSAGES_WRITE,
    tenant=platform,
    machine=False,
    form="empty",
)
def send_test() -> None:
    """Send a mail to the address of the caller, and to nobody else."""
    user = users.get(database(), current_actor().person_id)
    notify.send_test(database(), user.id, user.email, current_issuer(), current_language())
    database().commit()
