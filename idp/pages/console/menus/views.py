"""Applications and their menus: the list, the tree, its entries, and a preview as a person."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import request
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from sqlalchemy import String, func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.directory.applications import editing, preview
from idp.directory.applications import service as applications
from idp.directory.applications.models import Application, ApplicationClient, Menu
from idp.directory.applications.service import ApplicationSpec
from idp.directory.clients.models import Client
from idp.directory.resources.models import ApiResource
from idp.directory.roles import catalogue
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.users import management as people
from idp.directory.users.models import User
from idp.pages import messages
from idp.pages.console import (
    conflicts,
    deletion,
    layout,
    lists,
    refusals,
    screens,
    trail,
    workspaces,
)
from idp.pages.console.conflicts import Conflict
from idp.pages.console.deletion import Deletion
from idp.pages.console.gate import Hit, Pages, check, go
from idp.pages.console.lists import Sort
from idp.pages.console.menus import tree
from idp.pages.console.menus.forms import EntryForm, NameForm, NewApplicationForm, NewEntryForm
from idp.pages.console.menus.tree import Branch
from idp.pages.console.users import lines as user_lines
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, NotFound, Outdated, Problem
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database

NAME = func.lower(Application.name, type_=String)
SORTS = {
    "name": Sort(_("Application"), NAME),
    "created": Sort(_("Created"), Application.created_at),
}
EVENTS = (Tag.APPLICATION_CHANGED, Tag.APPLICATION_CREATED)
READ, WRITE = Scope.US_MENU_PAGE, Scope.ADMIN_MENUS_WRITE
FIELDS = {name: name for name in ("code", "title", "url", "icon", "comment", "privilege", "parent")}
"""Fields of the forms, which have the names of the service."""
MOST_PRIVILEGES = 500
"""Privileges that a form offers; any other one can be typed."""
MOST_FOUND = 10
"""People that a search of the preview lists."""
MOST_CLIENTS = 25

pages = Pages(screens.MENUS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List applications: of a tenant its own and the platform's."""
    session, listing = database(), lists.read(SORTS)
    query = applications.list_query(workspace.actor.tenant_in_reach)
    if listing.text:
        query = query.where(lists.matches(listing.text, Application.name, Application.code))
    page = lists.fetch(session, query, listing, Application.id)
    return layout.page(
        workspace,
        "menus/index.html",
        screen=screens.MENUS,
        page=page,
        owners=tenants.names(session, {row.tenant_id for row in page.rows}),
        entries=_entries_of(session, [row.id for row in page.rows]),
        may_open=workspace.may(READ),
        may_create=workspace.may(Scope.US_APP_CREATE),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find applications by name or code."""
    if not workspace.may(READ):
        return []
    query = applications.list_query(workspace.actor.tenant_in_reach).where(
        lists.matches(text, Application.name, Application.code)
    )
    rows = database().scalars(query.order_by(NAME, Application.id).limit(5)).all()
    return [Hit(row.name, row.code, workspace.url("menus.show", row_id=row.id)) for row in rows]


@pages.get("/new", permission=Scope.US_APP_CREATE)
def start(workspace: Workspace) -> Response:
    """Ask for the name and the code of a new application."""
    return _show_new(workspace, NewApplicationForm())


@pages.post("/new", permission=Scope.US_APP_CREATE)
def create(workspace: Workspace) -> Response:
    """Create an application of the workspace."""
    form = NewApplicationForm()
    if not form.validate():
        return _show_new(workspace, form, 400)
    tenant_id = workspace.tenant_id or PLATFORM_TENANT_ID
    spec = ApplicationSpec(form.name.data or "", (form.code.data or "").strip(), None, tenant_id)
    try:
        application = applications.create(database(), spec)
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"code": "code", "name": "name"})
        return _show_new(workspace, form, problem.status)
    database().commit()
    if workspace.may(READ):
        return go(workspace, "menus.show", row_id=application.id)
    return go(workspace, "menus.index")


@pages.get("/<int:row_id>", permission=READ)
def show(workspace: Workspace, row_id: int) -> Response:
    """Show an application with its menu."""
    return _show(workspace, _get(workspace, row_id))


@pages.post("/<int:row_id>", permission=WRITE)
def arrange(workspace: Workspace, row_id: int) -> Response:
    """Move entries, turn them on or off, and show the difference; or save it."""
    session, application = database(), _get_own(workspace, row_id)
    stamp, what = request.form.get("stamp", ""), request.form.get("act", "")
    entries = editing.read(session, application)
    if stamp != editing.stamp_of(entries):
        return _show(workspace, application, conflict=_conflict(application), status=409)
    places = tree.read(request.form.get("places", ""))
    editing.check_places(entries, places)
    if what != "save":
        top = tree.of(entries, places)
        return _show(workspace, application, top=top, pressed=_press(top, what))
    try:
        editing.arrange(session, application, places, stamp)
    except Outdated as problem:
        session.rollback()
        application = _get_own(workspace, row_id)
        conflict = _conflict(application)
        return _show(workspace, application, conflict=conflict, status=problem.status)
    session.commit()
    return go(workspace, "menus.show", row_id=row_id)


@pages.post("/<int:row_id>/name", permission=Scope.US_APP_UPDATE)
def rename(workspace: Workspace, row_id: int) -> Response:
    """Change the name of an application."""
    form = NameForm()
    application = _get_own(workspace, row_id, lock=True)
    if not form.validate():
        return _show(workspace, application, form, status=400)
    if form.stamp.data != application.name:
        line = (_("Application name"), application.name, form.name.data or "")
        form.stamp.data = application.name
        conflict = _conflict(application, line)
        return _show(workspace, application, form, conflict=conflict, status=409)
    try:
        applications.change(database(), application, ApplicationSpec(form.name.data or ""))
    except Problem as problem:
        database().rollback()
        refusals.add(form, problem, {"name": "name"})
        return _show(workspace, _get_own(workspace, row_id), form, status=problem.status)
    database().commit()
    return go(workspace, "menus.show", row_id=row_id)


@pages.get("/<int:row_id>/entries/new", permission=WRITE)
def start_entry(workspace: Workspace, row_id: int) -> Response:
    """Ask for the values of a new entry."""
    application = _get_own(workspace, row_id)
    data = {"enabled": True, "parent": request.args.get("below", "")}
    return _show_new_entry(workspace, application, NewEntryForm(data=data))


@pages.post("/<int:row_id>/entries/new", permission=WRITE)
def create_entry(workspace: Workspace, row_id: int) -> Response:
    """Create an entry, the last one below its parent."""
    session, application, form = database(), _get_own(workspace, row_id), NewEntryForm()
    form.parent.choices = _parents(editing.read(session, application))
    if not form.validate():
        return _show_new_entry(workspace, application, form, 400)
    code = (form.code.data or "").strip()
    try:
        editing.create(session, application, code, form.spec, parent_id=form.parent_id)
    except Problem as problem:
        session.rollback()
        refusals.add(form, problem, FIELDS)
        return _show_new_entry(workspace, _get_own(workspace, row_id), form, problem.status)
    session.commit()
    return go(workspace, "menus.show", row_id=row_id)


@pages.get("/<int:row_id>/entries/<int:entry_id>", permission=READ)
def show_entry(workspace: Workspace, row_id: int, entry_id: int) -> Response:
    """Show an entry of a menu."""
    return _show_entry(workspace, _get(workspace, row_id), entry_id)


@pages.post("/<int:row_id>/entries/<int:entry_id>", permission=WRITE)
def change_entry(workspace: Workspace, row_id: int, entry_id: int) -> Response:
    """Change an entry of a menu."""
    session, application, form = database(), _get_own(workspace, row_id), EntryForm()
    if not form.validate():
        return _show_entry(workspace, application, entry_id, form, status=400)
    try:
        editing.change(session, application, entry_id, form.spec, form.stamp.data)
    except Problem as problem:
        session.rollback()
        return _refuse_entry(workspace, row_id, entry_id, form, problem)
    session.commit()
    return go(workspace, "menus.show", row_id=row_id)


@pages.get("/<int:row_id>/entries/<int:entry_id>/delete", permission=WRITE)
def ask_to_delete_entry(workspace: Workspace, row_id: int, entry_id: int) -> Response:
    """Show which entries would go."""
    return _show_delete_entry(workspace, _get_own(workspace, row_id), entry_id)


@pages.post("/<int:row_id>/entries/<int:entry_id>/delete", permission=WRITE)
def delete_entry(workspace: Workspace, row_id: int, entry_id: int) -> Response:
    """Delete an entry with those below it, if they are still those that were shown."""
    application, stamp = _get_own(workspace, row_id), request.form.get("stamp", "")
    try:
        editing.delete(database(), application, entry_id, stamp, with_below=True)
    except Outdated as problem:
        database().rollback()
        application = _get_own(workspace, row_id)
        refusal = messages.reasons(problem)[0]
        return _show_delete_entry(workspace, application, entry_id, refusal, problem.status)
    database().commit()
    return go(workspace, "menus.show", row_id=row_id)


@pages.get("/<int:row_id>/preview", permission=Scope.ADMIN_USERS_READ)
def show_preview(workspace: Workspace, row_id: int) -> Response:
    """Show which entries a person sees, and why they do not see the others.

    Rights of the platform count only for visitors who manage the users of all tenants.
    """
    check(workspace, READ)
    application, session = _get(workspace, row_id), database()
    actor = workspaces.acting(session, workspace, Scope.ADMIN_USERS_READ)
    counts_platform = workspace.issuer.is_platform and actor.permitted == "platform"
    text, chosen = lists.one_value("q") or "", lists.one_value("user")
    person, found, seen = None, None, None
    if chosen is not None:
        if not (chosen.isascii() and chosen.isdigit()):
            raise NotFound
        person = people.get_member(session, actor, min(int(chosen[:19]), INT64_MAX))
        seen = preview.of(
            session,
            application,
            person.id,
            workspace.tenant_id or application.tenant_id,
            platform=counts_platform,
        )
    elif text:
        sought = user_lines.matches(session, workspace, text[: lists.LONGEST_SEARCH])
        query = people.members_query(actor).where(sought)
        found = session.scalars(query.order_by(User.username_key).limit(MOST_FOUND)).all()
    return layout.page(
        workspace,
        "menus/preview.html",
        screen=screens.MENUS,
        crumbs=_crumbs(workspace, application, gettext("Preview")),
        application=application,
        person=person,
        found=found,
        seen=seen,
        counts_platform=counts_platform,
        text=text,
        most=MOST_FOUND,
        shown=0 if seen is None else sum(one.reason.is_shown for one in seen.sights),
    )


@pages.get("/<int:row_id>/delete", permission=Scope.US_APP_REMOVE, recent=True)
def ask_to_delete(workspace: Workspace, row_id: int) -> Response:
    """Show what still uses an application."""
    return deletion.ask(workspace, screens.MENUS, _deletion(workspace, row_id))


@pages.post("/<int:row_id>/delete", permission=Scope.US_APP_REMOVE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete an application that no menu and no client refers to."""
    delete_it = partial(applications.delete, database(), _get_own(workspace, row_id))
    describe = partial(_deletion, workspace, row_id)
    return deletion.carry_out(workspace, screens.MENUS, describe, delete_it, "menus.index")


def _get(workspace: Workspace, row_id: int) -> Application:
    """Return an application that the workspace shows."""
    return applications.get_visible(database(), row_id, workspace.actor.tenant_in_reach)


def _get_own(workspace: Workspace, row_id: int, *, lock: bool = False) -> Application:
    """Return an application that is changed here: those of the platform are shown in tenants."""
    reach = workspace.actor.tenant_in_reach
    return applications.get_own(database(), row_id, reach, lock=lock)


def _is_own(workspace: Workspace, application: Application) -> bool:
    return workspace.actor.tenant_in_reach in {None, application.tenant_id}


def _entries_of(session: Session, ids: Sequence[int]) -> dict[int, int]:
    query = (
        select(Menu.application_id, func.count())
        .where(Menu.application_id.in_(ids))
        .group_by(Menu.application_id)
    )
    return dict.fromkeys(ids, 0) | dict(session.execute(query).all())


def _press(top: list[Branch], what: str) -> tuple[str, int] | None:
    """Carry out what a button says; return it, so that the button keeps the focus."""
    name, _dash, number = what.partition("-")
    if not (number.isascii() and number.isdigit()) or len(number) > 18:  # noqa: PLR2004 - digits
        if what:
            raise BadRequest
        return None
    tree.act(top, name, int(number))
    return name, int(number)


def _clients(session: Session, application: Application) -> Sequence[str]:
    query = (
        select(func.coalesce(Client.client_name, Client.client_id))
        .join(ApplicationClient, ApplicationClient.client_id == Client.id)
        .where(ApplicationClient.application_id == application.id)
        .order_by(Client.client_id)
        .limit(MOST_CLIENTS)
    )
    return session.scalars(query).all()


def _show(
    workspace: Workspace,
    application: Application,
    form: NameForm | None = None,
    *,
    top: list[Branch] | None = None,
    pressed: tuple[str, int] | None = None,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    session = database()
    entries = editing.read(session, application)
    if top is None:
        top = tree.of(entries, tree.stored(entries))
    if form is None:
        name = application.name
        form = NameForm(formdata=None, data={"name": name, "stamp": name})
    is_own = _is_own(workspace, application)
    api_id = application.api_resource_id
    return layout.page(
        workspace,
        "menus/show.html",
        screen=screens.MENUS,
        crumbs=[layout.Crumb(application.name)],
        status=status,
        application=application,
        owner=tenants.names(session, {application.tenant_id})[application.tenant_id],
        api=None if api_id is None else session.get(ApiResource, api_id),
        clients=_clients(session, application)
        if is_own and workspace.may(Scope.CLIENT_GET)
        else (),
        form=form,
        conflict=conflict,
        lines=tree.lines(top),
        places=tree.written(tree.places_of(top)),
        stamp=editing.stamp_of(entries),
        changes=tree.difference(entries, top),
        pressed=pressed,
        is_own=is_own,
        is_too_many=len(entries) > editing.MOST_ENTRIES,
        may_edit=is_own and workspace.may(WRITE) and len(entries) <= editing.MOST_ENTRIES,
        may_rename=is_own and workspace.may(Scope.US_APP_UPDATE),
        may_delete=workspace.may(Scope.US_APP_REMOVE),
        may_write=workspace.may(WRITE),
        may_preview=workspace.may(Scope.ADMIN_USERS_READ),
        events=trail.of(session, _target(application), EVENTS) if is_own else (),
    )


def _show_new(workspace: Workspace, form: NewApplicationForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "menus/new.html",
        screen=screens.MENUS,
        crumbs=[layout.Crumb(gettext("New application"))],
        status=status,
        form=form,
    )


def _show_new_entry(
    workspace: Workspace, application: Application, form: NewEntryForm, status: int = 200
) -> Response:
    form.parent.choices = _parents(editing.read(database(), application))
    return layout.page(
        workspace,
        "menus/new_entry.html",
        screen=screens.MENUS,
        crumbs=_crumbs(workspace, application, gettext("New entry")),
        status=status,
        application=application,
        form=form,
        privileges=_privileges(application),
    )


def _show_entry(
    workspace: Workspace,
    application: Application,
    entry_id: int,
    form: EntryForm | None = None,
    *,
    conflict: Conflict | None = None,
    status: int = 200,
) -> Response:
    entries = editing.read(database(), application)
    entry = editing.find(entries, entry_id)
    may_edit = _is_own(workspace, application) and workspace.may(WRITE)
    return layout.page(
        workspace,
        "menus/entry.html",
        screen=screens.MENUS,
        crumbs=_crumbs(workspace, application, entry.title),
        status=status,
        application=application,
        entry=entry,
        form=form or _form_of(entry),
        conflict=conflict,
        privileges=_privileges(application) if may_edit else (),
        below=len(editing.subtree(entries, entry)) - 1,
        may_edit=may_edit,
    )


def _show_delete_entry(
    workspace: Workspace,
    application: Application,
    entry_id: int,
    refusal: str | None = None,
    status: int = 200,
) -> Response:
    entries = editing.read(database(), application)
    entry = editing.find(entries, entry_id)
    doomed = editing.subtree(entries, entry)
    return layout.page(
        workspace,
        "menus/delete_entry.html",
        screen=screens.MENUS,
        crumbs=_crumbs(workspace, application, gettext("Delete")),
        status=status,
        application=application,
        entry=entry,
        below=doomed[1:],
        stamp=editing.stamp_of(doomed),
        refusal=refusal,
    )


def _deletion(workspace: Workspace, row_id: int) -> Deletion:
    application = _get_own(workspace, row_id)
    entries = _entries_of(database(), [application.id])[application.id]
    linked = ApplicationClient.application_id == application.id
    clients = database().scalar(select(func.count()).where(linked)) or 0
    return Deletion(
        gettext("Delete the application %(name)s?", name=application.name),
        application.name,
        _crumbs(workspace, application, gettext("Delete")),
        [
            (entries, ngettext("entry of its menu", "entries of its menu", entries)),
            (clients, ngettext("client", "clients", clients)),
        ],
        workspace.url("menus.show", row_id=row_id),
        (entries or clients) and _("An application with a menu or clients cannot be deleted."),
        _("Delete the entries of its menu first."),
    )


def _crumbs(workspace: Workspace, application: Application, last: str) -> list[layout.Crumb]:
    href = workspace.url("menus.show", row_id=application.id)
    return [layout.Crumb(application.name, href), layout.Crumb(last)]


def _parents(entries: Sequence[Menu]) -> list[tuple[str, Any]]:
    """Return the entries that a new one can stand below; the first choice is the top."""
    levels = editing.levels(entries)
    below = [
        (str(entry.id), "\u2014 " * (levels[entry.id] - 1) + entry.title)
        for entry in entries
        if levels[entry.id] < editing.DEEPEST
    ]
    return [("", _("Nothing: at the top")), *below]


def _privileges(application: Application) -> list[tuple[str, str]]:
    """Return the codes and names of privileges that people of the application can hold."""
    found = catalogue.list_visible(database(), application.tenant_id, limit=MOST_PRIVILEGES)
    return [(privilege.code, privilege.name) for privilege, _api in found]


def _form_of(entry: Menu) -> EntryForm:
    values = {name: getattr(entry, name) for name in ("title", "url", "icon", "comment")}
    privilege = "" if entry.privilege is None else entry.privilege.code
    state = {"enabled": bool(entry.status), "stamp": editing.stamp_of([entry])}
    return EntryForm(formdata=None, data={**values, **state, "privilege": privilege})


def _refuse_entry(
    workspace: Workspace, row_id: int, entry_id: int, form: EntryForm, problem: Problem
) -> Response:
    application = _get_own(workspace, row_id)
    if not isinstance(problem, Outdated):
        refusals.add(form, problem, FIELDS)
        return _show_entry(workspace, application, entry_id, form, status=problem.status)
    entry = editing.find(editing.read(database(), application), entry_id)
    kept = _form_of(entry)
    names = ("title", "url", "icon", "privilege", "comment", "enabled")
    fields = conflicts.compared(kept, form, names)
    form.stamp.data = kept.stamp.data
    conflict = _conflict(application, *fields)
    return _show_entry(workspace, application, entry_id, form, conflict=conflict, status=409)


def _conflict(application: Application, *fields: tuple[Any, str, str]) -> Conflict:
    target = _target(application)
    return conflicts.of(database(), target, (Tag.APPLICATION_CHANGED,), fields)


def _target(application: Application) -> str:
    return f"application:{application.code}"
