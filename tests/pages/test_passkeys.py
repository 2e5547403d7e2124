"""Passkeys on the pages: signing in, as the second step, added, renamed and removed."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import select, update

from idp.directory.factors import passkeys, recovery
from idp.directory.factors import service as factors
from idp.directory.factors.models import Passkey, Totp
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.authenticator import SYNCED, UP, UV, Authenticator
from tests.pages.browsing import (
    HTML,
    csrf_token,
    events,
    goes_on,
    page_of_flow,
    readable,
    send,
    statements,
    submit,
    watched,
)
from tests.pages.test_second_factor import key_of
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    add_tenant,
    app_code,
    payload,
    redeem,
    register,
    sign_in,
)

pytestmark = pytest.mark.settings(public_url="http://localhost:8000")

ORIGIN = "http://localhost:8000"
HOME = "/account/security"
PASSKEYS = f"{HOME}/passkeys"
NEW = f"{PASSKEYS}/new"
STEP_UP = f"/login/factor?return_to={HOME.replace('/', '%2F')}"
BY_PASSKEY = f"/login/factor/passkey?return_to={HOME.replace('/', '%2F')}"
RIGHT = {"login": "ann", "password": PASSWORD}


@pytest.fixture
def ann(session):
    return add_person(session, email="ann@example.com")


def options_of(page, kind="get"):
    """Read what a page hands to the script."""
    text = page.get_data(as_text=True)
    found = re.search(rf'data-passkey="{kind}"\s+data-options="([^"]*)"', text)
    assert found, text
    return json.loads(unescape(found[1]))


def add_in(browser, name="Laptop", **how):
    """Add a passkey by its page; return the answer and the authenticator."""
    page = browser.get(NEW, headers=HTML)
    device = Authenticator(ORIGIN, **how)
    form = {"passkey_name": name, "answer": device.create(options_of(page, "create"))}
    return send(browser, page, NEW, form), device


@pytest.fixture
def device(client, new_client, session, ann):
    """Add a passkey of Ann in another browser."""
    other = new_client()
    sign_in(other, session, ann)
    answer, device = add_in(other)
    assert answer.status_code == 303
    return device


def by_passkey(browser, device, address="/login", target="/login/passkey", form=None, **lies):
    """Sign in with a passkey."""
    page = browser.get(address, headers=HTML)
    answer = device.get(options_of(page), **lies)
    return send(browser, page, target, {"answer": answer, **(form or {})})


def level(session):
    return session.scalar(select(BrowserSession.acr).order_by(BrowserSession.id.desc()).limit(1))


def test_the_first_passkey_comes_with_recovery_codes_and_raises_the_session(
    client, session, ann, outbox
):
    sign_in(client, session, ann)
    answer, _ = add_in(client)
    assert answer.location == f"{HOME}/codes"
    assert readable(client.get(answer.location)).count("<code>") == recovery.NUMBER
    page = readable(client.get(HOME))
    assert "Laptop" in page
    assert "protected by a second step" in page
    (row,) = session.scalars(select(BrowserSession))
    assert (row.acr, row.amr) == ("phr", ["pwd", "hwk", "pop", "user", "mfa"])
    assert row.phr_at is not None
    (event,) = events(session, Tag.FACTOR_ADDED)
    assert event.details == {"factor": "passkey"}
    assert ["passkey was added" in mail.subject for mail in outbox()] == [True]
    again, _ = add_in(client, "Phone")
    assert again.location == f"{HOME}?notice=passkey-added"


def test_a_passkey_signs_in_alone_and_tokens_state_it(client, session, ann, device):
    app = register(session)
    address = page_of_flow(client, app, "/login")
    page = client.get(address, headers=HTML)
    assert options_of(page)["allowCredentials"] == []
    target = re.search(r'action="(/login/passkey[^"]*)"', page.get_data(as_text=True))[1]
    done = by_passkey(client, device, address, unescape(target))
    assert goes_on(done, address)
    code = re.search("code=([^&]+)", client.get(done.location).location)[1]
    identity = payload(redeem(client, app, code).get_json()["id_token"])
    assert identity["acr"] == "phr"
    assert identity["amr"] == ["hwk", "pop", "user", "mfa"]
    assert identity["sub"] == str(ann.id)


def test_a_synced_passkey_is_software(client, session, ann, new_client):
    other = new_client()
    sign_in(other, session, ann)
    _, device = add_in(other, flags=UP | UV | SYNCED)
    assert by_passkey(client, device, form={"remember": "y"}).location == "/account"
    row = session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()
    assert (row.amr, row.remember) == (["swk", "pop", "user", "mfa"], True)
    assert "synced" in readable(client.get(HOME))


def test_showing_the_sign_in_page_names_nobody_and_writes_nothing(client, session, ann, device):
    first, second = (options_of(client.get("/login")) for _ in range(2))
    assert first["challenge"] != second["challenge"]
    assert (first["rpId"], first["userVerification"]) == ("localhost", "required")
    assert 'autocomplete="username webauthn"' in client.get("/login").get_data(as_text=True)


@pytest.mark.parametrize("text", ["", "x", "{}", "[" * 50_000, "x" * 20_000, '{"rawId": 1}'])
def test_what_is_no_answer_is_400_and_the_page_stays_usable(client, session, ann, text):
    page = client.get("/login", headers=HTML)
    answer = send(client, page, "/login/passkey", {"answer": text})
    assert answer.status_code == 400
    assert "This passkey was not accepted" in readable(answer)
    action = re.search(r'<form method="post" action="([^"]*)"', answer.get_data(as_text=True))[1]
    assert action == "/login"
    assert send(client, answer, action, RIGHT).location == "/account"


def test_an_answer_of_another_ceremony_is_400(client, session, ann, device):
    page = client.get("/login", headers=HTML)
    made = Authenticator(ORIGIN)
    made.user_handle = b"x"
    options = {**options_of(page), "user": {"id": "AA"}, "rp": {"id": "localhost"}}
    answer = send(client, page, "/login/passkey", {"answer": made.create(options)})
    assert answer.status_code == 400


def test_a_challenge_of_another_browser_does_not_sign_in(client, new_client, session, device):
    mine = new_client().get("/login", headers=HTML)
    page = client.get("/login", headers=HTML)
    form = {"answer": device.get(options_of(mine))}
    assert send(client, page, "/login/passkey", form).status_code == 400
    (event,) = events(session, Tag.SIGN_IN_REFUSED)
    assert event.details == {"reason": "passkey: challenge of another ceremony"}


def test_the_same_answer_signs_in_once(client, session, device):
    page = client.get("/login", headers=HTML)
    form = {"answer": device.get(options_of(page))}
    assert send(client, page, "/login/passkey", form).status_code == 303
    client.delete_cookie("idp_1", domain="localhost")
    assert send(client, page, "/login/passkey", form).status_code == 400


@pytest.mark.parametrize("what", ["is_disabled", "deleted_at"])
def test_a_person_who_may_not_sign_in_does_not(client, session, ann, device, what):
    value = True if what == "is_disabled" else wall.now()
    session.execute(update(User).where(User.id == ann.id).values({what: value}))
    assert by_passkey(client, device).status_code == 400
    (event,) = events(session, Tag.SIGN_IN_REFUSED)
    assert event.details == {"reason": "passkey: account disabled or locked"}


def test_a_counter_that_went_back_is_mailed_and_recorded(client, session, ann, new_client, outbox):
    other = new_client()
    sign_in(other, session, ann)
    _, device = add_in(other, count=7, counts=True)
    assert by_passkey(client, device, count=3).status_code == 400
    assert len(events(session, Tag.FACTOR_SUSPENDED)) == 1
    assert "suspended" in [mail.subject for mail in outbox()][-1]
    assert by_passkey(client, device, count=90).status_code == 400


def test_a_passkey_that_was_removed_is_no_longer_offered(client, new_client, session, device):
    session.execute(Passkey.__table__.delete())
    answer = by_passkey(client, device)
    assert answer.status_code == 400
    named = re.search(r'data-unknown-passkey="([^"]*)"', answer.get_data(as_text=True))[1]
    assert json.loads(unescape(named))["rpId"] == "localhost"


def test_a_password_asks_for_the_passkey_as_the_second_step(client, session, runtime, ann, device):
    answer = submit(client, "/login", RIGHT)
    assert answer.location == "/login/factor"
    page = client.get(answer.location, headers=HTML)
    options = options_of(page)
    assert [one["type"] for one in options["allowCredentials"]] == ["public-key"]
    assert "authenticator app shows" not in readable(page)
    # The authenticator has not verified the person: together with the password that is enough.
    response = device.get(options, flags=UP, user_handle=None)
    with watched(runtime) as seen:
        done = send(client, page, "/login/factor/passkey", {"answer": response})
    assert done.location == "/account"
    assert level(session) == "phr"
    # As with a code, but passkey, challenge and counter in place of secrets and step.
    assert len(seen) == (9 if runtime.engine.dialect.name == "sqlite" else 6) + 1, seen
    assert seen[-1] == "COMMIT"


def test_the_answer_of_a_form_may_be_loaded_again(client, session, ann, device):
    assert client.get("/login/passkey").location == "/login"
    submit(client, "/login", RIGHT)
    assert client.get("/login/passkey").location == "/login/factor"
    assert client.get("/login/factor/passkey").location == "/login/factor"
    assert client.get("/login/enrol/passkey").location == "/login/enrol"


def test_a_refused_passkey_counts_as_a_wrong_code_does(client, session, ann, device):
    answer = submit(client, "/login", RIGHT)
    statuses = [
        by_passkey(
            client, device, answer.location, "/login/factor/passkey", rp_id="evil.example"
        ).status_code
        for _ in range(8)
    ]
    assert statuses[:5] == [400] * 5
    assert statuses[-1] == 429
    assert len(events(session, Tag.FACTOR_REFUSED)) == statuses.count(400)


def test_the_passkey_of_somebody_else_is_no_second_step(client, new_client, session, ann, device):
    eve = add_person(session, "eve")
    add_authenticator(session, eve)
    submit(client, "/login", {"login": "eve", "password": PASSWORD})
    page = client.get("/login/factor", headers=HTML)
    form = {"answer": device.get({"challenge": "AA", "rpId": "localhost"})}
    assert send(client, page, "/login/factor/passkey", form).status_code == 400


def test_a_recovery_code_replaces_the_passkey(client, session, ann, device):
    (code, *_) = recovery.replace_all(session, ann.id)
    submit(client, "/login", RIGHT)
    assert submit(client, "/login/factor", {"code": code}).location == "/account"
    assert level(session) == "mfa"


@pytest.mark.settings(second_factor="required")
def test_a_person_who_must_have_a_factor_adds_a_passkey_on_the_way(client, session, ann):
    assert submit(client, "/login", RIGHT).location == "/login/enrol"
    page = client.get("/login/enrol", headers=HTML)
    device = Authenticator(ORIGIN)
    form = {"answer": "{}", "passkey_name": "Laptop"}
    refused = send(client, page, "/login/enrol/passkey", form)
    assert refused.status_code == 400
    assert key_of(refused)
    form = {"answer": device.create(options_of(refused, "create")), "passkey_name": ""}
    assert send(client, page, "/login/enrol/passkey", form).status_code == 400
    form["passkey_name"] = "Laptop"
    done = send(client, page, "/login/enrol/passkey", form)
    assert done.location == "/login/codes"
    assert client.get("/login/codes").status_code == 200
    assert client.get("/login/done").location == "/account"
    assert level(session) == "phr"


def test_an_application_that_demands_a_passkey_gets_one(client, session, ann, device):
    app = register(session, require_acr="phr")
    address = page_of_flow(client, app, "/login")
    secret = add_authenticator(session, ann)
    answer = submit(client, address, RIGHT)
    answer = submit(client, answer.location, {"code": app_code(secret)})
    asked = client.get(answer.location)
    assert asked.location.startswith("/login/passkey?request=")
    page = client.get(asked.location, headers=HTML)
    target = re.search(r'action="(/login/factor/passkey[^"]*)"', page.get_data(as_text=True))[1]
    done = by_passkey(client, device, asked.location, unescape(target))
    assert goes_on(done, address)
    assert "code=" in client.get(done.location).location


def test_a_person_without_a_passkey_adds_one_where_it_is_demanded(client, session, ann):
    app = register(session, require_acr="phr")
    sign_in(client, session, ann)
    address = page_of_flow(client, app, "/login/passkey")
    page = client.get(address, headers=HTML)
    target = unescape(re.search(r'action="(/login/enrol/passkey[^"]*)"', page.text)[1])
    device = Authenticator(ORIGIN)
    bad = send(client, page, target, {"answer": "x", "passkey_name": "Laptop"})
    assert bad.status_code == 400
    form = {"answer": device.create(options_of(page, "create")), "passkey_name": "Laptop"}
    done = send(client, page, target, form)
    assert done.location.startswith("/login/codes?")
    client.get(done.location)
    onward = client.get(done.location)
    assert onward.location.startswith("/login/done?")
    assert goes_on(client.get(onward.location), address)


def test_a_low_session_adds_no_passkey_by_the_page_of_an_application(client, session, ann, device):
    app = register(session, require_acr="phr")
    sign_in(client, session, ann)
    address = page_of_flow(client, app, "/login/passkey")
    page = client.get(address, headers=HTML)
    target = address.replace("/login/passkey", "/login/enrol/passkey")
    answer = send(client, page, target, {"answer": "{}", "passkey_name": "x"})
    assert answer.location == address
    eve = add_person(session, "eve")
    add_authenticator(session, eve)
    client.delete_cookie("idp_1", domain="localhost")
    sign_in(client, session, eve)
    assert client.get(address).location.startswith("/login/factor?request=")


def test_discovery_names_the_level_only_where_there_are_passkeys(client):
    found = client.get("/.well-known/openid-configuration").get_json()
    assert found["acr_values_supported"] == ["pwd", "mfa", "phr"]


@pytest.mark.settings(public_url="http://127.0.0.1:8000")
def test_at_an_ip_address_there_are_none_and_the_account_says_why(client, session, ann):
    assert "data-passkey" not in client.get("/login").get_data(as_text=True)
    found = client.get("/.well-known/openid-configuration").get_json()
    assert found["acr_values_supported"] == ["pwd", "mfa"]
    assert client.get("/.well-known/webauthn").status_code == 404
    sign_in(client, session, ann)
    assert "Passkeys cannot be used at this address" in readable(client.get(HOME))
    page = client.get(NEW, headers=HTML)
    assert "Passkeys cannot be used at this address" in readable(page)
    token = csrf_token(client.get("/account/password", headers=HTML))
    form = {"csrf_token": token, "answer": "{}", "passkey_name": "x"}
    assert client.post(NEW, data=form, headers=HTML).status_code == 400
    assert client.post("/login/passkey", data=form, headers=HTML).status_code == 400


# Attack 74: what changes passkeys asks for the highest level that the person can reach.


def test_a_session_without_a_recent_passkey_changes_none(client, session, ann, device):
    secret = add_authenticator(session, ann)
    (row,) = session.scalars(select(Passkey))
    sign_in(client, session, ann)
    page = client.get(HOME, headers=HTML)
    paths = (NEW, f"{PASSKEYS}/{row.id}", f"{PASSKEYS}/{row.id}/remove")
    form = {"passkey_name": "x", "answer": "{}"}

    def are_asked():
        return [
            send(client, page, path, form).location.startswith("/login/factor?") for path in paths
        ]

    assert all(are_asked())
    # The code of an app is not enough where the person has a passkey.
    submit_code = client.get(STEP_UP, headers=HTML)
    assert 'name="code"' not in submit_code.get_data(as_text=True)
    send(client, submit_code, STEP_UP, {"code": app_code(secret)})
    assert level(session) == "mfa"
    assert all(are_asked())
    assert client.get("/account/email").location.startswith("/login/factor?")
    done = by_passkey(client, device, STEP_UP, BY_PASSKEY)
    assert done.location == HOME
    assert level(session) == "phr"
    assert send(client, page, paths[1], form).location == f"{HOME}?notice=passkey-renamed"
    session.execute(update(BrowserSession).values(phr_at=wall.now() - timedelta(minutes=11)))
    assert all(are_asked())


def test_a_code_does_not_lower_a_session_of_a_passkey(client, session, ann, device):
    secret = add_authenticator(session, ann)
    by_passkey(client, device)
    session.execute(update(BrowserSession).values(phr_at=wall.now() - timedelta(minutes=11)))
    send(client, client.get(STEP_UP, headers=HTML), STEP_UP, {"code": app_code(secret)})
    row = session.scalars(select(BrowserSession).order_by(BrowserSession.id.desc())).first()
    assert row.acr == "phr"
    assert row.amr == ["hwk", "pop", "user", "mfa", "otp"]
    assert row.phr_at < wall.now() - timedelta(minutes=10)


def test_a_passkey_is_renamed_and_removed_once(client, session, ann, device, outbox):
    by_passkey(client, device)
    (row,) = session.scalars(select(Passkey))
    path = f"{PASSKEYS}/{row.id}"
    assert (
        submit(client, path, {"passkey_name": "Work"}).location == f"{HOME}?notice=passkey-renamed"
    )
    assert "Work" in readable(client.get(HOME))
    page = client.get(HOME, headers=HTML)
    assert send(client, page, f"{path}/remove", {}).location == f"{HOME}?notice=passkey-removed"
    assert recovery.count_left(session, ann.id) == 0
    shown = client.get(HOME).get_data(as_text=True)
    signals = json.loads(unescape(re.search(r'data-passkeys="([^"]*)"', shown)[1]))
    assert signals["allAcceptedCredentialIds"] == []
    for again in (f"{path}/remove", path):
        assert send(client, page, again, {"passkey_name": "x"}).status_code == 404
    subjects = " ".join(mail.subject for mail in outbox())
    assert "renamed" in subjects
    assert "removed" in subjects


def test_a_passkey_deleted_meanwhile_is_not_found_when_renamed(client, session, ann, device):
    by_passkey(client, device)
    path = f"{PASSKEYS}/{session.scalar(select(Passkey.id))}"
    page = client.get(path, headers=HTML)
    session.execute(Passkey.__table__.delete())
    assert send(client, page, path, {"passkey_name": "x"}).status_code == 404


@pytest.mark.settings(second_factor="required")
def test_the_last_factor_stays_where_one_is_required(client, session, ann, device):
    by_passkey(client, device)
    (row,) = session.scalars(select(Passkey))
    page = client.get(HOME, headers=HTML)
    answer = send(client, page, f"{PASSKEYS}/{row.id}/remove", {})
    assert answer.status_code == 400
    assert "Add another app or passkey first." in readable(answer)
    add_authenticator(session, ann)
    assert send(client, page, f"{PASSKEYS}/{row.id}/remove", {}).status_code == 303
    assert factors.has_any(session, ann.id)


@pytest.mark.settings(second_factor="required")
def test_a_suspended_passkey_is_no_factor_that_could_be_left(client, session, ann, device):
    add_authenticator(session, ann)
    by_passkey(client, device)
    session.execute(update(Passkey).values(suspended_at=wall.now()))
    session.execute(update(BrowserSession).values(mfa_at=wall.now()))
    app_id = session.scalar(select(Totp.id))
    page = client.get(HOME, headers=HTML)
    path = f"{HOME}/authenticator/{app_id}/remove"
    assert send(client, page, path, {}).status_code == 400


def test_passkeys_of_others_and_of_other_issuers_are_not_found(client, session, ann, device):
    eve = add_person(session, "eve")
    sign_in(client, session, eve)
    (row,) = session.scalars(select(Passkey))
    page = client.get("/account/password", headers=HTML)
    for row_id in (row.id, 999_999, 2**80):
        for path in (f"{PASSKEYS}/{row_id}", f"{PASSKEYS}/{row_id}/remove"):
            assert send(client, page, path, {"passkey_name": "x"}).status_code == 404, path
        assert client.get(f"{PASSKEYS}/{row_id}").status_code == 404
    assert "Laptop" not in readable(client.get(HOME))


def test_a_person_with_a_passkey_elsewhere_proves_another_factor(client, session, ann, device):
    # Their passkey at issuer 1 protects the account at every issuer, though it works at one.
    tenant_id = add_tenant(session, hosts=["acme.localhost:8000"])
    tenants.add_member(session, tenant_id, ann.id)
    (code, *_) = recovery.replace_all(session, ann.id)
    session.commit()
    client.base_url = "http://acme.localhost:8000"
    assert by_passkey(client, device).status_code == 400
    assert submit(client, "/login", RIGHT).location == "/login/factor"
    page = client.get("/login/factor", headers=HTML)
    assert "belong to another address" in readable(page)
    assert "data-passkey=" not in page.get_data(as_text=True)
    assert submit(client, "/login/factor", {"code": code}).location == "/account"
    shown = readable(client.get(HOME))
    assert "for localhost only" in shown
    (row,) = session.scalars(select(Passkey))
    assert f"{PASSKEYS}/{row.id}" not in shown
    assert client.get(f"{PASSKEYS}/{row.id}").status_code == 404


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202eevil\n", "x" * 100, " "])
def test_names_are_escaped_and_one_line(client, session, ann, name):
    sign_in(client, session, ann)
    answer, _ = add_in(client, name)
    assert answer.status_code == 303
    shown = client.get(HOME).get_data(as_text=True)
    assert "<script>alert" not in shown
    assert "\u202e" not in shown


def test_a_name_that_is_too_long_is_refused_beside_its_field(client, session, ann):
    sign_in(client, session, ann)
    answer, _ = add_in(client, "x" * 10_000)
    assert answer.status_code == 400
    assert 'id="passkey_name-error"' in answer.get_data(as_text=True)
    assert session.scalar(select(Passkey.id)) is None


def test_the_overview_asks_as_often_however_many_passkeys_there_are(
    client, session, runtime, ann, device
):
    by_passkey(client, device)
    one = len(statements(runtime, client, HOME, "passkey"))
    for _ in range(5):
        assert add_in(client)[0].status_code == 303
    assert len(statements(runtime, client, HOME, "passkey")) == one
    assert one <= 5


def test_the_first_host_answers_for_the_origin_that_pages_are_at(session, new_client, runtime):
    tenant_id = add_tenant(session, hosts=["old.localhost:8000"])
    tenant = tenants.get(session, tenant_id)
    hosts = ["old.localhost:8000", "new.localhost:8000"]
    tenants.set_hosts(session, tenant, hosts, "new.localhost:8000")
    session.commit()
    for host in hosts:
        answer = new_client(f"http://{host}").get("/.well-known/webauthn")
        assert answer.status_code == 200, host
        assert answer.get_json() == {"origins": ["http://new.localhost:8000"]}
    assert new_client("http://old.localhost:8000").get("/login").status_code in {302, 303, 307, 308}


def test_a_passkey_of_a_host_that_is_gone_is_no_longer_accepted(client, session, ann, device):
    by_passkey(client, device)
    session.execute(update(Passkey).values(rp_id="old.example"))
    assert "for old.example, which is not this site any more" in readable(client.get(HOME))
    client.delete_cookie("idp_1", domain="localhost")
    assert by_passkey(client, device).status_code == 400


def test_an_operator_sees_and_removes_passkeys(session, ann, device):
    assert passkeys.has_any(session, ann.id)
    assert factors.reset(session, ann.id) == 1
    assert not factors.has_any(session, ann.id)
