"""Registration by programs: codes by short message and mail, and the account at the end."""

from __future__ import annotations

import json
import re
import threading
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from idp.directory.registration import codes, limits
from idp.directory.registration.codes import Channel, MessageContext, Sender
from idp.directory.registration.models import VerificationCode
from idp.directory.roles.models import Role, UserRole
from idp.directory.tenants.models import Membership
from idp.directory.users import service as users
from idp.directory.users.models import User, UserClaim, UserFile
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import center
from tests.delivery import deliver_due
from tests.servers import free_port

SCOPES = ("ids4.ms.user.register", "ids4.ms.user.verifyphone", "ids4.ms.user.verifyemail")
NUMBER = "13800138000"
MAIL = "ben@app.example"
PASSWORD = "tall-birch-window-8"
BODY = {
    "nickName": "Ben",
    "email": MAIL,
    "gender": "m",
    "address": "1 Way",
    "birthday": "1990-05-06T00:00:00Z",
    "stature": 1.8,
    "weight": 77,
    "phoneNumber": NUMBER,
    "password": PASSWORD,
}


def machine(client, session, client_id="shop", **options):
    app = protocol.register_machine(session, client_id, SCOPES, **options)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    return center.Caller(client, None, token)


@pytest.fixture
def shop(client, session):
    """Return a program that may register people."""
    return machine(client, session)


@pytest.fixture
def code_for(shop, outbox):
    """Have a code sent, and read it out of the message."""

    def ask(address=NUMBER, caller=shop):
        path, body = ("/User/VerifyPhone", {"phoneNumber": address})
        if "@" in address:
            path, body = ("/User/VerifyEmail", {"email": address})
        caller.data("POST", path, body)
        last = [message for message in outbox() if message.to.endswith(address)][-1]
        return re.search(r"\b\d{6}\b", last.text)[0]

    return ask


@pytest.fixture
def body_for(code_for, shop):
    """Have both codes sent, and give the body that proves number and address."""

    def make(caller=shop, **changes):
        body = {**BODY, **changes}
        return {
            **body,
            "phoneNumberVerifyCode": code_for(body["phoneNumber"], caller),
            "emailVerifyCode": code_for(body["email"], caller),
        }

    return make


def wrong(code):
    return f"{(int(code) + 1) % 10**6:06}"


def test_a_proven_number_makes_an_account_with_its_password(shop, session, body_for):
    body = {
        **body_for(),
        "imageUrl": ["https://a.example/1.png", "https://a.example/2.png"],
        "video": "https://a.example/1.mp4",
        "doc": "https://a.example/1.pdf",
    }
    content = shop.call("POST", "/User/Register", body)
    assert (content["code"], content["data"]) == (200, None)
    user = session.scalars(select(User).where(User.username == MAIL)).one()
    assert (user.mobile, user.mobile_verified) == ("+8613800138000", True)
    assert (user.email, user.email_verified) == (MAIL, True)
    assert (user.parent_user_id, user.nick_name, str(user.birthday)) == (None, "Ben", "1990-05-06")
    assert users.verify_password(session, user, PASSWORD)
    query = select(UserFile).where(UserFile.user_id == user.id).order_by(UserFile.file_type)
    files = [(row.file_type, row.files) for row in session.scalars(query)]
    assert json.loads(files[0][1]) == body["imageUrl"]
    assert files[1:] == [(1, body["video"]), (2, body["doc"])]


def test_a_new_account_holds_the_defaults_in_one_tenant_only(client, session, body_for):
    acme = protocol.add_tenant(session)
    caller = machine(client, session, "acme-shop", tenant_id=acme)
    caller.data("POST", "/User/Register", body_for(caller))
    user = session.scalars(select(User).where(User.username == MAIL)).one()
    joined = session.scalars(select(Membership).where(Membership.user_id == user.id)).all()
    assert [(row.tenant_id, row.is_admin) for row in joined] == [(acme, False)]
    held = select(Role.code).join(UserRole).where(UserRole.user_id == user.id)
    assert sorted(session.scalars(held)) == ["developer", "users"]
    assert session.scalars(select(UserClaim).where(UserClaim.user_id == user.id)).all() == []


def test_a_person_who_registers_others_is_their_referrer(client, session, body_for):
    mary = center.manager(client, session, *SCOPES)
    mary.data("POST", "/User/Register", body_for(mary))
    user = session.scalars(select(User).where(User.username == MAIL)).one()
    assert (user.parent_user_id, user.lineage) == (mary.user.id, f"/{mary.user.id}/")


