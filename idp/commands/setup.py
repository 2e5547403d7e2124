"""`idp setup`: tables, keys and seeds; it can be repeated."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from urllib.parse import quote, urlsplit

import click

from idp import seeds
from idp.commands import opening, output, starting, upgrading
from idp.commands.command import Command
from idp.demo import service as demo
from idp.demo.service import Account
from idp.directory.seeding import service as seeding
from idp.platform import clock, revisions, rollout
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.revisions import Standing
from idp.platform.runtime import RequestContext
from idp.platform.signing import service as signing
from idp.seeds import DEMO_SCOPES, Seeded


@click.command(cls=Command, example="idp setup\nidp setup --check")
@click.option(
    "--contract",
    is_flag=True,
    help="Also run the migrations that older releases do not fit; refused while their nodes run.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Show which migrations would be run; exit code 10 when there are any, 1 when refused.",
)
@click.option("--sql", is_flag=True, help="Print the statements of the migrations.")
@output.json_option
def setup(*, contract: bool, check: bool, sql: bool, as_json: bool) -> None:
    """Create or update tables, keys and seeds; safe to repeat, on several nodes too."""
    settings = opening.load_settings()
    settings.check_secret()  # an unusable secret is refused before the first table
    address = upgrading.check_address(settings)
    if check or sql:
        found = upgrading.find(address, contract=contract)
        sys.exit(upgrading.show(found, sql=sql, as_json=as_json))
    starting.make_data_dir(settings)
    if revisions.standing(settings.database) is Standing.FITTING:
        upgrading.print_newer(settings.database, as_json=as_json)
        return
    done = rollout.upgrade(address, contract=contract)
    upgrading.print_notes(settings.database, done)
    with opening.open_runtime(settings) as runtime, runtime.sessions() as session:
        session.info["context"] = RequestContext(request_id="setup")
        signing.check_readable(session, runtime.keyring)
        begins_at = demo.begins_at(session, settings)
        with nullcontext() if begins_at is None else clock.at(begins_at):
            seeded = seeds.seed(session, settings)
            created = None if begins_at is None else demo.create(session, seeds.DEMO_USER)
        session.commit()
        if created is not None:
            demo.play(runtime, created)
        administrator = seeding.find_administrator(session)
        accounts = demo.accounts(session, seeded.demo_password)
    username = administrator.username if administrator is not None else None
    if as_json:
        print_json(settings.public_url, username, seeded, accounts)
    else:
        print_text(settings.public_url, username, seeded, accounts)


def print_json(
    issuer: str, administrator: str | None, seeded: Seeded, accounts: Sequence[Account]
) -> None:
    """Print what was set up, as JSON."""
    value = {
        "issuer": issuer,
        "admin_username": administrator,
        "admin_password": seeded.admin_password,
        "demo_password": seeded.demo_password,
        "accounts": [
            {
                "username": account.username,
                "organisation": account.organisation,
                "is_admin": account.is_admin,
                "password": account.password,
            }
            for account in accounts
        ],
        "clients": [
            {"client_id": client.client_id, "client_secret": client.secret}
            for client in seeded.demo_clients
        ],
    }
    output.show(value, as_json=True)


def print_text(
    issuer: str, administrator: str | None, seeded: Seeded, accounts: Sequence[Account]
) -> None:
    """Print what was set up, as text."""
    print(f"Address        {issuer}")
    print(f"Console        {issuer}/console")
    if not _has_passkeys(issuer):
        print(f"Passkeys       need a host name: IDP_PUBLIC_URL={at_localhost(issuer)}")
    if administrator is not None:
        print(f"Administrator  {administrator}  {_password_note(seeded)}")
    if not seeded.demo_clients:
        return
    password = seeded.demo_password or "(its password was changed)"
    print(f"Demo user      {seeds.DEMO_USER}  password {password}")
    for account in accounts:
        title = "Tenant admin" if account.is_admin else "Member"
        password = account.password or "(was changed)"
        print(f"{title:13}  {account.username}  password {password}  ({account.organisation})")
    for client in seeded.demo_clients:
        secret = f"secret {client.secret}" if client.secret else "public, no secret"
        if client.secret is None and client.client_id != "demo-spa":
            secret = f"(its secret was changed; `idp client secret {client.client_id}` adds one)"
        print(f"Demo client    {client.client_id}  {secret}")
    service = next((row for row in seeded.demo_clients if row.client_id == "demo-service"), None)
    if service is not None and service.secret is not None:
        print("\nTry it, once the server runs:\n")
        print(f"  {curl(issuer, service.client_id, service.secret)}\n")


def _has_passkeys(address: str) -> bool:
    return Issuer(PLATFORM_TENANT_ID, address, "", "").passkey_host is not None


def at_localhost(address: str) -> str:
    """Return an address of this machine at which browsers allow passkeys."""
    port = urlsplit(address).port
    return "http://localhost" if port is None else f"http://localhost:{port}"


def curl(issuer: str, client_id: str, secret: str) -> str:
    """Return a command line that gets a token for a machine."""
    # RFC 6749 2.3.1: both are form-encoded in the header.
    credentials = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return shlex.join(
        [
            *("curl", "-s", "-u", credentials),
            *("-d", "grant_type=client_credentials", "-d", f"scope={DEMO_SCOPES[0]}"),
            f"{issuer}/connect/token",
        ]
    )


def _password_note(seeded: Seeded) -> str:
    if seeded.admin_password is not None:
        return f"password {seeded.admin_password}  (shown only once)"
    if seeded.admin_username is not None:
        return "with the password of IDP_ADMIN_PASSWORD"
    return ""
