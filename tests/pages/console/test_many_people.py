"""Searches among many people, and lists of what has many members: they read few rows."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import event, insert, select, text

from idp.directory.policies import management as policies
from idp.directory.roles.models import UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users import searches
from idp.directory.users.models import User
from idp.oauth.models import Grant
from idp.pages.console import lists, steps
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from tests.pages.browsing import readable
from tests.protocol import add_person, add_role, add_tenant, register

LIST = "/console/platform/users"
SENTENCE = "people: the search finds names, user names, e-mail addresses and mobile numbers"


@pytest.fixture
def many(monkeypatch):
    """Make few people many."""
    monkeypatch.setattr(searches, "MOST_SEARCHED", 2)


def found(client, text, path=LIST):
    page = readable(client.get(path, query_string={"q": text}))
    assert (SENTENCE in page) == (searches.MOST_SEARCHED == 2)
    return {name for name in ("ann", "joann", "bob") if f'/users/{IDS[name]}"' in page}


IDS: dict[str, int] = {}


@pytest.fixture
def three(session, root):
    """Add three people."""
    IDS["ann"] = add_person(
        session,
        "ann",
        nick_name="Öztürk 100%",
        email="Ann@Mail.example",
        email_key="ann@mail.example",
    ).id
    IDS["joann"] = add_person(session, "joann", mobile="+8613800138000").id
    IDS["bob"] = add_person(session, "bob", display_name="Annika_Ek").id
    session.commit()


def test_a_text_is_found_anywhere_among_few_people(client, three):
    assert found(client, "ann") == {"ann", "joann", "bob"}
    assert found(client, "138001") == {"joann"}


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ann", {"ann", "bob"}),
        ("ANN", {"ann", "bob"}),
        ("jo", {"joann"}),
        ("oann", set()),
        ("ann@mail", {"ann"}),
        ("Öztürk 100%", {"ann"}),
        ("annika_e", {"bob"}),
        ("annika%", set()),
        ("+86138", {"joann"}),
        ("86138", {"joann"}),
        ("_", set()),
        ("%", set()),
        ("\\", set()),
        ("/", set()),
        ("'; --", set()),
    ],
)
def test_beginnings_are_found_among_many(client, three, text, names):
    assert found(client, text) == names


@pytest.mark.usefixtures("many")
def test_an_id_is_found_among_many(client, three):
    assert found(client, str(IDS["joann"])) == {"joann"}


@pytest.mark.usefixtures("many")
def test_a_small_tenant_is_searched_whole(client, session, boss):
    joann = add_person(session, "joann", tenant_ids=(boss,))
    page = readable(client.get(f"/console/t/{boss}/users?q=oann"))
    assert SENTENCE not in page
    assert f'/users/{joann.id}"' in page
    add_person(session, "third", tenant_ids=(boss,))
    page = readable(client.get(f"/console/t/{boss}/users?q=oann"))
    assert SENTENCE in page
    assert f'/users/{joann.id}"' not in page


@pytest.mark.usefixtures("many")
def test_sessions_and_the_search_of_everything_find_beginnings_too(client, session, three):
    for address in ("sessions", "sessions/grants"):
        page = readable(client.get(f"/console/platform/{address}?q=oot"))
        assert SENTENCE in page
        assert "root" not in page[page.index('id="rows"') :]
    hit = f"/console/platform/users/{IDS['joann']}"
    assert hit in readable(client.get("/console/platform/search?q=joa"))
    assert hit not in readable(client.get("/console/platform/search?q=oann"))


def test_members_and_holders_are_counted_no_further_than_lists_count(
    client, session, root, monkeypatch
):
    acme = add_tenant(session)
    users = [add_person(session, f"p{number}", tenant_ids=(acme,)) for number in range(4)]
    for user in users:
        add_role(session, user, "everybody", tenant_id=None)
    for most, shown in ((4, "4"), (3, "more than 3")):
        monkeypatch.setattr(lists, "MOST_COUNTED", most)
        page = readable(client.get("/console/platform/tenants"))
        assert re.search(rf'data-label="Members">\s*{shown}\s*</td>', page), most
        assert f"{shown} people" in " ".join(
            readable(client.get("/console/platform/roles?q=everybody")).split()
        )


PEOPLE = 30_000


@pytest.fixture
def crowd(session, root):
    """Add people, members of a tenant and holders of a role, by few statements."""
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
    return acme


def rows_read(plan) -> int:
    """Return how many rows the parts of a plan read from tables and indexes."""
    own = 0
    if "Relation Name" in plan or "Index Name" in plan:
        removed = plan.get("Rows Removed by Filter", 0) + plan.get(
            "Rows Removed by Index Recheck", 0
        )
        own = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return own + sum(rows_read(each) for each in plan.get("Plans", ()))


def sent(runtime, client, path):
    """Open a page; return the statements that only read, with their parameters."""
    seen = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if statement.startswith(("SELECT", "WITH")) and "FOR UPDATE" not in statement:
            seen.append((statement, parameters))

    event.listen(runtime.engine, "before_cursor_execute", note)
    try:
        assert client.get(path).status_code == 200
    finally:
        event.remove(runtime.engine, "before_cursor_execute", note)
    return seen


def most_rows(session, runtime, client, path) -> tuple[int, str]:
    """Return the statement of a page for which PostgreSQL reads the most rows, and how many."""
    client.get(path)
    counts = []
    for statement, parameters in sent(runtime, client, path):
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        plan = session.connection().exec_driver_sql(explain, parameters).scalar()
        (top,) = json.loads(plan) if isinstance(plan, str) else plan
        counts.append((rows_read(top["Plan"]), statement))
    return max(counts)


@pytest.mark.postgresql
@pytest.mark.parametrize("typed", ["person77%40", "person2999", "PERSON%209992", "nobody", "7712"])
def test_a_search_among_many_people_reads_few_rows(client, session, crowd, runtime, typed):
    assert searches.are_many(session, None)
    rows, statement = most_rows(session, runtime, client, f"{LIST}?q={typed}")
    assert rows < 300, statement


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "screen",
    [
        *("users", "tenants", "roles", "overview", "sessions/grants", "policy"),
        *("users?state=locked", "users/all/disable", "sessions/grants/all/end"),
    ],
)
def test_a_list_reads_few_rows_more_than_it_counts(
    client, session, crowd, runtime, screen, monkeypatch
):
    # As many of the people as 10,000 are of a million: else all of them are read with good reason.
    for module in (lists, steps):
        monkeypatch.setattr(module, "MOST_COUNTED", PEOPLE // 100)
    monkeypatch.setattr(policies, "MOST_SORTED", PEOPLE // 1000)
    rows, statement = most_rows(session, runtime, client, f"/console/platform/{screen}")
    assert rows < PEOPLE // 10, statement
