"""Ten million people on PostgreSQL: what they weigh, and what takes longer because of them.

It takes half an hour and 25 GB of the disk, so it is measured only when it is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.orm import Session

from bench.installed import BARE, MOST_OF_BARE, Installed
from bench.measure import Figure, Result, alternate, at_most
from bench.servers import Servers
from bench.site import copies
from idp.directory.tenants.models import Tenant
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.pages.console.lists import encode_cursor
from tests import protocol
from tests.servers import Postgres

PEOPLE = 10_000_000
EVENTS = 10_000_000
TENANTS = 10_000
"""Each has its share of the people."""
ROUNDS = 5
PAGES = {
    "users": "platform/users",
    "users, far page": f"platform/users?after={encode_cursor('person 8', 0)}",
    "users, searched, many": "platform/users?q=person",
    "users, searched, one": "platform/users?q=person77%40",
    "users, locked": "platform/users?state=locked",
    "users, disabled": "platform/users?state=disabled",
    "users, all to be disabled": "platform/users/all/disable",
    "members": "t/{tenant}/users",
    "members, far page": f"t/{{tenant}}/users?after={encode_cursor('person 8', 0)}",
    "sessions": "platform/sessions",
    "grants": "platform/sessions/grants",
    "audit": "platform/audit",
    "policy": "platform/policy",
}
"""Pages of the console, by the name of their figures."""
LOGINS = {
    "user name": "person5000000",
    "e-mail address": "person5000000@mail.example",
    "phone number": "+8613905000000",
}

_SHARE = 10
"""One person of so many is a member of the large tenant, and signed in there."""

Connection = psycopg.Connection[tuple[object, ...]]


def people(servers: Servers) -> list[Result]:
    """Time pages of the console and look-ups of who signs in, and weigh the tables."""
    with ExitStack() as stack:
        postgres = Postgres(durable=True)
        stack.callback(postgres.stop)
        postgres.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = Installed(postgres, folder, "people")
        stack.callback(made.close)
        with made.runtime.sessions() as session:
            made.sign_in(session)
            values = _prepare(session)
        print("filling the database", flush=True)
        fill(made.where, values)
        return [_measure(made, values, servers.plan.count(ROUNDS))]


def _measure(made: Installed, values: Mapping[str, int], rounds: int) -> Result:
    found: dict[str, Figure] = {}
    bars: list[dict[str, Any]] = []
    for name, path in PAGES.items():
        address = f"/console/{path.format_map(values)}"
        taken = alternate(
            {f"{name}, ms": partial(made.open, address), "bare": partial(made.open, BARE)}, rounds
        )
        page, bare = taken.values()
        found[f"{name}, ms"] = page
        bars.append(at_most(f"{name} / bare page", page.median / bare.median, MOST_OF_BARE))
    with made.runtime.sessions() as session:
        looking = {
            f"sign-in by {kind}, ms": partial(users.find_by_login, session, login)
            for kind, login in LOGINS.items()
        }
        found |= alternate(looking, rounds)
    return Result(found | _weights(made.where), bars)


def _prepare(session: Session) -> dict[str, int]:
    """Add the rows that are copied; return the ids of what the copies hang on."""
    tenant_id = protocol.add_tenant(session)
    pattern = protocol.add_person(session, "pattern", tenant_ids=())
    role = protocol.add_role(session, pattern, "everybody", tenant_id=None)
    tenant_role = protocol.add_role(session, pattern, "clerk", tenant_id=tenant_id)
    app = protocol.register(session, "pattern", scopes=("openid",))
    return {
        "tenant": tenant_id,
        "role": role.id,
        "tenant_role": tenant_role.id,
        "client": app.row_id,
    }


def _weights(where: str) -> dict[str, Figure]:
    """Return the size of the largest tables with their indexes."""
    with psycopg.connect(where) as connection:
        rows = connection.execute(_SIZES).fetchall()
    return {f"{name}, MiB": Figure([float(size)]) for name, size in rows}


_SIZES = """
    SELECT relname, pg_total_relation_size(oid) / 1048576 FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    ORDER BY pg_total_relation_size(oid) DESC LIMIT 8
    """


def fill(where: str, values: Mapping[str, int]) -> None:
    """Add people with memberships, roles, sessions, grants, consents and tokens, and events.

    `values` has the ids of what they hang on: `tenant`, `role`, `tenant_role` and `client`.
    """
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET session_replication_role = replica")  # foreign keys hold by design
        connection.execute(copies(Tenant, f"id = {values['tenant']}", TENANTS, _TENANT))
        with _without_indexes(connection, "user"):
            connection.execute(copies(User, "username_key = 'pattern'", PEOPLE, _PERSON))
        for table, statements in _ROWS.items():
            with _without_indexes(connection, table):
                for statement in statements:
                    connection.execute(statement.format_map(values).encode())
        connection.execute("VACUUM ANALYZE")


_TENANT = {"name": "'Tenant ' || n"}
_PERSON = {
    "username": "'person' || n",
    "username_key": "'person' || n",
    "user_key": "md5(n::text)::uuid",
    "email": "'person' || n || '@mail.example'",
    "email_key": "'person' || n || '@mail.example'",
    "email_verified": "true",
    "mobile": "'+86139' || lpad(n::text, 8, '0')",
    "mobile_verified": "true",
    "nick_name": "'Person ' || md5(n::text)",
    "is_disabled": "n % 1000 = 0",
    "created_at": "now() - n * interval '3 seconds'",
}
_EVERYBODY = "FROM \"user\" WHERE username_key LIKE 'person%'"
_SIGNED_IN = f"{_EVERYBODY} AND id % {_SHARE} = 0"
_ROWS = {
    "membership": (
        f"""
        INSERT INTO membership (user_id, tenant_id, is_admin, is_bound, created_at)
        SELECT id, tenants[1 + id % {TENANTS}], false, false, created_at FROM "user",
            (SELECT array_agg(id) tenants FROM tenant WHERE name LIKE 'Tenant %')
        WHERE username_key LIKE 'person%'
        """,
        f"""
        INSERT INTO membership (user_id, tenant_id, is_admin, is_bound, created_at)
        SELECT id, {{tenant}}, false, false, created_at {_SIGNED_IN}
        """,
    ),
    "user_role": (
        f"INSERT INTO user_role (user_id, role_id) SELECT id, {{role}} {_EVERYBODY}",
        f"INSERT INTO user_role (user_id, role_id) SELECT id, {{tenant_role}} {_SIGNED_IN}",
    ),
    "browser_session": (
        f"""
        INSERT INTO browser_session (token_hash, sid, user_id, issuer_tenant_id, tenant_id,
            security_stamp, auth_time, acr, amr, remember, created_at, last_seen_at, expires_at)
        SELECT sha256(id::text::bytea), md5(id::text), id, 1, {{tenant}}, security_stamp,
            created_at, 'pwd', '["pwd"]', true, created_at, created_at,
            now() + interval '30 days' {_SIGNED_IN}
        """,
    ),
    "grant": (
        f"""
        INSERT INTO "grant" (user_id, client_id, tenant_id, issuer_tenant_id, sid, security_stamp,
            scopes, resources, auth_time, acr, amr, created_at, expires_at)
        SELECT id, {{client}}, {{tenant}}, 1, md5(id::text), security_stamp, '["openid"]', '[]',
            created_at, 'pwd', '["pwd"]', created_at, now() + interval '30 days' {_SIGNED_IN}
        """,
    ),
    "consent": (
        f"""
        INSERT INTO consent (user_id, client_id, tenant_id, scopes, created_at)
        SELECT id, {{client}}, {{tenant}}, '["openid"]', created_at {_SIGNED_IN}
        """,
    ),
    "refresh_family": (
        """
        INSERT INTO refresh_family (grant_id, generation, secret_hash, scopes, created_at,
            expires_at, absolute_expires_at)
        SELECT id, 0, sha256(id::text::bytea), scopes, created_at, expires_at, expires_at
        FROM "grant"
        """,
    ),
    "audit_event": (
        f"""
        INSERT INTO audit_event (at, tag, user_id, client_id, tenant_id, request_id)
        SELECT now() - n * interval '2 seconds',
            (ARRAY['user:session:started', 'client:code:issued', 'client:token:issued',
                'client:token:refreshed'])[1 + n % 4],
            (SELECT min(id) {_EVERYBODY}) + n % {PEOPLE}, 'pattern', {{tenant}}, md5(n::text)
        FROM generate_series(1, {EVENTS}) n
        """,
    ),
}
"""Statements that fill each table."""


@contextmanager
def _without_indexes(connection: Connection, table: str) -> Iterator[None]:
    """Drop the indexes of a table but for its primary key, and make them again afterwards.

    To sort a column once takes a fraction of the time that row after row takes.
    """
    name = sql.Identifier(table)
    constraints = _definitions(connection, _CONSTRAINTS, table)
    for constraint in constraints:
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        connection.execute(drop.format(name, sql.Identifier(constraint)))
    indexes = _definitions(connection, _INDEXES, table)
    for index in indexes:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(index)))
    yield
    for definition in indexes.values():
        connection.execute(definition.encode())
    for constraint, definition in constraints.items():
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(name, sql.Identifier(constraint))
        connection.execute(add.as_bytes(connection) + definition.encode())


_CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'u' AND conrelid = to_regclass(%s)
    """
_INDEXES = """
    SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
    WHERE NOT indisprimary AND indrelid = to_regclass(%s)
    """


def _definitions(connection: Connection, query: str, table: str) -> dict[str, str]:
    found = connection.execute(query.encode(), (f'"{table}"',))
    return {str(name): str(definition) for name, definition in found}
