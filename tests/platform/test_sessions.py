"""Browser sessions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from werkzeug.wrappers import Response

from idp.platform import clock as wall
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest
from idp.platform.sessions import cookie as cookies
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.sessions.service import Authentication
from tests.conftest import make_settings
from tests.protocol import add_person, add_tenant

HERE = Issuer(1, "http://127.0.0.1:8000", "127.0.0.1:8000", "idp")


def start(session, user, **options):
    given = {"remember": False, "replaces": None, **options}
    how = Authentication("pwd", ["pwd"])
    return sessions.start(session, HERE, user.id, user.security_stamp, how, **given)


def test_only_the_digest_of_the_cookie_is_kept(session):
    cookie = start(session, add_person(session))
    row = session.scalars(select(BrowserSession)).one()
    assert row.token_hash == digest(cookie)
    assert cookie not in row.sid
    assert sessions.find(session, HERE, cookie) is row


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 5000, "é\u4e2d"])
def test_a_cookie_that_nobody_gave_finds_nothing(session, cookie):
    start(session, add_person(session))
    assert sessions.find(session, HERE, cookie) is None


def test_a_cookie_counts_at_its_own_issuer_only(session):
    tenant_id = add_tenant(session, hosts=["acme.example"])
    elsewhere = Issuer(tenant_id, "http://acme.example", "acme.example", "Acme")
    cookie = start(session, add_person(session))
    assert sessions.find(session, elsewhere, cookie) is None
    assert sessions.find(session, HERE, cookie) is not None


@pytest.mark.parametrize(("remember", "hours"), [(False, 10), (True, 30 * 24)])
def test_a_session_ends_by_itself(session, clock, remember, hours):
    cookie = start(session, add_person(session), remember=remember)
    clock.shift(timedelta(hours=hours, minutes=-1))
    assert sessions.find(session, HERE, cookie) is not None
    clock.shift(timedelta(minutes=2))
    assert sessions.find(session, HERE, cookie) is None


def test_the_same_person_keeps_the_sid_under_a_new_cookie(session):
    user = add_person(session)
    first = start(session, user)
    row = sessions.find(session, HERE, first)
    before = row.auth_time, row.sid
    second = start(session, user, replaces=row, remember=True)
    assert second != first
    assert sessions.find(session, HERE, first) is None
    renewed = sessions.find(session, HERE, second)
    session.refresh(renewed)
    assert renewed.sid == before[1]
    assert renewed.auth_time >= before[0]
    assert renewed.remember


def test_another_person_gets_a_session_of_his_own(session):
    first = start(session, add_person(session))
    row = sessions.find(session, HERE, first)
    second = start(session, add_person(session, "bob"), replaces=row)
    assert sessions.find(session, HERE, first) is None
    assert sessions.find(session, HERE, second).sid != row.sid


def test_a_session_from_before_a_new_stamp_is_not_revived(session):
    user = add_person(session)
    row = sessions.find(session, HERE, start(session, user))
    user.security_stamp = "changed"
    session.flush()
    cookie = start(session, user, replaces=row)
    assert sessions.find(session, HERE, cookie).sid != row.sid


def test_an_ended_session_is_not_revived(session):
    user = add_person(session)
    row = sessions.find(session, HERE, start(session, user))
    assert sessions.end(session, row)
    cookie = start(session, user, replaces=row)
    assert sessions.find(session, HERE, cookie).id != row.id


def test_a_session_ends_once(session):
    cookie = start(session, add_person(session))
    row = sessions.find(session, HERE, cookie)
    assert sessions.end(session, row)
    assert not sessions.end(session, row)
    assert sessions.find(session, HERE, cookie) is None


def test_its_last_use_is_noted_once_a_minute(session, clock):
    clock.move_to(wall.now(), tick=False)
    cookie = start(session, add_person(session))
    row = sessions.find(session, HERE, cookie)
    began = row.last_seen_at
    clock.shift(59)
    assert not sessions.touch(session, row.id, row.last_seen_at)
    clock.shift(2)
    found = sessions.find(session, HERE, cookie)
    session.refresh(found)
    assert found.last_seen_at == began + timedelta(seconds=61)


def test_all_sessions_of_one_person_end_but_one(session):
    ann, bob = add_person(session), add_person(session, "bob")
    kept = sessions.find(session, HERE, start(session, ann))
    gone = sessions.find(session, HERE, start(session, ann))
    start(session, bob)
    assert sessions.end_all(session, ann.id, but=kept.id) == [gone.id]
    assert [row.id for row in sessions.list_for(session, ann.id, ann.security_stamp)] == [kept.id]
    assert len(sessions.list_for(session, bob.id, bob.security_stamp)) == 1


@pytest.mark.no_database
def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(tmp_path):
    settings = make_settings(tmp_path)
    secure = Issuer(7, "https://id.example", "id.example", "Example")
    for issuer, name in ((HERE, "idp_1"), (secure, "__Host-idp_7")):
        response = Response()
        cookies.set_session(response, issuer, "value", settings, remember=False)
        header = response.headers["Set-Cookie"]
        assert header.startswith(f"{name}=value;")
        assert "HttpOnly" in header
        assert "SameSite=Lax" in header
        assert "Path=/" in header
        assert "Domain" not in header
        assert "Max-Age" not in header
        assert ("Secure" in header) is issuer.is_secure


@pytest.mark.no_database
def test_a_remembered_cookie_outlives_the_browser(tmp_path):
    response = Response()
    cookies.set_session(response, HERE, "value", make_settings(tmp_path), remember=True)
    assert f"Max-Age={30 * 86_400}" in response.headers["Set-Cookie"]
