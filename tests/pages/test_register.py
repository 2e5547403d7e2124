"""The pages of registration."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.directory.registration.codes import TRIES_OF_ALL
from idp.directory.registration.models import VerificationCode
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.platform.errors import Conflict
from idp.platform.runtime import of as runtime_of
from tests import protocol
from tests.pages.browsing import HTML, crowd, page_of_flow, readable, send, submit

WHERE = {"mobile": "13800138000", "email": "ben@app.example"}
PASSWORD = "tall-birch-window-8"


@pytest.fixture
def sent(outbox):
    """Read the last code of each kind."""

    def read():
        found = {}
        for message in outbox():
            code = re.search(r"\b\d{6}\b", message.text)[0]
            found["email_code" if "@" in message.to else "mobile_code"] = code
        return found

    return read


def test_a_domain_in_a_labels_is_registered_once(client, session, sent):
    there = {**WHERE, "email": "ben@xn--bcher-kva.example"}
    submit(client, "/register", there)
    submit(client, "/register/account", account(sent()))
    user = session.scalars(select(User).where(User.nick_name == "Ben")).one()
    assert (user.username, user.email) == ("ben@bücher.example", "ben@bücher.example")
    with pytest.raises(Conflict):
        users.create(session, NewUser("eve2", email="Ben@xn--bcher-kva.example"))


def account(codes, **fields):
    return {
        "nick_name": "Ben",
        "password": PASSWORD,
        "repeated": PASSWORD,
        **codes,
        **fields,
    }


def wrong(code):
    return f"{(int(code) + 1) % 10**6:06}"


def someone(session):
    return session.scalars(select(User).where(User.username == WHERE["email"])).one_or_none()


def test_a_visitor_registers_and_is_signed_in(client, new_client, session, sent):
    answer = submit(client, "/register", WHERE)
    assert (answer.status_code, answer.location) == (303, "/register/account")
    answer = submit(client, "/register/account", account(sent()))
    assert (answer.status_code, answer.location) == (303, "/account")
    assert "ben@app.example" in client.get("/account").get_data(as_text=True)
    user = someone(session)
    assert (user.mobile, user.mobile_verified, user.email_verified, user.nick_name) == (
        "+8613800138000",
        True,
        True,
        "Ben",
    )
    joined = session.scalars(select(Membership.tenant_id).where(Membership.user_id == user.id))
    assert list(joined) == [1]
    answer = submit(new_client(), "/login", {"login": WHERE["email"], "password": PASSWORD})
    assert answer.location == "/account"
    # The addresses are forgotten with the account made.
    assert client.get("/register/account").location == "/register"


def test_the_sign_in_page_leads_there_and_the_application_waits(client, session, sent):
    app = protocol.register(session)
    address = page_of_flow(client, app, "/login")
    page = client.get(address, headers=HTML).get_data(as_text=True)
    link = re.search(r'href="(/register\?request=[^"]+)"', page)[1]
    answer = submit(client, link, WHERE)
    answer = submit(client, answer.location, account(sent()))
    back = client.get(answer.location)
    assert back.location.startswith(protocol.CALLBACK)


@pytest.mark.settings(registration=False)
def test_where_the_operator_says_no_there_are_no_pages(client):
    assert "/register" not in client.get("/login", headers=HTML).get_data(as_text=True)
    for path in ("/register", "/register/account"):
        assert client.get(path, headers=HTML).status_code == 404
    assert client.post("/register", data=WHERE).status_code in {400, 404}


@pytest.mark.settings(environment="production")
def test_without_short_messages_there_are_no_pages(client):
    assert client.get("/register", headers=HTML).status_code == 404


def test_a_tenant_opens_its_own_pages_itself(new_client, session, outbox, sent):
    tenant_id = protocol.add_tenant(session, hosts=["login.acme.example"])
    browser = new_client("http://login.acme.example")
    assert browser.get("/register", headers=HTML).status_code == 404
    tenants.set_properties(session, session.get_one(Tenant, tenant_id), {"Registration": "open"})
    answer = submit(browser, "/register", WHERE)
    submit(browser, answer.location, account(sent()))
    joined = select(Membership.tenant_id).where(Membership.user_id == someone(session).id)
    assert list(session.scalars(joined)) == [tenant_id]
    assert "Acme" in outbox()[0].text


def test_known_and_unknown_addresses_get_one_answer(client, new_client, session, outbox):
    protocol.add_person(session, "eve", email=WHERE["email"], mobile="+8613800138000")
    answers, shown = [], []
    for form in (WHERE, {"mobile": "13900139000", "email": "free@app.example"}):
        browser = new_client()
        answer = submit(browser, "/register", form)
        answers.append((answer.status_code, answer.location))
        page = readable(browser.get(answer.location, headers=HTML))
        shown.append(page.replace(form["mobile"], "-").replace(form["email"], "-"))
    assert answers[0] == answers[1]
    assert shown[0] == shown[1]
    assert len(outbox()) == 4


def test_who_proves_the_addresses_hears_of_the_account_there_is(client, session, sent):
    protocol.add_person(session, "eve", email=WHERE["email"])
    answer = submit(client, "/register", WHERE)
    answer = submit(client, answer.location, account(sent()))
    assert answer.status_code == 400
    assert "An account with this e-mail address already exists" in readable(answer)


def test_wrong_codes_are_named_and_five_are_enough(client, session, sent):
    submit(client, "/register", WHERE)
    codes = sent()
    path = "/register/account"
    answer = submit(client, path, account(codes, email_code=wrong(codes["email_code"])))
    assert 'href="#email_code"' in answer.get_data(as_text=True)
    for _ in range(4):
        answer = submit(client, path, account(codes, mobile_code=wrong(codes["mobile_code"])))
        assert answer.status_code == 400
        assert 'href="#mobile_code"' in answer.get_data(as_text=True)
    assert submit(client, path, account(codes)).status_code == 400
    assert someone(session) is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"password": "short", "repeated": "short"}, "password"),
        ({"password": WHERE["email"], "repeated": WHERE["email"]}, "password"),
        ({"repeated": "other"}, "repeated"),
        ({"nick_name": ""}, "nick_name"),
        ({"mobile_code": "12345"}, "mobile_code"),
        ({"email_code": ""}, "email_code"),
    ],
)
def test_mistakes_cost_no_try(client, session, sent, fields, named):
    submit(client, "/register", WHERE)
    answer = submit(client, "/register/account", account(sent(), **fields))
    assert answer.status_code == 400
    assert f'href="#{named}"' in answer.get_data(as_text=True)
    assert set(session.scalars(select(VerificationCode.tries_left))) == {TRIES_OF_ALL}
    assert PASSWORD not in answer.get_data(as_text=True)


def test_in_a_crowd_nothing_that_was_typed_and_no_code_is_lost(client, session, sent):
    submit(client, "/register", WHERE)
    codes = sent()
    with crowd():
        answer = submit(client, "/register/account", account(codes))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    page = answer.get_data(as_text=True)
    assert "Too many people" in page
    assert codes["mobile_code"] in page
    assert codes["email_code"] in page
    assert 'value="Ben"' in page
    assert someone(session) is None
    answer = send(client, answer, "/register/account", account(codes))
    assert answer.location == "/account"


def test_both_wrong_addresses_are_named_and_nothing_is_sent(client, outbox):
    answer = submit(client, "/register", {"mobile": "110", "email": "nobody"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert 'href="#mobile"' in page
    assert 'href="#email"' in page
    assert 'value="110"' in page
    answer = submit(client, "/register", {"mobile": "<b>1", "email": "a@app.example"})
    assert "<b>" not in answer.get_data(as_text=True)


def test_new_codes_on_request(client, session, sent, clock):
    submit(client, "/register", WHERE)
    first = sent()
    path = "/register/account"
    again = send(client, client.get(path, headers=HTML), "/register/again", {})
    assert again.status_code == 429
    assert int(again.headers["Retry-After"]) == 60
    clock.shift(61)
    again = send(client, client.get(path, headers=HTML), "/register/again", {})
    assert (again.status_code, again.location) == (303, "/register/account?notice=sent")
    second = sent()
    assert "New codes have been sent" in readable(client.get(again.location, headers=HTML))
    # What came first is as good as what came last.
    mixed = {"mobile_code": first["mobile_code"], "email_code": second["email_code"]}
    assert submit(client, path, account(mixed)).status_code == 303


def test_asking_twice_within_the_gap_goes_on_with_the_codes_there_are(client, sent, outbox):
    submit(client, "/register", WHERE)
    answer = submit(client, "/register", WHERE)
    assert answer.location == "/register/account"
    assert len(outbox()) == 2


def test_addresses_are_kept_for_half_an_hour(client, clock):
    submit(client, "/register", WHERE)
    clock.shift(31 * 60)
    assert client.get("/register/account").location == "/register"


def test_ten_codes_a_day(client, clock):
    for _ in range(10):
        submit(client, "/register", WHERE)
        clock.shift(61)
    answer = submit(client, "/register", WHERE)
    assert answer.status_code == 429
    assert "tomorrow" in readable(answer)


def test_a_stranger_does_not_use_up_the_codes_of_a_number(client, new_client, sent, clock):
    for _ in range(11):
        submit(client, "/register", WHERE)
        clock.shift(61)
    owner = new_client()
    owner.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert submit(owner, "/register", WHERE).location == "/register/account"
    sent()
    clock.shift(301)
    again = send(owner, owner.get("/register/account", headers=HTML), "/register/again", {})
    assert again.location == "/register/account?notice=sent"
    answer = submit(owner, "/register/account", account(sent()))
    assert answer.location == "/account"


@pytest.mark.settings(sms_per_hour=1)
@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "No more text messages can be sent"), ("zh", "短信发送量已达上限")],
)
def test_when_the_messages_of_the_hour_are_spent_the_page_says_so(client, outbox, language, said):
    submit(client, "/register", WHERE)
    client.set_cookie("lang", language, domain="127.0.0.1")
    other = {"mobile": "13900139000", "email": "eve@app.example"}
    answer = submit(client, "/register", other)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    page = answer.get_data(as_text=True)
    assert said in page
    assert 'value="13900139000"' in page
    assert len(outbox()) == 2


def test_one_visitor_cannot_have_codes_sent_to_everybody(client, session):
    answers = [
        submit(client, "/register", {"mobile": f"139001390{number:02}", "email": f"a{number}@x.cn"})
        for number in range(11)
    ]
    assert {answer.status_code for answer in answers[:10]} == {303}
    assert answers[10].status_code == 429
    assert len(session.scalars(select(VerificationCode)).all()) == 20


def test_forms_need_their_token(client):
    for path in ("/register", "/register/account", "/register/again"):
        assert client.post(path, data=WHERE, headers=HTML).status_code == 400


def test_pages_in_chinese(client, sent):
    for path in ("/login", "/register"):
        page = client.get(path, headers={**HTML, "Accept-Language": "zh"})
        assert "注册账号" in page.get_data(as_text=True)
    data = {**WHERE}
    page = client.get("/register", headers={**HTML, "Accept-Language": "zh"})
    token = re.search(r'name="csrf_token"\s+value="([^"]+)"', page.get_data(as_text=True))[1]
    client.post(
        "/register",
        data={**data, "csrf_token": token},
        headers={**HTML, "Accept-Language": "zh"},
    )
    assert set(sent()) == {"mobile_code", "email_code"}
    page = client.get("/register/account", headers={**HTML, "Accept-Language": "zh"})
    assert "验证码已发送至 13800138000" in page.get_data(as_text=True)


def test_no_code_is_in_the_database_in_clear(client, session, sent):
    submit(client, "/register", WHERE)
    found = sent()
    for row in session.scalars(select(VerificationCode)):
        name = "mobile_code" if row.channel == "sms" else "email_code"
        text = f"{row.channel}\0{row.address}\0{found[name]}"
        assert found[name] not in row.code_mac
        assert runtime_of(session).keyring.mac_matches("verification code", text, row.code_mac)
