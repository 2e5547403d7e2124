"""`idp token`: an access token for a person, without a sign-in."""

from __future__ import annotations

from datetime import timedelta

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.directory.clients import view as clients
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.oauth import people, tokens
from idp.oauth.checks import scope as scopes_of
from idp.oauth.models import Grant
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Forbidden, NotFound
from idp.platform.secrets import random_token

LIFETIME = 900


@click.command()
@click.option("--user", "login", required=True, help="User name, e-mail or mobile number.")
@click.option("--client", "client_id", required=True)
@click.option("--scope", "scopes", multiple=True, required=True)
@click.option("--tenant", "tenant_id", type=int, help="Needed when the person has several.")
@output.json_option
def token(
    *,
    login: str,
    client_id: str,
    scopes: tuple[str, ...],
    tenant_id: int | None,
    as_json: bool,
) -> None:
    """Make an access token that is valid for 15 minutes; noted in the audit trail."""
    names = [name for scope in scopes for name in scope.split()]
    with opening.open_session() as session:
        access_token = make(session, login, client_id, names, tenant_id)
        session.commit()
    if as_json:
        value = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": " ".join(names),
        }
        output.show(value, as_json=True)
    else:
        print(access_token)


def make(
    session: Session, login: str, client_id: str, names: list[str], tenant_id: int | None
) -> str:
    """Make a grant as a sign-in would, and a token on it."""
    user = users.find_by_login(session, login)
    if user is None or not user.may_sign_in:
        raise NotFound(f"There is no user {login} who may sign in.")
    client = clients.find(session, client_id)
    if client is None:
        raise NotFound(f"There is no enabled client {client_id}.")
    tenant_id = _tenant_of(session, user.id, tenant_id)
    issuer = tenants.issuer_of(session, tenant_id)
    if not client.is_served_by(issuer) or client.tenant_id not in {None, tenant_id}:
        raise Forbidden(f"The client {client_id} does not serve this tenant.")
    if scopes_of.OFFLINE_ACCESS in names:
        raise BadRequest("This command makes no refresh token: leave offline_access out.")
    scopes = scopes_of.validate(client, names)
    now = clock.now()
    grant = Grant(
        user_id=user.id,
        client_id=client.row_id,
        tenant_id=tenant_id,
        issuer_tenant_id=issuer.tenant_id,
        sid=random_token(16),
        security_stamp=user.security_stamp,
        scopes=list(scopes.names),
        resources=[],
        auth_time=now,
        acr="0",  # OpenID Connect Core 2: nobody was asked for anything
        amr=[],
        expires_at=now + timedelta(seconds=LIFETIME),
    )
    session.add(grant)
    session.flush()
    standing = people.find_standing(session, grant.id)
    if standing is None:
        raise Forbidden("The person may not sign in for this tenant.")
    audit.record(
        session,
        Tag.TOKEN_MADE,
        client_id=client.client_id,
        tenant_id=tenant_id,
        target=f"user:{user.id}",
        details={"scopes": list(scopes.names)},
    )
    return tokens.issue_access_token(
        session, issuer, client, scopes, standing=standing, lifetime=LIFETIME
    )


def _tenant_of(session: Session, user_id: int, tenant_id: int | None) -> int:
    if tenant_id is not None:
        return tenants.get(session, tenant_id).id
    own = session.scalars(select(Membership.tenant_id).where(Membership.user_id == user_id)).all()
    if len(own) == 1:
        return own[0]
    if tenants.PLATFORM in own:
        return tenants.PLATFORM
    if not own:
        raise Forbidden("The person belongs to no tenant.")
    raise BadRequest("The person belongs to several tenants: name one by --tenant.")
