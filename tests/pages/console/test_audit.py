"""The audit log in the console: who sees which events, searches, the event, the file."""

from __future__ import annotations

import csv
import json
import re
from datetime import timedelta
from html import unescape
from io import StringIO

import pytest

from idp.pages.console import event_names
from idp.pages.console.audit import views
from idp.platform import clock as time_of
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, readable
from tests.protocol import add_person, add_role, add_tenant, register, sign_in

READ = "ids4.ms.admin.audit.read"
HOSTILE = "<script>alert(1)</script>\u202eevil" + "x" * 10_000


@pytest.fixture
def root(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def ann(client, session):
    """Sign in somebody who reads the audit log of Acme; return them and the tenant."""
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    add_role(session, user, "auditor", [READ], tenant_id=acme)
    sign_in(client, session, user)
    return user, acme


def note(session, tag=Tag.ROLE_CHANGED, **values):
    """Record an event and return its id."""
    audit.record(session, tag, **values)
    session.commit()
    return audit.search(session, Filters(tag=tag), limit=1)[0].id


def titles(page: str) -> list[str]:
    """Read the names of the events of a list."""
    rows = page.partition('id="rows"')[2]
    return re.findall(r'<span class="two">\s*<a [^>]*>([^<]+)</a>', rows)


def listed(client, path: str) -> str:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200
    return unescape(answer.get_data(as_text=True))


def test_every_kind_of_event_has_a_name_an_icon_and_a_subject():
    assert set(event_names.NAMES) == set(Tag)
    subjects = [event_names.tags_of(one) for one in event_names.SUBJECTS if one != "refusals"]
    assert sorted(tag for tags in subjects for tag in tags) == sorted(Tag)
    assert event_names.tags_of("refusals") > {Tag.SIGN_IN_REFUSED, Tag.CODE_REUSED}


def test_a_tenant_shows_its_own_events_alone(client, session, ann):
    user, acme = ann
    other = add_tenant(session, "Bluefen")
    stranger = add_person(session, "stranger", nick_name="Stranger", tenant_ids=(other,))
    note(session, user_id=user.id, tenant_id=acme, target=f"user:{stranger.id}")
    theirs = note(session, tag=Tag.KEY_ROTATED, user_id=stranger.id, tenant_id=other)
    nobodys = note(session, tag=Tag.SETUP_DONE)
    page = listed(client, f"/console/t/{acme}/audit")
    assert "Role changed" in titles(page)
    assert "Signing key rotated" not in titles(page)
    assert "Setup done" not in titles(page)
    assert "Stranger" not in page
    for event_id in (theirs, nobodys, 2**63, 10**30):
        for path in (f"/audit/{event_id}", f"/audit?event={event_id}"):
            assert client.get(f"/console/t/{acme}{path}", headers=HTML).status_code == 404, path
    # A filter by another tenant does not exist there, and a name of others finds nobody.
    assert "Signing key rotated" not in listed(client, f"/console/t/{acme}/audit?tenant={other}")
    found = listed(client, f"/console/t/{acme}/audit?person=stranger")
    assert "Nothing matches" in found


def test_the_platform_shows_all_events_and_searches_by_organisation(client, session, root):
    acme = add_tenant(session)
    note(session, tag=Tag.BUNDLE_CHANGED, tenant_id=acme, target="bundle:gold")
    note(session, tag=Tag.SETUP_DONE)
    page = listed(client, "/console/platform/audit")
    assert {"Bundle changed", "Setup done"} <= set(titles(page))
    assert titles(listed(client, f"/console/platform/audit?tenant={acme}"))[0] == "Bundle changed"
    assert "Setup done" not in titles(listed(client, f"/console/platform/audit?tenant={acme}"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=role+ch", True),
        ("q=ROLE", True),
        ("q=role:77", True),
        ("q=request-77", True),
        ("q=request-7", False),
        ("q=role:7", False),
        ("what=roles", True),
        ("what=clients", False),
        ("what=roles&q=role", True),
        ("what=clients&q=role", False),
        ("tag=admin:role:changed", True),
        ("tag=x", False),
        ("target=role:77", True),
        ("client=shop", True),
        ("client=other", False),
        ("person=ann", True),
        ("person=bob", False),
        ("person=0", False),
        ("person=99999999999999999999", False),
        ("period=today", True),
        ("since=2020-01-01&until=9000-12-31", True),
        ("until=2020-01-01", False),
        ("since=9000-01-01", False),
    ],
)
def test_events_are_searched(client, session, ann, query, found):
    user, acme = ann
    session.add(
        AuditEvent(
            tag=Tag.ROLE_CHANGED,
            user_id=user.id,
            client_id="shop",
            tenant_id=acme,
            target="role:77",
            request_id="request-77",
        )
    )
    session.commit()
    page = listed(client, f"/console/t/{acme}/audit?{query}")
    assert ("Role changed" in titles(page)) is found
    if not found:
        assert f'<a href="/console/t/{acme}/audit">Clear filters</a>' in page


@pytest.mark.no_database
@pytest.mark.parametrize(
    "query",
    [
        "what=nothing",
        "period=never",
        "since=yesterday",
        "since=0001-01-01",
        "until=9999-12-31",
        "q=" + "x" * 201,
        "q=%00",
        "person=%E2%80%AE",
        "client=a&client=b",
        "after=x",
        "after=WzEsMV0",
    ],
)
def test_an_address_that_was_made_up_is_refused(client, root, query):
    assert client.get(f"/console/platform/audit?{query}", headers=HTML).status_code == 400


def test_times_are_those_of_the_zone_of_the_visitor(client, session, ann):
    user, acme = ann
    at = time_of.now().replace(year=2026, month=3, day=1, hour=20, minute=0, second=5)
    session.add(AuditEvent(tag=Tag.ROLE_CHANGED, tenant_id=acme, at=at))
    user.zoneinfo = "Asia/Shanghai"
    session.commit()
    page = listed(client, f"/console/t/{acme}/audit")
    assert "Monday, March 2, 2026" in page
    assert ">04:00:05<" in page
    assert "Role changed" in titles(listed(client, f"/console/t/{acme}/audit?until=2026-03-02"))
    since = f"/console/t/{acme}/audit?since=2026-03-02&until=2026-03-02"
    assert "Role changed" in titles(listed(client, since))
    assert titles(listed(client, f"/console/t/{acme}/audit?until=2026-03-01")) == []
    user.zoneinfo = "Nowhere/At all"
    session.commit()
    assert "Times are those of UTC." in listed(client, f"/console/t/{acme}/audit")


def test_pages_follow_each_other_and_show_every_event_once(client, session, ann):
    _, acme = ann
    at = time_of.now()
    for number in range(60):
        session.add(
            AuditEvent(
                tag="x:role:changed",
                at=at - timedelta(seconds=number // 3),
                tenant_id=acme,
                target=f"role:{number}",
            )
        )
    session.commit()
    note(session, tenant_id=acme)
    seen, address = [], f"/console/t/{acme}/audit?tag=x:role:changed"
    while address is not None:
        page = listed(client, address)
        seen += re.findall(r"event=(\d+)", page.partition('id="rows"')[2])
        following = re.search(r'href="([^"]+)"\s+rel="next"', page)
        address = following[1] if following else None
    assert len(seen) == len(set(seen)) == 60


def test_an_event_is_shown_beside_the_list_with_what_it_changed(client, session, ann):
    user, acme = ann
    before = {"name": "Old", "privileges": Rows({1: "orders.read"})}
    after = {"name": "New", "privileges": Rows({2: "orders.write"})}
    audit.record_change(
        session, Tag.ROLE_CHANGED, "role:5", before, after, tenant_id=acme, user_id=user.id
    )
    session.commit()
    event_id = audit.search(session, Filters(tag=Tag.ROLE_CHANGED), limit=1)[0].id
    newest = note(session, tag=Tag.USER_ENABLED, tenant_id=acme, target=f"user:{user.id}")
    page = listed(client, f"/console/t/{acme}/audit?event={event_id}")
    for text in ("Old", "New", "orders.read", "orders.write", "idp audit list --tag"):
        assert text in page.partition('class="drawer"')[2], text
    assert f'href="/console/t/{acme}/audit?event={newest}"' in page.partition('rel="prev"')[0]
    assert f'href="/console/t/{acme}/audit?person={user.id}"' in page
    assert f'href="/console/t/{acme}/audit?target=role%3A5"' in page.replace("role:5", "role%3A5")
    alone = listed(client, f"/console/t/{acme}/audit/{event_id}")
    assert "orders.write" in alone


def test_what_is_in_an_event_is_text(client, session, root):
    acme = add_tenant(session, "<b>Acme</b>")
    user = add_person(session, "eve", nick_name="<i>Eve</i>\u202e", tenant_ids=(acme,))
    app = register(session, "shop", client_name="<u>Shop</u>", tenant_id=acme)
    event_id = note(
        session,
        user_id=user.id,
        client_id=app.client_id,
        tenant_id=acme,
        target=HOSTILE,
        details={"reason": HOSTILE, "changes": [{"field": HOSTILE, "before": {"a": HOSTILE}}]},
    )
    client_event = note(session, tag=Tag.CLIENT_CHANGED, target="client:shop", tenant_id=acme)
    for path in (
        "/console/platform/audit",
        f"/console/platform/audit?event={event_id}",
        f"/console/platform/audit/{event_id}",
        f"/console/platform/audit/{client_event}",
        f"/console/t/{acme}/audit?event={event_id}",
    ):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200
        for letters in (b"<script>alert", b"<b>Acme", b"<i>Eve", b"<u>Shop"):
            assert letters not in answer.data, path
    assert f"/console/platform/clients/{app.row_id}" in readable(
        client.get(f"/console/platform/audit/{client_event}")
    )


@pytest.mark.parametrize("details", [{"changes": "x"}, {"changes": [1, {}]}, {"a": {"b": [True]}}])
def test_details_of_any_form_are_shown(client, session, root, details):
    event_id = note(session, details=details)
    assert client.get(f"/console/platform/audit/{event_id}", headers=HTML).status_code == 200


def test_events_are_exported_as_they_are_searched(client, session, ann):
    _, acme = ann
    other = add_tenant(session, "Bluefen")
    note(session, tenant_id=acme, target="=1+1")
    note(session, tag=Tag.BUNDLE_CHANGED, tenant_id=acme)
    note(session, tenant_id=other)
    token = csrf_token(client.get(f"/console/t/{acme}/audit"))
    path = f"/console/t/{acme}/audit/export?what=roles"
    answer = client.post(path, data={"csrf_token": token, "format": "csv"})
    assert answer.headers["Content-Disposition"].endswith('.csv"')
    assert answer.headers["Cache-Control"] == "no-store"
    (row,) = csv.DictReader(StringIO(answer.get_data(as_text=True)))
    assert (row["tag"], row["target"], row["tenant_id"]) == (Tag.ROLE_CHANGED, "'=1+1", str(acme))
    answer = client.post(path, data={"csrf_token": token, "format": "jsonl"})
    (line,) = answer.get_data(as_text=True).splitlines()
    assert json.loads(line)["target"] == "=1+1"
    (last,) = audit.search(session, Filters(tag=Tag.AUDIT_EXPORTED), limit=1)
    assert last.tenant_id == acme
    assert last.details["searched"]["what"] == "roles"
    refused = client.post(path, data={"csrf_token": token, "format": "xls"}, headers=HTML)
    assert refused.status_code == 400
    assert client.post(path, data={"format": "csv"}, headers=HTML).status_code == 400


def test_a_file_has_so_many_events_and_a_person_so_many_files(client, session, root, monkeypatch):
    monkeypatch.setattr(views, "MOST_EXPORTED", 2)
    for _ in range(4):
        note(session)
    token = csrf_token(client.get("/console/platform/audit"))
    path = "/console/platform/audit/export?what=roles"
    answers = [
        client.post(path, data={"csrf_token": token}, headers=HTML)
        for _ in range(views.EXPORTS_PER_MINUTE + 1)
    ]
    assert len(answers[0].get_data(as_text=True).splitlines()) == 1 + 2
    assert [answer.status_code for answer in answers[-2:]] == [200, 429]


def test_new_events_are_followed(client, session, root):
    page = listed(client, "/console/platform/audit?follow=1")
    assert 'data-hx-trigger="every 5s"' in page
    assert "Load the page again" in page.partition("<noscript>")[2]
    assert "every 5s" not in listed(client, "/console/platform/audit")


def test_the_number_of_queries_does_not_grow(client, session, root, runtime):
    path = "/console/platform/audit"
    counts = []
    for many in (1, 20):
        for number in range(many):
            user = add_person(session, f"p-{many}-{number}")
            app = register(session, f"app-{many}-{number}")
            note(session, user_id=user.id, target=f"client:{app.client_id}")
        client.get(path)
        with statements(runtime.engine) as sent:
            assert client.get(path).status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1] < 40
