"""Sessions by our own API: listed, ended one by one or all at once, by those who may."""

from __future__ import annotations

from itertools import chain

import pytest
from sqlalchemy import select

from idp.directory.tenants import service as tenants
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.api import admin, center

READ = "ids4.ms.admin.sessions.read"
WRITE = "ids4.ms.admin.sessions.write"
HOST = "127.0.0.1:8000"


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session, acme):
    return protocol.add_person(session, tenant_ids=[acme])


def sessions_of(user, tenant_id=1):
    return f"/tenants/{tenant_id}/users/{user.id}/sessions"


def start(session, user):
    protocol.start_session(session, HOST, user)
    newest = select(BrowserSession.id).order_by(BrowserSession.id.desc()).limit(1)
    return session.scalars(newest).one()


def live(session, user):
    session.rollback()
    query = select(BrowserSession.id).where(
        BrowserSession.user_id == user.id, BrowserSession.ended_at.is_(None)
    )
    return list(session.scalars(query.order_by(BrowserSession.id)))


def events(session, *tags):
    session.rollback()
    found = select(AuditEvent).where(AuditEvent.tag.in_(tags)).order_by(AuditEvent.id)
    return list(session.scalars(found))


def test_a_session_is_shown_without_what_proves_it(root, session, ann, acme):
    session_id = start(session, ann)
    row = session.get_one(BrowserSession, session_id)
    row.tenant_id, row.user_agent, row.remote_addr = acme, "Firefox/140.0", "192.0.2.7"
    session.commit()
    (shown,) = admin.data(root, "GET", sessions_of(ann, acme))["items"]
    for name in ("signed_in_at", "last_seen_at", "expires_at"):
        assert shown.pop(name).endswith("Z")
    assert shown == {
        "id": session_id,
        "issuer": 1,
        "tenant": acme,
        "amr": ["pwd"],
        "remember": False,
        "remote_addr": "192.0.2.7",
        "user_agent": "Firefox/140.0",
    }


def test_only_live_sessions_of_the_person_are_listed(root, session):
    ann, bob = protocol.add_person(session), protocol.add_person(session, "bob")
    ended, expired, stale, good = (start(session, ann) for _ in range(4))
    start(session, bob)
    session.get_one(BrowserSession, ended).ended_at = clock.now()
    session.get_one(BrowserSession, expired).expires_at = clock.now()
    session.get_one(BrowserSession, stale).security_stamp = "former"
    session.commit()
    listed = admin.data(root, "GET", sessions_of(ann))
    assert [row["id"] for row in listed["items"]] == [good]
    assert listed["next"] is None


def test_the_list_is_read_page_by_page(root, session):
    ann = protocol.add_person(session)
    started = [start(session, ann) for _ in range(5)]
    pages = admin.pages(root, sessions_of(ann), limit=2)
    assert [len(rows) for rows in pages] == [2, 2, 1]
    assert [row["id"] for row in chain(*pages)] == started


def test_an_ended_session_is_signed_out_and_its_tokens_end(client, new_client, root, session):
    ann = protocol.add_person(session)
    app = protocol.register(session)
    browser, other = new_client(), new_client()
    for each in (browser, other):
        protocol.sign_in(each, session, ann)
    tokens, kept = protocol.obtain(browser, app), protocol.obtain(other, app)
    path = sessions_of(ann)
    first, second = (row["id"] for row in admin.data(root, "GET", path)["items"])
    assert admin.data(root, "POST", f"{path}/{first}/end")["id"] == first
    assert browser.get("/account").status_code == 303
    assert other.get("/account").status_code == 200
    assert not protocol.is_active(client, app, tokens.access)
    assert protocol.is_active(client, app, kept.access)
    assert live(session, ann) == [second]


def test_all_sessions_of_a_person_end(root, session, ann, acme):
    bob = protocol.add_person(session, "bob", tenant_ids=[acme])
    kept = start(session, bob)
    for _ in range(3):
        start(session, ann)
    path = f"{sessions_of(ann, acme)}/end"
    assert admin.data(root, "POST", path) == {"ended": 3}
    assert admin.data(root, "POST", path) == {"ended": 0}
    assert live(session, ann) == []
    assert live(session, bob) == [kept]


def test_the_end_is_noted_with_who_ended_it_where(root, session, ann, acme):
    ids = [start(session, ann) for _ in range(3)]
    path = sessions_of(ann, acme)
    admin.data(root, "POST", f"{path}/{ids[0]}/end")
    admin.data(root, "POST", f"{path}/end")
    noted = events(session, Tag.SESSION_ENDED, Tag.SESSION_REVOKED)
    assert [event.target for event in noted] == [f"session:{number}" for number in ids]
    for event in noted:
        assert (event.tag, event.tenant_id) == (Tag.SESSION_REVOKED, acme)
        assert (event.user_id, event.client_id) == (root.user.id, center.TOOL)
        assert event.details == {"user_id": ann.id}


def test_the_own_session_is_ended_as_at_the_account_page(root, session):
    own = start(session, root.user)
    admin.data(root, "POST", f"{sessions_of(root.user)}/{own}/end")
    (event,) = events(session, Tag.SESSION_ENDED, Tag.SESSION_REVOKED)
    assert (event.tag, event.user_id) == (Tag.SESSION_ENDED, root.user.id)


