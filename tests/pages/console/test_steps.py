"""Acts on many rows in steps: watched, stopped, and honest about what was left out."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from sqlalchemy import insert, select

from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.oauth.models import Grant
from idp.pages.console import steps
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events, readable
from tests.protocol import (
    add_person,
    add_role,
    add_tenant,
    grant_of,
    register,
    sign_in,
    start_session,
)

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
USERS = "/console/platform/users/all"


@pytest.fixture
def crowd(session, root):
    """Add seven people who can be disabled."""
    people = [add_person(session, f"crowd{number}") for number in range(7)]
    return [user.id for user in people]


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(steps, "ROWS", 3)


def post(browser, path, /, **form):
    token = csrf_token(browser.get("/login?prompt=login"))
    return browser.post(path, data={"csrf_token": token, **form}, headers=HTML)


def hidden(answer) -> dict[str, str]:
    found = HIDDEN.findall(answer.get_data(as_text=True))
    return {name: unescape(value) for name, value in found if name != "csrf_token"}


def to_the_end(browser, path, answer, **form):
    """Press the button until there is none; return the pages that were seen."""
    pages = []
    while "Back to the list" not in readable(answer):
        answer = post(browser, path, **{**hidden(answer), **form})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        pages.append(answer)
        assert len(pages) < 20
    return pages


def disabled(session):
    session.rollback()
    return {*session.scalars(select(User.id).where(User.is_disabled.is_(True)))}


@pytest.mark.usefixtures("small_steps")
def test_all_that_a_search_leaves_are_disabled_step_by_step(client, session, crowd):
    other = add_person(session, "other")
    path = f"{USERS}/disable?q=crowd"
    asked = client.get(path)
    assert "7 rows of the list" in readable(asked)
    assert disabled(session) == set()
    pages = to_the_end(client, path, asked)
    assert [re.search(r"(\d+) of 7 done", readable(page))[1] for page in pages] == ["3", "6", "7"]
    assert 'max="7"' in readable(pages[0])
    assert "Under way." in readable(pages[0])
    assert "data-steps" in readable(pages[0])
    assert "Finished." in readable(pages[-1])
    assert "data-steps" not in readable(pages[-1])
    assert disabled(session) == {*crowd}
    assert other.id not in disabled(session)
    assert len(events(session, Tag.USER_DISABLED)) == 7
    assert 'href="/console/platform/users?q=crowd"' in readable(pages[-1])


@pytest.mark.usefixtures("small_steps")
def test_of_very_many_rows_only_the_first_are_counted(client, session, crowd, monkeypatch):
    monkeypatch.setattr(steps, "MOST_COUNTED", 5)
    path = f"{USERS}/disable?q=crowd"
    asked = client.get(path)
    assert "More than 5 rows of the list" in readable(asked)
    later = add_person(session, "crowd-later")
    pages = to_the_end(client, path, asked)
    said = ["3 of more than 5 done", "6 of more than 5 done", "7 of 7 done"]
    assert all(text in readable(page) for text, page in zip(said, pages, strict=True))
    assert "max=" not in readable(pages[0])
    assert later.id not in disabled(session)
    assert disabled(session) == {*crowd}


def test_who_cannot_be_disabled_is_left_out_with_the_reason(client, session, root, crowd):
    (answer,) = to_the_end(client, f"{USERS}/disable", client.get(f"{USERS}/disable"))
    text = readable(answer)
    done, total = map(int, re.search(r"(\d+) of (\d+) done", text).groups())
    assert done == total - 1 >= len(crowd)
    assert "Left out" in text
    assert "You cannot disable your own account." in text
    assert re.search(rf'<bdi class="breaks">root</bdi> {root.id}\s*</span>', text)
    assert disabled(session) >= {*crowd}
    assert root.id not in disabled(session)


@pytest.mark.usefixtures("small_steps")
def test_it_can_be_stopped_and_a_step_sent_twice_does_nothing_more(client, session, crowd):
    path = f"{USERS}/disable?q=crowd"
    first = hidden(client.get(path))
    once = post(client, path, **first)
    again = post(client, path, **first)
    assert hidden(once) == hidden(again)
    assert len(events(session, Tag.USER_DISABLED)) == 3
    stopped = post(client, path, **hidden(once), act="stop")
    assert "Stopped." in readable(stopped)
    assert "3 of 7 done" in readable(stopped)
    assert disabled(session) == {*crowd[:3]}


@pytest.mark.usefixtures("small_steps")
def test_who_comes_after_the_beginning_is_not_touched_and_who_went_is_no_error(
    client, session, crowd
):
    path = f"{USERS}/disable?q=crowd"
    answer = post(client, path, **hidden(client.get(path)))
    late = add_person(session, "crowd-late")
    session.get_one(User, crowd[-1]).deleted_at = late.created_at
    session.commit()
    pages = to_the_end(client, path, answer)
    assert "6 of 7 done" in readable(pages[-1])
    assert disabled(session) == {*crowd[:-1]}


@pytest.mark.usefixtures("small_steps")
def test_a_role_is_assigned_to_all(client, session, boss):
    add_role(session, add_person(session, "x", tenant_ids=(boss,)), "clerk", tenant_id=boss)
    people = [add_person(session, f"crowd{number}", tenant_ids=(boss,)) for number in range(5)]
    far = add_person(session, "crowd-far", tenant_ids=(add_tenant(session, "Far"),))
    path = f"/console/t/{boss}/users/all/assign?q=crowd"
    asked = client.get(path)
    assert "5 rows of the list" in readable(asked)
    role_id = role_of(session, boss, "clerk")
    to_the_end(client, path, asked, role=str(role_id))
    assert holders(session, role_id) >= {user.id for user in people}
    assert far.id not in holders(session, role_id)
    for wrong in ("", "x", "999999", str(role_of(session, None, "administrators"))):
        assert post(client, path, **hidden(asked), role=wrong).status_code == 400


@pytest.mark.no_database
@pytest.mark.parametrize(
    "wrong",
    [
        {"total": "x"},
        {"until": "-1"},
        {"after": ""},
        {"done": "9" * 40},
        {"skipped": "no json"},
        {"skipped": "[[1]]"},
        {"skipped": '[["a", "b", []]]'},
        {"skipped": "[" * 5000},
        {"skipped": "x" * 30_000},
        {"skipped": "{}x"},
    ],
)
def test_a_form_that_no_page_sent_is_refused(client, crowd, session, wrong):
    form = {"total": "1", "until": "9", "after": "0", "done": "0", "skipped": "[]", **wrong}
    assert post(client, f"{USERS}/disable", **form).status_code == 400
    assert disabled(session) == set()


@pytest.mark.usefixtures("crowd")
def test_reasons_of_a_form_are_shown_as_text(client):
    skipped = json.dumps([["<script>alert(1)</script>\u202e", 1, [5]]])
    form = {"total": "1", "until": "0", "after": "0", "done": "0", "skipped": skipped}
    page = post(client, f"{USERS}/disable", **form).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_three_of_many_are_left_out_by_name_and_all_others_are_done(client, session, boss, runtime):
    both = [add_person(session, f"both{number}", tenant_ids=(boss, 1)) for number in range(2)]
    names = [f"row{number:04}" for number in range(5000)]
    rows = [{"username": name, "username_key": name} for name in names]
    ids = session.scalars(insert(User).returning(User.id), rows).all()
    session.execute(insert(Membership), [{"tenant_id": boss, "user_id": each} for each in ids])
    session.commit()
    path = f"/console/t/{boss}/users/all/disable"
    answer, counts = client.get(path), []
    assert "5003 rows of the list" in readable(answer)
    while "Back to the list" not in readable(answer):
        with statements(runtime.engine) as made:
            form = {"csrf_token": csrf_token(answer), **hidden(answer)}
            answer = client.post(path, data=form, headers=HTML)
        assert answer.status_code == 200
        counts.append(len(made))
    text = readable(answer)
    assert "5000 of 5003 done" in text
    assert "You cannot disable your own account." in text
    for name in ("boss", *(user.username for user in both)):
        assert f'<bdi class="breaks">{name}</bdi>' in text
    assert disabled(session) == {*ids}
    found = events(session, Tag.USER_DISABLED)
    assert sorted(event.target for event in found) == sorted(f"user:{each}" for each in ids)
    full = counts[1:-1]  # the first step leaves people out, the last one has fewer rows
    assert len(set(full)) == 1


def test_a_form_names_nobody_whom_the_visitor_may_not_see(client, session, boss):
    far = add_person(session, "far", tenant_ids=(add_tenant(session, "Far"),))
    near = add_person(session, "near", tenant_ids=(boss,))
    skipped = json.dumps([["No.", 2, [far.id, near.id, 9_000_000_000]]])
    form = {"total": "2", "until": "0", "after": "0", "done": "0", "skipped": skipped}
    text = readable(post(client, f"/console/t/{boss}/users/all/disable", **form))
    assert ">near</bdi>" in text
    assert "far<" not in text
    assert str(far.id) in text


def test_a_name_of_somebody_left_out_is_only_text(client, session, boss):
    odd = add_person(session, "<b>odd</b>\u202e", tenant_ids=(boss, 1))
    path = f"/console/t/{boss}/users/all/disable"
    (answer,) = to_the_end(client, path, client.get(path))
    page = answer.get_data(as_text=True)
    assert "&lt;b&gt;odd" in page
    assert "<b>odd" not in page
    assert odd.id not in disabled(session)


@pytest.mark.usefixtures("small_steps")
def test_many_grants_are_ended_in_steps(client, session, root, monkeypatch):
    monkeypatch.setattr(steps, "MANY", 3)
    app, far = register(session), add_person(session, "far")
    ann = add_person(session, "ann")
    for user in (ann, ann, ann, ann, far):
        add_grant(session, app, user)
    base = "/console/platform/sessions/grants"
    moved = client.get(f"{base}/end?q=ann")
    assert moved.location == f"{base}/all/end?q=ann"
    asked = client.get(moved.location)
    assert "4 rows of the list" in readable(asked)
    first = post(client, moved.location, **hidden(asked))
    assert "3 of 4 done" in readable(first)
    assert hidden(post(client, moved.location, **hidden(asked)))["done"] == "1"
    pages = to_the_end(client, moved.location, first)
    assert "Finished." in readable(pages[-1])
    session.rollback()
    live = session.scalars(select(Grant.user_id).where(Grant.revoked_at.is_(None))).all()
    assert live == [far.id]
    assert len(events(session, Tag.GRANT_ENDED)) == 4


def test_grants_of_another_tenant_are_not_ended(client, session, boss):
    app = register(session)
    far = add_person(session, "far", tenant_ids=(add_tenant(session, "Far"),))
    add_grant(session, app, far)
    path = f"/console/t/{boss}/sessions/grants/all/end"
    asked = hidden(client.get(path))
    assert asked["total"] == "0"
    answer = post(client, path, **{**asked, "until": "999999", "total": "1"})
    assert "0 of 1 done" in readable(answer)
    session.rollback()
    assert session.scalars(select(Grant.revoked_at)).all() == [None]


def test_an_administrator_of_a_tenant_reaches_nobody_else(client, session, boss):
    far = add_person(session, "far", tenant_ids=(add_tenant(session, "Far"),))
    both = add_person(session, "both", tenant_ids=(boss, 1))
    path = f"/console/t/{boss}/users/all/disable"
    (answer,) = to_the_end(client, path, client.get(path))
    assert "There is no such user." in readable(answer)
    assert not {far.id, both.id} & disabled(session)


def test_who_may_not_act_is_refused(client, session):
    reader = add_person(session, "reader")
    add_role(session, reader, "reader", ["ids4.ms.admin.users.read"], tenant_id=None)
    sign_in(client, session, reader)
    for act in ("disable", "assign"):
        assert client.get(f"{USERS}/{act}", headers=HTML).status_code == 403
        assert post(client, f"{USERS}/{act}").status_code == 403
    page = readable(client.get("/console/platform/users"))
    assert "/all/" not in page


def test_the_list_offers_it_where_there_is_more_than_a_page(client, session, root):
    assert "/all/disable" not in readable(client.get("/console/platform/users"))
    for number in range(26):
        add_person(session, f"crowd{number}")
    page = readable(client.get("/console/platform/users?q=crowd"))
    assert "/console/platform/users/all/disable?q=crowd" in page


@pytest.mark.usefixtures("small_steps")
def test_many_sessions_are_ended_in_steps_but_not_ones_own(client, session, root, monkeypatch):
    monkeypatch.setattr(steps, "MANY", 3)
    ann = add_person(session, "ann")
    for _ in range(4):
        start_session(session, "127.0.0.1:8000", ann)
    base = "/console/platform/sessions"
    moved = client.get(f"{base}/end?q=ann")
    assert moved.location == f"{base}/all/end?q=ann"
    asked = client.get(moved.location)
    assert "4 rows of the list" in readable(asked)
    pages = to_the_end(client, moved.location, asked)
    assert "4 of 4 done" in readable(pages[-1])
    session.rollback()
    live = select(BrowserSession.user_id).where(BrowserSession.ended_at.is_(None))
    assert session.scalars(live).all() == [root.id]
    assert len(events(session, Tag.SESSION_REVOKED)) == 4


def add_grant(session, app, user):
    found = grant_of(user, client_id=app.row_id, tenant_id=tenant_of(session, user))
    session.add(found)
    session.commit()


def tenant_of(session, user):
    query = select(Membership.tenant_id).where(Membership.user_id == user.id)
    return session.scalars(query).one()


def role_of(session, tenant_id, code):
    query = select(Role.id).where(Role.tenant_id.is_not_distinct_from(tenant_id), Role.code == code)
    return session.scalars(query).one()


def holders(session, role_id):
    session.rollback()
    return {*session.scalars(select(UserRole.user_id).where(UserRole.role_id == role_id))}
