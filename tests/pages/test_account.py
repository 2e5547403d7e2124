"""The account pages."""

from __future__ import annotations

import html
import random
import re
from datetime import datetime, timedelta
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import func, select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from idp.account import profile
from idp.directory.clients.models import Client, ClientRegistration
from idp.directory.tenants import service as tenants
from idp.directory.users import passwords
from idp.directory.users.models import User
from idp.oauth.models import Consent, Grant
from idp.platform.audit.tags import Tag
from idp.platform.clock import now
from idp.platform.db import bump_configuration
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from idp.publishing.files.models import StoredFile
from tests import registering
from tests.pages.browsing import (
    crowd,
    csrf_token,
    events,
    page_of_flow,
    readable,
    send,
    statements,
    submit,
)
from tests.protocol import (
    PASSWORD,
    add_person,
    add_tenant,
    bearer,
    is_active,
    obtain,
    register,
    sign_in,
)

NEW = "seven-quiet-otters"
PAGES = [
    *("/account", "/account/password", "/account/sessions", "/account/applications"),
    *("/account/profile", "/account/email", "/account/mobile", "/account/organisations"),
]
CHANGE = {"current": PASSWORD, "password": NEW, "repeated": NEW}


@pytest.fixture
def ann(client, session):
    user = add_person(session, nick_name="Ann <b>Lee</b>", email="ann@example.com")
    sign_in(client, session, user)
    return user


@pytest.mark.parametrize("path", PAGES)
def test_who_is_not_signed_in_is_asked_to(client, path):
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.location.startswith("/login?return_to=%2Faccount")


@pytest.mark.parametrize("path", PAGES)
def test_an_old_sign_in_is_not_enough(client, session, ann, clock, path):
    assert client.get(path).status_code == 200
    clock.shift(timedelta(minutes=31))
    answer = client.get(path)
    assert answer.status_code == 303
    page = client.get(answer.location)
    assert page.status_code == 200
    assert "confirm that it's you" in readable(page)
    assert submit(client, answer.location, {"login": "ann", "password": PASSWORD}).location == path


@pytest.mark.parametrize("path", PAGES)
def test_nothing_personal_is_stored_by_caches(client, ann, path):
    assert client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "change", [{"is_disabled": True}, {"security_stamp": "new"}, {"password_hash": None}]
)
def test_who_lost_his_access_is_signed_out(client, session, ann, change):
    expected = 200 if "password_hash" in change else 303
    session.execute(update(User).where(User.id == ann.id).values(**change))
    assert client.get("/account").status_code == expected


def test_the_profile_is_shown_escaped(client, ann):
    page = client.get("/account").get_data(as_text=True)
    assert "Ann &lt;b&gt;Lee&lt;/b&gt;" in page
    assert "ann@example.com" in page


def test_it_works_at_an_issuer_of_its_own(new_client, session):
    acme = add_tenant(session, "Acme", hosts=["acme.example"])
    user = add_person(session, tenant_ids=(1, acme))
    browser = new_client("http://acme.example")
    sign_in(browser, session, user)
    for path in PAGES:
        page = browser.get(path)
        assert page.status_code == 200
        assert "Acme" in page.get_data(as_text=True)


