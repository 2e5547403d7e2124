"""Devices that have no browser (RFC 8628)."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from idp.directory.clients import kinds, presets
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client
from idp.directory.clients.service import NewClient
from idp.directory.product import DEVICE_CODE
from idp.jobs import EXPIRIES
from idp.oauth.authorization import device
from idp.oauth.endpoints import device_authorization
from idp.oauth.models import AuthorizationRequest, Consent, DeviceRequest, Grant, Refusal
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.errors import Unprocessable
from idp.platform.jobs import cleanup
from tests import protocol
from tests.pages.browsing import HTML, readable, send, submit
from tests.protocol import add_api, add_person, add_tenant, register
from tests.provers import Prover

ASK = "/connect/deviceauthorization"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"


def tv(session, client_id="tv", **settings):
    settings = {"public": True, "grants": (DEVICE_CODE, "refresh_token"), **settings}
    return register(session, client_id, **settings)


def ask(client, app, headers=None, **parameters):
    form = {"scope": "openid offline_access", **app.post, **parameters}
    return client.post(ASK, data=form, headers={"User-Agent": AGENT, **(headers or {})})


def asked(client, app, **parameters):
    answer = ask(client, app, **parameters)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def poll(client, app, codes, headers=None, **more):
    form = {"grant_type": DEVICE_CODE, "device_code": codes["device_code"], **app.post, **more}
    return client.post("/connect/token", data=form, headers=headers)


def error(answer):
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return answer.get_json()["error"]


def confirm(browser, codes, answer="allow"):
    """Compare the code and answer; return the last page."""
    address = f"/device?user_code={codes['user_code']}"
    shown = browser.get(address, headers=HTML)
    assert shown.status_code == 200, shown.get_data(as_text=True)
    return send(
        browser,
        shown,
        "/device/answer",
        {"user_code": codes["user_code"], "answer": answer},
        follow_redirects=True,
    )


def count(session, table):
    return session.scalar(select(func.count()).select_from(table))


@pytest.fixture
def box(session):
    return tv(session)


@pytest.fixture
def ann(session):
    return add_person(session)


@pytest.fixture
def phone(new_client, session, ann):
    browser = new_client()
    protocol.sign_in(browser, session, ann)
    return browser


def test_a_device_is_signed_in(client, session, box, ann, phone):
    answer = ask(client, box)
    assert answer.headers["Cache-Control"] == "no-store"
    codes = answer.get_json()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", codes["device_code"])
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", codes["user_code"])
    page = "http://127.0.0.1:8000/device"
    assert codes == {
        "device_code": codes["device_code"],
        "user_code": codes["user_code"],
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={codes['user_code']}",
        "expires_in": 600,
        "interval": 5,
    }
    assert error(poll(client, box, codes)) == "authorization_pending"
    assert "The device is signed in" in readable(confirm(phone, codes))
    answer = poll(client, box, codes)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    tokens = answer.get_json()
    assert tokens["scope"] == "openid offline_access"
    claims = protocol.payload(tokens["id_token"])
    assert (claims["sub"], claims["aud"]) == (str(ann.id), "tv")
    assert "nonce" not in claims
    userinfo = client.get("/connect/userinfo", headers=protocol.bearer(tokens["access_token"]))
    assert userinfo.get_json()["sub"] == str(ann.id)
    again = protocol.refresh(client, box, tokens["refresh_token"])
    assert again.status_code == 200
    assert error(poll(client, box, codes)) == "invalid_grant"
    session.rollback()
    tags = list(session.scalars(select(AuditEvent.tag).order_by(AuditEvent.id)))
    for tag in (Tag.DEVICE_ASKED, Tag.DEVICE_ALLOWED, Tag.TOKEN_ISSUED):
        assert tags.count(tag) == 1
    (grant,) = session.scalars(select(Grant))
    assert (grant.user_id, grant.acr) == (ann.id, "pwd")


def test_neither_code_is_kept(client, session, box):
    codes = asked(client, box)
    row = session.scalars(select(DeviceRequest)).one()
    kept = repr([getattr(row, column.name) for column in DeviceRequest.__table__.columns])
    assert codes["device_code"] not in kept
    assert codes["user_code"].replace("-", "") not in kept.replace("-", "")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"scope": None}, "invalid_scope"),
        ({"scope": "ids4.ms.all"}, "invalid_scope"),
        ({"scope": ["openid", "openid"]}, "invalid_request"),
        ({"resource": "https://elsewhere.example/"}, "invalid_target"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"request_uri": "urn:x"}, "request_uri_not_supported"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"acr_values": " ".join(str(n) for n in range(11))}, "invalid_request"),
        ({"client_id": "nobody"}, "invalid_client"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_kept(client, session, box, parameters, expected):
    answer = ask(client, box, **parameters)
    assert answer.status_code == (401 if expected == "invalid_client" else 400)
    assert answer.get_json()["error"] == expected
    assert count(session, DeviceRequest) == 0


def test_other_clients_may_not_ask(client, session, box):
    web = register(session)
    assert error(ask(client, web)) == "unauthorized_client"
    codes = asked(client, box)
    assert error(poll(client, web, codes)) == "unauthorized_client"
    other = tv(session, "other")
    assert error(poll(client, other, codes)) == "invalid_grant"
    confidential = tv(session, "chest", public=False)
    assert ask(client, confidential, client_secret="x" * 40).status_code == 401
    assert asked(client, confidential)["interval"] == 5
    assert client.get(ASK).status_code == 405


@pytest.mark.parametrize("sent", ["", "x", "x" * 10_000, "日本", "'; --"])
def test_made_up_device_codes_are_refused(client, box, sent):
    expected = "invalid_request" if not sent else "invalid_grant"
    assert error(poll(client, box, {"device_code": sent})) == expected


def test_polls_are_paced(client, session, box, clock):
    codes = asked(client, box)
    assert error(poll(client, box, codes)) == "authorization_pending"
    assert error(poll(client, box, codes)) == "slow_down"  # at once: from now on ten seconds
    clock.shift(9.9)
    assert error(poll(client, box, codes)) == "slow_down"  # fifteen
    clock.shift(15)
    assert error(poll(client, box, codes)) == "authorization_pending"
    clock.shift(60)
    assert error(poll(client, box, codes)) == "authorization_pending"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "slow_down"),
        (4.9, "slow_down"),
        (5, "authorization_pending"),
        (60, "authorization_pending"),
    ],
)
def test_a_second_poll_may_come_after_five_seconds(client, box, clock, seconds, expected):
    codes = asked(client, box)
    poll(client, box, codes)
    clock.shift(seconds)
    assert error(poll(client, box, codes)) == expected


def test_the_interval_ends_growing(client, session, box, clock):
    codes = asked(client, box)
    for _ in range(20):
        poll(client, box, codes)
    assert session.scalars(select(DeviceRequest.poll_seconds)).one() == 60


def test_a_poll_that_waits_writes_nothing(client, session, box, clock):
    codes = asked(client, box)
    before = [count(session, table) for table in (AuditEvent, Refusal, DeviceRequest)]
    for _ in range(5):
        assert error(poll(client, box, codes)) == "authorization_pending"
        clock.shift(5)
    session.rollback()
    assert [count(session, table) for table in (AuditEvent, Refusal, DeviceRequest)] == before
    assert session.scalars(select(DeviceRequest.poll_seconds)).one() == 5


def test_codes_expire(client, session, box, phone, clock):
    codes = asked(client, box)
    clock.shift(601)
    assert error(poll(client, box, codes)) == "expired_token"
    page = phone.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    assert page.status_code == 400
    assert "wrong or has expired" in readable(page)


def test_codes_that_were_allowed_expire_too(client, box, phone, clock):
    codes = asked(client, box)
    confirm(phone, codes)
    clock.shift(601)
    assert error(poll(client, box, codes)) == "expired_token"


def test_a_person_refuses(client, session, box, phone, ann):
    codes = asked(client, box)
    assert "The device was not signed in" in readable(confirm(phone, codes, answer="deny"))
    assert error(poll(client, box, codes)) == "access_denied"
    assert phone.get(f"/device?user_code={codes['user_code']}", headers=HTML).status_code == 400
    event = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.DEVICE_DENIED)).one()
    assert (event.user_id, event.client_id) == (ann.id, "tv")
    assert count(session, Grant) == 0


@pytest.mark.parametrize(
    "written", ["{0}{1}", "{0}-{1}", "{0} {1}", " {0} - {1} ", "{0}\u2013{1}", "{0}.{1}"]
)
@pytest.mark.parametrize("is_lower", [True, False])
def test_a_code_is_read_in_any_writing(client, box, phone, written, is_lower):
    codes = asked(client, box)
    typed = written.format(*codes["user_code"].split("-"))
    page = submit(phone, "/device", {"user_code": typed.lower() if is_lower else typed})
    assert page.status_code == 200, readable(page)
    assert "Is this the code on your device?" in readable(page)
    assert codes["user_code"] in readable(page)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "BBBB",
        "AAAA-AAAA",
        "BBBB-BBBB-B",
        "X" * 10_000,
        "\uff22" * 8,
        "<script>",
        "\u202eBCDF",
    ],
)
def test_what_is_no_code_is_refused_on_the_form(client, box, phone, typed):
    asked(client, box)
    page = submit(phone, "/device", {"user_code": typed})
    assert page.status_code == 400
    assert 'name="user_code"' in page.get_data(as_text=True)
    assert "<script>" not in page.get_data(as_text=True).split("<main")[1].split("</main")[0]


def test_the_page_shows_who_asks_from_where_and_for_what(client, session, phone):
    add_api(session)
    app = tv(session, client_name="Living room", scopes=("openid", "orders.read"))
    codes = asked(client, app, scope="openid orders.read")
    text = readable(phone.get(f"/device?user_code={codes['user_code']}", headers=HTML))
    for shown in ("Living room", "127.0.0.1", "orders.read", codes["user_code"]):
        assert shown in text
    assert re.search(r"Chrome \d+ on Linux", text)
    assert "Somebody may have sent you this code" in text


def test_a_person_signs_in_first_and_comes_back_with_the_code(client, box):
    codes = asked(client, box)
    sent = client.get(f"/device?user_code={codes['user_code']}")
    assert sent.status_code == 303
    assert sent.location == f"/login?return_to=%2Fdevice%3Fuser_code%3D{codes['user_code']}"
    strange = client.get("/device?user_code=https://evil.example/")
    assert strange.location == "/login?return_to=%2Fdevice"


def test_guessing_is_slowed_down_and_a_device_is_found_by_no_other_way(client, box, phone):
    codes = asked(client, box)
    statuses = [submit(phone, "/device", {"user_code": "BBBB-BBBB"}).status_code for _ in range(10)]
    assert statuses[:5] == [400] * 5
    assert 429 in statuses
    # Whoever guesses waits even with the right code.
    right = phone.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    assert right.status_code == 429


def test_consent_is_asked_for_and_remembered(client, session, phone, ann):
    app = tv(session, require_consent=True, scopes=("openid", "profile", "email"))
    codes = asked(client, app, scope="openid profile email")
    page = confirm(phone, codes)
    assert page.request.path == "/consent"
    assert "the device that shows the code" in readable(page)
    fields = {"answer": "allow", "scope": ["openid", "email"], "remember": "y"}
    done = send(phone, page, page.request.full_path, fields, follow_redirects=True)
    assert "The device is signed in" in readable(done)
    tokens = poll(client, app, codes).get_json()
    assert tokens["scope"] == "openid email"
    assert session.scalars(select(Consent)).one().scopes == ["email", "openid"]


def test_consent_may_be_refused(client, session, phone):
    app = tv(session, require_consent=True)
    codes = asked(client, app)
    page = confirm(phone, codes)
    done = send(phone, page, page.request.full_path, {"answer": "deny"}, follow_redirects=True)
    assert done.request.path == "/device/denied"
    assert error(poll(client, app, codes)) == "access_denied"


def test_a_person_outside_the_tenant_is_refused(client, session, phone):
    app = tv(session, "theirs", tenant_id=add_tenant(session))
    codes = asked(client, app)
    assert confirm(phone, codes).request.path == "/device/refused"
    assert error(poll(client, app, codes)) == "access_denied"


def test_a_level_is_asked_for(client, session, ann, phone):
    app = tv(session, require_acr="mfa")
    protocol.add_authenticator(session, ann)
    codes = asked(client, app)
    assert confirm(phone, codes).request.path == "/login/factor"
    assert error(poll(client, app, codes)) == "authorization_pending"


def test_a_client_may_require_a_sign_in_after_the_device_asked(
    client, session, box, ann, phone, new_client, clock
):
    clients.update(session, clients.get(session, "tv"), {"device_requires_login": True})
    session.commit()
    clock.shift(10)
    codes = asked(client, box)
    address = f"/device?user_code={codes['user_code']}"
    sent = phone.get(address, headers=HTML)
    assert sent.status_code == 303
    assert "prompt=login" in sent.location
    # Nor does the answer help without the page.
    form = phone.get("/device", headers=HTML)
    answer = {"user_code": codes["user_code"], "answer": "allow"}
    assert "prompt=login" in send(phone, form, "/device/answer", answer).location
    clock.shift(10)
    fresh = new_client()
    protocol.sign_in(fresh, session, ann)
    assert confirm(fresh, codes).request.path == "/device/allowed"
    assert poll(client, box, codes).status_code == 200


def test_nobody_else_goes_on_with_what_a_person_compared(client, session, box, phone, new_client):
    codes = asked(client, box)
    shown = phone.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    fields = {"user_code": codes["user_code"], "answer": "allow"}
    onward = send(phone, shown, "/device/answer", fields).location
    victim = new_client()
    protocol.sign_in(victim, session, add_person(session, "bob"))
    assert victim.get(onward).location == "/device"
    assert new_client().get(onward).location == "/device"
    assert count(session, Grant) == 0
    assert error(poll(client, box, codes)) == "authorization_pending"
    assert phone.get(onward).location == "/device/allowed"
    assert poll(client, box, codes).status_code == 200


def test_a_request_is_answered_once(client, session, box, phone):
    codes = asked(client, box)
    shown = phone.get(f"/device?user_code={codes['user_code']}", headers=HTML)
    fields = {"user_code": codes["user_code"], "answer": "allow"}
    first = send(phone, shown, "/device/answer", fields).location
    second = send(phone, shown, "/device/answer", fields).location
    assert phone.get(first).location == "/device/allowed"
    assert phone.get(first).status_code == 400
    assert phone.get(second).status_code == 400
    assert count(session, Grant) == 1


def test_a_grant_that_ended_gives_no_tokens(client, session, box, phone):
    codes = asked(client, box)
    confirm(phone, codes)
    session.execute(update(Grant).values(revoked_at=func.now(), revoked_reason="test"))
    session.commit()
    assert error(poll(client, box, codes)) == "invalid_grant"


def test_tokens_are_for_the_resource_that_was_named(client, session, phone):
    add_api(session)
    app = tv(session, scopes=("openid", "orders.read"))
    codes = asked(client, app, scope="openid orders.read", resource="orders")
    confirm(phone, codes)
    assert error(poll(client, app, codes, resource="https://elsewhere.example")) == "invalid_target"
    tokens = poll(client, app, codes).get_json()
    assert protocol.payload(tokens["access_token"])["aud"] == "orders"


def test_tokens_are_bound_to_the_key_that_asked(client, session, box, phone):
    prover, other = Prover(), Prover()
    answer = ask(client, box, headers=prover.shows("POST", ASK))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    codes = answer.get_json()
    waiting = poll(client, box, codes, headers=prover.shows())
    assert error(waiting) == "authorization_pending"
    confirm(phone, codes)
    assert error(poll(client, box, codes)) == "invalid_grant"
    assert error(poll(client, box, codes, headers=other.shows())) == "invalid_grant"
    tokens = poll(client, box, codes, headers=prover.shows()).get_json()
    assert tokens["token_type"] == "DPoP"
    assert protocol.payload(tokens["access_token"])["cnf"] == {"jkt": prover.jkt}
    stolen = client.get("/connect/userinfo", headers=protocol.bearer(tokens["access_token"]))
    assert stolen.status_code == 401


def test_of_fifty_polls_at_once_one_gets_the_tokens(client, session, box, phone, new_client):
    codes = asked(client, box)
    confirm(phone, codes)
    found = []

    def work():
        found.append(poll(new_client(), box, codes).status_code)

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] + [400] * 49
    issued = select(func.count()).where(AuditEvent.tag == Tag.TOKEN_ISSUED)
    session.rollback()
    assert session.scalar(issued) == 1


def test_what_is_kept_is_limited(client, session, box, monkeypatch):
    monkeypatch.setattr(device_authorization, "PER_MINUTE", 3)
    monkeypatch.setattr(device_authorization, "PUBLIC_PER_MINUTE", 5)
    statuses = [ask(client, box).status_code for _ in range(5)]
    assert statuses == [200] * 3 + [429] * 2
    assert ask(client, tv(session, "other")).status_code == 429
    assert ask(client, tv(session, "chest", public=False)).status_code == 200


def test_old_requests_go(client, session, box, clock):
    asked(client, box)
    (expiry,) = [one for one in EXPIRIES if one.column.class_ is DeviceRequest]
    clock.shift(device.LIFETIME.total_seconds() + 3590)
    assert cleanup.remove_batch(session, expiry) == 0
    clock.shift(timedelta(seconds=20))
    assert cleanup.remove_batch(session, expiry) == 1


def test_the_kind_device_has_what_it_needs(session):
    new = presets.fill(NewClient("box", scopes=("openid",)), "device")
    row, secret = clients.create(session, new)
    assert secret is None
    assert {one.grant_type for one in row.grant_types} == {DEVICE_CODE, "refresh_token"}
    assert kinds.kind_of(row) == "device"
    register(session)
    protocol.register_machine(session)
    found = {
        kind: set(session.scalars(select(Client.client_id).where(kinds.is_of(kind))))
        for kind in ("device", "service", "web")
    }
    assert "box" in found["device"]
    assert "machine" in found["service"]
    assert found["device"].isdisjoint(found["service"] | found["web"])


def test_a_security_profile_allows_no_device(session):
    keys = {"jwks_uri": "https://app.example/keys", "token_endpoint_auth_method": "private_key_jwt"}
    with pytest.raises(Unprocessable) as refused:
        register(
            session,
            grants=("authorization_code", DEVICE_CODE),
            redirect_uris=("https://app.example/callback",),
            security_profile="fapi2",
            **keys,
        )
    assert "grant_types" in refused.value.fields


def test_the_metadata_names_the_endpoint(client):
    found = client.get("/.well-known/openid-configuration").get_json()
    assert found["device_authorization_endpoint"] == f"http://127.0.0.1:8000{ASK}"
    assert DEVICE_CODE in found["grant_types_supported"]


def test_kept_requests_are_those_of_the_pages(client, session, box, phone):
    codes = asked(client, box)
    confirm(phone, codes)
    assert count(session, AuthorizationRequest) == 0
