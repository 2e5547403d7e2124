"""Clients: the list, a page for each with its tabs, secrets, and the end of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import request
from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.claims import registry
from idp.directory.clients import kinds, registrations
from idp.directory.clients import management as clients
from idp.directory.clients.management import ClientSpec, Row
from idp.directory.clients.models import DOCUMENT, OPERATOR, REGISTERED, SORT_NAME, Client
from idp.directory.clients.strangers import read_policy
from idp.directory.product import MANAGEMENT_API
from idp.directory.resources import service as resources
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.tenants import strangers
from idp.oauth import grant_state
from idp.pages.console import conflicts, gate, layout, lists, once, repeats, screens, trail
from idp.pages.console.clients import code, lines, quick_start
from idp.pages.console.clients.forms import (
    AddressesForm,
    DeleteForm,
    EditForm,
    ExpireForm,
    NewSecretForm,
    ScopesForm,
    SettingsForm,
    TokensForm,
)
from idp.pages.console.gate import Hit, Pages, go
from idp.pages.console.lists import Filter, Sort
from idp.pages.console.refusals import refuse
from idp.pages.console.workspaces import Workspace
from idp.platform import clock
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound, Unprocessable
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.translation import N_
from idp.platform.web.views import database

SORTS = {
    "name": Sort(_("Client"), SORT_NAME),
    "created": Sort(_("Created"), Client.created_at),
}
FILTERS = {
    "kind": Filter(_("Kind"), {name: title for name, (title, _icon) in lines.KINDS.items()}),
    "origin": Filter(
        _("Origin"),
        {
            OPERATOR: _("Registered here"),
            REGISTERED: _("Registered itself"),
            DOCUMENT: _("By its document"),
        },
    ),
    "state": Filter(_("State"), {"enabled": _("Enabled"), "disabled": _("Disabled")}),
}
CHANGES = (
    Tag.CLIENT_CHANGED,
    Tag.CLIENT_CREATED,
    Tag.CLIENT_SECRET_ADDED,
    Tag.CLIENT_SECRET_REMOVED,
    Tag.DOCUMENT_ACCEPTED,
    Tag.DOCUMENT_CHANGED,
)
TABS: dict[str, type[EditForm]] = {
    "settings": SettingsForm,
    "addresses": AddressesForm,
    "scopes": ScopesForm,
    "tokens": TokensForm,
}
TAB = "/<int:row_id>/<any(settings, addresses, scopes, tokens):tab>"
SECRET = "/<int:row_id>/secrets/<int:secret_id>"  # noqa: S105 - an address
MOST_PICKED = 100
NOTICES = {
    "created": _("The client was created."),
    "saved": _("Saved."),
    "enabled": _("The client is enabled."),
    "disabled": _("The client is disabled. Nobody signs in with it, and it gets no tokens."),
    "promoted": _(
        "The client is registered here, and only administrators change it from now on. People may"
        " be asked for their consent once more."
    ),
    "blocked": _("The client is blocked. Its tokens have ended."),
    "removed": _("The secret was removed."),
    "expiry": _("The end of the secret was changed."),
    "deleted": _("The client was deleted."),
}

pages = Pages(screens.CLIENTS)


@dataclass(frozen=True, slots=True)
class ScopeGroup:
    """The scopes of an API, or (without a name) identity resources."""

    api: str
    scopes: Sequence[tuple[str, str | None]]
    picked: int


@pages.get()
def index(workspace: Workspace) -> Response:
    """List clients."""
    listing = lists.read(SORTS, FILTERS)
    query = clients.list_query(workspace.actor)
    if listing.text:
        query = query.where(lists.matches(listing.text, Client.client_name, Client.client_id))
    if "kind" in listing.chosen:
        query = query.where(kinds.is_of(listing.chosen["kind"]))
    if "origin" in listing.chosen:
        query = query.where(Client.origin == listing.chosen["origin"])
    if "state" in listing.chosen:
        query = query.where(Client.enabled.is_(listing.chosen["state"] == "enabled"))
    page = lists.fetch(database(), query, listing, Client.id)
    return layout.page(
        workspace,
        "clients/index.html",
        screen=screens.CLIENTS,
        page=page,
        lines=lines.of(database(), page.rows),
        kinds=lines.KINDS,
        notice=_notice(),
        may_create=workspace.may(Scope.CLIENT_POST),
        may_open=workspace.may(Scope.CLIENT_DETAIL),
        may_change=workspace.may(Scope.CLIENT_PUT),
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find clients by name or id."""
    if not workspace.may(Scope.CLIENT_DETAIL):
        return []
    query = clients.list_query(workspace.actor).where(
        lists.matches(text, Client.client_name, Client.client_id)
    )
    rows = database().scalars(query.order_by(SORT_NAME, Client.id).limit(gate.MOST_HITS)).all()
    return [Hit(_name(row), row.client_id, _address(workspace, row)) for row in rows]