def test_a_new_password_signs_everybody_else_out(client, new_client, session, ann):
    app = register(session)
    other = new_client()
    sign_in(other, session, ann)
    tokens = obtain(other, app)
    before = client.get_cookie("idp_1", domain="127.0.0.1").value
    answer = submit(client, "/account/password", CHANGE)
    assert (answer.status_code, answer.location) == (303, "/account/password?notice=changed")
    assert "Your password has been changed" in readable(client.get(answer.location))
    assert client.get_cookie("idp_1", domain="127.0.0.1").value != before
    assert other.get("/account").status_code == 303
    assert not is_active(client, app, tokens.access)
    assert submit(other, "/login", {"login": "ann", "password": NEW}).status_code == 303
    (event,) = events(session, Tag.PASSWORD_CHANGED)
    assert event.user_id == ann.id
    assert session.scalar(select(func.count()).select_from(OutboxMessage)) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"current": "wrong"}, "not your current password"),
        ({"current": ""}, "Enter your current password"),
        ({"repeated": "other"}, "do not match"),
        ({"password": "short", "repeated": "short"}, "at least 8 characters"),
        ({"password": "password123", "repeated": "password123"}, "too common"),
        ({"password": "ann@example.com", "repeated": "ann@example.com"}, "own name"),
    ],
)
def test_a_change_that_is_refused_changes_nothing(client, session, ann, change, told):
    stamp = ann.security_stamp
    answer = submit(client, "/account/password", {**CHANGE, **change})
    assert answer.status_code == 400
    assert told in readable(answer)
    assert session.scalar(select(User.security_stamp).where(User.id == ann.id)) == stamp
    assert client.get("/account").status_code == 200


def test_in_a_crowd_the_password_stays_and_no_try_is_counted(client, session, ann):
    with crowd():
        for _ in range(20):
            answer = submit(client, "/account/password", CHANGE)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
    assert "Too many people" in readable(answer)
    assert events(session, Tag.PASSWORD_CHANGE_REFUSED) == []
    assert submit(client, "/account/password", CHANGE).status_code == 303


def test_the_current_password_cannot_be_guessed_with_a_stolen_session(
    client, session, ann, monkeypatch
):
    monkeypatch.setattr(
        passwords, "matches", lambda stored, password, seconds: password == PASSWORD
    )
    monkeypatch.setattr(passwords, "is_outdated", lambda stored: False)
    page = client.get("/account/password")
    for _ in range(20):
        answer = send(client, page, "/account/password", {**CHANGE, "current": "wrong"})
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert send(client, page, "/account/password", CHANGE).status_code == 429
    assert events(session, Tag.PASSWORD_CHANGE_REFUSED)


def test_a_session_is_ended_with_its_tokens(client, new_client, session, ann):
    app = register(session)
    agent = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0"
    other = new_client()
    form = {"login": "ann", "password": PASSWORD}
    page = other.get("/login")
    other.post(
        "/login", data={"csrf_token": csrf_token(page), **form}, headers={"User-Agent": agent}
    )
    tokens = obtain(other, app)
    shown = client.get("/account/sessions")
    assert "Edge 140 on Windows" in readable(shown)
    row = session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()
    answer = send(client, shown, f"/account/sessions/{row.id}/end", {})
    assert answer.status_code == 303
    assert other.get("/account").status_code == 303
    assert not is_active(client, app, tokens.access)
    assert client.get("/account").status_code == 200
    (event,) = events(session, Tag.SESSION_ENDED)
    assert (event.user_id, event.target) == (ann.id, f"session:{row.id}")


def test_two_sessions_of_one_browser_can_be_told_apart(client, new_client, session, ann, clock):
    shop = register(session, "shop", client_name="Lantern <b>Shop")
    windows = "Mozilla/5.0 (Windows NT 10.0; Win64) Gecko/20100101 Firefox/{}.0"
    for version, address, is_at_shop in ((140, "192.0.2.18", True), (151, "198.51.100.9", False)):
        clock.shift(3600)
        other = new_client()
        other.environ_base["REMOTE_ADDR"] = address
        other.environ_base["HTTP_USER_AGENT"] = windows.format(version)
        submit(other, "/login", {"login": "ann", "password": PASSWORD})
        if is_at_shop:
            tokens = obtain(other, shop)
            obtain(other, shop)
    submit(client, "/login", {"login": "ann", "password": PASSWORD})
    page = client.get("/account/sessions").get_data(as_text=True)
    rows = re.findall(r"<li>\s*<div>(.*?)</li>", page, re.DOTALL)
    shown = [re.sub(r"\s+", " ", row) for row in rows if 'id="session-' in row]
    assert len(shown) == 3
    at_shop = next(row for row in shown if "192.0.2.18" in row)
    elsewhere = next(row for row in shown if "198.51.100.9" in row)
    assert "Firefox 140 on Windows" in at_shop
    assert "Firefox 151 on Windows" in elsewhere
    assert at_shop.count("Lantern &lt;b&gt;Shop") == 1
    assert "Signed in to" not in elsewhere
    first = [re.search(r"First used <time datetime=\"([^\"]+)\"", row)[1] for row in shown]
    assert len(set(first)) == 3
    assert ["Password entered" in row for row in shown] == [True, False, False]
    # This browser cannot be ended by mistake; others can.
    assert [row.count("<form") for row in shown] == [0, 1, 1]
    session.execute(update(Grant).values(revoked_at=now()))
    session.commit()
    assert "Lantern" not in client.get("/account/sessions").get_data(as_text=True)
    assert tokens.access


