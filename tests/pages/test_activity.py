"""The account page about what happened lately: own events only, in sentences, page by page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, insert

from idp.account import activity
from idp.pages.account import activity as pages
from idp.platform import clock as wall
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests.pages.browsing import HTML, readable, statements, submit
from tests.protocol import PASSWORD, add_person, register, sign_in

HOME = "/account/activity"
ADMIN = "192.0.2.77"


@pytest.fixture
def ann(session):
    return add_person(session, display_name="Ann")


def add(session, tag, **columns):
    row = {"at": wall.now(), "remote_addr": "198.51.100.4", **columns}
    session.execute(insert(AuditEvent).values(tag=tag, **row))
    session.commit()


def test_own_acts_are_told_in_sentences(client, session, ann):
    register(session, "shop", client_name="Shop")
    submit(client, "/login", {"login": "ann", "password": "wrong"})
    submit(client, "/login", {"login": "ann", "password": PASSWORD})
    add(session, Tag.SIGN_IN, user_id=ann.id, client_id="shop")
    page = readable(client.get(HOME))
    assert "You signed in." in page
    assert "You signed in to Shop." in page
    assert "A sign-in to your account was refused." in page
    assert "198.51.100.4" in page
    chinese = client.get(HOME, headers={"Accept-Language": "zh-CN"})
    assert "您登录了 Shop。" in readable(chinese)


def test_every_kind_that_is_shown_has_a_sentence():
    shown = activity.DONE_BY_PERSON | activity.BY_ANYONE | activity.DONE_BY_OTHERS
    assert shown == set(pages.SENTENCES)


def test_nothing_of_others_is_shown(client, session, ann):
    bob = add_person(session, "bob")
    sign_in(client, session, ann)
    add(session, Tag.PASSWORD_CHANGED, user_id=bob.id, target=f"user:{bob.id}")
    add(session, Tag.USER_DISABLED, user_id=ann.id, target=f"user:{bob.id}")
    add(session, Tag.USER_UNLOCKED, user_id=bob.id, target=f"user:{bob.id}")
    assert "Nothing happened." in readable(client.get(HOME))


def test_what_administrators_did_is_shown_without_who_and_from_where(client, session, ann):
    boss = add_person(session, "boss", display_name="Secret Boss")
    sign_in(client, session, ann)
    add(session, Tag.PASSWORD_SET, user_id=boss.id, target=f"user:{ann.id}", remote_addr=ADMIN)
    page = readable(client.get(HOME))
    assert "An administrator set your password." in page
    assert "Boss" not in page
    assert ADMIN not in page


def test_events_older_than_90_days_and_other_kinds_are_not_shown(client, session, ann):
    sign_in(client, session, ann)
    add(session, Tag.PASSWORD_CHANGED, user_id=ann.id, at=wall.now() - timedelta(days=91))
    add(session, Tag.TOKEN_REFRESHED, user_id=ann.id)
    assert "Nothing happened." in readable(client.get(HOME))


def test_pages_follow_each_other_without_gap_or_repetition(client, session, ann):
    sign_in(client, session, ann)
    now, number = wall.now(), activity.PAGE * 2 + 5
    for minute in range(number):
        at = now - timedelta(minutes=minute // 3)  # several at the same moment
        tag = (Tag.SIGN_IN, Tag.PASSWORD_SET)[minute % 2]
        own = {"user_id": ann.id} if tag is Tag.SIGN_IN else {"target": f"user:{ann.id}"}
        add(session, tag, at=at, remote_addr=f"n{minute}n", **own)
    seen, address, sizes = [], HOME, []
    while address:
        text = client.get(address, headers=HTML).get_data(as_text=True)
        sizes.append(text.count("<bdi>"))
        seen.append(text)
        found = re.search(r'href="(/account/activity\?before=[0-9]+-[0-9]+)"', text)
        address = found and found[1]
    assert sizes == [activity.PAGE, activity.PAGE, 5]
    whole = "".join(seen)
    assert all(whole.count(f"n{minute}n") == 1 for minute in range(0, number, 2))


@pytest.mark.parametrize(
    "before", ["", "x", "1", "1-", "-1", "1-2-3", "\uff11-1", "1-1\n", "9" * 30 + "-1"]
)
def test_a_position_that_no_page_links_to_is_refused(client, session, ann, before):
    sign_in(client, session, ann)
    answer = client.get(HOME, query_string={"before": before}, headers=HTML)
    assert answer.status_code == 400


def test_markup_and_direction_marks_in_the_name_of_a_client_stay_text(client, session, ann):
    register(session, "shop", client_name="<b>Shop</b>\u202e" + "x" * 150)
    sign_in(client, session, ann)
    add(session, Tag.SIGN_IN, user_id=ann.id, client_id="shop")
    text = client.get(HOME, headers=HTML).get_data(as_text=True)
    assert "<b>Shop" not in text
    assert "&lt;b&gt;Shop" in text


def test_the_page_costs_the_same_for_many_events(runtime, client, session, ann):
    sign_in(client, session, ann)
    add(session, Tag.SIGN_IN, user_id=ann.id, client_id="shop")
    client.get(HOME)
    few = len(statements(runtime, client, HOME, "audit_event", "client"))
    for number in range(activity.PAGE):
        add(session, Tag.SIGN_IN, user_id=ann.id, client_id=f"shop-{number}")
    assert len(statements(runtime, client, HOME, "audit_event", "client")) == few == 3


def test_a_large_log_is_read_by_its_indexes(runtime, session, ann):
    seen = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if "audit_event" in statement:
            seen.append((statement, parameters))

    event.listen(runtime.engine, "before_cursor_execute", note)
    try:
        activity.read(session, ann)
    finally:
        event.remove(runtime.engine, "before_cursor_execute", note)
    assert len(seen) == 2
    if runtime.engine.dialect.name != "sqlite":
        return
    cursor = session.connection().connection.cursor()
    plans = [
        str(cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())
        for statement, parameters in seen
    ]
    assert "ix_audit_event_user_id_at" in plans[0]
    assert "ix_audit_event_target_at" in plans[1]