@pages.post("/bulk", permission=Scope.CLIENT_PUT)
def change_many(workspace: Workspace) -> Response:
    """Enable or disable the clients that are picked."""
    row_ids = {*request.form.getlist("id", type=int)[:MOST_PICKED]}
    enabled = _is_enabling()
    for row_id in sorted(row_ids):
        clients.set_enabled(database(), workspace.actor, row_id, enabled=enabled)
    database().commit()
    notice = "many_enabled" if enabled else "many_disabled"
    return go(workspace, "clients.index", notice=notice, count=len(row_ids))


def get(workspace: Workspace, row_id: int) -> Client:
    """Return a client in reach, to a person who may read it: whoever changes it sees it too."""
    gate.check(workspace, Scope.CLIENT_DETAIL)
    return clients.get(database(), workspace.actor, row_id)


@pages.get("/<int:row_id>", permission=Scope.CLIENT_DETAIL)
def show(workspace: Workspace, row_id: int) -> Response:
    """Go to the first tab of a client."""
    client = get(workspace, row_id)
    return go(workspace, "clients.show_tab", row_id=client.id, tab="settings")


@pages.get(TAB, permission=Scope.CLIENT_DETAIL)
def show_tab(workspace: Workspace, row_id: int, tab: str) -> Response:
    """Show settings, addresses, scopes or lifetimes of a client."""
    client = get(workspace, row_id)
    form = _form(workspace, tab, formdata=None, data=TABS[tab].shown(client))
    return _tab(workspace, client, tab, form)


@pages.post(TAB, permission=Scope.CLIENT_PUT)
def save_tab(workspace: Workspace, row_id: int, tab: str) -> Response:
    """Save what was changed on a tab."""
    client = get(workspace, row_id)
    form = _form(workspace, tab)
    if not form.validate():
        return _tab(workspace, client, tab, form, 400)
    try:
        _save(workspace, client, form)
    except Conflict as problem:
        database().rollback()
        if "concurrency_stamp" not in problem.fields:
            raise
        return _conflict(workspace, row_id, tab, form)
    except (BadRequest, Unprocessable) as problem:
        database().rollback()
        refuse(form, problem)
        client = get(workspace, row_id)
        return _tab(workspace, client, tab, form, problem.status)
    database().commit()
    return go(workspace, "clients.show_tab", row_id=row_id, tab=tab, notice="saved")


def _form(workspace: Workspace, tab: str, **options: Any) -> EditForm:
    """Return the form of a tab with the fields that the person may change."""
    form = TABS[tab](**options)
    if "second_factor_exempt" in form and not workspace.actor.is_platform_admin:
        del form["second_factor_exempt"]
    return form


def _save(workspace: Workspace, client: Client, form: EditForm) -> None:
    lists_changed = form.changed_lists(client)
    spec = ClientSpec(
        client.client_id,
        form.changed_settings(client),
        {
            name: [Row(0, {form.lists[name]: value}) for value in lists_changed[name]]
            if name in lists_changed
            else None
            for name in clients.LISTS
        },
        concurrency_stamp=form.concurrency_stamp.data or "",
    )
    clients.replace(database(), workspace.actor, client.id, spec, reserved_claims=registry.RESERVED)