def test_the_list_of_sessions_takes_as_many_queries_for_many(
    client, new_client, session, ann, runtime
):
    def count():
        return len(statements(runtime, client, "/account/sessions", "browser_session", "IN"))

    hosts = ("one.example", "two.example", "three.example")
    acme = [add_tenant(session, name, hosts=[name]) for name in hosts]
    for tenant_id in acme:
        tenants.add_member(session, tenant_id, ann.id)
    session.commit()
    sign_in(new_client(f"http://{hosts[0]}"), session, ann)
    few = count()
    assert few >= 3
    for host in hosts * 3:
        sign_in(new_client(f"http://{host}"), session, ann)
    assert count() == few


def test_times_are_utc_with_what_a_script_needs(client, session, ann, clock):
    page = client.get("/account/sessions").get_data(as_text=True)
    row = session.scalars(select(BrowserSession)).one()
    at = row.created_at
    shown = re.search(r'<time datetime="([^"]+)" title="([^"]+)">([^<]+)</time>', page)
    assert datetime.fromisoformat(shown[1]) == at.replace(microsecond=0)
    assert f":{at:%M:%S}" in shown[2]
    assert shown[2].endswith(" UTC")
    assert shown[3].endswith(" UTC")
    assert f":{at:%M:%S}" not in shown[3]


def test_all_other_sessions_are_ended(client, new_client, session, ann):
    others = [new_client(), new_client()]
    for other in others:
        sign_in(other, session, ann)
    submit_to(client, "/account/sessions", "/account/sessions/end-others")
    assert [other.get("/account").status_code for other in others] == [303, 303]
    assert client.get("/account").status_code == 200


def test_ending_the_own_session_is_signing_out(client, session, ann):
    row = session.scalars(select(BrowserSession)).one()
    answer = submit_to(client, "/account/password", f"/account/sessions/{row.id}/end")
    assert answer.location == "/signed-out"
    assert client.get("/account").status_code == 303


def test_sessions_of_others_are_neither_seen_nor_ended(client, new_client, session, ann):
    bob = add_person(session, "bob")
    other = new_client()
    sign_in(other, session, bob)
    row = session.scalars(select(BrowserSession).where(BrowserSession.user_id == bob.id)).one()
    page = client.get("/account/sessions")
    assert f"/account/sessions/{row.id}/end" not in page.get_data(as_text=True)
    sender = client.get("/account/password")
    for wrong in (row.id, 999_999):
        assert send(client, sender, f"/account/sessions/{wrong}/end", {}).status_code == 404
    assert other.get("/account").status_code == 200


def test_a_consent_is_taken_back_with_its_tokens(client, session, ann):
    app = register(session, require_consent=True, client_name="Lantern Shop")
    address = page_of_flow(client, app, "/consent", scope="openid profile")
    answer = submit(client, address, {"answer": "allow", "scope": ["profile"], "remember": "y"})
    client.get(answer.location)
    tokens = obtain(client, app, "openid profile")
    page = client.get("/account/applications")
    assert "Lantern Shop" in readable(page)
    assert "Your profile" in readable(page)
    consent = session.scalars(select(Consent)).one()
    done = send(client, page, f"/account/applications/{consent.id}/revoke", {})
    assert done.status_code == 303
    assert "No application" in readable(client.get(done.location))
    assert not is_active(client, app, tokens.access)
    assert len(events(session, Tag.CONSENT_REVOKED)) == 1


