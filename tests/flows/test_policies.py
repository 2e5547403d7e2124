"""Policies of second factors, levels and devices: what people are asked for and refused."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from sqlalchemy import delete, insert, select, update

from idp.directory.actor import OPERATOR
from idp.directory.devices.models import DeviceUser
from idp.directory.factors import enrolment, recovery
from idp.directory.factors.models import Totp
from idp.directory.policies import management
from idp.directory.policies.models import Policy
from idp.directory.policies.rules import RolePolicySpec
from idp.directory.roles.models import UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant
from idp.platform import clock as wall
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests import protocol
from tests.api.center import statements
from tests.authenticator import Authenticator
from tests.pages.browsing import (
    HTML,
    csrf_token,
    events,
    goes_on,
    page_of_flow,
    readable,
    send,
    submit,
)
from tests.pages.test_passkeys import options_of
from tests.pages.test_second_factor import key_of
from tests.protocol import (
    PASSWORD,
    add_authenticator,
    add_person,
    app_code,
    authorize,
    obtain,
    register,
    require,
    returned,
)

ORIGIN = "http://localhost:8000"
WITH_PASSKEYS = pytest.mark.settings(public_url=ORIGIN)
RIGHT = {"login": "ann", "password": PASSWORD}
PLATFORM = 1


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session, acme):
    return add_person(session, "ann", tenant_ids=(acme,), email="ann@example.com")


@pytest.fixture
def web(session):
    return register(session)


def require_of_role(session, role, tenant_id=PLATFORM, **values):
    actor = OPERATOR.within(tenant_id)
    management.replace_of_role(session, actor, role.id, RolePolicySpec(**values))
    session.commit()


def asked_for(browser, address="/login", login="ann"):
    """Sign in with the password; return the page that comes next."""
    form = {"login": login, "password": PASSWORD}
    return urlsplit(submit(browser, address, form).location).path


def page(answer):
    return urlsplit(answer.location).path


def sessions_of(session):
    session.rollback()
    return session.scalars(select(BrowserSession).order_by(BrowserSession.id)).all()


def leave(browser):
    browser.delete_cookie("idp_1", domain="127.0.0.1")


def enrol(browser, address="/login/enrol"):
    """Set up an app on the page that asks for it; return its secret."""
    shown = browser.get(address, headers=HTML)
    key, secret = key_of(shown)
    added = send(browser, shown, address, {"key": key, "code": app_code(secret), "name": "Phone"})
    assert page(added) == "/login/codes"
    return secret


def remember(browser, secret, steps=0):
    """Sign in with both factors and have the device remembered."""
    answer = submit(browser, "/login", RIGHT)
    form = {"code": app_code(secret, steps), "remember_device": "y"}
    assert page(submit(browser, answer.location, form)) == "/account"


# Second factor and level


def test_a_required_second_factor_is_set_up_before_the_session_starts(client, session, ann, acme):
    require(session, acme, second_factor="required")
    assert asked_for(client) == "/login/enrol"
    assert sessions_of(session) == []
    for path in ("/login/done", "/login/codes", "/login/factor", "/login/password"):
        answer = client.get(path)
        while page(answer) != "/login/enrol":
            answer = client.get(answer.location)
    assert sessions_of(session) == []
    enrol(client)
    assert page(client.get("/login/done")) == "/account"
    assert [row.acr for row in sessions_of(session)] == ["mfa"]


def test_a_tenant_asks_its_own_people_and_nobody_else(client, new_client, session, ann, acme):
    other = protocol.add_tenant(session, "Other")
    add_person(session, "bob", tenant_ids=(other,))
    require(session, acme, second_factor="required")
    assert asked_for(client) == "/login/enrol"
    assert asked_for(new_client(), login="bob") == "/account"


def test_of_several_organisations_the_one_that_is_chosen_counts(client, session, ann, acme, web):
    other = protocol.add_tenant(session, "Other")
    tenants.add_member(session, other, ann.id)
    require(session, acme, second_factor="required")
    # At the sign-in it is not known yet which one it is for.
    assert asked_for(client) == "/account"
    assert "code" in returned(authorize(client, web, tenant=str(other)))
    assert page(authorize(client, web, tenant=str(acme))) == "/login/enrol"
    of_acme = register(session, "of-acme", tenant_id=acme)
    assert page(authorize(client, of_acme)) == "/login/enrol"


def test_the_tenant_of_the_application_counts_at_its_sign_in(client, session, ann, acme):
    tenants.add_member(session, protocol.add_tenant(session, "Other"), ann.id)
    require(session, acme, second_factor="required")
    address = page_of_flow(client, register(session, "of-acme", tenant_id=acme), "/login")
    assert asked_for(client, address) == "/login/enrol"


def test_the_floor_of_the_platform_holds_for_every_tenant(client, session, ann, acme):
    require(session, acme, second_factor="optional")
    require(session, PLATFORM, second_factor="required")
    assert asked_for(client) == "/login/enrol"


def test_where_none_is_offered_those_who_have_one_are_asked_all_the_same(
    client, session, ann, acme
):
    require(session, acme, second_factor="off")
    secret = add_authenticator(session, ann)
    answer = submit(client, "/login", RIGHT)
    assert page(answer) == "/login/factor"
    assert page(submit(client, answer.location, {"code": app_code(secret)})) == "/account"


def test_where_none_is_offered_nobody_adds_one_unless_an_application_demands_it(
    client, session, ann, acme
):
    require(session, acme, second_factor="off")
    protocol.sign_in(client, session, ann)
    path = "/account/security/authenticator"
    assert path not in readable(client.get("/account/security"))
    assert client.get(path).status_code == 404
    form = {"key": "x", "code": "123456", "name": ""}
    assert send(client, client.get("/account/password"), path, form).status_code == 404
    demanding = register(session, "demanding", require_acr="mfa")
    asked = authorize(client, demanding)
    assert page(asked) == "/login/enrol"
    enrol(client, asked.location)
    assert "code" in returned(authorize(client, demanding))


def test_a_running_session_is_asked_at_its_next_request_and_goes_on(
    client, session, ann, acme, web
):
    protocol.sign_in(client, session, ann)
    assert "code" in returned(authorize(client, web))
    require(session, acme, second_factor="required")
    assert client.get("/account").status_code == 200
    asked = authorize(client, web)
    assert page(asked) == "/login/enrol"
    assert returned(authorize(client, web, prompt="none"))["error"] == "interaction_required"
    enrol(client, asked.location)
    assert obtain(client, web).identity["acr"] == "mfa"


def test_an_app_that_is_there_is_proven_before_a_running_session_goes_on(
    client, session, ann, acme, web
):
    protocol.sign_in(client, session, ann)
    secret = add_authenticator(session, ann)
    require(session, acme, second_factor="required")
    asked = authorize(client, web)
    assert page(asked) == "/login/factor"
    done = submit(client, asked.location, {"code": app_code(secret)})
    assert goes_on(done, asked.location)


@WITH_PASSKEYS
def test_where_phr_is_required_an_app_is_not_enough(client, session, ann, acme, web):
    require(session, acme, second_factor="required", level="phr")
    secret = add_authenticator(session, ann)
    answer = submit(client, "/login", RIGHT)
    # The password alone adds no passkey: what is there is proven first.
    assert page(answer) == "/login/factor"
    shown = client.get("/login/enrol/passkey")
    assert shown.status_code == 303
    answer = submit(client, answer.location, {"code": app_code(secret)})
    assert page(answer) == "/login/enrol"
    assert sessions_of(session) == []
    enrolling = client.get(answer.location, headers=HTML)
    text = enrolling.get_data(as_text=True)
    assert 'name="key"' not in text
    app = {"key": "x", "code": "123456", "name": ""}
    assert send(client, enrolling, "/login/enrol", app).status_code == 400
    device = Authenticator(ORIGIN)
    form = {"answer": device.create(options_of(enrolling, "create")), "passkey_name": "Laptop"}
    assert page(send(client, enrolling, "/login/enrol/passkey", form)) == "/login/codes"
    assert page(client.get("/login/done")) == "/account"
    assert [row.acr for row in sessions_of(session)] == ["phr"]
    assert obtain(client, web).identity["acr"] == "phr"


@WITH_PASSKEYS
def test_who_has_a_passkey_proves_it_where_phr_is_required(client, session, ann, acme):
    add_authenticator(session, ann)
    (code, *_) = recovery.replace_all(session, ann.id)
    protocol.add_passkey(session, ann, ORIGIN)
    require(session, acme, second_factor="required", level="phr")
    answer = submit(client, "/login", RIGHT)
    assert page(answer) == "/login/factor"
    assert 'name="code"' not in client.get(answer.location).get_data(as_text=True)
    # A code that is right all the same reaches no higher level.
    sent = send(client, client.get(answer.location), answer.location, {"code": code})
    assert page(sent) == "/login/factor"
    assert sessions_of(session) == []


def test_at_an_address_without_passkeys_phr_is_unmet_and_not_lowered(
    client, session, ann, acme, web
):
    session.add(Policy(tenant_id=acme, second_factor="required", level="phr"))
    session.commit()
    protocol.sign_in(client, session, ann, has_both=True)
    assert returned(authorize(client, web))["error"] == "unmet_authentication_requirements"


def test_a_kind_that_is_not_allowed_cannot_be_added(client, session, ann, acme):
    require(session, acme, factors=["passkey", "sms"])
    protocol.sign_in(client, session, ann)
    path = "/account/security/authenticator"
    assert path not in readable(client.get("/account/security"))
    assert client.get(path).status_code == 404
    form = {"key": "x", "code": "123456", "name": ""}
    assert send(client, client.get("/account/password"), path, form).status_code == 404
    # Nor where an application demands a second factor.
    demanding = register(session, "demanding", require_acr="mfa")
    asked = authorize(client, demanding)
    shown = client.get(asked.location, headers=HTML)
    assert 'name="key"' not in shown.get_data(as_text=True)
    token = csrf_token(client.get("/account/password"))
    refused = client.post(asked.location, data={"csrf_token": token, **form}, headers=HTML)
    assert refused.status_code == 400
    assert session.scalars(select(Totp)).all() == []


def test_an_app_that_was_added_before_stays_valid(client, session, ann, acme):
    secret = add_authenticator(session, ann)
    require(session, acme, factors=["passkey"])
    answer = submit(client, "/login", RIGHT)
    assert page(submit(client, answer.location, {"code": app_code(secret)})) == "/account"


def test_the_last_factor_stays_where_a_tenant_requires_one(client, session, ann, acme):
    add_authenticator(session, ann)
    require(session, acme, second_factor="required")
    protocol.sign_in(client, session, ann, has_both=True)
    path = f"/account/security/authenticator/{session.scalar(select(Totp.id))}/remove"
    refused = send(client, client.get("/account/security"), path, {})
    assert refused.status_code == 400
    assert "required here" in readable(refused)


# Roles


def test_a_role_asks_who_has_it_and_nobody_else(client, new_client, session, ann, acme, web):
    add_person(session, "bob", tenant_ids=(acme,))
    role = protocol.add_role(session, ann, "editor", tenant_id=acme)
    require_of_role(session, role, acme, second_factor="required")
    assert asked_for(client) == "/login/enrol"
    other = new_client()
    assert asked_for(other, login="bob") == "/account"
    assert "code" in returned(authorize(other, web))


def test_a_role_that_is_given_later_asks_at_the_next_request(client, session, ann, acme, web):
    protocol.sign_in(client, session, ann)
    boss = add_person(session, "boss", tenant_ids=(acme,))
    role = protocol.add_role(session, boss, "editor", tenant_id=acme)
    require_of_role(session, role, acme, second_factor="required")
    assert "code" in returned(authorize(client, web))
    session.add(UserRole(user_id=ann.id, role_id=role.id))
    session.commit()
    assert page(authorize(client, web)) == "/login/enrol"


def test_a_role_of_the_platform_counts_at_its_issuer(client, session, ann, web):
    role = protocol.add_role(session, ann, "auditor", tenant_id=None)
    require_of_role(session, role, second_factor="required")
    assert asked_for(client) == "/login/enrol"
    protocol.sign_in(client, session, ann)
    assert page(authorize(client, web)) == "/login/enrol"


def test_roles_are_read_only_where_a_role_has_a_policy(client, session, runtime, ann, acme, web):
    other = protocol.add_tenant(session, "Other")
    boss = add_person(session, "boss", tenant_ids=(other,))
    role = protocol.add_role(session, boss, "editor", tenant_id=other)
    require_of_role(session, role, other, second_factor="required")
    protocol.sign_in(client, session, ann)
    authorize(client, web)
    with statements(runtime.engine) as sent:
        assert "code" in returned(authorize(client, web))
    assert [text for text in sent if "FROM user_role" in text] == []


# Putting it off


def test_a_required_factor_can_be_put_off_for_as_long_as_the_policy_says(
    client, new_client, session, clock, ann, acme, web
):
    require(session, acme, second_factor="required", grace_days=7)
    address = page_of_flow(client, web, "/login")
    answer = submit(client, address, RIGHT)
    shown = client.get(answer.location, headers=HTML)
    assert "Not now" in readable(shown)
    later = answer.location.replace("/login/enrol", "/login/enrol/later")
    done = send(client, shown, later, {})
    assert goes_on(done, address)
    assert "code=" in client.get(done.location).location
    assert [row.acr for row in sessions_of(session)] == ["pwd"]
    assert len(events(session, Tag.FACTOR_PUT_OFF)) == 1
    clock.shift(6 * 86_400)
    assert asked_for(new_client()) == "/login/enrol"
    protocol.sign_in(client, session, ann)
    assert "code" in returned(authorize(client, web))
    clock.shift(2 * 86_400)
    protocol.sign_in(client, session, ann)
    assert page(authorize(client, web)) == "/login/enrol"
    last = new_client()
    answer = submit(last, "/login", RIGHT)
    shown = last.get(answer.location, headers=HTML)
    assert "Not now" not in readable(shown)
    assert send(last, shown, "/login/enrol/later", {}).status_code == 400
    assert len(sessions_of(session)) == 3


def test_a_running_session_can_put_it_off_too(client, session, ann, acme, web):
    protocol.sign_in(client, session, ann)
    require(session, acme, second_factor="required", grace_days=7)
    asked = authorize(client, web)
    shown = client.get(asked.location, headers=HTML)
    later = asked.location.replace("/login/enrol", "/login/enrol/later")
    done = send(client, shown, later, {})
    assert "code=" in client.get(done.location).location


@pytest.mark.parametrize("path", ["/login/enrol/later", "/login/done"])
def test_without_time_left_nothing_is_put_off(client, session, ann, acme, path):
    require(session, acme, second_factor="required")
    answer = submit(client, "/login", RIGHT)
    shown = client.get(answer.location, headers=HTML)
    assert send(client, shown, path, {}).status_code in {400, 405}
    assert sessions_of(session) == []


def test_who_has_a_factor_or_needs_a_code_puts_nothing_off(client, new_client, session, ann, acme):
    require(session, acme, second_factor="required", grace_days=7)
    add_authenticator(session, ann)
    answer = submit(client, "/login", RIGHT)
    shown = client.get(answer.location, headers=HTML)
    assert page(send(client, shown, "/login/enrol/later", {})) == "/login/factor"
    session.execute(delete(Totp))
    enrolment.issue(session, ann.id)
    session.commit()
    other = new_client()
    answer = submit(other, "/login", RIGHT)
    assert page(answer) == "/login/code"
    shown = other.get(answer.location, headers=HTML)
    assert page(send(other, shown, "/login/enrol/later", {})) == "/login/code"
    assert sessions_of(session) == []


def test_what_an_application_demands_is_not_put_off(client, session, ann, acme):
    require(session, acme, second_factor="required", grace_days=7)
    demanding = register(session, "demanding", require_acr="mfa")
    protocol.sign_in(client, session, ann)
    asked = authorize(client, demanding)
    assert "Not now" not in readable(client.get(asked.location))
    ann.second_factor_asked_at = wall.now()
    session.commit()
    assert page(authorize(client, demanding)) == "/login/enrol"


# Levels that end


def test_a_level_ends_by_itself(client, session, clock, ann, acme, web):
    secret = add_authenticator(session, ann)
    require(session, acme, second_factor="required", level_minutes=60)
    protocol.sign_in(client, session, ann, has_both=True)
    clock.shift(3600)
    assert obtain(client, web).identity["acr"] == "mfa"
    clock.shift(1)
    asked = authorize(client, web)
    assert page(asked) == "/login/factor"
    done = submit(client, asked.location, {"code": app_code(secret)})
    assert goes_on(done, asked.location)
    assert obtain(client, web).identity["acr"] == "mfa"


def test_where_nothing_is_required_a_level_that_ended_is_stated_as_it_is(
    client, session, clock, ann, acme, web
):
    require(session, PLATFORM, level_minutes=60)
    protocol.sign_in(client, session, ann, has_both=True)
    tokens = obtain(client, web, "openid offline_access")
    clock.shift(3601)
    assert obtain(client, web).identity["acr"] == "pwd"
    add_authenticator(session, ann)
    assert page(authorize(client, web, acr_values="mfa")) == "/login/factor"
    # The level of a grant is that of its sign-in.
    renewed = protocol.refresh(client, web, tokens.refresh).get_json()
    assert protocol.payload(renewed["access_token"])["acr"] == "mfa"


# Remembered devices


def test_a_remembered_device_satisfies_a_policy_for_as_long_as_it_says(
    client, session, clock, ann, acme, web
):
    require(session, acme, second_factor="required", device_days=5)
    secret = add_authenticator(session, ann)
    remember(client, secret)
    leave(client)
    assert asked_for(client) == "/account"
    assert obtain(client, web).identity["acr"] == "pwd"
    clock.shift(4 * 86_400)
    leave(client)
    assert asked_for(client) == "/account"
    assert "code" in returned(authorize(client, web))
    clock.shift(86_400)
    assert page(authorize(client, web)) in {"/login", "/login/factor"}
    leave(client)
    assert asked_for(client) == "/login/factor"


# Attack 78


def test_a_remembered_device_meets_no_demand_of_an_application(client, session, ann, acme, web):
    require(session, acme, second_factor="required")
    remember(client, add_authenticator(session, ann))
    leave(client)
    assert asked_for(client) == "/account"
    demanding = register(session, "demanding", require_acr="mfa")
    assert page(authorize(client, demanding)) == "/login/factor"
    assert page(authorize(client, web, acr_values="mfa")) == "/login/factor"


def test_a_session_that_a_device_spared_is_asked_where_devices_are_remembered_no_more(
    client, session, ann, acme, web
):
    require(session, acme, second_factor="required")
    remember(client, add_authenticator(session, ann))
    leave(client)
    assert asked_for(client) == "/account"
    assert "code" in returned(authorize(client, web))
    require(session, acme, second_factor="required", device_days=0)
    assert page(authorize(client, web)) == "/login/factor"


@WITH_PASSKEYS
def test_a_device_spares_nobody_what_they_do_not_have(client, session, ann, acme, web):
    remember(client, add_authenticator(session, ann))
    client.delete_cookie("idp_1", domain="localhost")
    require(session, acme, second_factor="required", level="phr")
    assert asked_for(client) == "/login/factor"


@pytest.mark.parametrize("how", ["stop-remembering", "remove", "new factor"])
def test_what_ends_a_remembered_device_ends_what_it_spared_sessions(
    client, new_client, session, ann, acme, web, how
):
    require(session, acme, second_factor="required")
    secret = add_authenticator(session, ann)
    remember(client, secret)
    leave(client)
    assert asked_for(client) == "/account"
    assert "code" in returned(authorize(client, web))
    listed = client.get("/account/sessions", headers=HTML)
    if how == "new factor":
        session.execute(update(BrowserSession).values(mfa_at=wall.now()))
        session.commit()
        path = "/account/security/authenticator"
        shown = client.get(path, headers=HTML)
        key, new = key_of(shown)
        form = {"key": key, "code": app_code(new), "name": ""}
        assert send(client, shown, path, form).status_code == 303
        session.execute(update(BrowserSession).values(mfa_at=None))
        session.commit()
    elif how == "remove":
        action = f"/account/devices/{session.scalar(select(DeviceUser.id))}/remove"
        assert send(client, listed, action, {}).status_code == 303
    else:
        assert send(client, listed, "/account/devices/stop-remembering", {}).status_code == 303
    assert page(authorize(client, web)) == "/login/factor"


# Exempt administrators


@pytest.fixture
def chief(session, acme):
    person = add_person(session, "chief", tenant_ids=(), email="chief@example.com")
    tenants.add_member(session, acme, person.id, is_admin=True)
    session.commit()
    return person


def test_each_use_of_an_exemption_is_mailed_and_recorded(
    client, session, acme, ann, chief, web, outbox
):
    second = add_person(session, "second", tenant_ids=(), email="second@example.com")
    without = add_person(session, "without mail", tenant_ids=())
    for person in (second, without):
        tenants.add_member(session, acme, person.id, is_admin=True)
    require(session, acme, second_factor="required", exempt_user_ids=[chief.id])
    assert asked_for(client, login="chief") == "/account"
    assert "code" in returned(authorize(client, web))
    (event,) = events(session, Tag.EXEMPTION_USED)
    assert (event.user_id, event.details) == (chief.id, {"tenant_id": acme})
    mails = [mail for mail in outbox() if "without a second factor" in mail.subject]
    assert sorted(mail.to for mail in mails) == ["chief@example.com", "second@example.com"]
    leave(client)
    assert asked_for(client, login="chief") == "/account"
    assert len(events(session, Tag.EXEMPTION_USED)) == 2


def test_a_use_for_a_tenant_that_is_chosen_after_the_sign_in_is_noted_too(
    client, session, acme, chief, web
):
    tenants.add_member(session, protocol.add_tenant(session, "Other"), chief.id)
    require(session, acme, second_factor="required", exempt_user_ids=[chief.id])
    assert asked_for(client, login="chief") == "/account"
    assert events(session, Tag.EXEMPTION_USED) == []
    for _ in range(2):
        assert "code" in returned(authorize(client, web, tenant=str(acme)))
    assert len(events(session, Tag.EXEMPTION_USED)) == 1


def test_an_exempt_person_with_a_factor_proves_it_and_uses_no_exemption(
    client, session, acme, chief
):
    secret = add_authenticator(session, chief)
    require(session, acme, second_factor="required", exempt_user_ids=[chief.id])
    answer = submit(client, "/login", {**RIGHT, "login": "chief"})
    assert page(answer) == "/login/factor"
    submit(client, answer.location, {"code": app_code(secret)})
    assert events(session, Tag.EXEMPTION_USED) == []


def test_nobody_is_exempt_from_the_floor_or_elsewhere(client, new_client, session, acme, chief):
    require(session, acme, second_factor="required", exempt_user_ids=[chief.id])
    other = protocol.add_tenant(session, "Other")
    tenants.add_member(session, other, chief.id)
    require(session, other, second_factor="required")
    of_other = register(session, "of-other", tenant_id=other)
    address = page_of_flow(client, of_other, "/login")
    assert asked_for(client, address, login="chief") == "/login/enrol"
    session.execute(delete(Membership).where(Membership.tenant_id == other))
    session.commit()
    require(session, PLATFORM, second_factor="required")
    assert asked_for(new_client(), login="chief") == "/login/enrol"


def test_an_exemption_that_is_taken_back_ends_at_the_next_request(
    client, session, acme, chief, web
):
    require(session, acme, second_factor="required", exempt_user_ids=[chief.id])
    assert asked_for(client, login="chief") == "/account"
    assert "code" in returned(authorize(client, web))
    require(session, acme, second_factor="required")
    assert page(authorize(client, web)) == "/login/enrol"


# Cost


def test_a_live_session_costs_no_query_more_where_nothing_is_set(
    client, session, runtime, ann, acme, web
):
    protocol.sign_in(client, session, ann)
    authorize(client, web)

    def cost(app=web):
        authorize(client, app)
        with statements(runtime.engine) as sent:
            assert "code" in returned(authorize(client, app))
        known = ("configuration_version", "BEGIN")
        return [text for text in sent if not any(word in text for word in known)]

    bare = cost()
    assert not any("sign_in_policy" in text or "role_policy" in text for text in bare)
    require(session, acme, password_length=12)
    assert cost() == bare
    # Nor where a policy is set and met, for a client of the tenant.
    require(session, acme, second_factor="required", level_minutes=60)
    of_acme = register(session, "of-acme", tenant_id=acme)
    protocol.sign_in(client, session, ann, has_both=True)
    assert cost(of_acme) == bare


def test_ten_thousand_tenants_with_policies_change_no_number_of_queries(
    client, new_client, session, runtime, ann, acme, web
):
    ids = range(100_000, 110_000)
    session.execute(
        insert(Tenant),
        [{"id": row, "name": f"T{row}", "issuer_tenant_id": PLATFORM} for row in ids],
    )
    policy = {"second_factor": "required", "concurrency_stamp": "x", "level_minutes": 60}
    require(session, acme, second_factor="required")
    protocol.sign_in(client, session, ann, has_both=True)

    def counted(sent):
        known = ("configuration_version", "BEGIN")
        return len([text for text in sent if not any(word in text for word in known)])

    def cost():
        authorize(client, web)
        with statements(runtime.engine) as sent:
            assert "code" in returned(authorize(client, web))
        return counted(sent)

    def cost_of_sign_in():
        other = new_client()
        shown = other.get("/login", headers=HTML)
        with statements(runtime.engine) as sent:
            assert page(send(other, shown, "/login", RIGHT)) == "/login/enrol"
        return counted(sent)

    cost_of_sign_in()
    few, at_sign_in = cost(), cost_of_sign_in()
    session.execute(insert(Policy), [{"tenant_id": row, **policy} for row in ids])
    session.commit()
    runtime.cache.clear()
    assert cost() == few
    # An invented tenant pushes nothing out of the cache.
    authorize(client, web, tenant="99999999")
    assert cost() == few
    cost_of_sign_in()  # reads what is configured
    assert cost_of_sign_in() == at_sign_in
