"""`idp keys`: signing keys, and the change to a new root secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.command import Group, confirm, yes_option
from idp.directory.clients.models import Client, ClientSecret
from idp.directory.factors import recovery
from idp.directory.factors import service as factors
from idp.directory.resources.models import ApiResource, ApiSecret
from idp.directory.tenants import service as tenants
from idp.platform import runtime
from idp.platform.jobs import service as jobs
from idp.platform.signing import service as signing
from idp.platform.signing.algorithms import ALGORITHMS
from idp.publishing.codegen import options as sdk_options
from idp.publishing.gateway import tables as publications
from idp.recovery import lost_secret


@click.group(cls=Group)
def keys() -> None:
    """Manage signing keys and the root secret."""


@keys.command("list", example="idp keys list")
@output.json_option
def list_(*, as_json: bool) -> None:
    """List the signing keys; exit code 1 when IDP_SECRET_KEY does not open an active one."""
    with opening.open_session(with_keys=False) as session:
        rows = [
            {
                "kid": key.kid,
                "alg": key.alg,
                "status": key.status,
                "created_at": key.created_at,
                "activated_at": key.activated_at,
                "retired_at": key.retired_at,
                "publish_until": key.publish_until,
            }
            for key in signing.list_keys(session)
        ]
        output.show_rows(rows, as_json=as_json)
        signing.check_readable(session, runtime.of(session).keyring)


@keys.command(example="idp keys rotate --alg ES256")
@click.option("--alg", type=click.Choice(ALGORITHMS), help="Rotate the key of this algorithm only.")
@output.json_option
def rotate(*, alg: str | None, as_json: bool) -> None:
    """Start signing with the next key; the old one stays published while it is needed."""
    with opening.open_session() as session:
        rows = [
            {"alg": name, "kid": signing.rotate(session, name)}
            for name in ([alg] if alg is not None else ALGORITHMS)
        ]
        session.commit()
    output.show_rows(rows, as_json=as_json)


@keys.command(
    example="idp keys revoke 5f2c0d9a",
    context_settings={"ignore_unknown_options": True},  # a KID may begin with a hyphen
)
@click.argument("kid")
@output.json_option
def revoke(*, kid: str, as_json: bool) -> None:
    """Revoke a stolen key; tokens it signed stop verifying."""
    with opening.open_session(with_keys=False) as session:
        signing.revoke(session, kid)
        session.commit()
    output.show({"kid": kid, "status": "revoked"}, as_json=as_json)


@keys.command(example="idp keys rewrap")
@output.json_option
def rewrap(*, as_json: bool) -> None:
    """Re-encrypt under the first secret of IDP_SECRET_KEY; list what still needs the others."""
    with opening.open_session(with_keys=False) as session:
        value: dict[str, Any] = {
            "signing_keys": signing.rewrap(session),
            "tenant_properties": tenants.rewrap(session),
            "publish_tokens": sdk_options.rewrap(session),
            "outbox": jobs.rewrap(session),
            "publish_requests": publications.rewrap(session),
            "authenticator_apps": factors.rewrap(session),
        }
        session.commit()
        value |= on_older_roots(session)
        value["people_with_older_recovery_codes"] = recovery.count_outdated(session)
    output.show(value, as_json=as_json)
    if not as_json and (value["client_secrets"] or value["api_secrets"]):
        print("Hashes cannot be moved: keep the older secret until these have new secrets.")


@keys.command(example="idp keys reset --lost-root-secret --yes")
@click.option(
    "--lost-root-secret",
    "is_lost",
    is_flag=True,
    required=True,
    help="Confirm that no copy of the former IDP_SECRET_KEY exists.",
)
@yes_option
@output.json_option
def reset(*, is_lost: bool, yes: bool, as_json: bool) -> None:
    """Go on without the root secret: new signing keys; empty what cannot be read any more.

    Set IDP_SECRET_KEY to a new secret first. Passwords stay. Clients and APIs that need new secrets
    are listed, as well as private settings of tenants and publish tokens to be entered again.
    """
    del is_lost  # the option is required, so that nobody runs this by mistake
    confirm("Remove everything that IDP_SECRET_KEY does not open?", yes=yes, as_json=as_json)
    with opening.open_session(with_keys=False) as session:
        done = lost_secret.reset(session)
        session.commit()
    value = asdict(done)
    properties = [f"{tenant_id}:{name}" for tenant_id, name in done.tenant_properties]
    output.show({**value, "tenant_properties": properties}, as_json=as_json)


def on_older_roots(session: Session) -> dict[str, list[str]]:
    """Return the clients and APIs whose secrets were hashed under an older root secret."""
    keyring = runtime.of(session).keyring
    client_secrets = session.execute(
        select(Client.client_id, ClientSecret.value_hash).join(
            ClientSecret, ClientSecret.client_id == Client.id
        )
    )
    api_secrets = session.execute(
        select(ApiResource.name, ApiSecret.value_hash).join(
            ApiSecret, ApiSecret.api_resource_id == ApiResource.id
        )
    )
    return {
        "client_secrets": sorted(
            {name for name, kept in client_secrets if not keyring.is_current(kept)}
        ),
        "api_secrets": sorted({name for name, kept in api_secrets if not keyring.is_current(kept)}),
    }
