"""The second factors of a user: shown, removed, reset, and set up anew by an enrolment code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.account import factor_administration
from idp.directory.actor import Actor
from idp.directory.factors.enrolment import NewCode
from idp.directory.scopes import Scope
from idp.pages.console import once
from idp.pages.console.users import acts, person
from idp.pages.console.users.pages import pages
from idp.pages.console.workspaces import Workspace
from idp.pages.language import current as current_language

READ, WRITE = Scope.ADMIN_FACTORS_READ, Scope.ADMIN_FACTORS_WRITE


@pages.get("/<int:row_id>/factors", permission=READ)
def factors(workspace: Workspace, row_id: int) -> Response:
    """Show the second factors of a user."""
    return person.page(workspace, row_id, "factors")


@pages.post("/<int:row_id>/factors/<int:app_id>/remove", permission=WRITE, recent=True)
def remove_factor(workspace: Workspace, row_id: int, app_id: int) -> Response:
    """Remove one of several authenticator apps of a user."""
    remove = partial(
        factor_administration.remove_app,
        user_id=row_id,
        app_id=app_id,
        locale=current_language().code,
    )
    return acts.act(workspace, row_id, remove, "factor", tab="factors", permission=WRITE)


@pages.post("/<int:row_id>/passkeys/<int:passkey_id>/remove", permission=WRITE, recent=True)
def remove_passkey(workspace: Workspace, row_id: int, passkey_id: int) -> Response:
    """Remove one of several second factors of a user: a passkey."""
    remove = partial(
        factor_administration.remove_passkey,
        user_id=row_id,
        passkey_id=passkey_id,
        locale=current_language().code,
    )
    return acts.act(workspace, row_id, remove, "factor", tab="factors", permission=WRITE)


@pages.post("/<int:row_id>/factors/reset", permission=WRITE, recent=True)
def reset_factors(workspace: Workspace, row_id: int) -> Response:
    """Remove all second factors of a user, and show an enrolment code once."""
    return _with_code(workspace, row_id, factor_administration.reset, "factors")


@pages.post("/<int:row_id>/factors/code", permission=WRITE, recent=True)
def make_enrolment_code(workspace: Workspace, row_id: int) -> Response:
    """Make an enrolment code of a user, and show it once."""
    return _with_code(workspace, row_id, factor_administration.make_code, "code")


def _with_code(
    workspace: Workspace, row_id: int, make: Callable[..., NewCode], notice: str
) -> Response:
    made: list[NewCode] = []

    def do(session: Session, actor: Actor) -> Any:
        made.append(make(session, actor, user_id=row_id, locale=current_language().code))

    answer = acts.act(workspace, row_id, do, notice, tab="factors", permission=WRITE)
    for new in made:
        once.keep(workspace, f"user:{row_id}", new.code, field=person.ENROLMENT_CODE)
    return answer