def test_an_application_is_opened_where_it_said_that_a_sign_in_begins(client, session, ann):
    """Third-party initiated login (OpenID Connect Core 4): with `iss`, at the own issuer alone."""
    acme = add_tenant(session, "Acme", ["acme.example"])
    registering.let_in(session)
    start = "https://app.example/start?from=idp"
    for address in (start, None):
        made = registering.enrol(client, initiate_login_uri=address, client_name=str(address))
        row = session.scalars(select(Client).where(Client.client_id == made["client_id"])).one()
        session.add(Consent(user_id=ann.id, client_id=row.id, tenant_id=1, scopes=["openid"]))
    session.commit()
    page = client.get("/account/applications")
    links = re.findall(r'href="(https://app[^"]+)"', page.get_data(as_text=True))
    assert [html.unescape(link) for link in links] == [f"{start}&iss=http%3A%2F%2F127.0.0.1%3A8000"]
    assert "Open app.example" in readable(page)
    session.execute(update(ClientRegistration).values(issuer_tenant_id=acme))
    bump_configuration(session)
    session.commit()
    assert "Open app.example" not in readable(client.get("/account/applications"))
    shop = register(session, initiate_login_uri="https://shop.example/start")
    session.add(Consent(user_id=ann.id, client_id=shop.row_id, tenant_id=1, scopes=["openid"]))
    session.commit()
    assert "Open shop.example" in readable(client.get("/account/applications"))


def test_consents_of_others_are_neither_seen_nor_taken_back(client, session, ann):
    app = register(session, client_name="Lantern Shop")
    bob = add_person(session, "bob")
    consent = Consent(user_id=bob.id, client_id=app.row_id, tenant_id=1, scopes=["openid"])
    session.add(consent)
    session.commit()
    page = client.get("/account/applications")
    assert "Lantern Shop" not in readable(page)
    sender = client.get("/account/password")
    answer = send(client, sender, f"/account/applications/{consent.id}/revoke", {})
    assert answer.status_code == 404
    assert session.get(Consent, consent.id) is not None


@pytest.mark.no_database
@pytest.mark.parametrize(
    "path",
    [
        "/account/password",
        "/account/sessions/1/end",
        "/account/sessions/end-others",
        "/account/applications/1/revoke",
        "/account/organisations/1/switch",
        "/account/profile",
        "/account/picture",
        "/account/picture/remove",
        "/account/email",
        "/account/email/code",
        "/account/mobile",
        "/account/mobile/code",
    ],
)
def test_nothing_is_changed_without_the_forms_token(client, ann, path):
    assert client.post(path, data=CHANGE).status_code == 400


# What a person says of themselves

DETAILS = {
    "name": "Ann B. Lee",
    "given_name": "Ann",
    "middle_name": "B.",
    "family_name": "Lee",
    "nickname": "Annie",
    "gender": "female",
    "birthdate": "1990-05-06",
    "locale": "zh-Hans",
    "zoneinfo": "Asia/Shanghai",
    "website": "https://ann.example",
    "profile": "https://pages.example/ann",
    "address": "1 Main Street\nSpringfield",
}