@pytest.mark.parametrize("said", [{}, {"emailVerifyCode": ""}, {"emailVerifyCode": None}])
def test_nobody_takes_an_address_as_user_name_without_proof(shop, session, body_for, clock, said):
    body = {key: value for key, value in body_for().items() if key != "emailVerifyCode"}
    content = shop.call("POST", "/User/Register", {**body, **said})
    assert (content["code"], content["codeName"]) == (100004, "Register_EmailVerifyCodeError")
    assert session.scalars(select(User).where(User.username == MAIL)).all() == []
    # Its owner still registers.
    clock.shift(61)
    shop.data("POST", "/User/Register", body_for(phoneNumber="13900139000"))


def test_the_address_is_confirmed_only_by_its_own_code(shop, session, code_for):
    phone, mail, other = code_for(), code_for(MAIL), code_for("other@app.example")
    body = {**BODY, "phoneNumberVerifyCode": phone}
    for bad in (wrong(mail), other, mail + "0"):
        content = shop.call("POST", "/User/Register", {**body, "emailVerifyCode": bad})
        assert content["codeName"] == "Register_EmailVerifyCodeError"
    shop.data("POST", "/User/Register", {**body, "emailVerifyCode": mail})
    user = session.scalars(select(User).where(User.username == MAIL)).one()
    assert user.email_verified
    # Used up with the account.
    assert codes.prove(session, Channel.MAIL, MAIL, mail) is None


def test_a_code_is_bound_to_its_number_and_works_once(shop, session, code_for):
    code, other = code_for(), code_for("13900139000")
    body = {**BODY, "emailVerifyCode": code_for(MAIL)}
    body["phoneNumberVerifyCode"] = other if other != code else wrong(code)
    assert shop.call("POST", "/User/Register", body)["code"] == 100002
    body["phoneNumberVerifyCode"] = code
    shop.data("POST", "/User/Register", body)
    again = {**body, "email": "x@app.example", "phoneNumber": "+86 138 0013 8000"}
    assert shop.call("POST", "/User/Register", again)["code"] == 100002


def test_five_tries_then_even_the_right_code_is_wrong(shop, session, code_for, clock):
    code = code_for()
    body = {**BODY, "phoneNumberVerifyCode": wrong(code)}
    for _ in range(5):
        assert shop.call("POST", "/User/Register", body)["code"] == 100002
    body["phoneNumberVerifyCode"] = code
    assert shop.call("POST", "/User/Register", body)["code"] == 100002
    assert session.scalars(select(User).where(User.username == MAIL)).all() == []
    clock.shift(61)
    body |= {"phoneNumberVerifyCode": code_for(), "emailVerifyCode": code_for(MAIL)}
    assert shop.call("POST", "/User/Register", body)["code"] == 200


def test_nobody_spends_the_tries_of_others_and_all_together_have_few(
    shop, session, client, code_for
):
    code = code_for()
    body = {**BODY, "phoneNumberVerifyCode": wrong(code)}
    strangers = [machine(client, session, f"stranger-{number}") for number in range(3)]
    for stranger in strangers[:2]:
        for _ in range(10):
            assert stranger.call("POST", "/User/Register", body)["code"] == 100002
    assert session.scalars(select(VerificationCode.tries_left)).one() == 5
    right = {**BODY, "phoneNumberVerifyCode": code}
    # The code is right: what is missing is the one of the address.
    assert shop.call("POST", "/User/Register", right)["code"] == 100004
    for _ in range(5):
        strangers[2].call("POST", "/User/Register", body)
    assert session.scalars(select(VerificationCode.tries_left)).one() == 0
    assert shop.call("POST", "/User/Register", right)["code"] == 100002


@pytest.mark.parametrize(("address", "minutes"), [(NUMBER, 5), (MAIL, 30)])
def test_a_code_expires(session, code_for, clock, address, minutes):
    channel = Channel.MAIL if "@" in address else Channel.SMS
    code = code_for(address)
    clock.shift(minutes * 60 - 1)
    assert codes.prove(session, channel, address, code) is not None
    clock.shift(1)
    assert codes.prove(session, channel, address, code) is None


def test_a_code_stays_good_beside_a_newer_one_until_one_of_them_is_used(session, code_for, clock):
    first = code_for()
    clock.shift(61)
    second = code_for()
    assert codes.prove(session, Channel.SMS, NUMBER, second) is not None
    proof = codes.prove(session, Channel.SMS, NUMBER, first)
    assert proof is not None
    assert codes.use_up(session, proof)
    assert not codes.use_up(session, proof)
    for code in (first, second):
        assert codes.prove(session, Channel.SMS, NUMBER, code) is None