def _conflict(workspace: Workspace, row_id: int, tab: str, form: EditForm) -> Response:
    """Show both states; saving again replaces what is stored by now."""
    client = get(workspace, row_id)
    found = conflicts.of(database(), _target(client), CHANGES, form.compared_with(client))
    form.concurrency_stamp.data = client.concurrency_stamp
    return _tab(workspace, client, tab, form, 409, conflict=found)


@pages.post("/<int:row_id>/state", permission=Scope.CLIENT_PUT)
def set_state(workspace: Workspace, row_id: int) -> Response:
    """Enable or disable a client."""
    enabled = _is_enabling()
    clients.set_enabled(database(), workspace.actor, row_id, enabled=enabled)
    database().commit()
    notice = "enabled" if enabled else "disabled"
    return go(workspace, "clients.show_tab", row_id=row_id, tab="settings", notice=notice)


@pages.post("/<int:row_id>/promote", permission=Scope.CLIENT_PUT, recent=True)
def promote(workspace: Workspace, row_id: int) -> Response:
    """Register a client that came by itself."""
    clients.promote(database(), workspace.actor, row_id)
    database().commit()
    return go(workspace, "clients.show_tab", row_id=row_id, tab="settings", notice="promoted")


@pages.post("/<int:row_id>/block", permission=Scope.ADMIN_POLICY_WRITE, recent=True)
def block(workspace: Workspace, row_id: int) -> Response:
    """Block a client that is known by its document."""
    client = get(workspace, row_id)
    tenant_id = workspace.tenant_id or PLATFORM_TENANT_ID
    strangers.block(database(), workspace.confined_actor, tenant_id, client.client_id)
    database().commit()
    return go(workspace, "clients.show_tab", row_id=row_id, tab="settings", notice="blocked")


@pages.get("/<int:row_id>/secrets", permission=Scope.CLIENT_DETAIL)
def show_secrets(workspace: Workspace, row_id: int) -> Response:
    """List the secrets of a client, a new one in clear text this once."""
    client = get(workspace, row_id)
    return _secrets(workspace, client, NewSecretForm(formdata=None))


@pages.post("/<int:row_id>/secrets", permission=Scope.CLIENT_POSTSECRETKEY, recent=True)
def add_secret(workspace: Workspace, row_id: int) -> Response:
    """Add a secret; the page that comes next shows it."""
    form = NewSecretForm()
    client = get(workspace, row_id)
    if not form.validate():
        return _secrets(workspace, client, form, 400)
    sending = repeats.begin(workspace)
    if isinstance(sending, Response):
        return sending
    try:
        value = clients.add_secret(
            database(),
            workspace.actor,
            row_id,
            None,
            description=form.description.data or None,
            expires_at=in_days(form.days.data),
        )
    except (BadRequest, Unprocessable) as problem:
        database().rollback()
        refuse(form, problem)
        client = get(workspace, row_id)
        return _secrets(workspace, client, form, problem.status)
    response = go(workspace, "clients.show_secrets", row_id=row_id)
    sending.keep(response, _target(client), value)
    database().commit()
    once.keep(workspace, _target(client), value)
    return response


@pages.get(f"{SECRET}/expire", permission=Scope.CLIENT_PUT, recent=True)
def ask_expiry(workspace: Workspace, row_id: int, secret_id: int) -> Response:
    """Ask when a secret shall end."""
    client = get(workspace, row_id)
    return _of_secret(workspace, client, secret_id, "expire", ExpireForm(formdata=None))


@pages.post(f"{SECRET}/expire", permission=Scope.CLIENT_PUT, recent=True)
def expire_secret(workspace: Workspace, row_id: int, secret_id: int) -> Response:
    """Set when a secret ends."""
    form = ExpireForm()
    if not form.validate():
        client = get(workspace, row_id)
        return _of_secret(workspace, client, secret_id, "expire", form, 400)
    expires_at = in_days(form.days.data)
    clients.expire_secret(database(), workspace.actor, row_id, secret_id, expires_at)
    database().commit()
    return go(workspace, "clients.show_secrets", row_id=row_id, notice="expiry")


