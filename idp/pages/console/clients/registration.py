"""Registration tokens: listed, issued (the value is shown once), revoked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response

from idp.directory.clients import registration_tokens
from idp.directory.clients.models import RegistrationToken
from idp.directory.clients.registration_tokens import (
    ACTIVE,
    ANONYMOUS,
    NewToken,
    Policy,
    Statements,
)
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.pages.console import as_code, gate, layout, once, refusals, repeats, screens, workspaces
from idp.pages.console.clients.forms import RegistrationTokenForm, lines_of
from idp.pages.console.clients.lines import GRANTS
from idp.pages.console.clients.views import in_days, pages
from idp.pages.console.gate import go
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import BadRequest, Unprocessable
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database

READ, WRITE = Scope.ADMIN_CLIENTS_READ, Scope.ADMIN_CLIENTS_WRITE
TARGET = "registration-tokens"
MOST = 500
FIELDS = {
    **{name: name for name in ("note", "uses", "redirect_hosts", "scopes", "grant_types")},
    **{name: name for name in ("auth_methods", "statement_issuer", "statement_jwks_uri")},
    "expires_at": "days",
    "requires_pkce": "without_pkce",
}
"""The fields of the form that the service calls by these names."""
STATES = {
    ACTIVE: (_("Active"), "st-good"),
    "used": (_("Used up"), ""),
    "expired": (_("Expired"), ""),
    "revoked": (_("Revoked"), "st-bad"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A token in the list."""

    row: RegistrationToken
    policy: Policy
    state: str
    tenant: str | None

    @property
    def rules(self) -> list[Any]:
        """What is not as usual, in the visitor's language where it is no name."""
        policy = self.policy
        names = [*policy.redirect_hosts, *policy.scopes]
        if set(policy.grant_types) != set(ANONYMOUS.grant_types):
            names += [GRANTS.get(name, name) for name in policy.grant_types]
        if set(policy.auth_methods) != set(ANONYMOUS.auth_methods):
            names += policy.auth_methods
        words = {
            _("trusted"): policy.is_trusted,
            _("without PKCE"): not policy.requires_pkce,
            _("software statements"): policy.statements is not None,
        }
        return [*(word for word, is_so in words.items() if is_so), *names]


@pages.get("/registration-tokens", permission=READ)
def show_registration_tokens(workspace: Workspace) -> Response:
    """List the tokens, a new one in clear text this once."""
    return _page(workspace, RegistrationTokenForm(formdata=None))


@pages.post("/registration-tokens", permission=WRITE, recent=True)
def issue_registration_token(workspace: Workspace) -> Response:
    """Issue a token; the page that comes next shows it."""
    form = RegistrationTokenForm()
    if not form.validate():
        return _page(workspace, form, 400)
    sending = repeats.begin(workspace)
    if isinstance(sending, Response):
        return sending
    actor = workspaces.acting(database(), workspace, WRITE)
    try:
        _, value = registration_tokens.issue(database(), actor, actor.owner_tenant, _new(form))
    except (BadRequest, Unprocessable) as problem:
        database().rollback()
        refusals.add(form, problem, FIELDS)
        return _page(workspace, form, problem.status)
    response = go(workspace, "clients.show_registration_tokens")
    sending.keep(response, TARGET, value)
    database().commit()
    once.keep(workspace, TARGET, value)
    return response


@pages.post("/registration-tokens/<int:token_id>/revoke", permission=WRITE)
def revoke_registration_token(workspace: Workspace, token_id: int) -> Response:
    """Revoke a token: nobody registers with it any more."""
    actor = workspaces.acting(database(), workspace, WRITE)
    registration_tokens.revoke(database(), actor, token_id)
    database().commit()
    return go(workspace, "clients.show_registration_tokens", notice="revoked")


def _new(form: RegistrationTokenForm) -> NewToken:
    uses = (form.uses.data or "").strip()
    if uses and not (uses.isascii() and uses.isdigit() and len(uses) < 10):  # noqa: PLR2004 - digits
        message = gettext("must be a whole number.")
        raise BadRequest.at("uses", message)
    policy = Policy(
        lines_of(form.redirect_hosts.data),
        (form.scopes.data or "").split(),
        form.grant_types.data or ANONYMOUS.grant_types,
        form.auth_methods.data or ANONYMOUS.auth_methods,
        bool(form.is_trusted.data),
        not form.without_pkce.data,
        _statements(form),
    )
    return NewToken(
        policy, form.note.data or None, int(uses) if uses else None, in_days(form.days.data)
    )


def _statements(form: RegistrationTokenForm) -> Statements | None:
    """Return whose software statements count; None where the form says nothing of them."""
    issuer, address = form.statement_issuer.data or "", form.statement_jwks_uri.data or ""
    required = bool(form.statement_required.data)
    if not (issuer or address or required):
        return None
    return Statements(issuer, address, is_required=required)


def _page(workspace: Workspace, form: RegistrationTokenForm, status: int = 200) -> Response:
    return layout.page(
        workspace,
        "clients/registration_tokens.html",
        screen=screens.CLIENTS,
        crumbs=[layout.Crumb(_("Registration tokens"))],
        status=status,
        form=form,
        shown=once.take(workspace, TARGET),
        lines=_lines(workspace),
        states=STATES,
        is_revoked=request.args.get("notice") == "revoked",
        is_recent=gate.is_recent(workspace.visitor),
        may_write=workspace.may(WRITE),
        write=WRITE,
        endpoint=f"{workspace.issuer.url}/connect/register",
        code=as_code.of(as_code.Tab("curl", "curl", _curl(workspace))),
    )


def _lines(workspace: Workspace) -> Sequence[Line]:
    actor = workspaces.acting(database(), workspace, READ)
    rows = registration_tokens.list_newest(database(), actor, limit=MOST)
    names = tenants.names(database(), {row.tenant_id for row in rows if row.tenant_id})
    return [
        Line(
            row,
            registration_tokens.policy_of(row),
            registration_tokens.state_of(row),
            names.get(row.tenant_id or 0),
        )
        for row in rows
    ]


def _curl(workspace: Workspace) -> str:
    tenant_id = workspace.tenant_id or PLATFORM_TENANT_ID
    address = f"{workspace.issuer.url}/admin/v1/tenants/{tenant_id}/registration-tokens"
    return (
        'curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"  -d '{{\"uses\": 5}}' {address}"
    )