def test_a_try_is_a_try_of_every_open_code(session, code_for, clock):
    sent = [code_for()]
    clock.shift(61)
    sent.append(code_for())
    free = next(code for code in ("000000", "111111", "222222") if code not in sent)
    for _ in range(3):
        assert codes.prove(session, Channel.SMS, NUMBER, free) is None
    left = session.scalars(select(VerificationCode.tries_left)).all()
    assert left == [codes.TRIES_OF_ALL - 3] * 2


def test_the_code_is_used_up_only_by_success(shop, session, code_for, body_for):
    body = body_for()
    content = shop.call("POST", "/User/Register", {**body, "password": "password123"})
    assert (content["code"], list(json.loads(content["message"]))) == (422, ["password"])
    for row in session.scalars(select(VerificationCode)):
        assert (row.tries_left, row.used_at) == (codes.TRIES_OF_ALL, None)
    protocol.add_person(session, "eve", email=MAIL)
    assert shop.call("POST", "/User/Register", body)["code"] == 100003
    assert session.scalars(select(VerificationCode.used_at)).all() == [None, None]
    new = {"email": "new@app.example", "emailVerifyCode": code_for("new@app.example")}
    shop.data("POST", "/User/Register", {**body, **new})


def test_who_did_not_prove_number_and_address_learns_nothing_about_people(shop, session, code_for):
    protocol.add_person(session, "eve", email=MAIL, mobile="+8613800138000")
    strange = {**BODY, "phoneNumberVerifyCode": "123456"}
    known = shop.call("POST", "/User/Register", strange)
    free = {**strange, "email": "free@app.example", "phoneNumber": "13900139000"}
    assert known == shop.call("POST", "/User/Register", free)
    # A code is sent to a number with an account as to any other.
    half = {**strange, "phoneNumberVerifyCode": code_for()}
    known = shop.call("POST", "/User/Register", half)
    assert known == shop.call("POST", "/User/Register", {**half, "email": "free@app.example"})
    assert known["codeName"] == "Register_EmailVerifyCodeError"
    own = {"email": "free@app.example", "emailVerifyCode": code_for("free@app.example")}
    content = shop.call("POST", "/User/Register", {**half, **own})
    assert content["codeName"] == "Register_PhoneNumberExists"
    assert "13800138000" not in json.dumps(content)


def test_codes_are_six_digits_and_stored_as_macs_only(session, code_for, shop, runtime):
    code = code_for()
    row = session.scalars(select(VerificationCode)).one()
    assert re.fullmatch(r"\d{6}", code)
    assert code not in row.code_mac
    assert len(row.code_mac) > 40
    assert runtime.keyring.mac_matches(codes.PURPOSE, f"sms\0{row.address}\0{code}", row.code_mac)
    shop.call("POST", "/User/Register", {**BODY, "phoneNumberVerifyCode": wrong(code)})
    trail = [repr(event.details) for event in session.scalars(select(AuditEvent))]
    assert not any(code in text or wrong(code) in text for text in trail)


def test_codes_differ(session, code_for, clock):
    sent = set()
    for _ in range(5):
        sent.add(code_for())
        clock.shift(61)
    assert len(sent) >= 4


# Limits


@pytest.mark.parametrize(
    ("path", "body", "soon", "daily"),
    [
        ("/User/VerifyPhone", {"phoneNumber": NUMBER}, "VerifyPhone", 100005),
        ("/User/VerifyEmail", {"email": MAIL}, "VerifyEmail", 100007),
    ],
)
def test_gap_and_daily_number(shop, session, client, clock, path, body, soon, daily):
    shop.data("POST", path, body)
    clock.shift(20)
    content = shop.call("POST", path, body, culture="en-US")
    assert content["codeName"] == f"{soon}_TooManyRequests"
    assert content["message"] == "Ask again in 40 seconds"
    # Another spelling is the same address.
    spelled = {"phoneNumber": "+86 13800138000", "email": "BEN@app.example"}
    assert shop.call("POST", path, spelled)["code"] == daily + 1
    for _ in range(9):
        clock.shift(30)
        shop.call("POST", path, body)
        clock.shift(31)
        # What is refused does not count.
        assert shop.call("POST", path, spelled)["code"] == 200
    assert shop.call("POST", path, body)["code"] == daily
    clock.shift(61)
    content = shop.call("POST", path, body)
    assert (content["code"], content["codeName"]) == (daily, f"{soon}_CallLimited")
    # Whoever had so many sent there has not used up what its owner may ask for.
    machine(client, session, "other").data("POST", path, spelled)
    clock.shift(timedelta(days=1))
    fresh = machine(client, session, "fresh")
    fresh.data("POST", path, body)


