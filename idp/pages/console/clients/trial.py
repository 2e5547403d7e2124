"""Try it: the flow of a client with the console as its relying party.

What a sign-in was begun with travels in the browser's cookie, encrypted and tied to the browser
session, the client and the workspace. Tokens are on the page that answers the form, nowhere else.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from flask import redirect, request
from werkzeug.wrappers import Response

from idp.directory.clients import management as clients
from idp.directory.clients.models import Client
from idp.directory.clients.snapshot import ClientView
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.directory.users import visibility
from idp.explain import trial
from idp.explain.trial import Issued, StandIn, Trial
from idp.oauth.checks.scope import OFFLINE_ACCESS
from idp.pages.console import lists, once
from idp.pages.console.clients.forms import SecretForm, TrialForm
from idp.pages.console.clients.views import get, pages, tab_page
from idp.pages.console.explain import code as claims
from idp.pages.console.explain import lines as explained
from idp.pages.console.gate import go
from idp.pages.console.workspaces import Workspace
from idp.pages.messages import reasons
from idp.platform.errors import BadRequest, Conflict, Problem, Unprocessable
from idp.platform.translation import N_
from idp.platform.web.views import database

BEGUN, ANSWERED = "trial_begun", "trial_answered"
"""Fields of the cookie: a sign-in under way, and the code that came of it."""
BEGUN_SECONDS, ANSWERED_SECONDS = 900, 300
LONGEST_CODE = 200
MOST_TENANTS = 50


@pages.get("/<int:row_id>/try", permission=Scope.CLIENT_DETAIL)
def show_trial(workspace: Workspace, row_id: int) -> Response:
    """Show what can be tried, and the code that waits to be redeemed."""
    return _page(workspace, get(workspace, row_id))


@pages.post("/<int:row_id>/try/address", permission=Scope.CLIENT_PUT)
def set_address(workspace: Workspace, row_id: int) -> Response:
    """Register the console's own address at the client, or remove it."""
    client = get(workspace, row_id)
    act, back = request.form.get("act"), _back(workspace, client)
    if act not in {"add", "remove"}:
        raise BadRequest.at("act", N_("This form was not accepted"))
    others = [row.redirect_uri for row in client.redirect_uris if row.redirect_uri != back]
    desired = [*others, back] if act == "add" else others
    uris, stamp = {"redirect_uris": desired}, client.concurrency_stamp
    try:
        clients.change(database(), workspace.actor, client.id, {}, uris, stamp=stamp)
    except (BadRequest, Conflict, Unprocessable) as problem:
        database().rollback()
        client = get(workspace, row_id)
        return _page(workspace, client, problem.status, problem=problem)
    database().commit()
    return go(workspace, "clients.show_trial", row_id=client.id, notice="saved")


@pages.post("/<int:row_id>/try", permission=Scope.CLIENT_DETAIL)
def begin_trial(workspace: Workspace, row_id: int) -> Response:
    """Begin a sign-in at the client, in the window that the form was sent to."""
    client = get(workspace, row_id)
    view, back = _view(workspace, client), _back(workspace, client)
    form = _trial_form(workspace, view)
    if not form.validate():
        return _page(workspace, client, 400, form=form)
    if back not in view.redirect_uris:
        raise Conflict(N_("Register the address of the console first."))
    begun = trial.begin()
    once.keep(
        workspace,
        _target(client),
        json.dumps([begun.state, begun.verifier, begun.nonce]),
        field=BEGUN,
        seconds=BEGUN_SECONDS,
    )
    url = trial.authorization_url(
        workspace.issuer,
        view,
        begun,
        back,
        scopes=_picked(view),
        prompt=form.prompt.data or "",
        tenant=form.tenant.data or "",
    )
    return redirect(url, 303)


@pages.get("/<int:row_id>/try/answer", permission=Scope.CLIENT_DETAIL)
def answer_trial(workspace: Workspace, row_id: int) -> Response:
    """Take the answer of the authorization endpoint: once, and in the session that asked."""
    client = get(workspace, row_id)
    _take_begun(workspace, client, lists.one_value("state") or "")
    error = lists.one_value("error")
    if error is not None:
        refused = (error, lists.one_value("error_description"))
        return _page(workspace, client, refused_by=refused)
    return go(workspace, "clients.show_trial", row_id=client.id)


@pages.post("/<int:row_id>/try/redeem", permission=Scope.CLIENT_DETAIL)
def redeem_code(workspace: Workspace, row_id: int) -> Response:
    """Redeem the code and show the tokens, on this page alone."""
    client = get(workspace, row_id)
    view, form = _view(workspace, client), SecretForm()
    waiting = once.look(workspace, _target(client), field=ANSWERED)
    if waiting is None:
        raise Conflict(N_("No code waits to be redeemed. Begin a new sign-in."))
    if not form.validate():
        return _page(workspace, client, 400, secret_form=form)
    state, verifier, nonce, code = json.loads(waiting)
    begun, back = Trial(state, verifier, nonce), _back(workspace, client)
    issued = trial.redeem(database(), _stand_in(workspace, view, form), begun, code, back)
    database().commit()  # of a refusal its trace
    if issued.refused is None or issued.refused.error != "invalid_client":
        once.take(workspace, _target(client), field=ANSWERED)
    return _page(workspace, client, issued=issued)


@pages.post("/<int:row_id>/try/service", permission=Scope.CLIENT_DETAIL)
def ask_for_service(workspace: Workspace, row_id: int) -> Response:
    """Ask for a token of the client itself and show it, on this page alone."""
    client = get(workspace, row_id)
    view, form = _view(workspace, client), SecretForm()
    if not form.validate():
        return _page(workspace, client, 400, secret_form=form)
    stand_in = _stand_in(workspace, view, form)
    issued = trial.ask_for_itself(database(), stand_in, _picked(view))
    database().commit()
    return _page(workspace, client, issued=issued)


