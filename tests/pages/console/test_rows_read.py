"""Lists and searches among many people read few rows, by the plans of PostgreSQL."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text

from idp.directory.policies import management as policies
from idp.directory.roles.models import UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users import searches
from idp.directory.users.models import User
from idp.oauth.models import Grant
from idp.pages.console import lists, steps
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from tests import prepared
from tests.pages import browsing
from tests.prepared import database_url as database_url
from tests.protocol import add_person, add_role, add_tenant, register, sign_in

pytestmark = pytest.mark.postgresql

PEOPLE = 30_000


def add_crowd(_client, session):
    """Add people, members of a tenant and holders of a role; return the id of an administrator."""
    root = add_person(session, "root")
    add_role(session, root, "administrators", tenant_id=None)
    acme = add_tenant(session)
    holder = add_person(session, "holder")
    role = add_role(session, holder, "everybody", tenant_id=None)
    names = [f"person{number}" for number in range(PEOPLE)]
    rows = [
        {
            "username": name,
            "username_key": name,
            "email": f"{name}@mail.example",
            "email_key": f"{name}@mail.example",
            "nick_name": f"Person {name[::-1]}",
        }
        for name in names
    ]
    ids = session.scalars(insert(User).returning(User.id), rows).all()
    session.execute(insert(Membership), [{"tenant_id": acme, "user_id": each} for each in ids])
    session.execute(insert(UserRole), [{"role_id": role.id, "user_id": each} for each in ids])
    stamps = dict(session.execute(select(User.id, User.security_stamp)).all())
    grant = {
        "client_id": register(session).row_id,
        "tenant_id": acme,
        "issuer_tenant_id": 1,
        "sid": "sid",
        "scopes": ["openid"],
        "resources": [],
        "auth_time": clock.now(),
        "acr": "pwd",
        "amr": ["pwd"],
        "expires_at": clock.now() + timedelta(days=30),
    }
    grants = [{**grant, "user_id": each, "security_stamp": stamps[each]} for each in ids]
    session.execute(insert(Grant), grants)
    # The first of the list by name, who did much and never signed in.
    refreshed = {"tag": "client:token:refreshed", "user_id": holder.id}
    session.execute(insert(AuditEvent), [refreshed] * (PEOPLE // 5))
    session.commit()
    for table in ("tenant", "user", "membership", "user_role", "grant", "audit_event"):
        session.execute(text(f'ANALYZE "{table}"'))
    session.commit()
    return root.id


world = prepared.world(add_crowd)


@pytest.fixture
def root(client, session, world):
    """Sign the administrator in."""
    sign_in(client, session, session.get_one(User, world.made))


def rows_read(plan) -> int:
    """Return how many rows the parts of a plan read from tables and indexes."""
    own = 0
    if "Relation Name" in plan or "Index Name" in plan:
        removed = plan.get("Rows Removed by Filter", 0) + plan.get(
            "Rows Removed by Index Recheck", 0
        )
        own = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return own + sum(rows_read(each) for each in plan.get("Plans", ()))


def most_rows(session, runtime, client, path) -> tuple[int, str]:
    """Return for which statement of a page PostgreSQL reads the most rows, how, and how many."""
    client.get(path)
    counts = []
    for statement, parameters in browsing.sent(runtime, client, path):
        # What only reads.
        if not statement.startswith(("SELECT", "WITH")) or "FOR UPDATE" in statement:
            continue
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        plan = session.connection().exec_driver_sql(explain, parameters).scalar()
        (top,) = json.loads(plan) if isinstance(plan, str) else plan
        counts.append((rows_read(top["Plan"]), f"{statement}\n{json.dumps(top, indent=1)}"))
    return max(counts)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("typed", ["person77%40", "person2999", "PERSON%209992", "nobody", "7712"])
def test_a_search_among_many_people_reads_few_rows(client, session, runtime, typed):
    assert searches.are_many(session, None)
    rows, how = most_rows(session, runtime, client, f"/console/platform/users?q={typed}")
    assert rows < 300, how


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "screen",
    [
        *("users", "tenants", "roles", "overview", "sessions/grants", "policy"),
        *("users?state=locked", "users/all/disable", "sessions/grants/all/end"),
    ],
)
def test_a_list_reads_few_rows_more_than_it_counts(client, session, runtime, screen, monkeypatch):
    # As many of the people as 10,000 are of a million: else all of them are read with good reason.
    for module in (lists, steps):
        monkeypatch.setattr(module, "MOST_COUNTED", PEOPLE // 100)
    monkeypatch.setattr(policies, "MOST_SORTED", PEOPLE // 1000)
    rows, how = most_rows(session, runtime, client, f"/console/platform/{screen}")
    assert rows < PEOPLE // 10, how
