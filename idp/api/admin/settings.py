"""Settings of the installation as they are in use; no operation changes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from idp import config
from idp.api.actor import platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page
from idp.directory.scopes import Scope
from idp.platform.secrets import MASK
from idp.platform.web.views import current_runtime
from idp.platform.wire.shapes import text


class SettingShape(AdminShape):
    """A setting with its value, source and meaning."""

    schema_name = "Setting"

    name = text()
    value = fields.Raw()
    source = text()
    secret = fields.Boolean(attribute="is_secret")
    description = text()


class ListQuery(Paging):
    """Where the list goes on."""

    after = text(100, load_default="")


@admin.operation(
    "settings-list",
    "GET",
    "/settings",
    scope=Scope.ADMIN_SETTINGS_READ,
    tenant=platform,
    query=ListQuery(),
    result=SettingShape(),
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List every setting by name; secrets are masked."""
    lines = sorted(config.in_use(current_runtime().settings), key=lambda line: line.name)
    rows = [
        {
            "name": line.name,
            "value": MASK if line.value is None else line.value,
            "source": line.source,
            "is_secret": line.is_secret,
            "description": line.description,
        }
        for line in lines
        if line.name > query["after"]
    ]
    return page(rows, query["limit"], lambda row: row["name"])
