"""`idp user`: accounts."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from idp.account import factor_administration, second_factors
from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID, LAST_ID
from idp.directory.actor import OPERATOR
from idp.directory.factors import passkeys, recovery
from idp.directory.factors.models import Passkey
from idp.directory.factors.service import condition_of
from idp.directory.factors.service import list_apps as apps_of
from idp.directory.policies import snapshot as policies
from idp.directory.roles import catalogue
from idp.directory.tenants import service as tenants
from idp.directory.users import management as people
from idp.directory.users import passwords, profile
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID


@click.group(cls=Group)
def user() -> None:
    """Manage user accounts."""


@user.command(example="idp user add --username ann --email ann@acme.example --verified --tenant 2")
@click.option("--username", required=True, help="User name; must not consist of digits only.")
@click.option("--email", help="E-mail address; needed when the user name has an @.")
@click.option("--mobile", help="Mobile number, in national form or with +.")
@click.option("--verified", is_flag=True, help="Mark e-mail address and mobile number as verified.")
@click.option("--password", help="Generated and printed once if omitted.")
@click.option("--role", "roles", multiple=True, help="Code of a role of the tenant or platform.")
@click.option(
    "--tenant",
    "tenant_id",
    type=ID,
    default=PLATFORM_TENANT_ID,
    show_default=True,
    help="First tenant.",
)
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
    """Create an account in a tenant."""
    with opening.open_session() as session:
        if password is None:
            given = passwords.generate(policies.of_tenant(session, tenant_id))
        else:
            given = password
        new = NewUser(
            username=username,
            email=email,
            mobile=mobile,
            email_verified=verified and email is not None,
            mobile_verified=verified and mobile is not None,
            password=given,
            chosen_by_person=False,
        )
        person = users.create(session, new, tenant_id=tenant_id)
        tenants.get(session, tenant_id)
        tenants.add_member(session, tenant_id, person.id)
        for code in roles:
            role = catalogue.find_role(session, code, tenant_id)
            role = role or catalogue.find_role(session, code, None)
            if role is None:
                raise NotFound(f"There is no role {code}.")
            catalogue.assign(session, person.id, role)
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


@user.command("list", example="idp user list --tenant 2 --search ann")
@click.option(
    "--search",
    help="Part of a user name, e-mail address or mobile number; of very many, a beginning.",
)
@click.option("--tenant", "tenant_id", type=ID, help="Only members of this tenant.")
@click.option("--disabled", "only_disabled", is_flag=True, help="Only disabled accounts.")
@click.option(
    "--after",
    "after_id",
    type=LAST_ID,
    default=0,
    help="`sub` of the last account of the previous page.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Maximum number of rows.",
)
@output.json_option
def list_(*, only_disabled: bool, as_json: bool, **filters: Any) -> None:
    """List accounts by id."""
    with opening.open_session() as session:
        found = users.list(session, is_disabled=only_disabled or None, **filters)
        rows = [_listed(person) for person in found]
    output.show_rows(rows, as_json=as_json)


@user.command(example="idp user show ann")
@click.argument("name")
@output.json_option
def show(*, name: str, as_json: bool) -> None:
    """Show an account with its tenants and roles."""
    with opening.open_session() as session:
        person = _find(session, name, None)
        tenant_ids, roles = people.tenants_and_roles(session, person.id)
        value = _listed(person) | {
            "nickname": person.nick_name,
            "locale": person.locale,
            "created_at": person.created_at,
            "tenants": tenant_ids,
            "roles": [{"role": code, "tenant": tenant_id} for code, tenant_id in roles],
        }
    output.show(value, as_json=as_json)


@user.command(example="idp user password ann")
@click.argument("name", required=False)
@click.option("--username", help="Same as the argument.")
@click.option("--password", help="Generated and printed once if omitted.")
@output.json_option
def password(
    *, name: str | None, username: str | None, password: str | None, as_json: bool
) -> None:
    """Set a password; sessions and tokens of the user end."""
    with opening.open_session() as session:
        person = _find(session, name, username)
        if password is None:
            given = passwords.generate(policies.of_user(session, person.id))
        else:
            given = password
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


@user.command(example="idp user change ann --set given_name=Ann --set zoneinfo=Europe/Amsterdam")
@click.argument("name")
@click.option(
    "--set",
    "claims",
    multiple=True,
    required=True,
    metavar="NAME=VALUE",
    help=f"A standard claim: {', '.join(profile.SETTABLE)}. An empty value removes it.",
)
@output.json_option
def change(*, name: str, claims: tuple[str, ...], as_json: bool) -> None:
    """Change the profile of a user: names, addresses, language, time zone."""
    values = dict(_pair(text) for text in claims)
    with opening.open_session() as session:
        person = _find(session, name, None)
        before = profile.state_of(person)
        profile.change_all(session, person, values)
        after = profile.state_of(person)
        if before != after:
            profile.stamp(session, person)
            target = f"user:{person.id}"
            audit.record_change(session, Tag.USER_CHANGED, target, before, after)
        session.commit()
        value = {
            "sub": str(person.id),
            "preferred_username": person.username,
            **profile.shown(person),
            "email": person.email,
            "email_verified": person.email_verified,
            "phone_number": person.mobile,
            "phone_number_verified": person.mobile_verified,
        }
    output.show(value, as_json=as_json)


@user.command(example="idp user disable ann")
@click.argument("name", required=False)
@click.option("--username", help="Same as the argument.")
@output.json_option
def disable(*, name: str | None, username: str | None, as_json: bool) -> None:
    """Disable a user; sessions and tokens end."""
    with opening.open_session() as session:
        person = people.disable(session, OPERATOR, _find(session, name, username).id)
        session.commit()
        value = {"sub": str(person.id), "username": person.username, "disabled": True}
    output.show(value, as_json=as_json)


@user.command(example="idp user enable ann")
@click.argument("name")
@output.json_option
def enable(*, name: str, as_json: bool) -> None:
    """Enable a disabled user."""
    with opening.open_session() as session:
        person = people.enable(session, OPERATOR, _find(session, name, None).id)
        session.commit()
        value = {"sub": str(person.id), "username": person.username, "disabled": False}
    output.show(value, as_json=as_json)


@user.command(example="idp user unlock ann")
@click.argument("name")
@output.json_option
def unlock(*, name: str, as_json: bool) -> None:
    """End a temporary lock that an administrator has set.

    The delay after wrong passwords is not a lock: it ends by itself, within fifteen minutes.
    """
    with opening.open_session() as session:
        person = people.unlock(session, OPERATOR, _find(session, name, None).id)
        session.commit()
        value = {"sub": str(person.id), "username": person.username, "locked_until": None}
    output.show(value, as_json=as_json)


@user.command(example="idp user recover ann")
@click.argument("name")
@output.json_option
def recover(*, name: str, as_json: bool) -> None:
    """Restore the access of a user who lost password and second factors.

    Sessions, tokens and second factors end. The link sets a new password, within ten minutes and
    once; the enrolment code, valid for 24 hours, is asked for next and leads to a second factor.
    """
    with opening.open_session() as session:
        person = people.get_managed(session, OPERATOR, _find(session, name, None).id, lock=True)
        issuer = tenants.issuer_of(session, PLATFORM_TENANT_ID)
        found = factor_administration.recover(session, issuer, person, person.locale or "")
        session.commit()
        value = {
            "sub": str(person.id),
            "username": person.username,
            "link": found.link,
            "enrolment_code": found.code.code,
            "enrolment_code_expires_at": found.code.expires_at,
        }
    output.show(value, as_json=as_json)


@user.command(example="idp user factors ann --reset")
@click.argument("name")
@click.option("--reset", is_flag=True, help="Remove all of them; sessions and tokens end.")
@output.json_option
def factors(*, name: str, reset: bool, as_json: bool) -> None:
    """Show the second factors of a user, or remove them after a loss."""
    with opening.open_session() as session:
        person = _find(session, name, None)
        if reset:
            issuer = tenants.issuer_of(session, PLATFORM_TENANT_ID)
            second_factors.reset(session, issuer, person, person.locale or "")
            session.commit()
        value = {
            "sub": str(person.id),
            "username": person.username,
            "authenticator_apps": [app.name for app in apps_of(session, person.id)],
            "passkeys": [_passkey(row) for row in passkeys.list_of(session, person.id)],
            "recovery_codes_left": recovery.count_left(session, person.id),
            "needs_enrolment_code": condition_of(session, person.id).needs_code,
        }
    output.show(value, as_json=as_json)


def _passkey(row: Passkey) -> dict[str, Any]:
    return {"name": row.name, "host": row.rp_id, "suspended": row.suspended_at is not None}


def _listed(person: User) -> dict[str, Any]:
    return {
        "sub": str(person.id),
        "username": person.username,
        "email": person.email,
        "email_verified": person.email_verified,
        "phone_number": person.mobile,
        "phone_number_verified": person.mobile_verified,
        "disabled": person.is_disabled,
        "locked_until": person.locked_until,
    }


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadRequest(f"--set takes NAME=VALUE, not {text!r}.")
    return name, value


def _find(session: Session, name: str | None, username: str | None) -> User:
    """Return a user by user name, e-mail or mobile number."""
    login = username or name
    if login is None:
        raise BadRequest("Name the user.")
    person = users.find_by_login(session, login)
    if person is None:
        raise NotFound(f"There is no user {login}.")
    return person
