"""Which applications may come in that nobody registered: one page with a form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response
from wtforms import HiddenField, SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import Length

from idp.directory.clients.models import StrangerPolicy
from idp.directory.scopes import Scope
from idp.directory.tenants import strangers
from idp.directory.tenants.strangers import StrangerSpec
from idp.pages.console import as_code, conflicts, layout, refusals, screens, trail
from idp.pages.console.gate import go
from idp.pages.console.policy.views import pages
from idp.pages.console.workspaces import Workspace
from idp.pages.form import Form
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, Unprocessable
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database

EVENTS = (Tag.STRANGERS_CHANGED,)
WRITE = Scope.ADMIN_POLICY_WRITE
PATH = "/applications"
LONGEST = 30_000
CHOICES = {
    "clients_by_document": {
        "off": _("None"),
        "listed": _("Those of the hosts below"),
        "any": _("All"),
    },
    "clients_by_registration": {
        "off": _("None"),
        "token": _("Those with an initial access token"),
        "any": _("All"),
    },
}
LISTS = ("clients_by_document_hosts", "clients_by_document_blocked", "stranger_scopes")


def _choice(label: Any, name: str) -> SelectField:
    choices = [SelectChoice(value, word) for value, word in CHOICES[name].items()]
    return SelectField(label, choices=choices)


def _area(label: Any) -> TextAreaField:
    return TextAreaField(label, [Length(max=LONGEST, message=_("This is too long."))])


def _lines(field: TextAreaField) -> list[str]:
    return (field.data or "").split()


class ApplicationsForm(Form):
    """All values; the service checks them."""

    clients_by_document = _choice(_("Applications known by a document"), "clients_by_document")
    clients_by_document_hosts = _area(_("Hosts"))
    clients_by_document_blocked = _area(_("Blocked hosts and client ids"))
    clients_by_registration = _choice(
        _("Applications that register themselves"), "clients_by_registration"
    )
    stranger_scopes = _area(_("Scopes"))
    stamp = HiddenField()

    def to_spec(self) -> StrangerSpec:
        """Return the policy as the service takes it."""
        return StrangerSpec(
            self.clients_by_document.data,
            _lines(self.clients_by_document_hosts),
            _lines(self.clients_by_document_blocked),
            self.clients_by_registration.data,
            _lines(self.stranger_scopes),
        )

    def rows(self, row: StrangerPolicy) -> Iterator[tuple[Any, str, str]]:
        """Yield the title, the stored value and the value of the form of each field."""
        stored = _shown(row)
        for name in (*CHOICES, *LISTS):
            yield self[name].label.text, stored[name], self[name].data or ""


def _shown(row: StrangerPolicy) -> dict[str, str]:
    """Return what the form shows of a policy: a list has a line for each value."""
    return {
        **{name: getattr(row, name) for name in CHOICES},
        **{name: "\n".join(getattr(row, name)) for name in LISTS},
        "stamp": row.concurrency_stamp,
    }


@pages.get(PATH)
def show_applications(workspace: Workspace) -> Response:
    """Show which applications may come in."""
    row = _get(workspace)
    return _page(workspace, ApplicationsForm(formdata=None, data=_shown(row)))


@pages.post(PATH, permission=WRITE, recent=True)
def save_applications(workspace: Workspace) -> Response:
    """Save all values."""
    form = ApplicationsForm()
    if form.stamp.data is None:
        raise BadRequest
    if not form.validate():
        return _page(workspace, form, status=400)
    try:
        strangers.replace(
            database(),
            workspace.confined_actor,
            _tenant_id(workspace),
            form.to_spec(),
            stamp=form.stamp.data,
        )
    except Conflict:
        database().rollback()
        row = _get(workspace)
        target = f"tenant:{_tenant_id(workspace)}"
        found = conflicts.of(database(), target, EVENTS, form.rows(row))
        form.stamp.data = row.concurrency_stamp
        return _page(workspace, form, status=409, conflict=found)
    except (BadRequest, Unprocessable) as problem:
        database().rollback()
        refusals.refuse(form, problem)
        return _page(workspace, form, status=problem.status)
    database().commit()
    return go(workspace, "policy.show_applications", notice="saved")


def _tenant_id(workspace: Workspace) -> int:
    return workspace.tenant_id or PLATFORM_TENANT_ID


def _get(workspace: Workspace) -> StrangerPolicy:
    return strangers.get(database(), workspace.confined_actor, _tenant_id(workspace))


def _page(
    workspace: Workspace, form: ApplicationsForm, *, status: int = 200, **context: Any
) -> Response:
    address = f"{workspace.issuer.url}/admin/v1/tenants/{_tenant_id(workspace)}"
    curl = f'curl -H "Authorization: Bearer $TOKEN" \\\n  {address}/policy/applications'
    events: Sequence[Any] = trail.of(database(), f"tenant:{_tenant_id(workspace)}", EVENTS)
    return layout.page(
        workspace,
        "policy/applications.html",
        screen=screens.POLICY,
        crumbs=[layout.Crumb(_("Which applications may come in"))],
        status=status,
        form=form,
        is_saved=request.args.get("notice") == "saved",
        may_write=workspace.may(WRITE),
        write=WRITE,
        code=as_code.of(as_code.Tab("curl", "curl", curl)),
        events=events,
        **{"conflict": None, **context},
    )