def test_a_caller_has_a_limit_and_what_is_over_it_counts_for_nobody(session, runtime):
    sender, message = Sender("client x", 2), MessageContext("Acme", "en")
    assert codes.send(session, Channel.MAIL, "a@app.example", sender, message) is None
    assert codes.send(session, Channel.MAIL, "b@app.example", sender, message) is None
    session.commit()
    with pytest.raises(Exception, match="Too many") as caught:
        codes.send(session, Channel.MAIL, "c@app.example", sender, message)
    session.rollback()
    assert caught.value.status == 429
    addresses = session.scalars(select(VerificationCode.address)).all()
    assert sorted(addresses) == ["a@app.example", "b@app.example"]
    assert codes.send(session, Channel.MAIL, "c@app.example", Sender("y", 2), message) is None


def test_a_stranger_at_an_applications_form_uses_up_no_codes_of_its_people(
    client, shop, monkeypatch
):
    monkeypatch.setattr(limits, "CODES_TO_REGISTER", limits.Limits(person=2, client=3))

    def ask(number, address):
        headers = {**protocol.bearer(shop.token), "End-User-Address": address}
        body = {"email": f"p{number}@app.example"}
        return client.post("/api/User/VerifyEmail", json=body, headers=headers).status_code

    assert [ask(number, "192.0.2.1") for number in range(3)] == [200, 200, 429]
    assert ask(4, "192.0.2.7") == 200
    # The limit of the client stays above all of them.
    assert ask(5, "192.0.2.8") == 429


def test_while_enough_codes_are_good_no_further_one_is_sent_and_nobody_learns_that(
    client, session, outbox, clock
):
    path, body = "/User/VerifyPhone", {"phoneNumber": NUMBER}
    for number in range(codes.SENT_WHILE_GOOD + 3):
        machine(client, session, f"app-{number}").data("POST", path, body)
    messages = outbox()
    assert len(messages) == codes.SENT_WHILE_GOOD
    # Each of them is good, the first as well.
    for message in messages:
        code = re.search(r"\b\d{6}\b", message.text)[0]
        assert codes.prove(session, Channel.SMS, NUMBER, code) is not None
        session.commit()
    clock.shift(301)
    machine(client, session, "late").data("POST", path, body)
    assert len(outbox()) == codes.SENT_WHILE_GOOD + 1


@pytest.mark.settings(sms_per_hour=2)
def test_the_installation_sends_so_many_short_messages_in_an_hour(shop, outbox, clock):
    def ask(number):
        return shop.send("POST", "/User/VerifyPhone", {"phoneNumber": f"1380013800{number}"})

    assert [ask(number).status_code for number in range(2)] == [200, 200]
    refused = ask(2)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert len(outbox()) == 2
    # Mails have no such price.
    shop.data("POST", "/User/VerifyEmail", {"email": MAIL})
    clock.shift(1800)
    assert ask(3).status_code == 503
    clock.shift(1801)
    fresh = ask(3).status_code
    assert fresh in {200, 401}  # the token may be as old


def test_too_many_codes_of_one_person_are_429(client, session):
    mary = center.manager(client, session, *SCOPES)
    for number in range(20):
        mary.data("POST", "/User/VerifyEmail", {"email": f"p{number}@app.example"})
    answer = mary.send("POST", "/User/VerifyEmail", {"email": "last@app.example"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_a_crowd_sends_one_code_and_makes_one_account(app, shop, session, body_for, outbox):
    """Threads at once: one turn, one account, never more tries than a code has."""
    answers = []

    def at_once(path, body):
        def run():
            with app.test_client() as own:
                answer = own.post(
                    f"/api{path}",
                    json=body,
                    headers=protocol.bearer(shop.token),
                    base_url="http://127.0.0.1:8000",
                )
                answers.append(answer.get_json()["code"])

        session.commit()
        answers.clear()
        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(answers)

    assert at_once("/User/VerifyPhone", {"phoneNumber": NUMBER}) == [200, *[100006] * 7]
    (message,) = outbox()
    code = re.search(r"\b\d{6}\b", message.text)[0]
    body = {**BODY, "phoneNumberVerifyCode": wrong(code)}
    assert set(at_once("/User/Register", body)) == {100002}
    assert session.scalars(select(VerificationCode.tries_left)).one() == codes.TRIES_OF_ALL - 5
    done = at_once("/User/Register", body_for(phoneNumber="13900139000"))
    assert done.count(200) == 1
    assert len(session.scalars(select(User).where(User.username == MAIL)).all()) == 1


# Refused


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nickName", "x"),
        ("nickName", None),
        ("email", "nothing"),
        ("email", "x" * 95 + "@a.example"),
        ("gender", ""),
        ("address", "x" * 501),
        ("birthday", "never"),
        ("stature", 0),
        ("stature", "1.8"),
        ("weight", 1000),
        ("phoneNumber", "110"),
        ("phoneNumber", "01012345678"),
        ("phoneNumberVerifyCode", "abc"),
        ("phoneNumberVerifyCode", "1234567"),
        ("phoneNumberVerifyCode", "12345\n"),
        ("imageUrl", ["javascript:alert(1)"]),
        ("imageUrl", ["https://a.example/x"] * 21),
        ("video", "file:///etc/passwd"),
        ("doc", "x"),
        ("password", "short"),
        ("password", MAIL),
        ("password", "x" * 101),
    ],
)
def test_wrong_values_are_named_and_cost_no_try(shop, session, code_for, field, value):
    body = {**BODY, "phoneNumberVerifyCode": code_for(), field: value}
    content = shop.call("POST", "/User/Register", body)
    assert content["code"] == 422
    assert [name.partition("[")[0] for name in json.loads(content["message"])] == [field]
    assert session.scalars(select(VerificationCode.tries_left)).one() == codes.TRIES_OF_ALL