def test_every_detail_reaches_the_applications(client, session, ann):
    stamp = ann.concurrency_stamp
    answer = submit(client, "/account/profile", DETAILS)
    assert (answer.status_code, answer.location) == (303, "/account?notice=changed")
    page = readable(client.get(answer.location))
    for shown in (
        "Your changes have been saved.",
        "Ann B. Lee",
        "Asia/Shanghai",
        "中文",
        "1990-05-06",
    ):
        assert shown in page
    app = register(session, scopes=("openid", "profile", "address"))
    token = obtain(client, app, "openid profile address").access
    told = client.get("/connect/userinfo", headers=bearer(token)).get_json()
    expected = {**DETAILS, "address": {"formatted": DETAILS["address"]}}
    assert {name: told[name] for name in DETAILS} == expected
    (event,) = events(session, Tag.PROFILE_CHANGED)
    assert (event.user_id, {"field": "website"} in event.details["changes"]) == (ann.id, True)
    session.expire_all()
    # Whoever manages the account and looked at it before is told.
    assert ann.concurrency_stamp != stamp
    # Sent again it changes nothing; emptied it takes everything away.
    submit(client, "/account/profile", DETAILS)
    assert len(events(session, Tag.PROFILE_CHANGED)) == 1
    submit(client, "/account/profile", dict.fromkeys(DETAILS, ""))
    session.expire_all()
    assert (ann.display_name, ann.birthday, ann.zoneinfo, ann.address) == (None,) * 4


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birthdate", "never"),
        ("birthdate", "2999-01-01"),
        ("zoneinfo", "Mars/Base"),
        ("locale", "no language"),
        ("website", "javascript:alert(1)"),
        ("profile", "https://" + "x" * 2000),
        ("name", "x" * 201),
        ("given_name", "a\u202eb"),
        ("gender", "x" * 21),
    ],
)
def test_a_wrong_detail_is_refused_beside_its_field(client, session, ann, field, value):
    answer = submit(client, "/account/profile", {**DETAILS, field: value})
    assert answer.status_code == 400
    page = answer.get_data(as_text=True)
    beside = rf'for="{field}">(?:(?!</div>).)*field-error'
    assert re.search(beside, page, re.DOTALL)
    assert page.count('class="field-error"') == 1
    assert 'role="alert"' not in page
    assert re.findall(r'<(?:input|select|textarea)[^>]* autofocus[^>]* name="(\w+)"', page) == [
        field
    ]
    session.expire_all()
    assert (ann.display_name, ann.nick_name) == (None, "Ann <b>Lee</b>")


def test_what_was_set_elsewhere_is_kept_by_the_form(client, session, ann):
    ann.zoneinfo, ann.locale = "Etc/GMT+5", "fr-CA"
    session.commit()
    page = client.get("/account/profile").get_data(as_text=True)
    for value in ("Etc/GMT+5", "fr-CA"):
        assert f'<option selected value="{value}">' in page


# The picture


def picture(kind="PNG", size=(40, 30)):
    drawn = BytesIO()
    Image.new("RGB", size, "teal").save(drawn, kind)
    return drawn.getvalue()


def upload(browser, content, name="me.png", page="/account/profile"):
    token = csrf_token(browser.get(page))
    # Encoded here, because the client of the tests would leave a temporary file open.
    file = FileStorage(BytesIO(content), name) if name else content.decode()
    boundary, body = encode_multipart({"csrf_token": token, "file": file})
    kind = f"multipart/form-data; boundary={boundary}"
    return browser.post("/account/picture", data=body, content_type=kind)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_kept_under_a_name_of_ours_and_shown(client, session, ann, kind):
    answer = upload(client, picture(kind), "../../me<script>.exe")
    assert (answer.status_code, answer.location) == (303, "/account?notice=changed")
    session.expire_all()
    name = re.fullmatch(r"http://127\.0\.0\.1:8000(/files/[0-9a-f]{32}\.(png|jpg))", ann.avatar)
    shown = client.get(name[1])
    assert shown.headers["Content-Disposition"].startswith("attachment")
    assert Image.open(BytesIO(shown.data)).format == kind
    assert ann.avatar in client.get("/account").get_data(as_text=True)
    stored = session.scalars(select(StoredFile)).one()
    assert (stored.user_id, stored.tenant_id) == (ann.id, 1)
    assert "<" not in stored.original_name
    submit_to(client, "/account/profile", "/account/picture/remove")
    session.expire_all()
    assert ann.avatar is None


