"""`idp privilege`: the permissions that roles carry and APIs require."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role
from idp.platform.errors import NotFound


@click.group(cls=Group)
def privilege() -> None:
    """Manage privileges (permissions)."""


@privilege.command(
    example="idp privilege add orders.refund --name 'Refund orders' --api orders --role clerk"
)
@click.argument("code")
@click.option("--name", help="Name shown to administrators; default: the code.")
@click.option("--api", help="API that owns it: only tokens for this API contain it.")
@click.option("--group", help="Code of its group in the privilege tree.")
@click.option("--role", "roles", multiple=True, help="Code of a role to add it to.")
@click.option("--tenant", "tenant_id", type=ID, help="Tenant of the roles; default: the platform.")
@output.json_option
def add(
    *,
    code: str,
    name: str | None,
    api: str | None,
    group: str | None,
    roles: tuple[str, ...],
    tenant_id: int | None,
    as_json: bool,
) -> None:
    """Create a privilege, and add it to roles."""
    with opening.open_session() as session:
        owner = _find_api(session, api) if api is not None else None
        made = catalogue.create_privilege(
            session,
            code,
            name or code,
            api_resource_id=owner.id if owner is not None else None,
            group_id=_find_group(session, group) if group is not None else None,
        )
        for role in [_find_role(session, role, tenant_id) for role in roles]:
            catalogue.add_privilege(session, role, made)
        session.commit()
        value = {
            "code": made.code,
            "name": made.name,
            "api": api,
            "group": group,
            "roles": list(roles),
        }
    output.show(value, as_json=as_json)


@privilege.command("list", example="idp privilege list --api orders")
@click.option("--api", help="Only those of this API.")
@click.option("--search", help="Only those with this text in code or name.")
@click.option("--after", default="", help="Code of the last privilege of the previous page.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=1000,
    show_default=True,
    help="Maximum number of rows.",
)
@output.json_option
def list_(*, api: str | None, as_json: bool, **filters: Any) -> None:
    """List the privileges by code."""
    with opening.open_session() as session:
        owner = _find_api(session, api) if api is not None else None
        found = catalogue.list_privileges(
            session, api_resource_id=owner.id if owner is not None else None, **filters
        )
        rows = [
            {"code": row.code, "name": row.name, "api": api_name, "group": group_code}
            for row, api_name, group_code in found
        ]
    output.show_rows(rows, as_json=as_json)


def _find_api(session: Session, name: str) -> ApiResource:
    api = resources.find_api(session, name)
    if api is None:
        raise NotFound(f"There is no API {name}.")
    return api


def _find_group(session: Session, code: str) -> int:
    group = catalogue.find_group(session, code)
    if group is None:
        raise NotFound(f"There is no privilege group {code}.")
    return group.id


def _find_role(session: Session, code: str, tenant_id: int | None) -> Role:
    role = catalogue.find_role(session, code, tenant_id)
    if role is None:
        where = "of the platform" if tenant_id is None else f"in tenant {tenant_id}"
        raise NotFound(f"There is no role {code} {where}.")
    return role
