"""What is done to users: one at a time on their page, several in the list."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from flask import request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from idp.account import administration, client_access, devices, live_access
from idp.directory.actor import Actor
from idp.directory.roles import tenant_roles
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.pages.console import repeats, workspaces
from idp.pages.console.gate import check, go
from idp.pages.console.users import listing, person
from idp.pages.console.users.pages import WRITE, pages
from idp.pages.console.workspaces import Workspace
from idp.pages.language import current as current_language
from idp.platform.errors import (
    BadRequest,
    Busy,
    Conflict,
    Forbidden,
    NotFound,
    Problem,
    TooManyRequests,
    Unprocessable,
)
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_
from idp.platform.web.views import database

REFUSALS = (BadRequest, Busy, Conflict, Forbidden, TooManyRequests, Unprocessable)
"""What is shown on the page whose form was sent."""
MOST_PICKED = 100

Act = Callable[[Session, Actor], object]


@pages.post("/<int:row_id>/disable", permission=WRITE)
def disable(workspace: Workspace, row_id: int) -> Response:
    """Disable a user; their sessions and tokens end."""
    return act(workspace, row_id, partial(people.disable, user_id=row_id), "disabled")


@pages.post("/<int:row_id>/enable", permission=WRITE)
def enable(workspace: Workspace, row_id: int) -> Response:
    """Enable a user again."""
    return act(workspace, row_id, partial(people.enable, user_id=row_id), "enabled")


@pages.post("/<int:row_id>/unlock", permission=WRITE)
def unlock(workspace: Workspace, row_id: int) -> Response:
    """End the lock of a user before its time."""
    return act(workspace, row_id, partial(people.unlock, user_id=row_id), "unlocked")


@pages.post("/<int:row_id>/sign-out", permission=WRITE)
def sign_out(workspace: Workspace, row_id: int) -> Response:
    """Sign a user out everywhere."""
    return act(workspace, row_id, partial(administration.sign_out, user_id=row_id), "signed_out")


@pages.post("/<int:row_id>/reset-link", permission=WRITE)
def send_link(workspace: Workspace, row_id: int) -> Response:
    """Send a link for a new password to a user."""
    language = current_language().code
    send = partial(administration.send_reset_link, user_id=row_id, locale=language)
    return act(workspace, row_id, send, "link")


@pages.post("/<int:row_id>/sessions/<int:session_id>/end", permission=Scope.ADMIN_SESSIONS_WRITE)
def end_session(workspace: Workspace, row_id: int, session_id: int) -> Response:
    """End a session of a user."""

    def end(session: Session, actor: Actor) -> None:
        people.get_managed(session, actor, row_id)
        live_access.end_session(session, actor, session_id, user_id=row_id)

    return act(workspace, row_id, end, "ended", tab="live", permission=Scope.ADMIN_SESSIONS_WRITE)


@pages.post("/<int:row_id>/devices/<int:device_id>/remove", permission=Scope.ADMIN_SESSIONS_WRITE)
def remove_device(workspace: Workspace, row_id: int, device_id: int) -> Response:
    """Remove a device of a user."""

    def remove(session: Session, actor: Actor) -> None:
        user = people.get_managed(session, actor, row_id)
        known, by = min(device_id, INT64_MAX), actor.person_id
        devices.revoke(session, user, known, tenant_id=actor.tenant_id, by=by)

    return act(
        workspace, row_id, remove, "device", tab="live", permission=Scope.ADMIN_SESSIONS_WRITE
    )


@pages.post("/<int:row_id>/consents/<int:consent_id>/end", permission=Scope.ADMIN_SESSIONS_WRITE)
def end_consent(workspace: Workspace, row_id: int, consent_id: int) -> Response:
    """Remove the access of an application to a user's account."""

    def end(session: Session, actor: Actor) -> None:
        people.get_member(session, actor, row_id)
        found = client_access.consents_query(actor, user_id=row_id)
        client_access.end_consent(session, found, consent_id)

    return act(
        workspace, row_id, end, "allowed", tab="allowed", permission=Scope.ADMIN_SESSIONS_WRITE
    )


@pages.post("/<int:row_id>/roles", permission=Scope.US_ROLE_BIND)
def set_roles(workspace: Workspace, row_id: int) -> Response:
    """Assign the roles that were ticked, and remove those that no longer are."""
    shown, ticked = ids("shown"), ids("role")

    def change(session: Session, actor: Actor) -> None:
        people.get_member(session, actor, row_id)
        assign(session, workspace, row_id, added=ticked - shown, removed=shown - ticked)

    return act(workspace, row_id, change, "roles", tab="roles", permission=Scope.US_ROLE_BIND)


@pages.post("/<int:row_id>/memberships", permission=Scope.US_ACCOUNT_BINDTENANT)
def join(workspace: Workspace, row_id: int) -> Response:
    """Add a user to an organisation."""

    def add(session: Session, actor: Actor) -> None:
        people.get_member(session, actor, row_id)
        administration.add_member(session, actor, row_id, min(ids("tenant"), default=0))

    permission = Scope.US_ACCOUNT_BINDTENANT
    return act(workspace, row_id, add, "joined", permission=permission)


