"""Signing another device in by QR code."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from idp.api.userservice.codes import Code
from idp.directory.authentication.models import QrSignIn
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import userservice
from tests.pages.browsing import HTML, csrf_token, events, readable, send, submit
from tests.protocol import PASSWORD, add_person, add_tenant

PHONE = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"


@pytest.fixture
def ann(session):
    return add_person(session)


@pytest.fixture
def phone(new_client, session, ann):
    """Return a browser that Ann is signed in with."""
    browser = new_client()
    protocol.sign_in(browser, session, ann)
    return browser


@pytest.fixture
def robot(client, session):
    return userservice.machine(client, session)


def make(device):
    answer = device.post("/account/qr", headers={"User-Agent": PHONE})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.get_json()


def confirm_at(code):
    return f"/account/qr/{code['id']}/confirm"


def state(device, code):
    content = device.get(f"/account/qr/{code['id']}").get_json()
    assert list(content) == ["state"]
    return content["state"]


def credential(code, **change):
    return {
        "authenticationType": "QRCODE",
        "principal": code["id"],
        "certificate": code["secret"],
        **change,
    }


def test_a_device_is_signed_in_by_a_person_who_saw_what_asks(client, phone, robot, session, ann):
    code = make(client)
    assert sorted(code) == ["address", "expires_in", "id", "number", "secret", "svg"]
    assert code["expires_in"] == 120
    assert code["address"] == f"http://127.0.0.1:8000{confirm_at(code)}"
    assert code["svg"].startswith("<svg")
    assert "style" not in code["svg"]
    assert state(client, code) == "waiting"
    assert robot.refused("POST", "/login", credential(code))[1] == "bad_credential"
    page = readable(phone.get(confirm_at(code), headers=HTML))
    for seen in (f"<strong>{code['number']}</strong>", "127.0.0.1"):
        assert seen in page
    assert re.search(r"Chrome \d+ on Linux", page)
    assert code["secret"] not in page
    done = submit(phone, confirm_at(code), {"answer": "allow"}, follow_redirects=True)
    assert "The other device is signed in" in readable(done)
    assert state(client, code) == "confirmed"
    assert robot.data("POST", "/login", credential(code))["id"] == ann.id
    assert state(client, code) == "used"
    assert [event.user_id for event in events(session, Tag.QR_CONFIRMED)] == [ann.id]


def test_a_code_is_answered_once_and_used_once(client, phone, robot, session):
    code = make(client)
    page = phone.get(confirm_at(code), headers=HTML)
    assert send(phone, page, confirm_at(code), {"answer": "allow"}).status_code == 303
    for answer in ("deny", "allow"):
        assert send(phone, page, confirm_at(code), {"answer": answer}).status_code == 404
    assert robot.data("POST", "/authentication", credential(code))["username"] == "ann"
    for path in ("/authentication", "/login"):
        assert robot.code("POST", path, credential(code)) is Code.bad_credential


@pytest.mark.parametrize("answer", ["deny", "", "ALLOW"])
def test_whoever_does_not_allow_keeps_the_device_out(client, phone, robot, session, answer):
    code = make(client)
    done = submit(phone, confirm_at(code), {"answer": answer}, follow_redirects=True)
    assert "was not signed in" in readable(done)
    assert state(client, code) == "denied"
    assert robot.code("POST", "/login", credential(code)) is Code.bad_credential
    assert len(events(session, Tag.QR_DENIED)) == 1


def test_what_the_code_shows_signs_nobody_in(client, phone, robot):
    code = make(client)
    submit(phone, confirm_at(code), {"answer": "allow"})
    for change in ({"certificate": code["id"]}, {"certificate": "x"}, {"principal": "x"}):
        assert robot.code("POST", "/login", credential(code, **change)) is Code.bad_credential
    assert robot.code("POST", "/login", credential(code)) is Code.success


def test_the_database_holds_neither_id_nor_secret(client, session):
    code = make(client)
    kept = str(vars(session.scalars(select(QrSignIn)).one()))
    assert code["id"] not in kept
    assert code["secret"] not in kept


def test_a_code_is_good_for_two_minutes(client, phone, robot, session):
    late, confirmed = make(client), make(client)
    submit(phone, confirm_at(confirmed), {"answer": "allow"})
    page = phone.get(confirm_at(late), headers=HTML)
    for row in session.scalars(select(QrSignIn)):
        assert timedelta(seconds=110) < row.expires_at - wall.now() <= timedelta(seconds=120)
        row.expires_at = wall.now()
    answer = send(phone, page, confirm_at(late), {"answer": "allow"})
    assert answer.status_code == 404
    assert "no longer valid" in readable(answer)
    assert state(client, late) == state(client, confirmed) == "expired"
    assert phone.get(confirm_at(late), headers=HTML).status_code == 404
    assert robot.code("POST", "/login", credential(confirmed)) is Code.bad_credential


def test_nobody_answers_without_the_token_of_the_form(client, phone):
    code = make(client)
    phone.get(confirm_at(code), headers=HTML)
    assert phone.post(confirm_at(code), data={"answer": "allow"}).status_code == 400
    assert state(client, code) == "waiting"


def test_who_is_not_signed_in_signs_in_first_and_comes_back(client, new_client, ann):
    code, browser = make(client), new_client()
    answer = browser.get(confirm_at(code), headers=HTML)
    assert answer.status_code == 303
    assert answer.location == f"/login?return_to=%2Faccount%2Fqr%2F{code['id']}%2Fconfirm"
    back = submit(browser, answer.location, {"login": "ann", "password": PASSWORD})
    assert back.location == confirm_at(code)
    stranger = new_client()
    token = csrf_token(stranger.get("/login", headers=HTML))
    answer = stranger.post(confirm_at(code), data={"csrf_token": token, "answer": "allow"})
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/login")
    assert state(client, code) == "waiting"


def test_what_was_answered_is_shown_to_who_answered_only(client, phone, new_client, session):
    code, other = make(client), new_client()
    protocol.sign_in(other, session, add_person(session, "bob"))
    submit(phone, confirm_at(code), {"answer": "allow"})
    assert phone.get(confirm_at(code), headers=HTML).status_code == 200
    assert other.get(confirm_at(code), headers=HTML).status_code == 404
    assert client.get("/account/qr/invented").status_code == 404
    assert phone.get("/account/qr/invented/confirm", headers=HTML).status_code == 404


def test_a_confirmation_ends_with_the_sign_ins_of_the_person(client, phone, robot, session, ann):
    code = make(client)
    submit(phone, confirm_at(code), {"answer": "allow"})
    users.end_access(session, session.merge(ann))
    assert robot.code("POST", "/login", credential(code)) is Code.bad_credential


def test_a_code_of_one_issuer_is_none_at_another(client, new_client, robot, session, ann):
    host = "acme.example"
    acme = add_tenant(session, hosts=[host])
    tenants.add_member(session, acme, ann.id)
    there = new_client(f"http://{host}")
    protocol.sign_in(there, session, ann)
    code = make(client)
    assert there.get(confirm_at(code), headers=HTML).status_code == 404
    assert there.get(f"/account/qr/{code['id']}").status_code == 404
    theirs = make(there)
    submit(there, confirm_at(theirs), {"answer": "allow"})
    assert robot.code("POST", "/login", credential(theirs)) is Code.bad_credential


def test_a_machine_of_a_tenant_lets_only_its_members_in(client, phone, session):
    acme = add_tenant(session)
    ours = userservice.machine(client, session, "ours", tenant_id=acme)
    code = make(client)
    submit(phone, confirm_at(code), {"answer": "allow"})
    assert ours.code("POST", "/login", credential(code)) is Code.bad_credential


def test_codes_are_limited_by_address(client, monkeypatch):
    monkeypatch.setattr("idp.directory.authentication.qr.MADE_PER_MINUTE", 2)
    monkeypatch.setattr("idp.directory.authentication.qr.POLLS_PER_MINUTE", 2)
    code = make(client)
    make(client)
    refused = client.post("/account/qr")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert [state(client, code) for _ in range(2)] == ["waiting"] * 2
    assert client.get(f"/account/qr/{code['id']}").status_code == 429


def test_of_many_uses_at_once_one_counts(app, client, phone, robot, session, settings):
    code = make(client)
    submit(phone, confirm_at(code), {"answer": "allow"})
    session.commit()
    statuses = []

    def use():
        with app.test_client() as browser:
            answer = browser.post(
                "/user/login",
                base_url=settings.public_url,
                json=credential(code),
                headers=protocol.bearer(robot.token),
            )
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=use) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 400, 400, 400, 400]


def test_the_page_is_there_in_chinese(client, phone):
    code = make(client)
    page = phone.get(confirm_at(code), headers={**HTML, "Accept-Language": "zh-CN"})
    assert "要让另一台设备登录吗" in page.get_data(as_text=True)