@pages.get(f"{SECRET}/remove", permission=Scope.CLIENT_PUT, recent=True)
def ask_removal(workspace: Workspace, row_id: int, secret_id: int) -> Response:
    """Ask whether a secret shall go."""
    client = get(workspace, row_id)
    return _of_secret(workspace, client, secret_id, "remove", None)


@pages.post(f"{SECRET}/remove", permission=Scope.CLIENT_PUT, recent=True)
def remove_secret(workspace: Workspace, row_id: int, secret_id: int) -> Response:
    """Remove a secret."""
    clients.remove_secret(database(), workspace.actor, row_id, secret_id)
    database().commit()
    return go(workspace, "clients.show_secrets", row_id=row_id, notice="removed")


@pages.get("/<int:row_id>/activity", permission=Scope.CLIENT_DETAIL)
def show_activity(workspace: Workspace, row_id: int) -> Response:
    """Show what was changed about a client, and how it was used."""
    client = get(workspace, row_id)
    return tab_page(
        workspace,
        client,
        "activity",
        changes=trail.of(database(), _target(client), CHANGES, limit=trail.MOST),
        uses=trail.of_client(database(), client.client_id),
    )


@pages.get("/<int:row_id>/quick-start", permission=Scope.CLIENT_DETAIL)
def show_quick_start(workspace: Workspace, row_id: int) -> Response:
    """Show code that is ready to run, with the client's own values."""
    client = get(workspace, row_id)
    return tab_page(
        workspace,
        client,
        "quick_start",
        start=quick_start.of(client, _issuer(workspace, client), request.args.get("language")),
        checks=quick_start.checks(client),
    )