@pages.post(
    "/<int:row_id>/memberships/<int:member_of>/remove", permission=Scope.US_ACCOUNT_UNBINDTENANT
)
def leave(workspace: Workspace, row_id: int, member_of: int) -> Response:
    """Remove a user from an organisation, with their roles and tokens there."""

    def remove(session: Session, actor: Actor) -> None:
        administration.remove_member(session, actor, row_id, min(member_of, INT64_MAX))

    permission = Scope.US_ACCOUNT_UNBINDTENANT
    stays = workspace.tenant is None
    return act(workspace, row_id, remove, "left", permission=permission, stays=stays)


@pages.post("/disable", permission=WRITE)
def disable_all(workspace: Workspace) -> Response:
    """Disable the users that were picked: all of them, or none."""

    def disable_each(session: Session, actor: Actor) -> None:
        for user_id in sorted(_picked()):
            user = people.get_member(session, actor, user_id)
            if user_id != actor.user_id and not person.may_manage(session, actor, user_id):
                text = N_("You cannot manage the account of this user") + f": {user.full_name}"
                raise Unprocessable(text)
            people.disable(session, actor, user_id)

    return _act_on_all(workspace, disable_each, WRITE, "disabled")


@pages.post("/assign", permission=Scope.US_ROLE_BIND)
def assign_to_all(workspace: Workspace) -> Response:
    """Assign a role to the users that were picked: to all of them, or to none."""

    def assign_each(session: Session, actor: Actor) -> None:
        role_ids = ids("role")
        if not role_ids:
            raise BadRequest.at("role", N_("Choose a role."))
        for user_id in sorted(_picked()):
            people.get_member(session, actor, user_id)
            assign(session, workspace, user_id, added=role_ids, removed=())

    return _act_on_all(workspace, assign_each, Scope.US_ROLE_BIND, "assigned")


def assign(
    session: Session,
    workspace: Workspace,
    user_id: int,
    *,
    added: Collection[int],
    removed: Collection[int],
) -> None:
    """Assign and remove roles of the workspace; roles of others do not exist here."""
    tenant_id = workspace.tenant_id
    codes = {role.id: role.code for role in people.roles_in(session, tenant_id)}
    if not codes.keys() >= {*added, *removed}:
        raise NotFound
    if removed:
        check(workspace, Scope.US_ROLE_UNBIND)
    if tenant_id is None:
        held = {role.id for role in people.roles_held(session, user_id, None)}
        desired = held.union(added).difference(removed)
        people.set_platform_roles(session, workspace.actor, user_id, desired)
        return
    username = people.get_member(session, workspace.actor, user_id).username
    if added:
        given = [codes[role_id] for role_id in added]
        tenant_roles.bind(session, workspace.actor, username, given)
    if removed:
        tenant_roles.unbind(session, tenant_id, username, [codes[each] for each in removed])


def act(
    workspace: Workspace,
    user_id: int,
    do: Act,
    notice: str,
    *,
    tab: str = "show",
    permission: Scope = WRITE,
    stays: bool = True,
) -> Response:
    """Do something to a user and go back to the tab; a refusal is shown there."""
    sending = repeats.begin(workspace)
    if isinstance(sending, Response):
        return sending
    try:
        do(database(), workspaces.acting(database(), workspace, permission))
    except REFUSALS as problem:
        database().rollback()
        return person.page(workspace, user_id, tab, problem)
    response = go(workspace, "users.index", notice=notice)
    if stays:
        response = go(workspace, f"users.{tab}", row_id=user_id, notice=notice)
    sending.keep(response)
    database().commit()
    return response


def _act_on_all(workspace: Workspace, act: Act, permission: Scope, notice: str) -> Response:
    """Do something to several users and go back to the list; a refusal is shown there."""
    problem: Problem
    try:
        act(database(), workspaces.acting(database(), workspace, permission))
    except REFUSALS as refusal:
        problem = refusal
    else:
        database().commit()
        return go(workspace, "users.index", notice=notice, n=len(_picked()))
    database().rollback()
    return listing.page(workspace, problem)


def _picked() -> set[int]:
    """Return the ids of the rows that were picked."""
    picked = ids("id")
    if not picked:
        raise BadRequest.at("id", N_("Choose at least one user."))
    if len(picked) > MOST_PICKED:
        raise BadRequest.at(
            "id", N_("Choose fewer users; at most this number") + f": {MOST_PICKED}"
        )
    return picked


def ids(name: str) -> set[int]:
    """Return the ids in a form; BadRequest for anything else."""
    found = set()
    for text in filter(None, request.form.getlist(name)):
        if not (text.isascii() and text.isdigit()):
            raise BadRequest.at(name, N_("This is not an id."))
        found.add(min(int(text[:20]), INT64_MAX))
    return found
