"""New clients: by kind, or as a copy of another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.claims import registry
from idp.directory.clients import management as clients
from idp.directory.clients import presets
from idp.directory.clients.management import ClientSpec
from idp.directory.clients.models import Client
from idp.directory.clients.service import NewClient
from idp.directory.scopes import Scope
from idp.pages.console import layout, once, screens
from idp.pages.console.clients.forms import NameForm, NewClientForm, lines_of
from idp.pages.console.clients.views import get, scope_groups
from idp.pages.console.clients.views import pages as pages
from idp.pages.console.gate import go
from idp.pages.console.refusals import refuse
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import BadRequest, Conflict, NotFound, Unprocessable
from idp.platform.secrets import random_token
from idp.platform.web.views import database


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of client as the wizard offers it."""

    title: Any
    text: Any
    icon: str
    examples: tuple[Any, ...]
    gets: tuple[tuple[Any, Any], ...]
    """What a client of this kind gets: (what, why)."""
    has_pages: bool = True
    has_offline: bool = False
    """Whether the refresh token is a choice."""
    has_secret: bool = False
    """Whether it can keep a secret, or keys."""


CODE = (_("Authorization code with PKCE"), _("the safe way to sign people in"))
SECRET = (_("A client secret"), _("shown once, at the end"))
KINDS = {
    "web": Kind(
        _("Web application"),
        _("Pages made on a server of yours. It can keep a secret."),
        "web",
        ("Flask", "Spring", ".NET"),
        (CODE, SECRET),
        has_offline=True,
        has_secret=True,
    ),
    "spa": Kind(
        _("Single-page application"),
        _("Runs in the browser only, so it has no secret."),
        "spa",
        ("React", "Vue"),
        (CODE, (_("Calls from its own pages"), _("their origins are allowed"))),
        has_offline=True,
    ),
    "native": Kind(
        _("Native application"),
        _("On a phone or a desktop, with the system's browser."),
        "native",
        ("Android", "iOS", "Electron"),
        (CODE, (_("Refresh tokens, rotated"), _("people stay signed in"))),
    ),
    "device": Kind(
        _("Device without a browser"),
        _("People sign in on their phone or computer and compare a code."),
        "device",
        (_("television"), _("terminal")),
        (
            (_("Device code"), _("it needs neither a browser nor an address")),
            (_("Refresh tokens, rotated"), _("people stay signed in")),
        ),
        has_pages=False,
    ),
    "service": Kind(
        _("Service"),
        _("Nobody signs in: a job or another API calls yours."),
        "service",
        ("cron", "worker"),
        ((_("Client credentials"), _("it asks for tokens by itself")), SECRET),
        has_pages=False,
        has_secret=True,
    ),
}


@pages.get("/new", permission=Scope.CLIENT_POST)
def new(workspace: Workspace) -> Response:
    """Ask which kind of application it is, then what it is called and may do."""
    kind = request.args.get("kind")
    if kind is None:
        return layout.page(
            workspace,
            "clients/new.html",
            screen=screens.CLIENTS,
            crumbs=[layout.Crumb(_("New"))],
            kinds=KINDS,
        )
    form = NewClientForm(formdata=None, data={"scopes": _preset(kind).scopes})
    return _details(workspace, kind, form)


@pages.post("/new", permission=Scope.CLIENT_POST)
def create(workspace: Workspace) -> Response:
    """Create a client of a kind; the page that comes next shows its secret."""
    kind = request.args.get("kind", "")
    preset = _preset(kind)
    form = NewClientForm()
    if not form.validate():
        return _details(workspace, kind, form, 400)
    settings: dict[str, Any] = {}
    if KINDS[kind].has_offline:
        settings["allow_offline_access"] = bool(form.allow_offline_access.data)
    if KINDS[kind].has_secret:
        settings |= {name: form[name].data for name in form.keys if form[name].data}
    has_secret = not preset.is_public and "security_profile" not in settings
    described = NewClient(
        client_id=(form.client_id.data or "").strip(),
        client_name=form.client_name.data or None,
        scopes=form.scopes.data or (),
        redirect_uris=lines_of(form.redirect_uris.data) if KINDS[kind].has_pages else (),
        post_logout_redirect_uris=lines_of(form.post_logout_redirect_uris.data),
        secret=random_token() if has_secret else None,
        settings=settings,
    )
    spec = clients.spec_of(presets.fill(described, kind))
    try:
        client = _create(workspace, spec)
    except (BadRequest, Conflict, Unprocessable) as problem:
        database().rollback()
        refuse(form, problem)
        return _details(workspace, kind, form, problem.status)
    return _created(workspace, client, described.secret)


@pages.get("/<int:row_id>/duplicate", permission=Scope.CLIENT_POST)
def ask_duplicate(workspace: Workspace, row_id: int) -> Response:
    """Ask what the copy of a client is called."""
    client = get(workspace, row_id)
    form = NameForm(
        formdata=None,
        data={"client_id": f"{client.client_id}-copy"[:200], "client_name": client.client_name},
    )
    return _duplicate_page(workspace, client, form)


@pages.post("/<int:row_id>/duplicate", permission=Scope.CLIENT_POST)
def duplicate(workspace: Workspace, row_id: int) -> Response:
    """Create a client with the settings and lists of another one, and a secret of its own."""
    client = get(workspace, row_id)
    form = NameForm()
    if not form.validate():
        return _duplicate_page(workspace, client, form, 400)
    secret = random_token() if client.secrets else None
    spec = clients.copy_of(
        client, (form.client_id.data or "").strip(), form.client_name.data or None, secret
    )
    try:
        copy = _create(workspace, spec)
    except (BadRequest, Conflict, Unprocessable) as problem:
        database().rollback()
        refuse(form, problem)
        client = get(workspace, row_id)
        return _duplicate_page(workspace, client, form, problem.status)
    return _created(workspace, copy, secret)


def _create(workspace: Workspace, spec: ClientSpec) -> Client:
    client = clients.create(database(), workspace.actor, spec, reserved_claims=registry.RESERVED)
    database().commit()
    return client


def _created(workspace: Workspace, client: Client, secret: str | None) -> Response:
    """Go to the page that a new client begins with: its secret, else its code."""
    if secret is None:
        return go(workspace, "clients.show_quick_start", row_id=client.id, notice="created")
    once.keep(workspace, f"client:{client.client_id}", secret)
    return go(workspace, "clients.show_secrets", row_id=client.id, notice="created")


def _preset(kind: str) -> presets.Preset:
    if kind not in KINDS:
        raise NotFound
    return presets.PRESETS[kind]


def _details(workspace: Workspace, kind: str, form: NewClientForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "clients/new_details.html",
        screen=screens.CLIENTS,
        crumbs=[
            layout.Crumb(_("New"), workspace.url("clients.new")),
            layout.Crumb(KINDS[kind].title),
        ],
        status=status,
        kind=KINDS[kind],
        form=form,
        groups=scope_groups(workspace.actor.owner_tenant, form.scopes.data),
    )


def _duplicate_page(
    workspace: Workspace, client: Client, form: NameForm, status: int = 200
) -> Response:
    name = client.client_name or client.client_id
    return layout.page(
        workspace,
        "clients/duplicate.html",
        screen=screens.CLIENTS,
        crumbs=[
            layout.Crumb(name, workspace.url("clients.show", row_id=client.id)),
            layout.Crumb(_("Duplicate")),
        ],
        status=status,
        client=client,
        name=name,
        form=form,
    )
