"""Why a token says what it says, what a given token is, and why a request was refused."""

from __future__ import annotations

import shlex
from urllib.parse import urlencode

from flask import request
from flask_babel import format_timedelta
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from idp.directory.scopes import Scope
from idp.directory.users import service as users
from idp.explain import presented, refusals, service
from idp.explain.results import Explanation, PresentedToken
from idp.explain.service import Question
from idp.pages.console import as_code, layout, screens
from idp.pages.console.as_code import AsCode, Tab
from idp.pages.console.explain import choices, code, lines
from idp.pages.console.explain.forms import QuestionForm, RequestForm, TokenForm
from idp.pages.console.gate import Pages
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.web.views import database

TOKENS = {"access": lines.ACCESS, "id": "id_token"}

pages = Pages(screens.EXPLAIN)


@pages.get()
def index(workspace: Workspace) -> Response:
    """Explain the tokens that a client would get now, for a person or for itself."""
    form = QuestionForm(formdata=request.args)
    status, found = 200, None
    if "client" in request.args:
        status, found = _explain(workspace, form)
    token = TOKENS.get(request.args.get("token", ""), lines.ACCESS)
    content = None if found is None else getattr(found, token)
    return layout.page(
        workspace,
        "explain/index.html",
        screen=screens.EXPLAIN,
        status=status,
        mode="token",
        form=form,
        choices=choices.of(database(), workspace),
        found=found,
        token=token,
        tokens={name: _address(token=name) for name in TOKENS},
        missing=found and lines.missing(found, token),
        present=found and lines.present(found, token),
        scopes=found and [(line, lines.sentences(line.reasons)) for line in found.scopes],
        content=content,
        lifetime=content and format_timedelta(content.expires_in, granularity="second"),
        pieces=code.pieces,
        as_code=found and _as_code(workspace, found),
    )


@pages.get("/request")
def explain_request(workspace: Workspace) -> Response:
    """Explain why a request was refused, by the id that its error page showed."""
    form = RequestForm(formdata=request.args)
    status, found = 200, None
    if "request" in request.args:
        status = 400
        if form.validate():
            try:
                name = (form.request.data or "").strip()
                found = refusals.explain(database(), name, within=workspace.tenant_id)
                status = 200
            except NotFound:
                status = 404
                form.refuse(_("No refusal is kept for this request."), "request")
    return layout.page(
        workspace,
        "explain/request.html",
        screen=screens.EXPLAIN,
        crumbs=[layout.Crumb(_("A refused request"))],
        status=status,
        mode="request",
        form=form,
        found=found,
    )


@pages.get("/token")
def ask_token(workspace: Workspace) -> Response:
    """Ask for a token."""
    return _token_page(workspace, TokenForm())


@pages.post("/token", permission=Scope.ADMIN_EXPLAIN_READ)
def explain_token(workspace: Workspace) -> Response:
    """Take a token apart and verify it. It is in no address, and the page does not repeat it."""
    form = TokenForm()
    is_valid, unverified_token = form.validate(), form.token.data or ""
    form.token.data = ""
    if not is_valid:
        return _token_page(workspace, form, status=400)
    found = presented.explain(database(), unverified_token, within=workspace.tenant_id)
    return _token_page(workspace, form, found=found)


def _token_page(
    workspace: Workspace,
    form: TokenForm,
    *,
    found: PresentedToken | None = None,
    status: int = 200,
) -> Response:
    return layout.page(
        workspace,
        "explain/token.html",
        screen=screens.EXPLAIN,
        crumbs=[layout.Crumb(_("A pasted token"))],
        status=status,
        mode="pasted",
        form=form,
        found=found,
        pieces=code.pieces,
        short=code.short,
    )


def _explain(workspace: Workspace, form: QuestionForm) -> tuple[int, Explanation | None]:
    """Return the status of the page and the explanation, or what is wrong, beside the fields."""
    if not form.validate():
        return 400, None
    login = (form.user.data or "").strip()
    user_id = _user_id(login) if login else None
    unknown = _("There is no such client, person or organisation within your reach.")
    if workspace.tenant is not None:
        elsewhere = _("People who hold permissions of the platform are explained there alone.")
        unknown = f"{unknown} {elsewhere}"
    if login and user_id is None:
        form.refuse(unknown)
        return 404, None
    question = Question(
        client_id=(form.client.data or "").strip(),
        tenant_id=workspace.tenant_id or form.tenant.data or PLATFORM_TENANT_ID,
        user_id=user_id,
        scopes=_names(form.scope.data),
        permissions=_names(form.permission.data),
    )
    try:
        return 200, service.explain(database(), question, within=workspace.tenant_id)
    except NotFound:
        form.refuse(unknown)
        return 404, None


def _user_id(login: str) -> int | None:
    """Return the id of a person who is named by it, or by what they sign in with."""
    if login.isascii() and login.isdigit() and len(login) < len(str(INT64_MAX)):
        user = users.find(database(), int(login))
        if user is not None:
            return user.id
    user = users.find_by_login(database(), login)
    return None if user is None else user.id


def _names(listed: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((listed or "").split()))


def _address(**changes: str) -> str:
    return f"?{urlencode({**request.args, **changes})}"


def _as_code(workspace: Workspace, found: Explanation) -> AsCode:
    scopes = " ".join(line.name for line in found.scopes)
    values = {"client": found.client_id, "user": found.user_id, "scope": scopes}
    query = urlencode({name: value for name, value in values.items() if value})
    address = f"{workspace.issuer.url}/admin/v1/tenants/{found.tenant_id}/explain?{query}"
    command = ["idp", "explain", "--client", found.client_id, "--tenant", str(found.tenant_id)]
    if found.user_id is not None:
        command += ["--user", _login(found.user_id)]
    if scopes:
        command += ["--scope", scopes]
    return as_code.of(
        Tab("command", _("Command"), shlex.join(command)),
        Tab(
            "curl",
            "curl",
            f'curl -H "Authorization: Bearer $TOKEN" \\\n  {shlex.quote(address)}',
        ),
    )


def _login(user_id: int) -> str:
    return users.get(database(), user_id).username
