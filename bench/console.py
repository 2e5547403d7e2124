"""Pages of the console over a million people on PostgreSQL: what they cost beside a thousand."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench.installed import BARE, MOST_OF_BARE, Installed
from bench.measure import Figure, Result, alternate, at_most
from bench.servers import Servers
from bench.site import copies
from idp.directory.clients.models import Client
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.pages.console.lists import encode_cursor
from idp.platform import clock
from idp.platform.audit import figures
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api.center import statements
from tests.servers import Postgres

ROUNDS = 9
GROWTH = 2.0
"""How much longer a page may take over the large data set."""


@dataclass(frozen=True)
class Size:
    """How many rows a data set has."""

    name: str
    people: int
    clients: int
    tenants: int
    events: int


SMALL = Size("small", 1_000, 100, 10, 1_000)
LARGE = Size("large", 1_000_000, 100_000, 10_000, 10_000_000)
PAGES = {
    "overview": "overview?days=30",
    "users": "users",
    "users, by date": "users?sort=-created",
    "users, far page": f"users?after={encode_cursor('person 8', 0)}",
    "users, back from far": f"users?before={encode_cursor('person 8', 0)}",
    "users, disabled": "users?state=disabled",
    "users, of a role": "users?role={role}",
    "users, searched, many": "users?q=person",
    "users, searched, one": "users?q=person77%40",
    "user": "users/{user}",
    "user, sessions": "users/{user}/sessions",
    "user, activity": "users/{user}/activity",
    "clients": "clients",
    "clients, by date": "clients?sort=-created",
    "clients, searched": "clients?q=client-77",
    "roles": "roles",
    "sessions": "sessions",
    "grants": "sessions/grants",
    "audit": "audit",
    "audit, of a person": "audit?person={user}",
    "audit, of a kind": "audit?what=sign-in",
    "audit, far page": "audit?after={event}",
    "organisations": "tenants",
}
"""Pages of the platform, by the name of their figures."""
TENANT_PAGES = {"members": "users", "members, far page": PAGES["users, far page"]}
"""Pages of an organisation that everybody belongs to."""


def console(servers: Servers) -> list[Result]:
    """Time pages over the large data set against the small one, and against a page without rows."""
    with ExitStack() as stack:
        postgres = Postgres()
        stack.callback(postgres.stop)
        postgres.start()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shown = {}
        for size in (SMALL, LARGE):
            print(f"filling the {size.name} data set", flush=True)
            shown[size.name] = _Shown(postgres, folder / size.name, size)
            stack.callback(shown[size.name].close)
        return [_measure(shown, servers.plan.count(ROUNDS))]


def _measure(shown: Mapping[str, _Shown], rounds: int) -> Result:
    names = list(shown["small"].pages)
    found: dict[str, Figure] = {}
    bars: list[dict[str, Any]] = []
    counts = {each.size.name: each.count_statements() for each in shown.values()}
    for name in names:
        # One page after the other: alternating all of them would measure caches of PostgreSQL.
        taken = alternate(
            {
                f"{name}, {each.size.name}, ms": partial(each.open, each.pages[name])
                for each in shown.values()
            }
            | {f"{name}, bare page, ms": partial(shown["large"].open, BARE)},
            rounds,
        )
        small, large, bare = taken.values()
        found |= dict(list(taken.items())[:2])
        bars.append(at_most(f"{name}: large / bare page", large.median / bare.median, MOST_OF_BARE))
        bars.append(at_most(f"{name}: large / small", large.median / small.median, GROWTH))
        more = counts["large"][name] - counts["small"][name]
        bars.append(at_most(f"{name}: statements more", more, 0))
    return Result(found, bars)


class _Shown(Installed):
    """An installation with a data set."""

    def __init__(self, postgres: Postgres, folder: Path, size: Size) -> None:
        super().__init__(postgres, folder, f"console_{size.name}")
        self.size = size
        with self.runtime.sessions() as session:
            values = self._prepare(session)
            _fill(self.where, size, values)
            person = session.scalars(select(User).where(User.username == "person77")).one()
            values |= {"user": str(person.id), "event": _middle_of_the_events(session)}
            figures.count_day(session, clock.now().date())
            session.commit()
        self.pages = {
            name: f"/console/{where}/{path.format_map(values)}"
            for where, pages in (("platform", PAGES), (f"t/{values['tenant']}", TENANT_PAGES))
            for name, path in pages.items()
        }

    def count_statements(self) -> dict[str, int]:
        """Return how many statements each page takes, once what is cached is cached."""
        counts = {}
        for name, path in self.pages.items():
            self.open(path)
            with statements(self.runtime.engine) as sent:
                self.open(path)
            counts[name] = len(sent)
        return counts

    def _prepare(self, session: Session) -> dict[str, str]:
        """Add the rows that are copied, and sign the administrator in."""
        self.sign_in(session)
        tenant_id = protocol.add_tenant(session)
        pattern = protocol.add_person(session, "pattern", tenant_ids=())
        role = protocol.add_role(session, pattern, "everybody", tenant_id=None)
        protocol.register(session, "pattern", scopes=("openid",))
        return {"tenant": str(tenant_id), "role": str(role.id)}


def _fill(where: str, size: Size, values: Mapping[str, str]) -> None:
    """Add people with memberships, roles, sessions and grants, clients, tenants and events."""
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET session_replication_role = replica")  # foreign keys hold by design
        for statement in (
            copies(
                User,
                "username_key = 'pattern'",
                size.people,
                {
                    "username": "'person' || n",
                    "username_key": "'person' || n",
                    "user_key": "md5(n::text)::uuid",
                    "email": "'person' || n || '@mail.example'",
                    "email_key": "'person' || n || '@mail.example'",
                    "nick_name": "'Person ' || md5(n::text)",
                    "is_disabled": "n % 100 = 0",
                    "created_at": "now() - n * interval '1 minute'",
                },
            ),
            copies(
                Client,
                "client_id = 'pattern'",
                size.clients,
                {"client_id": "'client-' || n", "client_name": "'Client ' || md5(n::text)"},
            ),
            copies(Tenant, f"id = {values['tenant']}", size.tenants, {"name": "'Tenant ' || n"}),
            *(statement.format_map({**values, "events": str(size.events)}) for statement in _ROWS),
        ):
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


_PEOPLE = "FROM \"user\" WHERE username_key LIKE 'person%'"
_ROWS = (
    f"""
    INSERT INTO membership (user_id, tenant_id, is_admin, is_bound, created_at)
    SELECT id, {{tenant}}, false, false, now() {_PEOPLE}
    """,
    f"INSERT INTO user_role (user_id, role_id) SELECT id, {{role}} {_PEOPLE}",
    """
    INSERT INTO client_grant_type (client_id, grant_type)
    SELECT id, 'authorization_code' FROM client WHERE client_id LIKE 'client-%'
    """,
    f"""
    INSERT INTO browser_session (token_hash, sid, user_id, issuer_tenant_id, security_stamp,
        auth_time, acr, amr, remember, created_at, last_seen_at, expires_at)
    SELECT sha256(id::text::bytea), md5(id::text), id, 1, security_stamp, created_at, 'pwd',
        '["pwd"]', true, created_at, created_at, now() + interval '30 days' {_PEOPLE}
    """,
    f"""
    INSERT INTO "grant" (user_id, client_id, tenant_id, issuer_tenant_id, sid, security_stamp,
        scopes, resources, auth_time, acr, amr, created_at, expires_at)
    SELECT id, (SELECT id FROM client WHERE client_id = 'pattern'), {{tenant}}, 1, md5(id::text),
        security_stamp, '["openid"]', '[]', created_at, 'pwd', '["pwd"]', created_at,
        now() + interval '30 days' {_PEOPLE}
    """,
    """
    INSERT INTO audit_event (at, tag, user_id, client_id, tenant_id, request_id)
    SELECT now() - n * interval '2 seconds',
        (ARRAY['user:session:started', 'client:code:issued', 'client:token:issued',
            'client:token:refreshed'])[1 + n % 4],
        (SELECT min(id) FROM "user" WHERE username_key LIKE 'person%') + n % 1000,
        'pattern', {tenant}, md5(n::text) FROM generate_series(1, {events}) n
    """,
)


def _middle_of_the_events(session: Session) -> str:
    """Return where the middle of the audit log is, as the address of a page has it."""
    lowest, highest = session.execute(
        select(func.min(AuditEvent.id), func.max(AuditEvent.id))
    ).one()
    event = session.get_one(AuditEvent, (lowest + highest) // 2)
    return encode_cursor(event.at, event.id)
