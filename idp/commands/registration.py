"""`idp registration`: tokens with which clients may register themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID
from idp.directory import product
from idp.directory.actor import OPERATOR
from idp.directory.clients import registration_tokens
from idp.directory.clients.metadata import CODE, REFRESH
from idp.directory.clients.models import RegistrationToken
from idp.directory.clients.registration_tokens import NewToken, Policy, Statements
from idp.platform import clock
from idp.platform.errors import BadRequest


@click.group(cls=Group)
def registration() -> None:
    """Manage how clients register themselves."""


@registration.group(cls=Group)
def token() -> None:
    """Manage initial access tokens (RFC 7591)."""


@token.command(
    example="idp registration token add --uses 5 --days 30 --scope 'openid orders.read' \\\n"
    "    --redirect-host '*.apps.example'"
)
@click.option("--tenant", "tenant_id", type=ID, help="What the clients belong to.")
@click.option("--note", help="Note for administrators.")
@click.option(
    "--uses",
    type=click.IntRange(1, registration_tokens.MOST_USES),
    help="How many clients may register with it; any number if omitted.",
)
@click.option(
    "--days",
    type=click.IntRange(1, registration_tokens.MOST_DAYS),
    help="Days until it expires; never if omitted.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="Scope that the clients may request; those of unknown clients if omitted.",
)
@click.option(
    "--redirect-host",
    "redirect_hosts",
    multiple=True,
    help="Host of redirect URIs; *. at the beginning stands for one label. Any if omitted.",
)
@click.option(
    "--grant",
    "grant_types",
    multiple=True,
    help=f"Grant type of the clients; {CODE} and {REFRESH} if omitted.",
)
@click.option(
    "--method",
    "auth_methods",
    multiple=True,
    type=click.Choice(product.AUTH_METHODS),
    help="Authentication method of the clients; any if omitted.",
)
@click.option(
    "--trusted",
    "is_trusted",
    is_flag=True,
    help="The clients are like those that you register: people see no warning.",
)
@click.option(
    "--without-pkce",
    is_flag=True,
    help="Confidential clients may do without PKCE; needs --trusted.",
)
@click.option("--statement-issuer", help="Issuer of software statements.")
@click.option("--statement-jwks-uri", help="Address of the keys of that issuer.")
@click.option("--statement-required", is_flag=True, help="Only clients with a statement.")
@output.json_option
def add(*, tenant_id: int | None, as_json: bool, **given: Any) -> None:
    """Issue a token, which is printed only once."""
    with opening.open_session() as session:
        row, value = registration_tokens.issue(session, OPERATOR, tenant_id, _new(given))
        session.commit()
        shown = {"token": value, **_shown(row)}
    output.show(shown, as_json=as_json)


@token.command("list", example="idp registration token list")
@output.json_option
def list_(*, as_json: bool) -> None:
    """List the tokens, without their values."""
    with opening.open_session() as session:
        rows = [_shown(row) for row in _all(session)]
    if not as_json:
        short = ("id", "note", "tenant", "state", "uses_left", "expires_at", "trusted")
        rows = [{name: row[name] for name in short} for row in rows]
    output.show_rows(rows, as_json=as_json)


@token.command(example="idp registration token revoke 3")
@click.argument("row_id", type=ID, metavar="ID")
@output.json_option
def revoke(*, row_id: int, as_json: bool) -> None:
    """Revoke a token: nobody registers with it any more; its clients stay."""
    with opening.open_session() as session:
        row = registration_tokens.revoke(session, OPERATOR, row_id)
        session.commit()
        shown = _shown(row)
    output.show(shown, as_json=as_json)


def _new(given: dict[str, Any]) -> NewToken:
    issuer, address = given["statement_issuer"], given["statement_jwks_uri"]
    if (issuer is None) is not (address is None):
        raise BadRequest("--statement-issuer and --statement-jwks-uri come together.")
    if given["statement_required"] and issuer is None:
        raise BadRequest("--statement-required needs --statement-issuer.")
    statements = None
    if issuer is not None:
        required = given["statement_required"]
        statements = Statements(issuer, address, is_required=required)
    days = given["days"]
    policy = Policy(
        given["redirect_hosts"],
        [name for scope in given["scopes"] for name in scope.split()],
        given["grant_types"] or (CODE, REFRESH),
        given["auth_methods"] or product.AUTH_METHODS,
        given["is_trusted"],
        not given["without_pkce"],
        statements,
    )
    expires_at = None if days is None else clock.now() + timedelta(days=days)
    return NewToken(policy, given["note"], given["uses"], expires_at)


def _all(session: Any) -> list[RegistrationToken]:
    found: list[RegistrationToken] = []
    while rows := registration_tokens.list_page(
        session, OPERATOR, after_id=found[-1].id if found else 0
    ):
        found.extend(rows)
    return found


def _shown(row: RegistrationToken) -> dict[str, Any]:
    policy = registration_tokens.policy_of(row)
    trusted = policy.statements
    return {
        "id": row.id,
        "note": row.note,
        "tenant": row.tenant_id,
        "state": registration_tokens.state_of(row),
        "uses_left": row.uses_left,
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "redirect_hosts": list(policy.redirect_hosts),
        "scopes": list(policy.scopes),
        "grant_types": list(policy.grant_types),
        "auth_methods": list(policy.auth_methods),
        "trusted": policy.is_trusted,
        "requires_pkce": policy.requires_pkce,
        "statement_issuer": None if trusted is None else trusted.issuer,
    }
