"""`idp token`: an access token for a person, without a sign-in."""

from __future__ import annotations

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.command import Command
from idp.commands.options import ID
from idp.directory.clients import snapshot as clients
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.oauth import operator_tokens
from idp.oauth.checks import scope as scopes_of
from idp.platform.errors import BadRequest, Forbidden, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID


@click.command(cls=Command, example="idp token --user ann --client shop --scope orders.read")
@click.option("--user", "login", required=True, help="User name, e-mail or mobile number.")
@click.option("--client", "client_id", required=True, help="Client that it is issued to.")
@click.option("--scope", "scopes", multiple=True, required=True, help="Scope.")
@click.option("--tenant", "tenant_id", type=ID, help="Required if the user belongs to several.")
@output.json_option
def token(
    *,
    login: str,
    client_id: str,
    scopes: tuple[str, ...],
    tenant_id: int | None,
    as_json: bool,
) -> None:
    """Issue an access token that is valid for 15 minutes; recorded in the audit log."""
    names = [name for scope in scopes for name in scope.split()]
    with opening.open_session() as session:
        access_token = make(session, login, client_id, names, tenant_id)
        session.commit()
    if as_json:
        value = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": operator_tokens.COMMAND_TOKEN_SECONDS,
            "scope": " ".join(names),
        }
        output.show(value, as_json=True)
    else:
        print(access_token)


def make(
    session: Session, login: str, client_id: str, names: list[str], tenant_id: int | None
) -> str:
    """Create a grant as a sign-in would, and issue a token for it."""
    user = users.find_by_login(session, login)
    if user is None or not user.may_sign_in:
        raise NotFound(f"There is no user {login} who may sign in.")
    client = clients.find(session, client_id)
    if client is None:
        raise NotFound(f"There is no enabled client {client_id}.")
    if scopes_of.OFFLINE_ACCESS in names:
        raise BadRequest("This command issues no refresh token: leave offline_access out.")
    tenant_id = tenant_of(session, user.id, tenant_id)
    return operator_tokens.issue_by_command(session, client, user, tenant_id, names)


def tenant_of(session: Session, user_id: int, tenant_id: int | None) -> int:
    """Return the tenant that is named, or the one that the person belongs to."""
    if tenant_id is not None:
        return tenants.get(session, tenant_id).id
    own = session.scalars(select(Membership.tenant_id).where(Membership.user_id == user_id)).all()
    if len(own) == 1:
        return own[0]
    if PLATFORM_TENANT_ID in own:
        return PLATFORM_TENANT_ID
    if not own:
        raise Forbidden("The user belongs to no tenant.")
    raise BadRequest("The user belongs to several tenants: name one with --tenant.")