@pytest.mark.parametrize("path", ["/User/VerifyPhone", "/User/VerifyEmail", "/User/Register"])
def test_gates(client, session, path):
    anybody = center.Caller(client, None, None)
    assert anybody.send("POST", path, {}).status_code == 401
    app = protocol.register_machine(session, "poor", ["ids4.ms.user.get"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    assert center.Caller(client, None, token).send("POST", path, {}).status_code == 403
    person = center.manager(client, session, "ids4.ms.user.get")
    assert person.send("POST", path, {}).status_code == 403
    assert machine(client, session).call("POST", path, {}, prefix="")["code"] == 422


def test_other_operations_refuse_machines(client, session):
    app = protocol.register_machine(session, "all", ["ids4.ms.all"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    caller = center.Caller(client, None, token)
    for method, path in (("GET", "/User"), ("POST", "/User"), ("GET", "/User/1")):
        assert caller.send(method, path, {}).status_code == 403


# Over the wire


class Gateway(BaseHTTPRequestHandler):
    """A gateway of short messages that keeps what it is given."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.down:
            self.server.down -= 1
            self.send_response(503)
        else:
            self.server.messages.append(json.loads(body))
            self.send_response(202)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Inbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


class TestOverTheWire:
    """Mail by SMTP and short messages by HTTP, from the outbox."""

    @pytest.fixture
    def gateway(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
        server.messages = []
        server.down = 0
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.server_close()

    @pytest.fixture
    def mail_server(self):
        server = Controller(Inbox(), hostname="127.0.0.1", port=free_port())
        server.start()
        yield server
        server.stop()

    @pytest.fixture
    def settings(self, settings, gateway, mail_server):
        return settings.model_copy(
            update={
                "smtp_url": f"smtp://127.0.0.1:{mail_server.port}",
                "sms_url": f"http://127.0.0.1:{gateway.server_port}/send",
            }
        )

    def test_both_codes_travel_and_make_an_account(
        self, client, session, runtime, gateway, mail_server
    ):
        caller = machine(client, session)
        caller.data("POST", "/User/VerifyPhone", {"phoneNumber": NUMBER}, culture="en-US")
        caller.data("POST", "/User/VerifyEmail", {"email": MAIL}, culture="zh-CN")
        deliver_due(runtime)
        (message,), (mail,) = gateway.messages, mail_server.handler.mails
        assert (message["to"], mail["To"]) == ("+8613800138000", MAIL)
        assert "valid for 5 minutes" in message["text"]
        assert "30 分钟" in mail.get_content()
        phone, address = (
            re.search(r"\b\d{6}\b", text)[0] for text in (message["text"], mail.get_content())
        )
        body = {**BODY, "phoneNumberVerifyCode": phone, "emailVerifyCode": address}
        caller.data("POST", "/User/Register", body)
        assert session.scalars(select(User).where(User.username == MAIL)).one().email_verified

    def test_a_gateway_that_is_down_gets_the_message_later(
        self, client, session, runtime, gateway, clock
    ):
        gateway.down = 1
        caller = machine(client, session)
        caller.data("POST", "/User/VerifyPhone", {"phoneNumber": NUMBER})
        deliver_due(runtime)
        assert gateway.messages == []
        clock.shift(120)
        deliver_due(runtime)
        assert [message["to"] for message in gateway.messages] == ["+8613800138000"]
