"""Users in files: the list as CSV, and people from CSV, first checked and then created."""

from __future__ import annotations

from flask import make_response, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from idp.account import people_files
from idp.account.people_files import Row
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.pages.console import layout, screens, workspaces
from idp.pages.console.gate import check, go
from idp.pages.console.users import acts, listing, person
from idp.pages.console.users.forms import ImportForm
from idp.pages.console.users.pages import READ, WRITE, pages
from idp.pages.console.workspaces import Workspace
from idp.pages.language import current as current_language
from idp.platform.errors import BadRequest, Problem
from idp.platform.translation import N_
from idp.platform.web.views import database


@pages.post("/export", permission=READ)
def export(workspace: Workspace) -> Response:
    """Return the users that were picked, or all of the list, as CSV."""
    session = database()
    found = listing.exported(workspace, acts.ids("id"), people_files.MOST_EXPORTED + 1)
    if len(found) > people_files.MOST_EXPORTED:
        text = N_("Too many users for one file; narrow the list to at most this number")
        return listing.page(workspace, BadRequest(text + f": {people_files.MOST_EXPORTED}"))
    roles = people.roles_of(session, [user.id for user in found], workspace.tenant_id)
    codes = {user_id: [role.code for role in held] for user_id, held in roles.items()}
    actor = workspaces.acting(session, workspace, READ)
    answer = make_response(people_files.write(session, actor, found, codes))
    session.commit()
    answer.headers["Content-Type"] = "text/csv; charset=utf-8"
    answer.headers["Content-Disposition"] = 'attachment; filename="users.csv"'
    return answer


@pages.get("/import", permission=WRITE)
def show_import(workspace: Workspace) -> Response:
    """Show the form to which a file is given."""
    return _page(workspace, ImportForm(formdata=None))


@pages.post("/import", permission=WRITE)
def carry_out(workspace: Workspace) -> Response:
    """Check a file by importing it and taking everything back, or import it for good."""
    form = ImportForm()
    session, text = database(), _text(form)
    actor = workspaces.acting(session, workspace, WRITE)
    try:
        rows = people_files.read(session, actor, text, current_language().code)
        if any(row.roles for row in rows):
            check(workspace, Scope.US_ROLE_BIND)
    except acts.REFUSALS as problem:
        session.rollback()
        return _page(workspace, form, text=text, problem=problem)
    refused = [row for row in rows if row.problem is not None]
    if request.form.get("act") == "import" and rows and not refused:
        session.commit()
        return go(workspace, "users.index", notice="imported", n=len(rows))
    session.rollback()
    return _page(workspace, form, text=text, rows=rows, refused=refused)


def _text(form: ImportForm) -> str:
    """Return what was sent: a file, or else a text."""
    sent = request.files.get(form.file.name)
    if sent is None or not sent.filename:
        return form.text.data or ""
    content = sent.stream.read(people_files.MOST_CHARACTERS * 4)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "\0"  # no text: refused as such


def _page(
    workspace: Workspace,
    form: ImportForm,
    *,
    text: str = "",
    rows: list[Row] | None = None,
    refused: list[Row] | None = None,
    problem: Problem | None = None,
) -> Response:
    form.text.data = text.replace("\0", "")
    answer = layout.page(
        workspace,
        "users/import.html",
        screen=screens.USERS,
        crumbs=[layout.Crumb(gettext("Import"))],
        status=problem.status if problem else 422 if refused else 200,
        form=form,
        rows=rows,
        refused=refused,
        problems=person.explained(problem),
        explained=person.explained,
        columns=people_files.IMPORTED,
    )
    return person.with_retry(answer, problem)