@pages.get("/<int:row_id>/quick-start/env", permission=Scope.CLIENT_DETAIL)
def download_environment(workspace: Workspace, row_id: int) -> Response:
    """Return the values of a client as a file for the environment, without a secret."""
    client = get(workspace, row_id)
    text = quick_start.environment(client, _issuer(workspace, client))
    answer = Response(text, content_type="text/plain; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="client.env"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _issuer(workspace: Workspace, client: Client) -> Issuer:
    """Return where people sign in to an application."""
    return tenants.issuer_of(database(), client.tenant_id or workspace.issuer.tenant_id)


@pages.get("/<int:row_id>/delete", permission=Scope.CLIENT_DELETE, recent=True)
def ask_deletion(workspace: Workspace, row_id: int) -> Response:
    """Show what ends with a client, and ask for its id."""
    client = get(workspace, row_id)
    return _deletion(workspace, client, DeleteForm(formdata=None))


@pages.post("/<int:row_id>/delete", permission=Scope.CLIENT_DELETE, recent=True)
def delete(workspace: Workspace, row_id: int) -> Response:
    """Delete a disabled client whose id was typed."""
    client = get(workspace, row_id)
    form = DeleteForm()
    if client.enabled:
        raise Conflict(N_("Disable the client first."))
    if not form.validate() or (form.typed.data or "").strip() != client.client_id:
        if not form.mistakes:
            form.refuse(gettext("This is not the client id."), "typed")
        return _deletion(workspace, client, form, 400)
    clients.delete(database(), workspace.actor, row_id)
    database().commit()
    return go(workspace, "clients.index", notice="deleted")


def _deletion(
    workspace: Workspace, client: Client, form: DeleteForm, status: int = 200
) -> Response:
    grants, people = grant_state.count_live(database(), client.id)
    return layout.page(
        workspace,
        "clients/delete.html",
        screen=screens.CLIENTS,
        crumbs=crumbs(workspace, client, _("Delete")),
        status=status,
        client=client,
        name=_name(client),
        form=form,
        grants=grants,
        people=people,
    )


def _of_secret(
    workspace: Workspace,
    client: Client,
    secret_id: int,
    act: str,
    form: ExpireForm | None,
    status: int = 200,
) -> Response:
    """Show a page about one secret."""
    secret = next((row for row in client.secrets if row.id == secret_id), None)
    if secret is None:
        raise NotFound
    others = [row for row in client.secrets if row is not secret and lines.is_valid(row)]
    return layout.page(
        workspace,
        f"clients/secret_{act}.html",
        screen=screens.CLIENTS,
        crumbs=crumbs(workspace, client, f"#{secret_id}"),
        status=status,
        client=client,
        secret=secret,
        others=others,
        form=form,
    )


def _secrets(
    workspace: Workspace, client: Client, form: NewSecretForm, status: int = 200
) -> Response:
    return tab_page(
        workspace,
        client,
        "secrets",
        status,
        form=form,
        shown=once.take(workspace, _target(client)),
        secrets=[lines.of_secret(row) for row in reversed(client.secrets)],
        is_recent=gate.is_recent(workspace.visitor),
        code=code.of_secret(client, workspace.issuer),
        events=trail.of(database(), _target(client), CHANGES),
    )


def _tab(
    workspace: Workspace,
    client: Client,
    tab: str,
    form: EditForm,
    status: int = 200,
    **context: Any,
) -> Response:
    if tab == "scopes":
        context["groups"] = scope_groups(client.tenant_id, form.scopes.data)  # type: ignore[attr-defined]
    return tab_page(
        workspace,
        client,
        tab,
        status,
        form=form,
        code=code.of(client, workspace.issuer),
        events=trail.of(database(), _target(client), CHANGES),
        **context,
    )


def tab_page(
    workspace: Workspace, client: Client, tab: str, status: int = 200, **context: Any
) -> Response:
    """Render a tab of a client."""
    return layout.page(
        workspace,
        f"clients/{tab}.html",
        screen=screens.CLIENTS,
        crumbs=[layout.Crumb(_name(client))],
        status=status,
        tab=tab,
        client=client,
        line=lines.of(database(), [client])[0],
        changes_itself=registrations.of(database(), client) is not None,
        is_let_in=_is_let_in(workspace, client),
        kinds=lines.KINDS,
        notice=_notice(),
        **context,
    )


def _is_let_in(workspace: Workspace, client: Client) -> bool:
    """Return whether a client is known by its document, and may come in by that."""
    if client.origin != DOCUMENT:
        return False
    policy = read_policy(database(), workspace.tenant_id or PLATFORM_TENANT_ID)
    return policy.lets_in(client.client_id)


def scope_groups(tenant_id: int | None, picked: Sequence[str] | None) -> list[ScopeGroup]:
    """List the scopes that a client may have, by API; the product's own come last."""
    by_api = resources.scopes_for_clients(database(), tenant_id)
    chosen = {*(picked or ())}
    return [
        ScopeGroup(api, found, sum(name in chosen for name, _title in found))
        for api, found in sorted(
            by_api.items(), key=lambda group: (group[0] == MANAGEMENT_API, group[0])
        )
    ]


def in_days(days: str | None) -> datetime | None:
    """Return the moment after some days; None: never."""
    return clock.now() + timedelta(days=int(days)) if days else None


def crumbs(workspace: Workspace, client: Client, last: Any) -> list[layout.Crumb]:
    """Return the steps to a page about a client."""
    return [layout.Crumb(_name(client), _address(workspace, client)), layout.Crumb(last)]


def _name(client: Client) -> str:
    return client.client_name or client.client_id


def _address(workspace: Workspace, client: Client) -> str:
    return workspace.url("clients.show", row_id=client.id)


def _target(client: Client) -> str:
    return f"client:{client.client_id}"


def _is_enabling() -> bool:
    """Return which of the two buttons was pressed."""
    act = request.form.get("act")
    if act not in {"enable", "disable"}:
        raise BadRequest.at("act", N_("This form was not accepted"))
    return act == "enable"


def _notice() -> str | None:
    """Return the sentence about what was just done."""
    name = request.args.get("notice", "")
    count = request.args.get("count", 0, type=int)
    if name == "many_enabled":
        return str(ngettext("%(num)s client was enabled.", "%(num)s clients were enabled.", count))
    if name == "many_disabled":
        return str(
            ngettext("%(num)s client was disabled.", "%(num)s clients were disabled.", count)
        )
    return str(NOTICES[name]) if name in NOTICES else None
