"""The pages of registration."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select, update

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
from tests.pages.browsing import HTML, crowd, csrf_token, page_of_flow, readable, send, submit
from tests.pages.browsing import code as code

MOBILE, EMAIL = "13800138000", "ben@app.example"
PASSWORD = "tall-birch-window-8"
ACCOUNT = {"nick_name": "Ben", "password": PASSWORD, "repeated": PASSWORD}
STEPS = [
    "/register/mobile",
    "/register/mobile/code",
    "/register/email",
    "/register/email/code",
    "/register/account",
]


@pytest.fixture
def prove(code):
    """Answer the questions up to the account; return the address of the last page."""

    def walk(browser, mobile=MOBILE, email=EMAIL, query=""):
        answer = submit(browser, f"/register/mobile{query}", {"address": mobile})
        for kind, following in (("mobile", {"address": email}), ("email", None)):
            assert (answer.status_code, path_of(answer)) == (303, f"/register/{kind}/code")
            answer = submit(browser, answer.location, {"code": code(kind)})
            if following:
                assert (answer.status_code, path_of(answer)) == (303, "/register/email")
                answer = submit(browser, answer.location, following)
        assert (answer.status_code, path_of(answer)) == (303, "/register/account")
        return answer.location

    return walk


def path_of(answer):
    return urlsplit(answer.location).path


def wrong(code):
    return f"{(int(code) + 1) % 10**6:06}"


def someone(session):
    return session.scalars(select(User).where(User.username == EMAIL)).one_or_none()


def test_a_visitor_answers_one_question_at_a_time_and_is_signed_in(
    client, new_client, session, prove
):
    assert client.get("/register").location == "/register/mobile"
    answer = submit(client, prove(client), ACCOUNT)
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
    answer = submit(new_client(), "/login", {"login": EMAIL, "password": PASSWORD})
    assert answer.location == "/account"
    # The addresses are forgotten with the account created.
    assert client.get("/register/account").location == "/register/mobile"
    proofs = session.scalars(select(VerificationCode)).all()
    assert len(proofs) == 2
    assert all(proof.used_at is not None for proof in proofs)


def test_each_page_asks_for_one_thing(client, prove):
    shown = {}
    prove(client)
    for path in ("/register/mobile", "/register/email", "/register/account"):
        page = client.get(path).get_data(as_text=True)
        shown[path] = re.findall(r'<input[^>]*class="form-control"[^>]*name="(\w+)"', page)
    assert shown["/register/mobile"] == shown["/register/email"] == ["address"]
    assert shown["/register/account"] == ["nick_name", "password", "repeated"]


def test_a_domain_in_a_labels_is_registered_once(client, session, prove):
    submit(client, prove(client, email="ben@xn--bcher-kva.example"), ACCOUNT)
    user = session.scalars(select(User).where(User.nick_name == "Ben")).one()
    assert (user.username, user.email) == ("ben@bücher.example", "ben@bücher.example")
    with pytest.raises(Conflict):
        users.create(session, NewUser("eve2", email="Ben@xn--bcher-kva.example"))


def test_the_sign_in_page_leads_there_and_the_application_waits(client, session, prove):
    app = protocol.register(session)
    address = page_of_flow(client, app, "/login")
    page = client.get(address, headers=HTML).get_data(as_text=True)
    link = re.search(r'href="(/register\?request=[^"]+)"', page)[1]
    query = "?" + link.partition("?")[2]
    assert client.get(link).location == f"/register/mobile{query}"
    last = prove(client, query=query)
    assert last == f"/register/account{query}"
    before = client.get_cookie("idp_1", domain="127.0.0.1")
    answer = submit(client, last, ACCOUNT)
    assert before is None
    assert client.get_cookie("idp_1", domain="127.0.0.1") is not None
    back = client.get(answer.location)
    assert back.location.startswith(protocol.CALLBACK)


# Nobody skips a question


@pytest.mark.parametrize("reached", range(len(STEPS)))
def test_no_page_comes_before_its_turn(client, session, code, reached):
    answers = [
        lambda: {"address": MOBILE},
        lambda: {"code": code("mobile")},
        lambda: {"address": EMAIL},
        lambda: {"code": code("email")},
    ]
    for step in range(reached):
        assert submit(client, STEPS[step], answers[step]()).location == STEPS[step + 1]
    page = client.get(STEPS[reached], headers=HTML)
    assert page.status_code == 200
    forms = {"address": EMAIL, "code": "123456", **ACCOUNT}
    for later in STEPS[reached + 1 :]:
        assert client.get(later).location == STEPS[reached], later
        answer = send(client, page, later, forms)
        assert (answer.status_code, answer.location) == (303, STEPS[reached]), later
    assert someone(session) is None


def test_another_number_takes_the_proof_back(client, session, prove):
    prove(client)
    submit(client, "/register/mobile", {"address": "13900139000"})
    assert client.get("/register/account").location == "/register/mobile/code"
    assert someone(session) is None


def test_a_proof_is_of_use_in_its_own_browser_and_for_its_own_number(
    client, new_client, session, prove, code
):
    # Mallory knows Ben's number and has it proven by Ben, in Ben's browser.
    prove(client)
    mallory = new_client()
    mallory.environ_base["REMOTE_ADDR"] = "192.0.2.9"
    submit(mallory, "/register/mobile", {"address": MOBILE})
    page = mallory.get("/register/mobile/code", headers=HTML)
    for path in ("/register/email", "/register/account"):
        assert send(mallory, page, path, {**ACCOUNT, "address": EMAIL}).status_code == 303
    keys = set(session.scalars(select(VerificationCode.key_hash)))
    assert None in keys  # sent to Mallory's browser, proven by nobody
    assert len(keys) == 2
    assert someone(session) is None


def test_a_proof_counts_once_however_often_the_form_is_sent(client, session, prove):
    last = prove(client)
    page = client.get(last, headers=HTML)
    kept = client.get_cookie("idp_form_1", domain="127.0.0.1").value
    assert send(client, page, last, ACCOUNT).location == "/account"
    client.set_cookie("idp_form_1", kept, domain="127.0.0.1")
    again = send(client, page, last, ACCOUNT)
    assert again.status_code == 400
    assert "complete or has expired" in readable(again)
    assert len(session.scalars(select(User).where(User.mobile == "+8613800138000")).all()) == 1
    # Not even when the account gave the number up meanwhile.
    session.execute(update(User).values(mobile=None))
    session.commit()
    client.set_cookie("idp_form_1", kept, domain="127.0.0.1")
    assert send(client, page, last, ACCOUNT).status_code == 400


def test_proofs_are_kept_for_an_hour(client, session, prove, clock):
    last = prove(client)
    clock.shift(59 * 60)
    assert client.get(last).status_code == 200
    kept = client.get_cookie("idp_form_1", domain="127.0.0.1").value
    page = client.get(last, headers=HTML)
    clock.shift(2 * 60)
    client.set_cookie("idp_form_1", kept, domain="127.0.0.1")
    assert client.get(last).location == "/register/mobile"
    client.set_cookie("idp_form_1", kept, domain="127.0.0.1")
    assert send(client, page, last, ACCOUNT).status_code == 303
    assert someone(session) is None


@pytest.mark.settings(registration=False)
def test_where_the_operator_says_no_there_are_no_pages(client):
    assert "/register" not in client.get("/login", headers=HTML).get_data(as_text=True)
    for path in ("/register", *STEPS):
        assert client.get(path, headers=HTML).status_code == 404
    assert client.post("/register/mobile", data={"address": MOBILE}).status_code in {400, 404}


@pytest.mark.settings(environment="production")
def test_without_short_messages_there_are_no_pages(client):
    assert client.get("/register", headers=HTML).status_code == 404


def test_a_tenant_opens_its_own_pages_itself(new_client, session, outbox, prove):
    tenant_id = protocol.add_tenant(session, hosts=["login.acme.example"])
    browser = new_client("http://login.acme.example")
    assert browser.get("/register", headers=HTML).status_code == 404
    tenants.set_properties(session, session.get_one(Tenant, tenant_id), {"Registration": "open"})
    submit(browser, prove(browser), ACCOUNT)
    joined = select(Membership.tenant_id).where(Membership.user_id == someone(session).id)
    assert list(session.scalars(joined)) == [tenant_id]
    assert "Acme" in outbox()[0].text


@pytest.mark.parametrize(
    ("kind", "known", "free"),
    [("mobile", MOBILE, "13900139000"), ("email", EMAIL, "free@app.example")],
)
def test_known_and_unknown_addresses_get_one_answer(new_client, session, code, kind, known, free):
    protocol.add_person(session, "eve", email=EMAIL, mobile="+8613800138000")
    answers, shown = [], []
    for number, address in enumerate((known, free)):
        browser = new_client()
        if kind == "email":
            submit(browser, "/register/mobile", {"address": f"1370013700{number}"})
            submit(browser, "/register/mobile/code", {"code": code("mobile")})
        answer = submit(browser, f"/register/{kind}", {"address": address})
        answers.append((answer.status_code, answer.location))
        shown.append(readable(browser.get(answer.location, headers=HTML)).replace(address, "-"))
    assert answers[0] == answers[1]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"mobile": "+8613800138000"}, "An account with this mobile number already exists"),
        ({"email": EMAIL}, "An account with this e-mail address already exists"),
    ],
)
def test_who_proves_an_address_hears_at_once_of_the_account_there_is(
    client, session, code, columns, said
):
    protocol.add_person(session, "eve", **columns)
    submit(client, "/register/mobile", {"address": MOBILE})
    answer = submit(client, "/register/mobile/code", {"code": code("mobile")})
    if "email" in columns:
        submit(client, "/register/email", {"address": EMAIL})
        refused = submit(client, "/register/email/code", {"code": wrong(code("email"))})
        assert said not in readable(refused)
        answer = submit(client, "/register/email/code", {"code": code("email")})
    assert answer.status_code == 400
    assert said in readable(answer)
    assert client.get("/register/account").status_code == 303


def test_wrong_codes_are_said_to_be_wrong_and_five_are_enough(client, session, code):
    submit(client, "/register/mobile", {"address": MOBILE})
    right = code("mobile")
    for _ in range(5):
        answer = submit(client, "/register/mobile/code", {"code": wrong(right)})
        assert answer.status_code == 400
        assert 'id="code-error"' in answer.get_data(as_text=True)
    assert submit(client, "/register/mobile/code", {"code": right}).status_code == 400
    assert client.get("/register/email").location == "/register/mobile/code"


@pytest.mark.parametrize("sent", ["12345", "", "1234567", "abcdef"])
def test_what_is_no_code_costs_no_try(client, session, sent):
    submit(client, "/register/mobile", {"address": MOBILE})
    answer = submit(client, "/register/mobile/code", {"code": sent})
    assert answer.status_code == 400
    assert set(session.scalars(select(VerificationCode.tries_left))) == {TRIES_OF_ALL}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"password": "short", "repeated": "short"}, "password"),
        ({"password": EMAIL, "repeated": EMAIL}, "password"),
        ({"repeated": "other"}, "repeated"),
        ({"nick_name": ""}, "nick_name"),
        ({"nick_name": "x" * 51}, "nick_name"),
    ],
)
def test_mistakes_are_named_beside_the_field_and_cost_no_proof(
    client, session, prove, fields, named
):
    last = prove(client)
    answer = submit(client, last, {**ACCOUNT, **fields})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert re.findall(r'id="(\w+)-error"', page) == [named]
    assert PASSWORD not in page
    assert submit(client, last, ACCOUNT).location == "/account"


def test_in_a_crowd_nothing_that_was_typed_and_no_proof_is_lost(client, session, prove):
    last = prove(client)
    with crowd():
        answer = submit(client, last, ACCOUNT)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    page = answer.get_data(as_text=True)
    assert "Too many people" in page
    assert 'value="Ben"' in page
    assert someone(session) is None
    answer = send(client, answer, last, ACCOUNT)
    assert answer.location == "/account"


@pytest.mark.parametrize("address", ["110", "<b>1", "", "x" * 41])
def test_a_wrong_address_is_named_and_nothing_is_sent(client, session, address):
    answer = submit(client, "/register/mobile", {"address": address})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert 'id="address-error"' in page
    assert "<b>1" not in page
    assert session.scalars(select(VerificationCode)).all() == []


def test_a_new_code_on_request(client, code, clock):
    submit(client, "/register/mobile", {"address": MOBILE})
    first = code("mobile")
    path = "/register/mobile/code"
    again = send(client, client.get(path, headers=HTML), "/register/mobile/again", {})
    assert again.status_code == 429
    assert int(again.headers["Retry-After"]) == 60
    clock.shift(61)
    again = send(client, client.get(path, headers=HTML), "/register/mobile/again", {})
    assert (again.status_code, again.location) == (303, f"{path}?notice=sent")
    assert "A new code has been sent" in readable(client.get(again.location, headers=HTML))
    # What came first is as good as what came last.
    assert code("mobile") != first
    assert submit(client, path, {"code": first}).location == "/register/email"


def test_asking_twice_within_the_gap_goes_on_with_the_code_there_is(client, outbox):
    for _ in range(2):
        answer = submit(client, "/register/mobile", {"address": MOBILE})
        assert answer.location == "/register/mobile/code"
    assert len(outbox()) == 1


def test_ten_codes_a_day(client, clock):
    for _ in range(10):
        submit(client, "/register/mobile", {"address": MOBILE})
        clock.shift(61)
    answer = submit(client, "/register/mobile", {"address": MOBILE})
    assert answer.status_code == 429
    assert "tomorrow" in readable(answer)


def test_a_stranger_does_not_use_up_the_codes_of_a_number(client, new_client, code, clock):
    for _ in range(11):
        submit(client, "/register/mobile", {"address": MOBILE})
        clock.shift(61)
    owner = new_client()
    owner.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    submit(owner, "/register/mobile", {"address": MOBILE})
    code("mobile")
    clock.shift(301)
    page = owner.get("/register/mobile/code", headers=HTML)
    again = send(owner, page, "/register/mobile/again", {})
    assert again.location == "/register/mobile/code?notice=sent"
    answer = submit(owner, "/register/mobile/code", {"code": code("mobile")})
    assert answer.location == "/register/email"


@pytest.mark.settings(sms_per_hour=1)
@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "No more text messages can be sent"), ("zh", "短信发送量已达上限")],
)
def test_when_the_messages_of_the_hour_are_spent_the_page_says_so(client, outbox, language, said):
    submit(client, "/register/mobile", {"address": MOBILE})
    client.set_cookie("lang", language, domain="127.0.0.1")
    answer = submit(client, "/register/mobile", {"address": "13900139000"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    page = answer.get_data(as_text=True)
    assert said in page
    assert 'value="13900139000"' in page
    assert len(outbox()) == 1


def test_one_visitor_cannot_have_codes_sent_to_everybody(client, session):
    answers = [
        submit(client, "/register/mobile", {"address": f"139001390{number:02}"})
        for number in range(21)
    ]
    assert {answer.status_code for answer in answers[:20]} == {303}
    assert answers[20].status_code == 429
    assert len(session.scalars(select(VerificationCode)).all()) == 20


@pytest.mark.parametrize("path", [*STEPS, "/register/mobile/again", "/register/email/again"])
def test_forms_need_their_token(client, path):
    assert client.post(path, data={"address": MOBILE}, headers=HTML).status_code == 400


def test_pages_in_chinese(client, code):
    chinese = {**HTML, "Accept-Language": "zh"}
    for path in ("/login", "/register/mobile"):
        page = client.get(path, headers=chinese)
        assert "注册账号" in page.get_data(as_text=True)
    form = {"address": MOBILE, "csrf_token": csrf_token(page)}
    answer = client.post("/register/mobile", data=form, headers=chinese)
    assert code("mobile")
    page = client.get(answer.location, headers=chinese)
    assert "请输入发送到 13800138000 的验证码" in page.get_data(as_text=True)


def test_no_code_is_in_the_database_in_clear(client, session, code):
    submit(client, "/register/mobile", {"address": MOBILE})
    (row,) = session.scalars(select(VerificationCode))
    text = f"{row.channel}\0{row.address}\0{code('mobile')}"
    assert code("mobile") not in row.code_mac
    assert runtime_of(session).keyring.mac_matches("verification code", text, row.code_mac)
