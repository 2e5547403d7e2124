"""Uploaded files of all tenants: listed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.api.actor import platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, matching, page, row_id
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int64, text
from idp.publishing.files import management
from idp.publishing.files.models import StoredFile

PATH = "/files/<int:id>"


class FileShape(AdminShape):
    """A file that was uploaded."""

    schema_name = "File"

    id = int64()
    name = text()
    original_name = text()
    media_type = text()
    size = int64()
    tenant = int64(attribute="tenant_id", allow_none=True)
    user = int64(attribute="user_id", allow_none=True)
    client = text(attribute="client_id")
    created_at = Moment()


class ListQuery(Paging):
    """Where the list goes on."""

    after = row_id(load_default=None)


FILE = FileShape()


@admin.operation(
    "files-list",
    "GET",
    "/files",
    scope=Scope.ADMIN_FILES_READ,
    tenant=platform,
    query=ListQuery(),
    result=FILE,
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List files, the newest first."""
    found = management.list_page(database(), before_id=query["after"], limit=query["limit"] + 1)
    return page(found, query["limit"], lambda row: row.id)


@admin.operation(
    "files-get", "GET", PATH, scope=Scope.ADMIN_FILES_READ, tenant=platform, result=FILE
)
def detail(id: int) -> StoredFile:
    """Read what is known of a file."""
    return management.get(database(), id)


@admin.operation(
    "files-delete",
    "DELETE",
    PATH,
    scope=Scope.ADMIN_FILES_WRITE,
    tenant=platform,
    form="empty",
)
def delete(id: int, stamp: str | None) -> None:
    """Delete a file that nothing names."""
    management.delete(database(), id, matching(FILE, stamp))
    database().commit()
