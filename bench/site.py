"""Our own installation: a database, the clients and people of the cases, and the large data set."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr
from sqlalchemy.orm import Session

from bench.proofs import Key
from idp.directory.actor import OPERATOR, Actor
from idp.directory.clients import registration_tokens
from idp.directory.clients.models import Client
from idp.directory.clients.registration_tokens import NewToken
from idp.directory.resources import service as resources
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.platform import schema
from idp.platform.db import Base
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.publishing.gateway import products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.service import planning
from idp.publishing.gateway.validation import Description
from idp.runtime import create as create_runtime
from idp.seeds import seed
from tests import protocol
from tests.conftest import as_environment, create_database, make_settings
from tests.servers import Postgres, Valkey, free_port

CLIENTS = 100_000
PEOPLE = 1_000_000
TENANTS = 10_000

PUSHING = 48
"""Clients of each kind that push requests: a worker takes 600 of each in a minute."""

USERNAME = "ann"
REGISTRATION = "registration"
"""Name of the token with which clients register themselves, among the secrets."""

CLIENT_KEY = Key()
"""By which clients sign assertions."""
_SIGNING = {
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": {"keys": [CLIENT_KEY.jwk]},
}


@dataclass(frozen=True)
class Site:
    """An installation that is ready to be served."""

    database: str
    port: int
    environment: Mapping[str, str]
    cookie: str
    """Of a person who is signed in."""
    secrets: Mapping[str, str]
    """Client id → secret."""
    published: int = 0
    """Id at the gateway of the API that calls can be verified for."""


def pushing(kind: str, number: int) -> str:
    """Return the id of a client that pushes requests, with a secret or a key."""
    return f"pushing-{kind}-{number}"


def moved(site: Site) -> Site:
    """Return the same installation at another port."""
    port = free_port()
    environment = {**site.environment, "IDP_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    return replace(site, port=port, environment=environment)


def prepare(
    postgres: Postgres,
    valkey: Valkey,
    folder: Path,
    name: str,
    host: str = "127.0.0.1",
    **more: Any,
) -> Site:
    """Make a database with what the cases need; `host` is where people sign in.

    In production http is for literal addresses of this machine alone.
    """
    create_database(postgres, name)
    port = free_port()
    settings = make_settings(
        folder / name,
        environment="production" if host == "127.0.0.1" else "development",
        public_url=f"http://{host}:{port}",
        database_url=postgres.url(name),
        redis_url=valkey.url,
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        **more,
    )
    schema.upgrade(settings.database)
    runtime = create_runtime(settings)
    with runtime.sessions() as session:
        seed(session, settings)
        session.commit()
        protocol.add_api(session, "orders", ("orders.read",))
        protocol.add_api(session, "fast", ("fast.read",), properties={"signing_alg": "ES256"})
        web: dict[str, Any] = {"scopes": ("openid", "profile", "orders.read")}
        code = {"grants": ("authorization_code",)}
        apps = [
            protocol.register_machine(session, "machine-rs256", ["orders.read"]),
            protocol.register_machine(session, "machine-es256", ["fast.read"]),
            protocol.register(session, "web", grants=("authorization_code",), **web),
            protocol.register(session, "web-refresh", **web),
            protocol.register(session, "reference", **web, access_token_type=1),
            *(
                protocol.register(session, pushing("secret", number), **code, **web)
                for number in range(PUSHING)
            ),
        ]
        for number in range(PUSHING):
            protocol.register(session, pushing("key", number), **code, **web, **_SIGNING)
        protocol.register_machine(session, "machine-key", ["fast.read"], **_SIGNING)
        user = protocol.add_person(session, USERNAME, nick_name="Ann")
        published = _publish(session, user.id)
        _, token = registration_tokens.issue(session, OPERATOR, None, NewToken())
        session.commit()
        cookie = protocol.start_session(session, f"{host}:{port}", user, remember=True)
    runtime.engine.dispose()
    return Site(
        settings.database,
        port,
        as_environment(settings),
        "=".join(cookie),
        {REGISTRATION: token} | {app.client_id: app.secret or "" for app in apps},
        published,
    )


def _publish(session: Session, user_id: int) -> int:
    """Publish the API `orders`, so that its calls can be verified; return its id at the gateway."""
    address = "https://orders.example"
    api = resources.find_api(session, "orders")
    if api is None:
        raise RuntimeError("the API is missing")
    products.allow_upstream(session, PLATFORM_TENANT_ID, address)
    actor = Actor(user_id)
    answer = {"get": {"responses": {"200": {"description": "Done"}}}}
    info = {"title": "Orders", "version": "1"}
    document = {"openapi": "3.0.3", "info": info, "paths": {"/": answer}}
    described = Description(f"{address}/openapi.json", "3.0", document)
    request = publications.PublishRequest(str(api.id), suffix="orders")
    plan = planning.publish(session, actor, api, request, described)
    publications.carry_out(session, plan)
    return api.id


def fill(postgres: Postgres, site: Site) -> None:
    """Add clients, people, tenants, grants and refresh tokens by the hundred thousand."""
    name = site.database.partition("@/")[2].partition("?")[0]
    with psycopg.connect(where(postgres, name), autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET session_replication_role = replica")  # foreign keys hold by design
        for statement in (
            copies(Tenant, "id = 1", TENANTS, {"name": "'Tenant ' || n"}),
            copies(Client, "client_id = 'web'", CLIENTS, {"client_id": "'client-' || n"}),
            *_OF_CLIENTS,
            copies(
                User,
                f"username_key = '{USERNAME}'",
                PEOPLE,
                {
                    "username": "'user' || n",
                    "username_key": "'user' || n",
                    "user_key": "md5(n::text)::uuid",
                },
            ),
            _MEMBERSHIPS,
            _GRANTS,
            _REFRESH_TOKENS,
        ):
            connection.execute(statement)
        connection.execute("ANALYZE")


def where(postgres: Postgres, name: str) -> str:
    """Return how an operator reaches a database."""
    return f"host={postgres.folder} user=postgres dbname={name}"


def copies(model: type[Base], pattern: str, count: int, changed: Mapping[str, str]) -> str:
    """Write the statement that copies a row many times, with some columns changed."""
    names = [column.name for column in model.__table__.columns if column.name != "id"]
    values = [changed.get(name, name) for name in names]
    table = f'"{model.__tablename__}"'
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"
        f" FROM {table}, generate_series(1, {count}) n WHERE {pattern}"
    )


_OF_CLIENTS = (
    """
    INSERT INTO client_grant_type (client_id, grant_type)
    SELECT id, 'authorization_code' FROM client WHERE client_id LIKE 'client-%'
    """,
    """
    INSERT INTO client_scope (client_id, scope)
    SELECT id, 'openid' FROM client WHERE client_id LIKE 'client-%'
    """,
    """
    INSERT INTO client_redirect_uri (client_id, redirect_uri)
    SELECT id, 'https://app.example/' || id FROM client WHERE client_id LIKE 'client-%'
    """,
)
_MEMBERSHIPS = f"""
    INSERT INTO membership (user_id, tenant_id, is_admin, is_bound, created_at)
    SELECT id, 1 + (id % {TENANTS}), false, false, now() FROM "user" WHERE username_key LIKE 'user%'
    """
_GRANTS = """
    INSERT INTO "grant" (user_id, client_id, tenant_id, issuer_tenant_id, sid, security_stamp,
        scopes, resources, auth_time, acr, amr, created_at, expires_at)
    SELECT id, (SELECT id FROM client WHERE client_id = 'web-refresh'), 1, 1, md5(id::text),
        security_stamp, '["openid"]', '[]', now(), 'pwd', '["pwd"]', now(),
        now() + interval '30 days'
    FROM "user" WHERE username_key LIKE 'user%'
    """
_REFRESH_TOKENS = """
    INSERT INTO refresh_family (grant_id, generation, secret_hash, scopes, created_at, expires_at,
        absolute_expires_at)
    SELECT id, 0, sha256(id::text::bytea), '["openid"]', now(), now() + interval '30 days',
        now() + interval '30 days'
    FROM "grant" WHERE scopes = '["openid"]'
    """
