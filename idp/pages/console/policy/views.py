"""Policies: one page with a form, and what applies with the policy of the platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.account import live_access, policy_sessions
from idp.directory.policies import management as policies
from idp.directory.policies.management import PolicyState
from idp.directory.policies.rules import CHOICES, COMBINED
from idp.directory.scopes import Scope
from idp.pages.console import as_code, conflicts, counts, layout, refusals, screens, trail
from idp.pages.console.gate import Pages, go
from idp.pages.console.policy.forms import PolicyForm, data_of, in_words
from idp.pages.console.workspaces import Workspace
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database

EVENTS = (Tag.POLICY_CHANGED,)
WRITE = Scope.ADMIN_POLICY_WRITE
SHORTEST = 8

pages = Pages(screens.POLICY)


@pages.get()
def index(workspace: Workspace) -> Response:
    """Show the policy of the organisation, or of the platform."""
    state = _get(workspace)
    form = PolicyForm(_administrators(workspace), formdata=None, data=data_of(state.row))
    return _page(workspace, state, form)


@pages.post(permission=WRITE, recent=True)
def save(workspace: Workspace) -> Response:
    """Save all values."""
    form = PolicyForm(_administrators(workspace))
    if form.stamp.data is None:
        raise BadRequest
    state = _get(workspace)
    if not form.validate():
        return _page(workspace, state, form, status=400)
    try:
        policies.replace(
            database(),
            workspace.confined_actor,
            _tenant_id(workspace),
            form.to_spec(state.row),
            stamp=form.stamp.data,
        )
    except Conflict:
        database().rollback()
        return _conflict_page(workspace, form)
    except BadRequest as problem:
        database().rollback()
        refusals.refuse(form, problem)
        return _page(workspace, _get(workspace), form, status=400)
    database().commit()
    return go(workspace, "policy.index", notice="saved")


@pages.get("/sessions/end", permission=WRITE)
def confirm(workspace: Workspace) -> Response:
    """Show how many sessions the policy does not admit any more, before they are ended."""
    actor, tenant_id = workspace.confined_actor, _tenant_id(workspace)
    return layout.page(
        workspace,
        "policy/end.html",
        screen=screens.POLICY,
        crumbs=[layout.Crumb(_("End sessions"))],
        count=policy_sessions.count(database(), actor, tenant_id),
        most=live_access.MOST_ENDED,
    )


@pages.post("/sessions/end", permission=WRITE, recent=True)
def end(workspace: Workspace) -> Response:
    """End as many of these sessions as were shown."""
    actor, tenant_id = workspace.confined_actor, _tenant_id(workspace)
    ended = policy_sessions.end(database(), actor, tenant_id, counts.confirmed())
    database().commit()
    return go(workspace, "policy.index", ended=ended)


def _tenant_id(workspace: Workspace) -> int:
    return workspace.tenant_id or PLATFORM_TENANT_ID


def _get(workspace: Workspace) -> PolicyState:
    return policies.get(database(), workspace.confined_actor, _tenant_id(workspace))


def _administrators(workspace: Workspace) -> Sequence[tuple[int, str]]:
    return policies.administrators(database(), workspace.confined_actor, _tenant_id(workspace))


def _conflict_page(workspace: Workspace, form: PolicyForm) -> Response:
    """Show both values; the next save is based on what is stored now."""
    state = _get(workspace)
    target = f"tenant:{_tenant_id(workspace)}"
    found = conflicts.of(database(), target, EVENTS, form.rows(state.row))
    form.stamp.data = state.row.concurrency_stamp
    return _page(workspace, state, form, status=409, conflict=found)


def _page(
    workspace: Workspace,
    state: PolicyState,
    form: PolicyForm,
    *,
    status: int = 200,
    **context: Any,
) -> Response:
    return layout.page(
        workspace,
        "policy/index.html",
        screen=screens.POLICY,
        status=status,
        form=form,
        floor={name: text for name, text in _in_words(state.above).items() if text},
        required=_in_words(state.required),
        shortest=max(SHORTEST, state.required.password_length),
        is_saved=request.args.get("notice") == "saved",
        ended=_ended(),
        unmet=_unmet(workspace),
        may_write=workspace.may(WRITE),
        write=WRITE,
        code=as_code.of(as_code.Tab("curl", "curl", _curl(workspace))),
        events=trail.of(database(), f"tenant:{_tenant_id(workspace)}", EVENTS),
        **{"conflict": None, **context},
    )


def _ended() -> int | None:
    """Return how many sessions were ended, after it was done."""
    number = request.args.get("ended", "")
    is_number = number.isascii() and number.isdigit()
    return min(int(number[:9]), live_access.MOST_ENDED) if is_number else None


def _unmet(workspace: Workspace) -> int:
    """Return how many sessions can be ended, after the policy was saved or some were ended."""
    if not workspace.may(WRITE) or not request.args.keys() & {"notice", "ended"}:
        return 0
    return policy_sessions.count(database(), workspace.confined_actor, _tenant_id(workspace))


def _in_words(policy: Any) -> dict[str, str]:
    """Return what is required by column, in the visitor's language; empty: nothing."""
    values = {name: getattr(policy, name) for name in COMBINED}
    words = {name: in_words(name, value) for name, value in values.items() if value is not None}
    for name, text in words.items():
        is_off = name not in CHOICES and not values[name]
        if is_off:
            words[name] = ""
        elif name.endswith("_days"):
            words[name] = _("%(count)s days", count=text)
        elif name.endswith("_minutes"):
            words[name] = _("%(count)s minutes", count=text)
        elif name == "session_hours":
            words[name] = _("%(count)s hours", count=text)
    return {name: words.get(name, "") for name in COMBINED}


def _curl(workspace: Workspace) -> str:
    address = f"{workspace.issuer.url}/admin/v1/tenants/{_tenant_id(workspace)}/policy"
    return f'curl -H "Authorization: Bearer $TOKEN" \\\n  {address}'