@pytest.mark.settings(files_public_url="https://files.example")
def test_a_picture_has_the_address_of_files_and_may_be_shown_from_there(client, session, ann):
    upload(client, picture())
    session.expire_all()
    assert ann.avatar.startswith("https://files.example/files/")
    assert "https://files.example" in client.get("/account").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + b"x" * 40, b"<script>"],
)
def test_what_is_no_picture_is_refused_beside_the_field(client, session, ann, content):
    answer = upload(client, content)
    assert answer.status_code == 400
    assert "JPEG or PNG picture" in readable(answer)
    assert session.scalars(select(StoredFile)).all() == []
    session.expire_all()
    assert ann.avatar is None


def test_a_picture_may_be_larger_than_a_form_and_not_larger_than_pictures(client, session, ann):
    noise = Image.frombytes("RGB", (900, 700), random.Random(1).randbytes(900 * 700 * 3))
    drawn = BytesIO()
    noise.save(drawn, "PNG")
    assert 1_500_000 < len(drawn.getvalue()) < 5_000_000
    assert upload(client, drawn.getvalue()).status_code == 303
    assert upload(client, picture() + b"x" * 5_300_000).status_code in {400, 413}


@pytest.mark.settings(files_scanner="false")
def test_a_picture_that_the_scanner_refuses_is_not_kept_and_noted(client, session, ann):
    answer = upload(client, picture())
    assert answer.status_code == 400
    assert "virus scanner refuses" in readable(answer)
    assert session.scalars(select(StoredFile)).all() == []
    (event,) = events(session, Tag.FILE_REFUSED)
    assert (event.user_id, event.tenant_id) == (ann.id, 1)


def test_pictures_are_limited(client, ann, monkeypatch):
    monkeypatch.setattr(profile, "PICTURES_PER_HOUR", 1)
    assert upload(client, picture()).status_code == 303
    answer = upload(client, picture())
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)


def test_a_stranger_sends_no_picture(new_client):
    large = picture() + b"x" * 2_000_000
    assert upload(new_client(), large, page="/login").status_code == 413


def test_text_in_place_of_a_picture_is_refused(client, ann):
    answer = upload(client, b"no file", name=None)
    assert answer.status_code == 400
    assert "Choose a picture." in readable(answer)


# E-mail address and mobile number

EMAIL = {"address": "ann@new.example", "current": PASSWORD}
MOBILE = {"address": "139 0013 9000", "current": PASSWORD}


@pytest.fixture
def code_for(client, outbox):
    """Ask for a new address and read the code that went there."""

    def ask(kind, form, browser=client):
        answer = submit(browser, f"/account/{kind}", form)
        assert (answer.status_code, answer.location) == (303, f"/account/{kind}/code")
        codes = [re.search(r"\b\d{6}\b", message.text) for message in outbox()]
        return [code[0] for code in codes if code][-1]

    return ask


def wrong(code):
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_new_mail_address_is_proven_and_the_old_one_told(client, session, ann, code_for, outbox):
    code = code_for("email", EMAIL)
    assert [message.to for message in outbox()] == ["ann@new.example"]
    session.expire_all()
    assert ann.email == "ann@example.com"
    answer = submit(client, "/account/email/code", {"code": f" {code} "})
    assert (answer.status_code, answer.location) == (303, "/account?notice=changed")
    session.expire_all()
    assert (ann.username, ann.email, ann.email_verified) == ("ann", "ann@new.example", True)
    (told,) = [message for message in outbox() if message.to == "ann@example.com"]
    assert "was changed" in told.text
    assert "new.example" not in told.text
    (event,) = events(session, Tag.ADDRESS_CHANGED)
    assert (event.user_id, event.details) == (ann.id, {"channel": "mail"})
    # Done is done: the code page has nothing to ask any more.
    assert client.get("/account/email/code").location == "/account/email"