def _stand_in(workspace: Workspace, view: ClientView, form: SecretForm) -> StandIn:
    user_id, secret = workspace.visitor.user.id, form.secret.data or ""
    return StandIn(workspace.issuer, view, user_id, workspace.tenant_id, secret)


def _take_begun(workspace: Workspace, client: Client, state: str) -> None:
    """Take the sign-in that an answer belongs to, and keep its code to be redeemed."""
    waiting = once.look(workspace, _target(client), field=BEGUN)
    begun = None if waiting is None else Trial(*json.loads(waiting))
    if begun is None or not hmac.compare_digest(begun.state.encode(), state.encode()):
        raise _unknown_answer()
    once.take(workspace, _target(client), field=BEGUN)
    # The cookie may have been copied before: the database decides which answer is the first.
    if not trial.claim_state(database(), begun, BEGUN_SECONDS):
        raise _unknown_answer()
    database().commit()
    # RFC 9207 2.4: an answer of another issuer is mixed up.
    if lists.one_value("iss") != workspace.issuer.url:
        raise _unknown_answer()
    code = lists.one_value("code")
    if code is not None:
        content = json.dumps([begun.state, begun.verifier, begun.nonce, code[:LONGEST_CODE]])
        once.keep(workspace, _target(client), content, field=ANSWERED, seconds=ANSWERED_SECONDS)


def _unknown_answer() -> BadRequest:
    text = N_("This answer belongs to no sign-in that was begun in this session.")
    return BadRequest.at("state", text)


def _view(workspace: Workspace, client: Client) -> ClientView:
    view = trial.find(database(), client.client_id, workspace.issuer)
    if view is None:
        raise Conflict(N_("The client is disabled, or people sign in to it at another address."))
    return view


def _trial_form(workspace: Workspace, view: ClientView, **options: Any) -> TrialForm:
    form = TrialForm(**options)
    found: list[Tenant] = []
    if view.tenant_id is None:
        user_id = workspace.visitor.user.id
        found = tenants.memberships(database(), user_id, workspace.issuer, limit=MOST_TENANTS)
    form.offer({str(tenant.id): tenant.name for tenant in found})
    return form


def _picked(view: ClientView) -> list[str]:
    """Return the scopes that were ticked; one that the client may not have is refused."""
    picked = list(dict.fromkeys(request.form.getlist("scope")))
    if not {*picked} <= {*scopes_of(view)}:
        raise BadRequest.at("scope", N_("The client may not ask for this scope"))
    return picked


def scopes_of(view: ClientView) -> list[str]:
    """List what the client may ask for: about people first."""
    offline = [OFFLINE_ACCESS] if view.allow_offline_access else []
    return [*view.identity_scopes, *view.api_scopes, *offline]


def _page(
    workspace: Workspace,
    client: Client,
    status: int = 200,
    *,
    form: TrialForm | None = None,
    secret_form: SecretForm | None = None,
    issued: Issued | None = None,
    refused_by: tuple[str, str | None] | None = None,
    problem: Problem | None = None,
) -> Response:
    view = trial.find(database(), client.client_id, workspace.issuer)
    may_explain = workspace.may(Scope.ADMIN_EXPLAIN_READ)
    back = _back(workspace, client)
    waits = once.look(workspace, _target(client), field=ANSWERED) is not None
    return tab_page(
        workspace,
        client,
        "try",
        status,
        view=view,
        form=form or (view and _trial_form(workspace, view, formdata=None)),
        secret_form=secret_form or SecretForm(formdata=None),
        back=back,
        is_registered=view is not None and back in view.redirect_uris,
        obstacle=None if view is None else trial.obstacle(view),
        takes_secret=view is not None and trial.takes_secret(view),
        offered=[] if view is None else scopes_of(view),
        api_scopes=[] if view is None else list(view.api_scopes),
        waits=waits,
        issued=issued,
        shown=_shown(issued, may_explain=may_explain),
        refused_by=refused_by,
        problems=[] if problem is None else reasons(problem),
        may_change=workspace.may(Scope.CLIENT_PUT),
        change=Scope.CLIENT_PUT,
        may_explain=may_explain,
        explain_scope=Scope.ADMIN_EXPLAIN_READ,
        is_explained_elsewhere=issued is not None and _is_explained_elsewhere(workspace, issued),
    )


def _is_explained_elsewhere(workspace: Workspace, issued: Issued) -> bool:
    """Return whether a tenant may not explain the token: the visitor has rights of the platform."""
    token, user_id = issued.access_token, workspace.visitor.user.id
    if workspace.tenant is None or token is None or token.claims.get("sub") != str(user_id):
        return False
    return visibility.is_of_the_platform(database(), user_id)


def _shown(issued: Issued | None, *, may_explain: bool) -> list[dict[str, Any]]:
    """Return each token taken apart, with the origin of its claims for those who may see it."""
    if issued is None or issued.access_token is None:
        return []
    now = issued.access_token.now if may_explain else None
    found = [("access_token", issued.access_token), ("id_token", issued.id_token)]
    return [
        {
            "name": name,
            "token": token,
            "raw": issued.raw.get(name),
            "pieces": list(claims.pieces(token.claims)),
            "origins": explained.present(now, name) if now is not None else None,
        }
        for name, token in found
        if token is not None
    ]


def _back(workspace: Workspace, client: Client) -> str:
    """Return the address that a code is sent to: of this client in this workspace alone."""
    return workspace.issuer.url + workspace.url("clients.answer_trial", row_id=client.id)


def _target(client: Client) -> str:
    return f"trial:{client.id}"
