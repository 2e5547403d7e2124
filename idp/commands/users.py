"""`idp user`: accounts."""

from __future__ import annotations

import click
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.options import ID
from idp.directory.roles import catalogue
from idp.directory.roles import service as roles
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, NotFound
from idp.platform.secrets import random_token


@click.group()
def user() -> None:
    """Keep accounts of people."""


@user.command()
@click.option("--username", required=True)
@click.option("--email", help="E-mail address; needed when the user name has an @.")
@click.option("--mobile", help="Mobile number, in national form or with +.")
@click.option("--verified", is_flag=True, help="E-mail and mobile are known to be the person's.")
@click.option("--password", help="Without one it is made up and printed once.")
@click.option("--role", "roles", multiple=True, help="Code of a role of the tenant or platform.")
@click.option("--tenant", "tenant_id", type=ID, default=1, show_default=True)
@output.json_option
def add(
    *,
    username: str,
    email: str | None,
    mobile: str | None,
    verified: bool,
    password: str | None,
    roles: tuple[str, ...],
    tenant_id: int,
    as_json: bool,
) -> None:
    """Create an account that belongs to a tenant."""
    given = random_token(15) if password is None else password
    new = NewUser(
        username=username,
        email=email,
        mobile=mobile,
        email_verified=verified and email is not None,
        mobile_verified=verified and mobile is not None,
        password=given,
        chosen_by_person=False,
    )
    with opening.open_session() as session:
        person = users.create(session, new, tenant_id=tenant_id)
        tenants.get(session, tenant_id)
        tenants.add_member(session, tenant_id, person.id)
        for code in roles:
            role = catalogue.find_role(session, code, tenant_id)
            role = role or catalogue.find_role(session, code, None)
            if role is None:
                raise NotFound(f"There is no role {code}.")
            catalogue.give(session, person.id, role)
        session.commit()
        value = {
            "sub": str(person.id),
            "username": person.username,
            "email": person.email,
            "phone_number": person.mobile,
            "tenant": tenant_id,
            "roles": list(roles),
            "password": given if password is None else None,
        }
    output.show(value, as_json=as_json)


@user.command()
@click.argument("name", required=False)
@click.option("--username", help="The same as the argument.")
@click.option("--password", help="Without one it is made up and printed once.")
@output.json_option
def password(
    *, name: str | None, username: str | None, password: str | None, as_json: bool
) -> None:
    """Set a password; sessions and tokens of the person end."""
    given = random_token(15) if password is None else password
    with opening.open_session() as session:
        person = _find(session, name, username)
        session.commit()  # hashing takes long, and SQLite has one writer
        users.set_password(session, person, given, chosen_by_person=False)
        audit.record(session, Tag.PASSWORD_SET, target=f"user:{person.id}")
        session.commit()
        value = {
            "sub": str(person.id),
            "username": person.username,
            "password": given if password is None else None,
        }
    output.show(value, as_json=as_json)


@user.command()
@click.argument("name", required=False)
@click.option("--username", help="The same as the argument.")
@output.json_option
def disable(*, name: str | None, username: str | None, as_json: bool) -> None:
    """Keep a person out; sessions and tokens end."""
    with opening.open_session() as session:
        person = _find(session, name, username)
        users.disable(session, person)
        session.flush()
        if roles.is_platform_administrator(session, person.id):
            roles.keep_an_administrator(session)
        session.commit()
        value = {"sub": str(person.id), "username": person.username, "disabled": True}
    output.show(value, as_json=as_json)


def _find(session: Session, name: str | None, username: str | None) -> User:
    """Find a person by user name, e-mail or mobile number."""
    login = username or name
    if login is None:
        raise BadRequest("Name the user.")
    person = users.find_by_login(session, login)
    if person is None:
        raise NotFound(f"There is no user {login}.")
    return person
