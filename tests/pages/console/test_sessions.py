"""Live sessions and grants in the console: found, counted, ended."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.oauth.models import Grant
from idp.pages.console.sessions import filters
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML, csrf_token, readable
from tests.protocol import (
    add_person,
    add_role,
    add_tenant,
    grant_of,
    register,
    sign_in,
    start_session,
)

HOST = "127.0.0.1:8000"


@pytest.fixture
def admin(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def acme(session):
    return add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    """Sign in somebody who manages the sessions of Acme."""
    user = add_person(session, "boss", tenant_ids=(acme,))
    add_role(session, user, "boss", ["ids4.ms.all"], tenant_id=acme)
    sign_in(client, session, user)
    return user


def post(browser, path, /, **form):
    """Send a form with a token of its own."""
    token = csrf_token(browser.get("/login?prompt=login"))
    return browser.post(path, data={"csrf_token": token, **form}, headers=HTML)


def begin(session, user, **columns) -> int:
    """Sign a person in somewhere; return the id of the session."""
    start_session(session, HOST, user)
    query = select(BrowserSession).where(BrowserSession.user_id == user.id)
    row = session.scalars(query.order_by(BrowserSession.id.desc())).first()
    for name, value in columns.items():
        setattr(row, name, value)
    session.commit()
    return row.id


def grant(session, user, app, tenant_id, session_id=None) -> int:
    """Record a sign-in of a person at a client."""
    row = grant_of(user, client_id=app.row_id, tenant_id=tenant_id, session_id=session_id)
    session.add(row)
    session.commit()
    return row.id


def ids(answer) -> list[int]:
    """Read whose rows a list shows."""
    return [int(text) for text in re.findall(r'<span class="mono">(\d+)</span>', readable(answer))]


def is_live(session, kind, row_id) -> bool:
    session.rollback()
    row = session.get_one(kind, row_id, populate_existing=True)
    return (row.ended_at if kind is BrowserSession else row.revoked_at) is None


def test_sessions_are_found_by_person_client_and_tenant(client, session, admin, acme):
    ann, bob = (add_person(session, name, tenant_ids=(1, acme)) for name in ("ann", "bob"))
    of_ann = begin(session, ann, tenant_id=acme)
    begin(session, bob)
    app = register(session, "shop")
    grant(session, ann, app, acme, of_ann)
    base = "/console/platform/sessions"
    assert sorted(ids(client.get(base))) == sorted([admin.id, ann.id, bob.id])
    for query in ("q=ANN", f"person={ann.id}", f"client={app.row_id}", f"tenant={acme}"):
        answer = client.get(f"{base}?{query}")
        assert ids(answer) == [ann.id], query
        assert "1 session" in readable(answer)
    assert client.get(f"{base}?client=999", headers=HTML).status_code == 400
    assert client.get(f"{base}?person=999", headers=HTML).status_code == 404
    assert client.get(f"{base}?person=x", headers=HTML).status_code == 404
    for sort in ("seen", "-seen", "started", "-started"):
        assert len(ids(client.get(f"{base}?sort={sort}"))) == 3


def test_what_has_ended_is_not_listed(client, session, admin, acme):
    ann = add_person(session, "ann", tenant_ids=(acme,))
    now = clock.now()
    begin(session, ann, ended_at=now)
    begin(session, ann, expires_at=now)
    begin(session, ann, security_stamp="earlier")
    assert ids(client.get("/console/platform/sessions")) == [admin.id]


def test_one_session_is_ended_with_its_grants(client, session, admin, acme):
    ann = add_person(session, "ann", tenant_ids=(acme,))
    row_id = begin(session, ann)
    grant_id = grant(session, ann, register(session), acme, row_id)
    path = f"/console/platform/sessions/{row_id}/end"
    assert post(client, path).status_code == 303
    assert not is_live(session, BrowserSession, row_id)
    assert not is_live(session, Grant, grant_id)
    assert post(client, path).status_code == 404  # sent twice
    event = session.scalar(select(AuditEvent).where(AuditEvent.tag == "admin:session:revoked"))
    assert (event.user_id, event.details) == (admin.id, {"user_id": ann.id})


def test_all_sessions_of_a_filter_are_ended_but_ones_own(client, session, admin, acme):
    ann, bob = (add_person(session, name, tenant_ids=(acme,)) for name in ("ann", "bob"))
    one, two, other = begin(session, ann), begin(session, ann), begin(session, bob)
    base = "/console/platform/sessions"
    page = client.get(f"{base}?person={ann.id}").get_data(as_text=True)
    assert f"{base}/end?person={ann.id}" in page
    assert "End 2 sessions?" in readable(client.get(f"{base}/end?person={ann.id}"))
    assert post(client, f"{base}/end?person={ann.id}", count=2).location == f"{base}?ended=2"
    assert [is_live(session, BrowserSession, row) for row in (one, two, other)] == [
        False,
        False,
        True,
    ]
    assert "2 were ended." in readable(client.get(f"{base}?ended=2"))
    assert "End 1 session?" in readable(client.get(f"{base}/end"))  # not one's own
    assert post(client, f"{base}/end").status_code == 400  # nothing was confirmed
    post(client, f"{base}/end", count=1)
    assert client.get(base).status_code == 200
    assert not is_live(session, BrowserSession, other)


def test_no_more_are_ended_than_were_confirmed(client, session, admin, acme):
    ann = add_person(session, "ann", tenant_ids=(acme,))
    rows = [begin(session, ann) for _ in range(3)]
    answer = post(client, f"/console/platform/sessions/end?person={ann.id}", count=2)
    assert answer.location.endswith("?ended=2")
    assert [is_live(session, BrowserSession, row) for row in rows] == [False, False, True]


def test_a_tenant_ends_sessions_of_those_whom_it_may_sign_out(client, session, boss, acme):
    other = add_tenant(session, "Other")
    ours = add_person(session, "ours", tenant_ids=(acme,))
    shared = add_person(session, "shared", tenant_ids=(acme, other))
    theirs = add_person(session, "theirs", tenant_ids=(other,))
    rows = {user.username: begin(session, user) for user in (ours, shared, theirs)}
    base = f"/console/t/{acme}/sessions"
    assert sorted(ids(client.get(base))) == sorted([boss.id, ours.id])
    assert client.get(f"{base}?person={theirs.id}").status_code == 404
    for name in ("shared", "theirs"):
        assert post(client, f"{base}/{rows[name]}/end").status_code == 404
    post(client, f"{base}/end", count=9)
    assert {name: is_live(session, BrowserSession, row) for name, row in rows.items()} == {
        "ours": False,
        "shared": True,
        "theirs": True,
    }


def test_a_tenant_ends_the_grants_in_it(client, session, boss, acme):
    other = add_tenant(session, "Other")
    shared = add_person(session, "shared", tenant_ids=(acme, other))
    app = register(session, "shop")
    here, there = grant(session, shared, app, acme), grant(session, shared, app, other)
    base = f"/console/t/{acme}/sessions/grants"
    page = readable(client.get(base))
    assert "1 grant" in page
    assert "Shop" in page
    assert "Other" not in page
    assert post(client, f"{base}/{there}/end").status_code == 404
    assert post(client, f"{base}/{here}/end").status_code == 303
    assert post(client, f"{base}/{here}/end").status_code == 404
    assert not is_live(session, Grant, here)
    assert is_live(session, Grant, there)
    event = session.scalar(select(AuditEvent).where(AuditEvent.tag == "admin:grant:ended"))
    assert (event.user_id, event.tenant_id, event.target) == (
        boss.id,
        acme,
        f"user:{shared.id}",
    )


def test_all_grants_of_a_filter_are_ended(client, session, admin, acme):
    ann, bob = (add_person(session, name, tenant_ids=(1, acme)) for name in ("ann", "bob"))
    shop, blog = register(session, "shop"), register(session, "blog")
    rows = [
        grant(session, ann, shop, acme),
        grant(session, ann, blog, 1),
        grant(session, bob, shop, acme),
    ]
    base = "/console/platform/sessions/grants"
    for query, count in ((f"client={shop.row_id}", 2), (f"tenant={acme}", 2), ("q=bob", 1)):
        assert f"{count} grant" in readable(client.get(f"{base}?{query}"))
    query = f"client={shop.row_id}&q=ann"
    assert "End 1 grant?" in readable(client.get(f"{base}/end?{query}"))
    assert post(client, f"{base}/end?{query}", count=5).location == f"{base}?ended=1"
    assert [is_live(session, Grant, row) for row in rows] == [False, True, True]


def test_a_grant_of_a_former_member_is_dead_already(client, session, admin, acme):
    ann = add_person(session, "ann", tenant_ids=())
    grant(session, ann, register(session), acme)
    assert "No client holds tokens" in readable(client.get("/console/platform/sessions/grants"))


@pytest.mark.parametrize("kind", [BrowserSession, Grant])
def test_a_reader_ends_nothing(client, session, acme, kind):
    user = add_person(session, "reader", tenant_ids=(acme,))
    add_role(session, user, "reader", ["ids4.ms.admin.sessions.read"], tenant_id=acme)
    sign_in(client, session, user)
    ann = add_person(session, "ann", tenant_ids=(acme,))
    begin(session, ann)
    grant(session, ann, register(session), acme)
    base = f"/console/t/{acme}/sessions" + ("/grants" if kind is Grant else "")
    page = readable(client.get(base))
    assert "Needs the permission ids4.ms.admin.sessions.write" in page
    assert "/end" not in page
    assert client.get(f"{base}/end").status_code == 403
    assert post(client, f"{base}/end").status_code == 403


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\u202etxt", "x" * 10_000])
def test_what_a_browser_says_of_itself_is_text(client, session, admin, acme, text, runtime):
    if len(text) > 200 and runtime.engine.name != "sqlite":
        pytest.skip("the column of PostgreSQL is too short for 10,000 characters")
    ann = add_person(session, "ann", tenant_ids=(acme,), nick_name=text)
    row_id = begin(session, ann, user_agent=text, remote_addr=text)
    app = register(session, "shop", client_name="Shop")
    grant(session, ann, app, acme, row_id)
    for path in ("", "/grants"):
        page = client.get(f"/console/platform/sessions{path}").get_data(as_text=True)
        assert "<script>alert" not in page
        assert "Shop" in page


def test_an_address_names_a_client_whose_grants_are_not_the_newest(
    client, session, admin, acme, monkeypatch
):
    ann = add_person(session, "ann", tenant_ids=(acme,))
    shop, unused = register(session, "shop"), register(session, "unused")
    grant(session, ann, shop, acme, begin(session, ann))
    base = "/console/platform/sessions/grants"
    assert f"client={shop.row_id}" in client.get(base).get_data(as_text=True)
    for query in (f"client={unused.row_id}", f"client={'9' * 30}", "client=x", "tenant=1"):
        assert client.get(f"{base}?{query}", headers=HTML).status_code == 400, query
    monkeypatch.setattr(filters, "NEWEST", 0)
    assert f"client={shop.row_id}" not in client.get(base).get_data(as_text=True)
    for query in (f"client={shop.row_id}", f"tenant={acme}"):
        assert "1 grant" in readable(client.get(f"{base}?{query}"))


def test_a_tenant_names_no_client_that_others_alone_use(client, session, acme):
    other = add_tenant(session, "Other")
    ann = add_person(session, "ann", tenant_ids=(acme, other))
    add_role(session, ann, "watcher", ["ids4.ms.admin.sessions.read"], tenant_id=acme)
    own, shop = register(session, "own"), register(session, "shop")
    row_id = begin(session, ann)
    grant(session, ann, own, acme, row_id)
    grant(session, ann, shop, other, row_id)
    sign_in(client, session, ann)
    base = f"/console/t/{acme}/sessions/grants"
    page = client.get(base).get_data(as_text=True)
    assert f"client={own.row_id}" in page
    assert f"client={shop.row_id}" not in page
    assert client.get(f"{base}?client={own.row_id}", headers=HTML).status_code == 200
    assert client.get(f"{base}?client={shop.row_id}", headers=HTML).status_code == 400