def test_a_session_that_is_over_or_of_somebody_else_is_not_found(root, session, ann, acme):
    bob = protocol.add_person(session, "bob", tenant_ids=[acme])
    own, other = start(session, ann), start(session, bob)
    path = sessions_of(ann, acme)
    admin.data(root, "POST", f"{path}/{own}/end")
    for wrong in (own, other, 0, 999_999, 2**80):
        assert admin.refused(root, "POST", f"{path}/{wrong}/end") == (404, {})
    assert live(session, bob) == [other]


def test_an_administrator_of_a_tenant_manages_its_own_people(client, session, ann, acme):
    boss = center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])
    first, second = start(session, ann), start(session, ann)
    path = sessions_of(ann, acme)
    listed = admin.data(boss, "GET", path)["items"]
    assert [row["id"] for row in listed] == [first, second]
    admin.data(boss, "POST", f"{path}/{first}/end")
    assert admin.data(boss, "POST", f"{path}/end") == {"ended": 1}
    assert live(session, ann) == []


def test_in_a_tenant_people_who_do_not_belong_to_it_alone_are_out_of_reach(client, session, acme):
    boss = center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])
    elsewhere = protocol.add_tenant(session, "Elsewhere")
    of_both = protocol.add_person(session, "both", tenant_ids=[acme, elsewhere])
    of_other = protocol.add_person(session, "other", tenant_ids=[elsewhere])
    of_none = protocol.add_person(session, "none", tenant_ids=[])
    bound = protocol.add_person(session, "bound", tenant_ids=[])
    tenants.add_member(session, acme, bound.id, is_bound=True)
    chief = protocol.add_person(session, "chief", tenant_ids=[acme])
    protocol.add_role(session, chief, "administrators", tenant_id=None)
    powerful = protocol.add_person(session, "powerful", tenant_ids=[acme])
    protocol.add_role(session, powerful, "lord", ["ids4.ms.user.delete"], tenant_id=acme)
    owner = protocol.add_person(session, "owner", tenant_ids=[])
    tenants.add_member(session, acme, owner.id, is_admin=True)
    session.commit()
    for user in (of_both, of_other, of_none, bound, chief, powerful, owner):
        session_id = start(session, user)
        path = sessions_of(user, acme)
        assert admin.refused(boss, "GET", path) == (404, {}), user.username
        for act in (f"{path}/{session_id}/end", f"{path}/end"):
            assert admin.refused(boss, "POST", act) == (404, {}), user.username
        assert live(session, user) == [session_id]
    assert admin.refused(boss, "GET", sessions_of(of_both, elsewhere)) == (403, {})


def test_reading_does_not_entitle_to_ending(client, session, ann, acme):
    reader = center.manager(client, session, READ, tenant_id=acme, scopes=[READ, WRITE])
    session_id = start(session, ann)
    path = sessions_of(ann, acme)
    assert admin.data(reader, "GET", path)["items"]
    for act in (f"{path}/{session_id}/end", f"{path}/end"):
        assert admin.refused(reader, "POST", act) == (403, {})
    assert live(session, ann) == [session_id]


def test_rights_of_the_platform_are_for_its_administrators_to_sign_out(client, session, root):
    clerk = center.manager(client, session, username="clerk", scopes=[WRITE])
    protocol.grant_directly(session, clerk.user, WRITE)
    ann = protocol.add_person(session)
    for user in (ann, root.user):
        start(session, user)
    assert admin.data(clerk, "POST", f"{sessions_of(ann)}/end") == {"ended": 1}
    assert admin.refused(clerk, "POST", f"{sessions_of(root.user)}/end") == (403, {})
    assert len(live(session, root.user)) == 1
    assert admin.data(root, "POST", f"{sessions_of(root.user)}/end") == {"ended": 1}


def test_at_the_platform_a_tenant_has_its_members_and_the_first_one_everybody(root, session, acme):
    of_none = protocol.add_person(session, "none", tenant_ids=[])
    start(session, of_none)
    assert admin.refused(root, "GET", sessions_of(of_none, acme)) == (404, {})
    assert len(admin.data(root, "GET", sessions_of(of_none))["items"]) == 1


def test_who_is_deleted_or_was_never_there_is_not_found(root, session):
    gone = protocol.add_person(session, deleted_at=clock.now())
    for user_id in (gone.id, 0, 999_999, 2**63 - 1, 2**80):
        for tenant_id in (1, 999_999, 2**80):
            path = f"/tenants/{tenant_id}/users/{user_id}/sessions"
            assert admin.refused(root, "GET", path) == (404, {})
            assert admin.refused(root, "POST", f"{path}/end") == (404, {})


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": "0"}, "limit"), ({"after": "-1"}, "after"), ({"id": "1"}, "id")]
)
def test_a_wrong_or_unknown_parameter_is_named(root, query, field):
    status, fields = admin.refused(root, "GET", sessions_of(root.user), **query)
    assert (status, list(fields)) == (400, [field])
