"""Menus of applications: read with disabled entries, changed, and arranged as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import Any

from marshmallow import fields, validate

from idp.api.actor import tenant_or_platform
from idp.api.admin.dialect import AdminShape, Tagged, admin
from idp.directory.applications import editing
from idp.directory.applications import service as applications
from idp.directory.applications.editing import MenuSpec, Place
from idp.directory.applications.models import Application, Menu
from idp.directory.roles.catalogue import LONGEST_CODE
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.platform.errors import BadRequest
from idp.platform.web.views import database
from idp.platform.wire.shapes import text

PATH = "/tenants/<int:tenant>/applications/<application>/menu"
ENTRY_PATH = f"{PATH}/entries/<code>"
READ, WRITE = Scope.ADMIN_MENUS_READ, Scope.ADMIN_MENUS_WRITE
CODE, TITLE, ICON, TEXT = (
    editing.LONGEST_CODE,
    editing.LONGEST_TITLE,
    editing.LONGEST_ICON,
    editing.LONGEST_TEXT,
)


class EntryShape(AdminShape):
    """An entry of a menu, with the code of the one above it."""

    schema_name = "MenuEntry"

    code = text()
    parent = text(allow_none=True)
    title = text()
    url = text(allow_none=True)
    icon = text(allow_none=True)
    comment = text(allow_none=True)
    privilege = text(allow_none=True)
    enabled = fields.Boolean()


class MenuShape(AdminShape):
    """All entries of a menu, each before those below it."""

    schema_name = "Menu"

    entries = fields.List(fields.Nested(EntryShape()))


class EntryChangeShape(AdminShape):
    """What changes of an entry."""

    schema_name = "MenuEntryChange"

    title = text(TITLE, minimum=1)
    url = text(TEXT, allow_none=True)
    icon = text(ICON, allow_none=True)
    comment = text(TEXT, allow_none=True)
    privilege = text(LONGEST_CODE, allow_none=True)
    enabled = fields.Boolean(truthy={True}, falsy={False})


class NewEntryShape(AdminShape):
    """An entry to be created, the last one below its parent."""

    schema_name = "NewMenuEntry"

    code = text(CODE, minimum=1, required=True)
    parent = text(CODE, allow_none=True, load_default=None)
    title = text(TITLE, minimum=1, required=True)
    url = text(TEXT, allow_none=True, load_default=None)
    icon = text(ICON, allow_none=True, load_default=None)
    comment = text(TEXT, allow_none=True, load_default=None)
    privilege = text(LONGEST_CODE, allow_none=True, load_default=None)
    enabled = fields.Boolean(truthy={True}, falsy={False}, load_default=True)


class PlaceShape(AdminShape):
    """Where an entry stands, and whether it is shown."""

    schema_name = "MenuPlace"

    code = text(CODE, minimum=1, required=True)
    parent = text(CODE, allow_none=True, load_default=None)
    enabled = fields.Boolean(truthy={True}, falsy={False}, load_default=True)


class PlacesShape(AdminShape):
    """The places of all entries, each before those below it."""

    schema_name = "MenuPlaces"

    places = fields.List(
        fields.Nested(PlaceShape()),
        required=True,
        validate=validate.Length(max=editing.MOST_ENTRIES),
    )


MENU, ENTRY = MenuShape(), EntryShape()


@admin.operation("menus-get", "GET", PATH, scope=READ, tenant=tenant_or_platform(READ), result=MENU)
def whole(tenant: int, application: str) -> Tagged:
    """Read the menu of an application, disabled entries too."""
    return menu_shown(editing.read(database(), seen(application, tenant)))


@admin.operation(
    "menus-arrange",
    "PUT",
    PATH,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=PlacesShape(),
    result=MENU,
)
def arrange(tenant: int, application: str, body: Mapping[str, Any], stamp: str | None) -> Tagged:
    """Put all entries of a menu in their places."""
    session, owner = database(), own(application, tenant)
    ids = {entry.code: entry.id for entry in editing.read(session, owner)}
    places = [
        Place(
            menu_id(ids, place["code"], f"places[{index}].code"),
            above(ids, place["parent"], f"places[{index}].parent"),
            place["enabled"],
        )
        for index, place in enumerate(body["places"])
    ]
    editing.arrange(session, owner, places, stamp)
    shown = menu_shown(editing.read(session, owner))
    session.commit()
    return shown


@admin.operation(
    "menus-entry-create",
    "POST",
    f"{PATH}/entries",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=NewEntryShape(),
    result=ENTRY,
    location="/tenants/{tenant}/applications/{application}/menu/entries/{code}",
)
def create(tenant: int, application: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create an entry of a menu."""
    session, owner = database(), own(application, tenant)
    ids = {entry.code: entry.id for entry in editing.read(session, owner)}
    parent_id = above(ids, body["parent"], "parent")
    made = editing.create(session, owner, body["code"], spec_of(body), parent_id=parent_id)
    shown = entry_shown(made, body["parent"])
    session.commit()
    return shown


