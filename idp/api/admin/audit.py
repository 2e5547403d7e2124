"""The audit log: searched, and written to a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from marshmallow import fields, validate

from idp.api.actor import acts_for_platform, tenant_or_platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page, row_id
from idp.directory.scopes import Scope
from idp.platform import clock
from idp.platform.audit import exporting
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters, Position
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.principal import current_principal
from idp.platform.web.views import current_runtime, database
from idp.platform.wire.shapes import CleanText, Moment, int64, text

PATH = "/tenants/<int:tenant>/audit"
MOST_EXPORTED = 50_000
"""Events of one file: a server may hold the whole answer until it is sent."""
EXPORTS_PER_MINUTE = 10
CSV = "text/csv"
JSON_LINES = "application/x-ndjson"
FORMATS = {"csv": (CSV, exporting.as_csv), "jsonl": (JSON_LINES, exporting.as_json_lines)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9]{1,19})")


class Cursor(CleanText):
    """Where a list of events goes on: the time of the last one in microseconds, and its id."""

    default_error_messages = {"cursor": "Not a cursor."}  # noqa: RUF012 - marshmallow's own

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        found = _CURSOR.fullmatch(super()._deserialize(value, attr, data, **kwargs))
        if found is None:
            raise self.make_error("cursor")
        at = _EPOCH + int(found[1]) * _MICROSECOND
        return Position(at, min(int(found[2]), INT64_MAX))


class EventShape(AdminShape):
    """An audit event."""

    schema_name = "AuditEvent"

    id = int64()
    at = Moment()
    tag = text()
    user = int64(attribute="user_id", allow_none=True)
    client = text(attribute="client_id", allow_none=True)
    tenant = int64(attribute="tenant_id", allow_none=True)
    target = text(allow_none=True)
    remote_addr = text(allow_none=True)
    request_id = text(allow_none=True)
    details = fields.Dict(allow_none=True)


class Search(AdminShape):
    """What events are searched by."""

    tag = text(100, load_default=None)
    user = row_id(load_default=None)
    client = text(200, load_default=None)
    in_tenant = row_id(load_default=None)
    target = text(300, load_default=None)
    request_id = text(64, load_default=None)
    since = Moment(load_default=None)
    until = Moment(ends=True, load_default=None)
    after = Cursor(load_default=None)


class ListQuery(Paging, Search):
    """A page of a search."""


class ExportQuery(Search):
    """A file of a search."""

    format = text(load_default="csv", checks=[validate.OneOf(list(FORMATS))])


EVENT = EventShape()


@admin.operation(
    "audit-list",
    "GET",
    PATH,
    scope=Scope.ADMIN_AUDIT_READ,
    tenant=tenant_or_platform(Scope.ADMIN_AUDIT_READ),
    query=ListQuery(),
    result=EVENT,
    form="page",
)
def list_(tenant: int, query: Mapping[str, Any]) -> Page:
    """List events, the newest first."""
    found = audit.search(
        database(), filters_of(tenant, query), limit=query["limit"] + 1, before=query["after"]
    )
    return page(found, query["limit"], cursor)


@admin.operation(
    "audit-export",
    "GET",
    f"{PATH}/export",
    scope=Scope.ADMIN_AUDIT_READ,
    tenant=tenant_or_platform(Scope.ADMIN_AUDIT_READ),
    query=ExportQuery(),
    form="file",
    media=(CSV, JSON_LINES),
    head=False,
)
def export(tenant: int, query: Mapping[str, Any]) -> Response:
    """Write events to a file, the newest first; that it was done is an event itself."""
    filters = filters_of(tenant, query)
    if filters.until is None:
        filters = replace(filters, until=clock.now())
    principal = current_principal()
    caller = f"{principal.client_id} {principal.user_id}"
    current_runtime().throttle.hit("audit export", caller, EXPORTS_PER_MINUTE, 60)
    last = audit.position_after(database(), filters, MOST_EXPORTED, query["after"])
    searched = {name: value for name, value in request.args.items() if name != "after"}
    audit.record(database(), Tag.AUDIT_EXPORTED, tenant_id=tenant, details={"searched": searched})
    database().commit()
    return as_file(filters, query, last)


def as_file(filters: Filters, query: Mapping[str, Any], last: Position | None) -> Response:
    """Answer with the events up to one, and the address of those that follow it."""
    media, write = FORMATS[query["format"]]
    events = exporting.read(current_runtime(), filters, before=query["after"], last=last)
    response = Response(write(events), content_type=f"{media}; charset=utf-8")
    name = f"audit-{clock.now():%Y-%m-%d}.{query['format']}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "no-store"
    if last is not None:
        following = urlencode({**request.args, "after": cursor_at(last)})
        response.headers["Link"] = f'<{request.path}?{following}>; rel="next"'
    return response


def filters_of(tenant: int, query: Mapping[str, Any]) -> Filters:
    """Return what is searched: a tenant's events, or at the platform those of all tenants."""
    everywhere = tenant == PLATFORM_TENANT_ID and acts_for_platform(Scope.ADMIN_AUDIT_READ)
    if query["in_tenant"] is not None and not everywhere:
        raise BadRequest.at("in_tenant", "Only for tenant 1, with the permission at the platform.")
    return Filters(
        tag=query["tag"],
        user_id=query["user"],
        client_id=query["client"],
        tenant_id=query["in_tenant"] if everywhere else tenant,
        target=query["target"],
        request_id=query["request_id"],
        since=query["since"],
        until=query["until"],
    )


def cursor(event: AuditEvent) -> str:
    """Write where an event stands."""
    return cursor_at(audit.position(event))


def cursor_at(position: Position) -> str:
    """Write a position."""
    return f"{(position.at - _EPOCH) // _MICROSECOND}-{position.id}"
