"""Devices: known again, remembered in place of the second factor, copied, listed and removed."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from idp.account import devices as rules
from idp.account import second_factors
from idp.account.devices import Sent
from idp.account.second_factors import ConfirmedApp
from idp.directory.devices import service as devices
from idp.directory.devices.models import Device, DeviceUser
from idp.directory.factors import service as factors
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML, events, readable, send, statements, submit
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    add_tenant,
    app_code,
    authorize,
    register,
    sign_in,
)

RIGHT = {"login": "ann", "password": PASSWORD}
COOKIE = "idp_1_device"
HERE = "127.0.0.1"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ann(session):
    return add_person(session, email="ann@example.com")


@pytest.fixture
def secret(session, ann):
    return add_authenticator(session, ann)


def cookie_of(browser):
    found = browser.get_cookie(COOKIE, domain=HERE)
    return None if found is None else found.value


def set_cookie(browser, value):
    browser.set_cookie(COOKIE, value, domain=HERE)


def leave(browser):
    """Drop the session, as a browser does that was closed."""
    browser.delete_cookie("idp_1", domain=HERE)


def count(session, model, *conditions):
    session.rollback()
    return session.scalar(select(func.count()).select_from(model).where(*conditions))


def remember(browser, session, secret, steps=0):
    """Sign in with both factors and have the device remembered; return its cookie."""
    asked = submit(browser, "/login", RIGHT)
    form = {"code": app_code(secret, steps), "remember_device": "y"}
    assert submit(browser, asked.location, form).location == "/account"
    leave(browser)
    assert count(session, DeviceUser, DeviceUser.remembered_at.is_not(None)) == 1
    return cookie_of(browser)


def is_asked(browser, login="ann"):
    """Sign in with the password; return whether the second factor is asked for."""
    answer = submit(browser, "/login", {**RIGHT, "login": login})
    assert answer.location in {"/account", "/login/factor"}
    return answer.location == "/login/factor"


def test_a_remembered_device_needs_the_password_alone_and_says_so_in_the_level(
    client, session, ann, secret
):
    remember(client, session, secret)
    assert not is_asked(client)
    row = session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()
    assert (row.acr, row.amr, row.mfa_at) == ("pwd", ["pwd"], None)


def test_a_device_is_remembered_only_where_that_was_chosen(client, session, ann, secret):
    asked = submit(client, "/login", RIGHT)
    assert "for 30 days" in readable(client.get(asked.location))
    submit(client, asked.location, {"code": app_code(secret)})
    leave(client)
    assert is_asked(client)


def test_the_cookie_is_strict_changes_with_every_use_and_only_hashes_are_kept(
    client, session, ann, secret
):
    seen = [remember(client, session, secret)]
    for _ in range(2):
        answer = submit(client, "/login", RIGHT)
        (line,) = [line for line in answer.headers.getlist("Set-Cookie") if COOKIE in line]
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000"} <= set(line.split("; "))
        seen.append(cookie_of(client))
        leave(client)
    assert len(set(seen)) == 3
    row = session.scalars(select(Device)).one()
    kept = str(vars(row)) + str(vars(session.scalars(select(DeviceUser)).one()))
    assert not any(part in kept for value in seen for part in value.split("."))


# Attack 78: a cookie of somebody else, a copied one, one from before a change.


def test_a_value_used_twice_ends_the_device_of_thief_and_owner(client, session, ann, secret):
    old = remember(client, session, secret)
    assert not is_asked(client)
    session.execute(update(Device).values(changed_at=wall.now() - timedelta(seconds=11)))
    session.commit()
    current = cookie_of(client)
    leave(client)
    set_cookie(client, old)
    assert is_asked(client)
    assert count(session, Device) == 0
    (event,) = events(session, Tag.DEVICE_COPIED)
    assert (event.user_id, event.target) == (ann.id, f"user:{ann.id}")
    client.delete_cookie("idp_1_signin", domain=HERE)
    set_cookie(client, current)
    assert is_asked(client)
    assert len(events(session, Tag.DEVICE_COPIED)) == 1


def test_any_earlier_value_is_known_as_a_copy_not_only_the_last(client, session, ann, secret):
    first = remember(client, session, secret)
    for _ in range(3):
        assert not is_asked(client)
        leave(client)
    set_cookie(client, first)
    assert is_asked(client)
    assert len(events(session, Tag.DEVICE_COPIED)) == 1


def test_two_requests_at_once_with_the_same_value_are_no_theft(client, session, ann, secret):
    value = remember(client, session, secret)
    assert not is_asked(client)
    current = cookie_of(client)
    leave(client)
    set_cookie(client, value)
    answer = submit(client, "/login", RIGHT)
    assert answer.location == "/account"
    assert not any(COOKIE in line for line in answer.headers.getlist("Set-Cookie"))
    assert events(session, Tag.DEVICE_COPIED) == []
    leave(client)
    set_cookie(client, current)
    assert not is_asked(client)


def test_of_two_requests_that_read_the_same_value_one_changes_it(runtime, session, ann):
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    cookie = rules.note_sign_in(session, issuer, ann, Sent())
    session.commit()
    found = []
    for _ in range(2):
        with runtime.sessions() as other:
            found.append(devices.find(other, issuer, cookie))
            other.expunge(found[-1].row)
    first, second = (devices.renew(session, device, cookie) for device in found)
    session.commit()
    assert first is not None
    assert second is None
    assert devices.find(session, issuer, first).value is devices.Value.CURRENT
    assert devices.find(session, issuer, cookie).value is devices.Value.PREVIOUS


def test_the_device_of_one_person_is_not_remembered_for_another(client, session, ann, secret):
    bob = add_person(session, "bob")
    add_authenticator(session, bob)
    remember(client, session, secret)
    assert is_asked(client, "bob")


@pytest.mark.parametrize("value", ["", "x", ".", "x.y", "é.ü", "a" * 4000, "a." + "b" * 4000])
def test_a_cookie_that_names_no_device_is_of_no_use(client, session, ann, secret, value):
    remember(client, session, secret)
    set_cookie(client, value)
    assert is_asked(client)
    assert count(session, Device) == 1


def test_a_handle_with_a_guessed_value_is_no_device(client, session, ann, secret):
    handle = remember(client, session, secret).partition(".")[0]
    set_cookie(client, f"{handle}.guess")
    assert is_asked(client)


def test_a_device_of_another_issuer_is_unknown(session, ann):
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    cookie = rules.note_sign_in(session, issuer, ann, Sent())
    elsewhere = add_tenant(session, hosts=["acme.example"])
    session.execute(update(Device).values(issuer_tenant_id=elsewhere))
    session.commit()
    assert devices.find(session, issuer, cookie) is None


@pytest.mark.parametrize("change", ["password", "reset", "app added", "person", "time"])
def test_what_ends_a_remembered_device(client, session, ann, secret, change):
    remember(client, session, secret)
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    if change == "password":
        users.set_password(session, ann, PASSWORD)
    elif change == "reset":
        second_factors.reset(session, issuer, ann, "en")
        assert devices.list_for(session, ann)[0].remembered_until is None
        add_authenticator(session, ann)
    elif change == "person":
        assert rules.stop_remembering(session, issuer, ann) == 1
    elif change == "app added":
        _add_app(session, issuer, ann)
    else:
        session.execute(update(DeviceUser).values(remembered_at=wall.now() - timedelta(days=31)))
    session.commit()
    assert is_asked(client)


def _add_app(session, issuer, user):
    new = factors.new_app(session, issuer, user)
    secret = base64.b32decode(new.text)
    app = ConfirmedApp(new.key, app_code(secret), "Tablet")
    assert second_factors.add_app(session, issuer, user, app, "en") is not None


@pytest.mark.settings(device_days=0)
def test_no_device_is_remembered_where_that_is_off(client, session, ann, secret):
    asked = submit(client, "/login", RIGHT)
    assert "remember_device" not in readable(client.get(asked.location))
    form = {"code": app_code(secret), "remember_device": "y"}
    submit(client, asked.location, form)
    leave(client)
    assert count(session, DeviceUser, DeviceUser.remembered_at.is_not(None)) == 0
    assert is_asked(client)


@pytest.mark.settings(second_factor="required")
def test_a_device_is_remembered_where_everyone_must_have_a_second_factor(
    client, session, clock, ann, secret
):
    remember(client, session, secret)
    assert not is_asked(client)
    row = session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()
    assert row.acr == "pwd"
    assert row.trusted_until == wall.now() + timedelta(days=30)
    app = register(session)
    assert "code=" in authorize(client, app).location
    assert "/login/factor" in authorize(client, app, acr_values="mfa").location


def test_signing_out_of_this_device_forgets_it_and_plain_signing_out_does_not(
    client, session, ann, secret
):
    remember(client, session, secret)
    assert not is_asked(client)
    page = client.get("/logout", headers=HTML)
    assert send(client, page, "/logout", {"answer": "yes"}).location == "/signed-out"
    assert not is_asked(client)
    page = client.get("/account/sessions", headers=HTML)
    assert "Sign out of this device" in readable(page)
    answer = send(client, page, "/account/devices/this/sign-out", {})
    assert answer.location == "/signed-out"
    assert client.get("/account").status_code == 303
    assert is_asked(client)


# What a remembered device does not take the place of.


def test_people_who_are_signed_in_and_prove_it_once_more_prove_all_of_it(
    client, session, ann, secret
):
    remember(client, session, secret)
    assert not is_asked(client)
    answer = submit(client, "/login?prompt=login", RIGHT)
    assert answer.location == "/login/factor"


def test_max_age_of_an_application_asks_for_both_factors(client, session, ann, secret):
    app = register(session)
    remember(client, session, secret)
    assert not is_asked(client)
    session.execute(update(BrowserSession).values(auth_time=wall.now() - timedelta(hours=1)))
    session.commit()
    address = authorize(client, app, max_age="60").location
    assert address.startswith("/login?")
    assert submit(client, address, RIGHT).location.startswith("/login/factor?")


def test_a_demanded_level_is_asked_for_on_a_remembered_device(client, session, ann, secret):
    app = register(session)
    remember(client, session, secret)
    assert not is_asked(client)
    assert authorize(client, app, acr_values="mfa").location.startswith("/login/factor?")
    answer = client.get("/account/security/authenticator")
    assert answer.location.startswith("/login/factor?")


def test_a_step_up_remembers_no_device(client, session, ann, secret):
    remember(client, session, secret)
    assert not is_asked(client)
    session.execute(update(DeviceUser).values(remembered_at=None))
    session.commit()
    page = "/login/factor?return_to=%2Faccount"
    submit(client, page, {"code": app_code(secret, 1), "remember_device": "y"})
    assert count(session, DeviceUser, DeviceUser.remembered_at.is_not(None)) == 0


# Mail about a device that is new.


def test_a_sign_in_with_a_new_device_is_mailed_once_and_the_first_one_is_not(
    client, session, ann, outbox
):
    for _ in range(2):
        submit(client, "/login", RIGHT)
        leave(client)
    assert count(session, OutboxMessage) == 0
    client.delete_cookie(COOKIE, domain=HERE)
    page = client.get("/login", headers=HTML)
    send(client, page, "/login", RIGHT, environ_overrides={"HTTP_USER_AGENT": FIREFOX})
    (mail,) = outbox()
    assert mail.to == "ann@example.com"
    assert "new sign-in" in mail.subject.lower()
    assert "Firefox 140, Windows" in mail.text
    assert "/account/sessions" in mail.text


def test_the_mail_is_in_the_language_of_the_person(client, session, ann, outbox):
    ann.locale = "zh-CN"
    session.commit()
    for _ in range(2):
        submit(client, "/login", RIGHT)
        leave(client)
        client.delete_cookie(COOKIE, domain=HERE)
    (mail,) = outbox()
    assert "新设备" in mail.subject


@pytest.mark.settings(mail_new_devices=False)
def test_no_mail_is_sent_where_that_is_off(client, session, ann):
    for _ in range(2):
        submit(client, "/login", RIGHT)
        leave(client)
        client.delete_cookie(COOKIE, domain=HERE)
    assert count(session, OutboxMessage) == 0
    assert count(session, Device) == 2


def test_a_second_person_at_a_known_device_is_mailed_of_a_device_new_to_them(
    client, session, ann, outbox
):
    bob = add_person(session, "bob", email="bob@example.com")
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    rules.note_sign_in(session, issuer, bob, Sent())
    session.commit()
    submit(client, "/login", RIGHT)
    leave(client)
    submit(client, "/login", {**RIGHT, "login": "bob"})
    (mail,) = outbox()
    assert mail.to == "bob@example.com"
    assert count(session, Device) == 2


def test_the_oldest_devices_of_a_person_are_forgotten(session, ann, monkeypatch):
    monkeypatch.setattr(devices, "MOST", 3)
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    for _ in range(5):
        rules.note_sign_in(session, issuer, ann, Sent())
    ids = [device.id for device in devices.list_for(session, ann)]
    assert len(ids) == 3
    assert min(ids) == 3


# The account pages.


def test_devices_are_listed_with_the_sessions_and_removed(client, session, ann, secret):
    remember(client, session, secret)
    assert not is_asked(client)
    page = readable(client.get("/account/sessions"))
    assert "No second step until" in page
    (known,) = devices.list_for(session, ann)
    shown = client.get("/account/sessions", headers=HTML)
    answer = send(client, shown, f"/account/devices/{known.id}/remove", {})
    assert answer.location == "/account/sessions?notice=device-removed"
    again = send(client, shown, f"/account/devices/{known.id}/remove", {})
    assert again.status_code == 404
    assert len(events(session, Tag.DEVICE_REMOVED)) == 1
    leave(client)
    assert is_asked(client)


def test_all_devices_ask_for_the_second_factor_again(client, session, ann, secret):
    remember(client, session, secret)
    assert not is_asked(client)
    shown = client.get("/account/sessions", headers=HTML)
    send(client, shown, "/account/devices/stop-remembering", {})
    (event,) = events(session, Tag.DEVICES_FORGOTTEN)
    assert event.details == {"count": 1}
    leave(client)
    assert is_asked(client)


@pytest.mark.parametrize("device_id", ["bob's", 0, 2**63, 2**70])
def test_nobody_removes_the_device_of_another(client, session, ann, device_id):
    bob = add_person(session, "bob")
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    rules.note_sign_in(session, issuer, bob, Sent())
    session.commit()
    if device_id == "bob's":
        (device,) = devices.list_for(session, bob)
        device_id = device.id
    sign_in(client, session, ann)
    shown = client.get("/account/password", headers=HTML)
    answer = send(client, shown, f"/account/devices/{device_id}/remove", {})
    assert answer.status_code == 404
    assert count(session, DeviceUser) == 1


def test_the_page_costs_the_same_for_many_devices(runtime, client, session, ann):
    sign_in(client, session, ann)
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    client.get("/account/sessions")
    rules.note_sign_in(session, issuer, ann, Sent())
    session.commit()
    assert len(devices.list_for(session, ann)) == 1
    few = statements(runtime, client, "/account/sessions", "device", "device_user")
    for _ in range(20):
        rules.note_sign_in(session, issuer, ann, Sent())
    session.commit()
    assert statements(runtime, client, "/account/sessions", "device", "device_user") == few
