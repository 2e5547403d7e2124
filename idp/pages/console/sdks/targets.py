"""Where SDKs of an API are published: settings of npm and of one repository, each with a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.pages.console import layout, refusals, screens
from idp.pages.console.gate import go
from idp.pages.console.sdks.forms import GithubForm, NpmForm
from idp.pages.console.sdks.pages import crumbs, get_api, pages
from idp.pages.console.workspaces import Workspace
from idp.platform.errors import NotFound, Problem
from idp.platform.web.views import database
from idp.publishing.codegen import npm, options, trials
from idp.publishing.codegen.models import GithubOptions, NpmOptions
from idp.publishing.codegen.trials import GITHUB

NPM_PATH = "/<int:row_id>/targets/npm/<language>"
GIT_PATH = "/<int:row_id>/targets/git"


@dataclass(frozen=True, slots=True)
class Line:
    """A target as the page of an API shows it."""

    title: str
    row: NpmOptions | GithubOptions | None
    """None: it is not set up."""
    edit: str
    test: str | None
    """Address of the test; None: there is nothing to test, or the person may not."""
    is_testing: bool


def lines(workspace: Workspace, api_id: int) -> Sequence[Line]:
    """List the targets of an API that a person may see."""
    rows = options.targets_of(database(), [api_id])[api_id]
    by_name: dict[str, NpmOptions | GithubOptions] = {
        row.language if isinstance(row, NpmOptions) else GITHUB: row for row in rows
    }
    found = []
    if workspace.may(Scope.CODEGEN_NPMOPTIONS):
        found += [_npm_line(workspace, api_id, name, by_name.get(name)) for name in npm.GENERATORS]
    if workspace.may(Scope.CODEGEN_GITHUBOPTIONS):
        row = by_name.get(GITHUB)
        test = workspace.url("sdks.test_git", row_id=api_id)
        may_test = workspace.may(Scope.CODEGEN_PUTGITHUBOPTIONS)
        edit = workspace.url("sdks.show_git", row_id=api_id)
        found.append(_line("Git", row, edit, test if may_test else None))
    return found


@pages.get(NPM_PATH, permission=Scope.CODEGEN_NPMOPTIONS)
def show_npm(workspace: Workspace, row_id: int, language: str) -> Response:
    """Show how an SDK in a language is published to npm."""
    api, row = get_api(workspace, row_id), _find_npm(row_id, language)
    form = NpmForm(obj=row)
    form.keywords.data = "" if row is None else " ".join(row.keywords)
    return _show_npm(workspace, api, language, form)


@pages.post(NPM_PATH, permission=Scope.CODEGEN_PUTNPMOPTIONS)
def save_npm(workspace: Workspace, row_id: int, language: str) -> Response:
    """Save how an SDK in a language is published to npm."""
    api, form = get_api(workspace, row_id), NpmForm()
    _find_npm(row_id, language)
    if not form.validate():
        return _show_npm(workspace, api, language, form, 400)
    try:
        options.write_npm(database(), api, language, form.content())
    except Problem as problem:
        database().rollback()
        refusals.refuse(form, problem)
        return _show_npm(workspace, get_api(workspace, row_id), language, form, problem.status)
    database().commit()
    return go(workspace, "sdks.show", row_id=row_id)


@pages.post(f"{NPM_PATH}/test", permission=Scope.CODEGEN_PUTNPMOPTIONS)
def test_npm(workspace: Workspace, row_id: int, language: str) -> Response:
    """Have the worker ask the registry whether it accepts the token."""
    _find_npm(row_id, language)
    return _test(workspace, row_id, language)


@pages.get(GIT_PATH, permission=Scope.CODEGEN_GITHUBOPTIONS)
def show_git(workspace: Workspace, row_id: int) -> Response:
    """Show the repository of an API."""
    api = get_api(workspace, row_id)
    return _show_git(workspace, api, GithubForm(obj=options.find_github(database(), row_id)))


@pages.post(GIT_PATH, permission=Scope.CODEGEN_PUTGITHUBOPTIONS)
def save_git(workspace: Workspace, row_id: int) -> Response:
    """Save the repository of an API."""
    api, form = get_api(workspace, row_id), GithubForm()
    if not form.validate():
        return _show_git(workspace, api, form, 400)
    try:
        options.write_github(database(), api, form.content())
    except Problem as problem:
        database().rollback()
        refusals.refuse(form, problem)
        return _show_git(workspace, get_api(workspace, row_id), form, problem.status)
    database().commit()
    return go(workspace, "sdks.show", row_id=row_id)


@pages.post(f"{GIT_PATH}/test", permission=Scope.CODEGEN_PUTGITHUBOPTIONS)
def test_git(workspace: Workspace, row_id: int) -> Response:
    """Have the worker ask the server whether the token may push."""
    return _test(workspace, row_id, GITHUB)


def _test(workspace: Workspace, row_id: int, target: str) -> Response:
    trials.request(database(), get_api(workspace, row_id), target)
    database().commit()
    return go(workspace, "sdks.show", row_id=row_id)


def _npm_line(
    workspace: Workspace, api_id: int, language: str, row: NpmOptions | GithubOptions | None
) -> Line:
    place: dict[str, Any] = {"row_id": api_id, "language": language}
    may_test = workspace.may(Scope.CODEGEN_PUTNPMOPTIONS)
    test = workspace.url("sdks.test_npm", **place) if may_test else None
    return _line(f"npm · {language}", row, workspace.url("sdks.show_npm", **place), test)


def _line(title: str, row: NpmOptions | GithubOptions | None, edit: str, test: str | None) -> Line:
    has_token = row is not None and row.token_encrypted is not None
    is_testing = row is not None and trials.is_under_way(row)
    return Line(title, row, edit, test if has_token and not is_testing else None, is_testing)


def _find_npm(api_id: int, language: str) -> NpmOptions | None:
    """Return the options of a language; NotFound for one that nothing is generated in."""
    if language not in npm.GENERATORS:
        raise NotFound
    return options.find_npm(database(), api_id, language)


def _show_npm(
    workspace: Workspace, api: ApiResource, language: str, form: NpmForm, status: int = 200
) -> Response:
    return layout.page(
        workspace,
        "sdks/npm.html",
        screen=screens.SDKS,
        crumbs=crumbs(workspace, api, f"npm · {language}"),
        status=status,
        api=api,
        target=language,
        form=form,
        has_token=_find_npm(api.id, language) is not None,
        may_write=workspace.may(Scope.CODEGEN_PUTNPMOPTIONS),
        write=Scope.CODEGEN_PUTNPMOPTIONS,
    )


def _show_git(
    workspace: Workspace, api: ApiResource, form: GithubForm, status: int = 200
) -> Response:
    row = options.find_github(database(), api.id)
    return layout.page(
        workspace,
        "sdks/git.html",
        screen=screens.SDKS,
        crumbs=crumbs(workspace, api, "Git"),
        status=status,
        api=api,
        form=form,
        has_token=row is not None and row.token_encrypted is not None,
        may_write=workspace.may(Scope.CODEGEN_PUTGITHUBOPTIONS),
        write=Scope.CODEGEN_PUTGITHUBOPTIONS,
    )
