"""Signing keys: which sign and verify, rotation, and what to do about a stolen one."""

from __future__ import annotations

from datetime import timedelta

from flask import request
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.pages.console import layout, refusals, screens, trail
from idp.pages.console.gate import Pages, go
from idp.pages.console.keys import time_line
from idp.pages.console.keys.forms import ImportForm, RevokeForm, RotateForm
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, Unprocessable
from idp.platform.signing import service as signing
from idp.platform.signing.models import SigningKey
from idp.platform.translation import N_
from idp.platform.web.views import current_runtime, database

PUBLISHED = ("next", "active", "retired")
MOST_FORMER = 10
EVENTS = (Tag.KEY_ROTATED, Tag.KEY_REVOKED, Tag.KEY_IMPORTED, Tag.KEY_REWRAPPED)
STATES = {
    "next": (_("Next key"), "st-info"),
    "active": (_("Signs"), "st-good"),
    "retired": (_("Retired"), ""),
    "gone": (_("Erased"), ""),
    "revoked": (_("Revoked"), "st-bad"),
}

pages = Pages(screens.KEYS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """Show the keys, and when the next rotation is due."""
    session = database()
    keys = signing.list_keys(session)
    published = [key for key in keys if key.status in PUBLISHED]
    rotation = timedelta(days=current_runtime().settings.key_rotation_days)
    active = [key for key in published if key.status == "active"]
    return layout.page(
        workspace,
        "keys/index.html",
        screen=screens.KEYS,
        published=published,
        former=[key for key in keys if key.status not in PUBLISHED][:MOST_FORMER],
        states=STATES,
        short=time_line.SHORT,
        line=time_line.of(published, rotation),
        due={key.kid: signing.rotation_due_at(session, key) for key in active},
        rotation=rotation,
        announced=timedelta(seconds=signing.ANNOUNCE_SECONDS),
        on_former=sum(signing.is_on_former_secret(session, key) for key in published),
        may_write=workspace.may(Scope.ADMIN_KEYS_WRITE),
        write=Scope.ADMIN_KEYS_WRITE,
        events=trail.latest(session, EVENTS),
    )


@pages.get("/rotate", permission=Scope.ADMIN_KEYS_WRITE, recent=True)
def ask_rotation(workspace: Workspace) -> Response:
    """Ask whether the keys are to be rotated now."""
    newest = max((key.id for key in signing.list_keys(database())), default=0)
    return layout.page(
        workspace,
        "keys/rotate.html",
        screen=screens.KEYS,
        crumbs=[layout.Crumb(_("Rotate"))],
        form=RotateForm(newest=newest),
    )


@pages.post("/rotate", permission=Scope.ADMIN_KEYS_WRITE, recent=True)
def rotate(workspace: Workspace) -> Response:
    """Sign by the next keys from now on."""
    form = RotateForm()
    if not form.validate():
        raise BadRequest(N_("This form is not complete. Open it again."))
    signing.rotate_now(database(), newest_id=form.newest.data)
    database().commit()
    return go(workspace, "keys.index")


@pages.get("/import", permission=Scope.ADMIN_KEYS_WRITE, recent=True)
def ask_import(workspace: Workspace) -> Response:
    """Ask for the file with a private key."""
    return _import_page(workspace, ImportForm(formdata=None))


@pages.post("/import", permission=Scope.ADMIN_KEYS_WRITE, recent=True)
def import_key(workspace: Workspace) -> Response:
    """Make a private key the next one of its algorithm."""
    form = ImportForm()
    if not form.validate():
        return _import_page(workspace, form, 400)
    sent = request.files.get("pem")
    content = b"" if sent is None else sent.stream.read(signing.MOST_PEM_BYTES + 1)
    try:
        signing.import_one(database(), content, form.alg.data or None)
    except (BadRequest, Conflict, Unprocessable) as problem:
        database().rollback()
        refusals.refuse(form, problem)
        return _import_page(workspace, form, problem.status)
    database().commit()
    return go(workspace, "keys.index")


@pages.get("/<kid>/revoke", permission=Scope.ADMIN_KEYS_WRITE, recent=True)
def ask_revocation(workspace: Workspace, kid: str) -> Response:
    """Ask for the id of the key, so that no other one is revoked."""
    return _revocation(workspace, _get(kid), RevokeForm())


@pages.post("/<kid>/revoke", permission=Scope.ADMIN_KEYS_WRITE, recent=True)
def revoke(workspace: Workspace, kid: str) -> Response:
    """Take a stolen key out of use."""
    key, form = _get(kid), RevokeForm()
    typed = (form.typed.data or "").strip()
    if not form.validate() or typed not in {key.kid, key.kid[: time_line.SHORT]}:
        form.refuse(str(_("This is not the id of the key.")), "typed")
        return _revocation(workspace, key, form)
    signing.revoke(database(), key.kid)
    database().commit()
    return go(workspace, "keys.index")


def _import_page(workspace: Workspace, form: ImportForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "keys/import.html",
        screen=screens.KEYS,
        crumbs=[layout.Crumb(_("Import a key"))],
        status=status,
        form=form,
    )


def _revocation(workspace: Workspace, key: SigningKey, form: RevokeForm) -> Response:
    return layout.page(
        workspace,
        "keys/revoke.html",
        screen=screens.KEYS,
        crumbs=[layout.Crumb(_("Revoke"))],
        status=400 if form.errors else 200,
        key=key,
        short=time_line.SHORT,
        form=form,
    )


def _get(kid: str) -> SigningKey:
    key = signing.get(database(), kid)
    if key.status not in PUBLISHED:
        raise Conflict(N_("This key is not in use any more."))
    return key