def test_a_new_number_is_proven_and_the_old_one_told(client, session, ann, code_for, outbox):
    ann.mobile = "+8613800138000"
    session.commit()
    submit(client, "/account/mobile/code", {"code": code_for("mobile", MOBILE)})
    session.expire_all()
    assert (ann.mobile, ann.mobile_verified) == ("+8613900139000", True)
    (told,) = [message for message in outbox() if message.to == "+8613800138000"]
    assert "was changed" in told.text
    assert events(session, Tag.ADDRESS_CHANGED)[0].details == {"channel": "sms"}


def test_a_user_name_that_is_the_address_follows_it(client, session, code_for, new_client):
    user = add_person(session, "eve@example.com", email="eve@example.com")
    sign_in(client, session, user)
    form = {**EMAIL, "address": "eve@xn--bcher-kva.example"}
    submit(client, "/account/email/code", {"code": code_for("email", form)})
    session.expire_all()
    assert user.username == user.email == "eve@bücher.example"
    form = {"login": "eve@bücher.example", "password": PASSWORD}
    assert submit(new_client(), "/login", form).status_code == 303


@pytest.mark.parametrize("kind", ["email", "mobile"])
def test_only_its_owner_learns_that_an_address_is_taken(client, session, ann, code_for, kind):
    form = {"email": EMAIL, "mobile": MOBILE}[kind]
    add_person(session, "bob", email="ann@new.example", mobile="+8613900139000")
    free = submit(client, f"/account/{kind}", {**form, "address": free_address(kind)})
    code = code_for(kind, form)  # as for a free one
    assert free.status_code == 303
    answer = submit(client, f"/account/{kind}/code", {"code": wrong(code)})
    assert "wrong or has expired" in readable(answer)
    answer = submit(client, f"/account/{kind}/code", {"code": code})
    assert answer.status_code == 400
    assert "is taken" in readable(answer)
    session.expire_all()
    assert (ann.email, ann.mobile) == ("ann@example.com", None)
    assert events(session, Tag.ADDRESS_CHANGED) == []


def free_address(kind):
    return {"email": "free@new.example", "mobile": "13700137000"}[kind]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"current": "wrong"}, "not your current password"),
        ({"current": ""}, "Enter your current password"),
        ({"address": ""}, "Enter your e-mail address"),
        ({"address": "nowhere"}, "This is not an e-mail address."),
        ({"address": "x" * 100 + "@a.example"}, "too long"),
    ],
)
def test_no_code_is_sent_without_password_and_address(client, session, ann, change, told):
    answer = submit(client, "/account/email", {**EMAIL, **change})
    assert answer.status_code == 400
    assert told in readable(answer)
    assert session.scalars(select(OutboxMessage)).all() == []
    assert client.get("/account/email/code").location == "/account/email"


def test_a_code_changes_only_the_address_that_it_went_to(
    client, new_client, session, ann, code_for
):
    code = code_for("email", EMAIL)
    for bad in (wrong(code), "12345", ""):
        assert submit(client, "/account/email/code", {"code": bad}).status_code == 400
    # Another person in the same browser has asked for nothing.
    sign_in(client, session, add_person(session, "bob"))
    assert client.get("/account/email/code").location == "/account/email"
    # Nor has the same person in another one.
    other = new_client()
    sign_in(other, session, ann)
    assert other.get("/account/email/code").location == "/account/email"
    session.expire_all()
    assert ann.email == "ann@example.com"


def test_a_link_for_a_new_password_does_not_outlive_the_address_it_went_to(
    client, new_client, session, ann, code_for, outbox
):
    submit(new_client(), "/forgot", {"login": "ann"})
    link = re.search(r"http://[^/]+(/forgot/\S+)", outbox()[-1].text)[1]
    assert new_client().get(link).status_code == 200
    submit(client, "/account/email/code", {"code": code_for("email", EMAIL)})
    assert new_client().get(link).status_code == 400


def submit_to(browser, page, address, **form):
    return send(browser, browser.get(page), address, form)
