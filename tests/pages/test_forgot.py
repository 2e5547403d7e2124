"""A forgotten password."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import func, select

from idp.account import password_reset
from idp.jobs import JOBS
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.onetime.models import OneTimeKey
from tests.pages.browsing import HTML, crowd, events, readable, send, submit
from tests.protocol import PASSWORD, add_person, add_tenant, is_active, obtain, register, sign_in

NEW = "seven-quiet-otters"


@pytest.fixture
def work(runtime, session):
    """Do what the outbox holds but sending; return the mails that were to be sent."""

    def do():
        mails = []
        session.commit()
        while True:
            with runtime.sessions() as own:
                taken = jobs.take(own, "notify", "test")
                own.commit()
            if taken is None:
                return mails
            payload = jobs.open_payload(runtime, taken)
            if taken.job == password_reset.JOB:
                JOBS[taken.job].work(runtime, payload)
            else:
                mails.append(payload)
            with runtime.sessions() as own:
                assert jobs.finish(own, taken)
                own.commit()

    return do


@pytest.fixture
def link(client, session, work):
    """Ask for a link; return its path."""

    def ask(login="ann", browser=client):
        submit(browser, "/forgot", {"login": login})
        (mail,) = work()
        return re.search(r"http://[^/]+(/forgot/\S+)", mail["body"])[1]

    return ask


def test_a_link_is_mailed_sets_a_new_password_and_signs_in(client, new_client, session, work):
    user = add_person(session, email="ann@example.com")
    answer = submit(client, "/forgot", {"login": "Ann@example.com"})
    assert (answer.status_code, answer.location) == (303, "/forgot/sent")
    (mail,) = work()
    assert mail["to"] == "ann@example.com"
    (asked,) = events(session, Tag.PASSWORD_RESET_REQUESTED)
    assert (asked.user_id, asked.target) == (None, f"user:{user.id}")
    path = re.search(r"http://127\.0\.0\.1:8000(/forgot/\S+)", mail["body"])[1]
    done = submit(client, path, {"password": NEW, "repeated": NEW})
    assert (done.status_code, done.location) == (303, "/account/password?notice=changed")
    assert "Your password has been changed" in readable(client.get(done.location))
    (told,) = work()
    assert "was changed" in told["subject"]
    other = new_client()
    assert submit(other, "/login", {"login": "ann", "password": PASSWORD}).status_code == 400
    assert submit(other, "/login", {"login": "ann", "password": NEW}).status_code == 303
    (event,) = events(session, Tag.PASSWORD_RESET_DONE)
    assert event.user_id == user.id


def test_a_link_is_asked_for_with_the_domain_in_a_labels(client, session, work):
    add_person(session, email="ann@bücher.example")
    submit(client, "/forgot", {"login": "ann@xn--bcher-kva.example"})
    assert [mail["to"] for mail in work()] == ["ann@bücher.example"]


def test_known_and_unknown_accounts_are_one_answer(client, session, work):
    add_person(session, email="ann@example.com")
    answers = [submit(client, "/forgot", {"login": login}) for login in ("ann", "nobody")]
    assert [(answer.status_code, answer.location) for answer in answers] == [
        (303, "/forgot/sent")
    ] * 2
    # The request does the same for both; the worker alone finds out.
    rows = session.scalars(select(OutboxMessage)).all()
    assert [row.job for row in rows] == [password_reset.JOB] * 2
    assert session.scalars(select(OneTimeKey)).all() == []
    assert len(work()) == 1


@pytest.mark.parametrize(
    "columns",
    [{"email": None}, {"is_disabled": True}],
    ids=["no address", "disabled"],
)
def test_who_may_not_sign_in_gets_no_link(client, session, work, columns):
    add_person(session, **{"email": "ann@example.com", **columns})
    submit(client, "/forgot", {"login": "ann"})
    assert work() == []


def test_the_link_leads_to_the_issuer_where_it_was_asked_for(new_client, session, work):
    acme = add_tenant(session, "Acme", hosts=["acme.example"])
    add_person(session, email="ann@example.com")
    add_person(session, "bob", email="bob@example.com", tenant_ids=(acme,))
    browser = new_client("http://acme.example")
    submit(browser, "/forgot", {"login": "ann"})
    assert work() == []  # no member there
    submit(browser, "/forgot", {"login": "bob"})
    (mail,) = work()
    assert "http://acme.example/forgot/" in mail["body"]


def test_looking_at_the_link_does_not_use_it_up(client, session, link):
    add_person(session, email="ann@example.com")
    path = link()
    for _ in range(3):
        page = client.get(path)
        assert page.status_code == 200
        assert page.headers["Cache-Control"] == "no-store"
    weak = submit(client, path, {"password": "short", "repeated": "short"})
    assert weak.status_code == 400
    assert "at least 8 characters" in readable(weak)
    differing = submit(client, path, {"password": NEW, "repeated": NEW + "x"})
    assert "do not match" in readable(differing)
    assert submit(client, path, {"password": NEW, "repeated": NEW}).status_code == 303


def test_in_a_crowd_the_link_stays_good(client, session, link):
    add_person(session, email="ann@example.com")
    path = link()
    with crowd():
        answer = submit(client, path, {"password": NEW, "repeated": NEW})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many people" in readable(answer)
    done = send(client, answer, path, {"password": NEW, "repeated": NEW})
    assert done.location == "/account/password?notice=changed"


def test_a_link_works_once(client, new_client, session, link):
    add_person(session, email="ann@example.com")
    path = link()
    page = client.get(path)
    form = {"password": NEW, "repeated": NEW}
    assert send(client, page, path, form).status_code == 303
    again = send(client, page, path, {"password": "another-one-9", "repeated": "another-one-9"})
    assert again.status_code == 400
    assert "no longer valid" in readable(again)
    assert submit(new_client(), "/login", {"login": "ann", "password": NEW}).status_code == 303


def test_of_several_at_once_one_wins(app, new_client, session, link):
    add_person(session, email="ann@example.com")
    path = link()
    browsers = [new_client() for _ in range(4)]
    pages = [browser.get(path) for browser in browsers]
    for browser in browsers:
        browser._database = None  # the fixture's session is for one thread
    answers = []

    def post(index):
        password = f"{NEW}-{index}"
        form = {"password": password, "repeated": password}
        answers.append(send(browsers[index], pages[index], path, form).status_code)

    session.commit()
    threads = [threading.Thread(target=post, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303, 400, 400, 400]


def test_a_link_is_good_for_half_an_hour(client, session, link, clock):
    add_person(session, email="ann@example.com")
    path = link()
    clock.shift(timedelta(minutes=29))
    assert client.get(path).status_code == 200
    clock.shift(timedelta(minutes=2))
    assert client.get(path).status_code == 400


def test_a_link_from_before_a_change_of_the_password_is_worth_nothing(client, session, link):
    add_person(session, email="ann@example.com")
    first, second = link(), link()
    submit(client, first, {"password": NEW, "repeated": NEW})
    assert client.get(second).status_code == 400


@pytest.mark.parametrize("token", ["x", "A" * 43, "%00", "..%2f"])
def test_an_invented_link_is_worth_nothing(client, token):
    assert client.get(f"/forgot/{token}", headers=HTML).status_code in {400, 404}


def test_a_new_password_ends_every_session_and_token(client, new_client, session, link):
    app = register(session)
    user = add_person(session, email="ann@example.com")
    sign_in(client, session, user)
    tokens = obtain(client, app)
    stranger = new_client()
    path = link(browser=stranger)
    submit(stranger, path, {"password": NEW, "repeated": NEW})
    assert client.get("/account").status_code == 303
    assert not is_active(client, app, tokens.access)


def test_asking_is_limited_for_known_and_unknown_accounts_alike(client, session):
    add_person(session, email="ann@example.com")
    page = client.get("/forgot")
    for login in ("ann", "nobody"):
        answers = [send(client, page, "/forgot", {"login": login}) for _ in range(6)]
        # Who asks again and again is told the same, and has links that are good.
        assert {answer.location for answer in answers} == {"/forgot/sent"}
    asked = session.scalar(select(func.count()).select_from(OutboxMessage))
    assert asked == 2 * password_reset.PER_HOUR


def test_an_unknown_caller_does_not_keep_the_owner_from_a_new_password(
    client, new_client, session, link, work
):
    add_person(session, email="ann@example.com")
    page = client.get("/forgot")
    for _ in range(password_reset.PER_HOUR + 1):
        send(client, page, "/forgot", {"login": "ann"})
    assert len(work()) == password_reset.PER_HOUR
    owner = new_client()
    owner.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    path = link(browser=owner)
    done = submit(owner, path, {"password": NEW, "repeated": NEW})
    assert done.location == "/account/password?notice=changed"


def test_links_are_mailed_until_enough_are_good_and_each_stays_good(client, session, work, clock):
    add_person(session, email="ann@example.com")

    def ask(number):
        browser = client
        browser.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        submit(browser, "/forgot", {"login": "ann"})
        return work()

    sent = [mail for number in range(password_reset.SENT_WHILE_GOOD + 3) for mail in ask(number)]
    assert len(sent) == password_reset.SENT_WHILE_GOOD
    clock.shift(password_reset.MINUTES * 60 - 5)
    for mail in sent:
        path = re.search(r"http://[^/]+(/forgot/\S+)", mail["body"])[1]
        assert client.get(path).status_code == 200
    clock.shift(10)
    assert len(ask(100)) == 1


def test_asking_from_one_address_is_limited(client, session):
    page = client.get("/forgot")
    answers = [send(client, page, "/forgot", {"login": f"user{i}"}) for i in range(21)]
    assert [answer.status_code for answer in answers] == [303] * 20 + [429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_asking_from_many_networks_of_one_visitor_is_limited(client, session):
    page = client.get("/forgot")
    statuses = []
    for number in range(60):
        client.environ_base["REMOTE_ADDR"] = f"2001:db8:1:{number:x}::1"
        statuses.append(send(client, page, "/forgot", {"login": f"user{number}"}).status_code)
    assert statuses == [303] * 40 + [429] * 20


def test_the_token_is_neither_in_the_database_nor_in_the_trail(client, session, link):
    add_person(session, email="ann@example.com")
    token = link().rpartition("/")[2]
    rows = [*session.scalars(select(AuditEvent)), *session.scalars(select(OneTimeKey))]
    assert rows
    assert token not in repr([vars(row) for row in rows])


def test_the_mail_is_in_the_visitors_language(client, session, work):
    add_person(session, email="ann@example.com")
    client.set_cookie("lang", "zh", domain="127.0.0.1")
    assert "忘记密码" in unescape(client.get("/forgot").get_data(as_text=True))
    submit(client, "/forgot", {"login": "ann"})
    (mail,) = work()
    assert "密码" in mail["subject"]