@admin.operation(
    "menus-entry-get",
    "GET",
    ENTRY_PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    result=ENTRY,
)
def detail(tenant: int, application: str, code: str) -> Tagged:
    """Read an entry of a menu."""
    entries = editing.read(database(), seen(application, tenant))
    return one_shown(entries, editing.find_by_code(entries, code))


@admin.operation(
    "menus-entry-change",
    "PATCH",
    ENTRY_PATH,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=EntryChangeShape(),
    result=ENTRY,
)
def change(
    tenant: int, application: str, code: str, body: Mapping[str, Any], stamp: str | None
) -> Tagged:
    """Change an entry of a menu."""
    session, owner = database(), own(application, tenant)
    entries = editing.read(session, owner)
    entry = editing.find_by_code(entries, code)
    stored = entry_shown(entry, None)
    changed = editing.change(session, owner, entry.id, spec_of({**stored, **body}), stamp)
    shown = one_shown(entries, changed)
    session.commit()
    return shown


@admin.operation(
    "menus-entry-delete",
    "DELETE",
    ENTRY_PATH,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def delete(tenant: int, application: str, code: str, stamp: str | None) -> None:
    """Delete an entry of a menu that has none below it."""
    session, owner = database(), own(application, tenant)
    entry = editing.find_by_code(editing.read(session, owner), code)
    editing.delete(session, owner, entry.id, stamp)
    session.commit()


def seen(code: str, tenant_id: int) -> Application:
    """Return an application that the tenant sees: its own, or one of the platform."""
    tenants.get(database(), tenant_id)
    return applications.get(database(), code, tenant_id)


def own(code: str, tenant_id: int) -> Application:
    """Return an application of the tenant: those of the platform are changed in tenant 1."""
    return applications.get_own(database(), seen(code, tenant_id).id, tenant_id)


def spec_of(values: Mapping[str, Any]) -> MenuSpec:
    """Return an entry as the service takes it."""
    names = {field.name for field in fields_of(MenuSpec)}
    given = {name: value for name, value in values.items() if name in names}
    return replace(
        MenuSpec(**given), privilege_code=values["privilege"], is_enabled=values["enabled"]
    )


def menu_id(ids: Mapping[str, int], code: str, field: str) -> int:
    """Return the id of a named entry."""
    if code not in ids:
        raise BadRequest.at(field, "There is no such entry.")
    return ids[code]


def above(ids: Mapping[str, int], code: str | None, field: str) -> int | None:
    """Return the id of the entry above; None: at the top."""
    return None if code is None else menu_id(ids, code, field)


def menu_shown(entries: Sequence[Menu]) -> Tagged:
    """Show a menu, with the stamp of all of its entries."""
    codes = {entry.id: entry.code for entry in entries}
    shown = [entry_shown(entry, codes.get(entry.parent_id or 0)) for entry in entries]
    return Tagged({"entries": shown}, editing.stamp_of(entries))


def one_shown(entries: Sequence[Menu], entry: Menu) -> Tagged:
    """Show an entry, with its stamp."""
    codes = {one.id: one.code for one in entries}
    shown = entry_shown(entry, codes.get(entry.parent_id or 0))
    return Tagged(shown, editing.stamp_of([entry]))


def entry_shown(entry: Menu, parent: str | None) -> dict[str, Any]:
    """Show an entry of a menu."""
    return {
        "code": entry.code,
        "parent": parent,
        "title": entry.title,
        "url": entry.url,
        "icon": entry.icon,
        "comment": entry.comment,
        "privilege": None if entry.privilege is None else entry.privilege.code,
        "enabled": bool(entry.status),
    }
