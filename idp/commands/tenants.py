"""`idp tenant`: organisations, and the hosts that make them issuers."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID, LAST_ID, pairs
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.directory.tenants.service import NewTenant
from idp.platform.errors import BadRequest


@click.group(cls=Group)
def tenant() -> None:
    """Manage tenants and their hosts."""


@tenant.command(example="idp tenant add Acme\nidp tenant add Globex --host login.globex.example")
@click.argument("name")
@click.option(
    "--host", "hosts", multiple=True, help="Host at which the tenant is an issuer of its own."
)
@click.option("--issuer-host", help="Host in `iss`; default: the first.")
@click.option("--type", "type_code", help="Code of its tenant type.")
@output.json_option
def add(*, name: str, as_json: bool, **fields: Any) -> None:
    """Add a tenant; with hosts it is an issuer of its own."""
    with opening.open_session() as session:
        made = tenants.create(session, NewTenant(name, **fields))
        session.commit()
        value = _described(session, made)
    output.show(value, as_json=as_json)


@tenant.command("list", example="idp tenant list")
@click.option(
    "--after",
    "after_id",
    type=LAST_ID,
    default=0,
    help="Last id of the previous page.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Maximum number of rows.",
)
@output.json_option
def list_(*, after_id: int, limit: int, as_json: bool) -> None:
    """List the tenants by id."""
    with opening.open_session() as session:
        found = tenants.list_all(session, after_id=after_id, limit=limit)
        rows = [_listed(row) for row in found]
    output.show_rows(rows, as_json=as_json)


@tenant.command(example="idp tenant show 2")
@click.argument("tenant_id", type=ID)
@output.json_option
def show(*, tenant_id: int, as_json: bool) -> None:
    """Show a tenant."""
    with opening.open_session() as session:
        value = _described(session, tenants.get(session, tenant_id))
    output.show(value, as_json=as_json)


@tenant.command(example="idp tenant change 2 --host login.acme.example --host acme.example")
@click.argument("tenant_id", type=ID)
@click.option("--name", help="Name shown to people.")
@click.option("--host", "hosts", multiple=True, help="Host; those named replace the stored ones.")
@click.option("--no-hosts", is_flag=True, help="Remove all hosts: users sign in at issuer 1.")
@click.option("--issuer-host", help="Host in `iss`; default: the first.")
@click.option("--enable/--disable", "enabled", default=None, help="Enable or disable the tenant.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Private setting; it is never shown.",
)
@click.option("--unset", multiple=True, metavar="NAME", help="Remove a private setting.")
@output.json_option
def change(
    *,
    tenant_id: int,
    name: str | None,
    hosts: tuple[str, ...],
    no_hosts: bool,
    issuer_host: str | None,
    enabled: bool | None,
    as_json: bool,
    **private: tuple[str, ...],
) -> None:
    """Change the name, the hosts, the state or private settings of a tenant."""
    if hosts and no_hosts:
        raise BadRequest("Either --host or --no-hosts, not both.")
    status = None
    if enabled is not None:
        status = TenantStatus.ENABLED if enabled else TenantStatus.DISABLED
    with opening.open_session() as session:
        row = tenants.get(session, tenant_id)
        tenants.change(
            session,
            row,
            name=name,
            hosts=hosts if hosts or no_hosts else None,
            issuer_host=issuer_host,
            status=status,
        )
        properties = dict.fromkeys(private["unset"]) | pairs(private["settings"])
        if properties:
            tenants.set_properties(session, row, properties)
        session.commit()
        value = _described(session, row)
    output.show(value, as_json=as_json)


def _listed(row: Tenant) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "enabled": row.is_enabled,
        "hosts": [host.host for host in row.hosts],
        "type": row.type_code,
        "bundle": row.bundle_code,
    }


def _described(session: Session, row: Tenant) -> dict[str, Any]:
    members = select(func.count()).where(Membership.tenant_id == row.id)
    return _listed(row) | {
        "issuer": tenants.issuer_of(session, row.id).url,
        "administrators": [member.user_id for member in row.administrators],
        "members": session.scalar(members),
    }
