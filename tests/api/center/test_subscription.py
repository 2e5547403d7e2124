"""Subscribers: asked for by mail, confirmed from the mailbox, told of publications, ended."""

from __future__ import annotations

import email
import email.policy
import re
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from idp.directory.resources import service as resources
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.subscribers import codes, mails
from idp.publishing.subscribers import service as subscribers
from idp.publishing.subscribers.codes import Sealed, Use
from idp.publishing.subscribers.models import Subscription
from tests import protocol
from tests.api import center

RIGHTS = ("ids4.ms.apiresource.verifyemail", "ids4.ms.apiresource.subscriptions")
ANN = "Ann@Mail.example"
JSON = {"Accept": "application/json"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
LINK = re.compile(r"http\S+")


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, *RIGHTS)


@pytest.fixture
def api(session, mary):
    row = protocol.add_api(session, "orders", ["orders.read"], tenant_id=1)
    row.display_name = "Orders"
    resources.link_owner(session, row, mary.user.id)
    session.commit()
    return row.id


@pytest.fixture
def ask(mary, api):
    def ask(address=ANN, caller=mary, api_id=api):
        path = f"/ApiResource/{api_id}/Subscriptions/VerifyEmail"
        return caller.call("POST", path, {"email": address}, culture="en")

    return ask


@pytest.fixture
def links(outbox):
    """Return the two links of the last mail: what it asks for, and the end of the subscription."""

    def links():
        first, last = LINK.findall(outbox()[-1].text)
        return first, last

    return links


@pytest.fixture
def follow(client):
    """Open a link without signing in; return code and data of the envelope."""

    def follow(link, **headers):
        parts = urlsplit(link)
        answer = client.get(f"{parts.path}?{parts.query}", headers={**JSON, **headers})
        assert answer.status_code == 200
        return answer.get_json()["code"], answer.get_json()["data"]

    return follow


@pytest.fixture
def subscribed(session, api):
    """Subscribe an address without asking it."""

    def subscribe(address="ann@mail.example", api_id=api, locale="en"):
        row = Subscription(
            api_resource_id=api_id, address=address, address_key=address.lower(), locale=locale
        )
        session.add(row)
        session.commit()
        return row

    return subscribe


def addresses(mary, api):
    content = mary.call("GET", f"/ApiResource/{api}/Subscriptions")
    assert content["take"] == content["total"] == len(content["data"])
    return [row["rowKey"] for row in content["data"]]


def code_of(link):
    return parse_qs(urlsplit(link).query)["code"][0]


# Done


def test_an_address_is_asked_confirms_and_ends_it(mary, api, ask, links, outbox, follow):
    assert ask()["data"] is True
    (mail,) = outbox()
    assert mail.to == "Ann@mail.example"
    assert mail.subject == "Confirm your subscription to Orders"
    assert addresses(mary, api) == []
    confirm, cancel = links()
    assert f"/ApiResource/{api}/AddSubscription?" in confirm
    assert f"/ApiResource/{api}/DelSubscription?" in cancel
    for _ in range(2):  # once or again
        assert follow(confirm) == (200, True)
        assert addresses(mary, api) == ["Ann@mail.example"]
    for _ in range(2):
        assert follow(cancel) == (200, True)
        assert addresses(mary, api) == []


def test_a_subscriber_is_listed_as_the_contract_says(mary, api, subscribed):
    subscribed()
    (row,) = mary.data("GET", f"/ApiResource/{api}/Subscriptions")
    assert row.pop("timestamp").endswith("Z")
    assert row == {"partitionKey": str(api), "rowKey": "ann@mail.example", "eTag": None}


def test_who_is_subscribed_is_not_asked_again(mary, ask, subscribed, outbox):
    subscribed()
    content = ask()
    assert (content["code"], content["codeName"]) == (300013, "VerifyEmail_AddEmailFailed")
    assert not outbox_rows(mary)


def outbox_rows(caller):
    session = caller.browser._database
    return session.scalars(select(OutboxMessage)).all()


def test_mails_are_in_the_language_of_who_asked(mary, api, outbox):
    path = f"/ApiResource/{api}/Subscriptions/VerifyEmail"
    mary.call("POST", path, {"email": ANN}, culture="zh-CN")
    assert "请" in outbox()[-1].subject


# Links


def test_programs_that_open_every_link_change_nothing(client, mary, api, ask, links, subscribed):
    subscribed("ben@mail.example")
    ask()
    for link in links():
        parts = urlsplit(link)
        for headers in ({}, {"Accept": "*/*"}, BROWSER, {"Accept": "application/json;q=0"}):
            for method in ("GET", "HEAD"):
                answer = client.open(f"{parts.path}?{parts.query}", method=method, headers=headers)
                assert answer.status_code in {303, 405}
                if answer.status_code == 303:
                    page = client.open(answer.location, method=method, headers=headers)
                    assert page.status_code == 200
                    assert page.mimetype == "text/html"
    assert addresses(mary, api) == ["ben@mail.example"]


def test_head_neither_confirms_nor_cancels(client, mary, api, ask, links, subscribed):
    subscribed("ben@mail.example")
    ask()
    for link in links():
        parts = urlsplit(link)
        answer = client.head(f"{parts.path}?{parts.query}", headers=JSON)
        assert answer.status_code == 405
    assert "HEAD" not in answer.headers["Allow"]
    assert addresses(mary, api) == ["ben@mail.example"]


def test_a_link_is_good_for_half_an_hour_and_the_other_for_ever(clock, ask, links, follow):
    ask()
    confirm, cancel = links()
    clock.shift(subscribers.MINUTES * 60 - 1)
    assert follow(confirm) == (200, True)
    clock.shift(2)
    assert follow(confirm) == (300010, None)
    clock.shift(3600 * 24 * 365)
    assert follow(cancel) == (200, True)


def test_a_code_is_bound_to_its_microservice_address_and_use(
    client, session, mary, api, ask, links, follow, subscribed
):
    """In the old system the code fitted every microservice, and anybody could write the other."""
    other = protocol.add_api(session, "parts", ["parts.read"], tenant_id=1).id
    subscribed("ben@mail.example", other)
    ask()
    confirm, cancel = links()
    for link, refused in ((confirm, 300010), (cancel, 300012)):
        moved = link.replace(f"/ApiResource/{api}/", f"/ApiResource/{other}/")
        assert follow(moved) == (refused, None)
    swapped = {confirm: code_of(cancel), cancel: code_of(confirm)}
    assert follow(confirm.partition("?")[0] + f"?code={swapped[confirm]}") == (300010, None)
    assert follow(cancel.partition("?")[0] + f"?code={swapped[cancel]}") == (300012, None)
    assert addresses(mary, api) == []


@pytest.mark.parametrize(
    "code",
    [
        "x",
        "YW5uQG1haWwuZXhhbXBsZQ==",  # base64 of the address, as the old system took it
        ".",
        "a.b",
        "0" * 8 + "." + "A" * 80,
        "é",
        "x" * 1999,
    ],
)
def test_a_code_that_was_not_made_here_is_refused(session, mary, api, follow, subscribed, code):
    subscribed()
    for name, refused in (("AddSubscription", 300010), ("DelSubscription", 300012)):
        assert follow(f"/ApiResource/{api}/{name}?code={code}") == (refused, None)
    assert addresses(mary, api) == ["ann@mail.example"]


def test_a_changed_letter_makes_a_code_worthless(session, api, follow):
    code = codes.seal(session, Use.CONFIRM, Sealed(api, "ann@mail.example", "en"), 600)
    session.commit()
    for place in range(0, len(code), 7):
        letter = "A" if code[place] != "A" else "B"
        changed = code[:place] + letter + code[place + 1 :]
        assert follow(f"/ApiResource/{api}/AddSubscription?code={changed}") == (300010, None)


def test_a_code_says_nothing_to_who_reads_it(session, api):
    code = codes.seal(session, Use.CANCEL, Sealed(api, "ann@mail.example", "en"))
    assert "ann" not in code
    assert code != codes.seal(session, Use.CANCEL, Sealed(api, "ann@mail.example", "en"))


@pytest.mark.parametrize("name", ["AddSubscription", "DelSubscription"])
def test_a_link_without_its_code_is_refused(client, api, name):
    for query in ("", "?code=", "?code=a&code=b", "?code=" + "x" * 3000):
        answer = client.get(f"/ApiResource/{api}/{name}{query}", headers=JSON)
        assert answer.get_json()["code"] == 422


def test_a_microservice_that_is_gone_takes_no_subscription(
    client, session, api, ask, links, follow
):
    ask()
    confirm, cancel = links()
    center.administrator(client, session).data("DELETE", f"/ApiResource/{api}")
    assert follow(confirm) == (300009, None)
    assert follow(cancel) == (200, True)


def test_of_many_clicks_at_once_one_row_is_made(new_client, session, mary, api):
    code = codes.seal(session, Use.CONFIRM, Sealed(api, "ann@mail.example", "en"), 600)
    session.commit()
    barrier, seen = threading.Barrier(4), []

    def click():
        browser = new_client()
        browser._database = None
        barrier.wait()
        answer = browser.get(f"/ApiResource/{api}/AddSubscription?code={code}", headers=JSON)
        seen.append(answer.get_json()["code"])

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [200] * 4
    assert addresses(mary, api) == ["ann@mail.example"]


# Limits and reach


def test_an_address_gets_one_mail_a_minute_and_ten_a_day(
    clock, session, mary, api, ask, outbox, subscribed
):
    other = protocol.add_api(session, "parts", ["parts.read"], tenant_id=1).id
    assert ask()["code"] == 200
    for api_id in (api, other):  # whatever the mail is about, and however the address is spelled
        content = ask(ANN.lower(), api_id=api_id)
        assert (content["code"], content["codeName"]) == (300010, "Subscription_VerifyEmailFailed")
    assert len(outbox()) == 1
    for _ in range(9):
        clock.shift(61)
        assert ask()["code"] == 200
    clock.shift(61)
    assert ask()["code"] == 300010
    assert ask("ben@mail.example")["code"] == 200


def test_a_person_asks_so_many_in_an_hour(mary, api, ask):
    for number in range(subscribers.PER_HOUR):
        assert ask(f"a{number}@mail.example")["code"] == 200
    path = f"/ApiResource/{api}/Subscriptions/VerifyEmail"
    answer = mary.send("POST", path, {"email": "b@mail.example"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.no_database
@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        7,
        "ann",
        "ann@",
        "a@b.example, c@d.example",
        "Ann <ann@mail.example>",
        "ann@mail.example\r\nBcc: eve@mail.example",
        "a" * 300 + "@mail.example",
        ["ann@mail.example"],
    ],
)
def test_what_is_no_address_is_refused(mary, api, address):
    path = f"/ApiResource/{api}/Subscriptions/VerifyEmail"
    assert "email" in mary.refused("POST", path, {"email": address})
    assert "email" in mary.refused("POST", path, {})
    assert not outbox_rows(mary)


def test_who_manages_it_sees_the_subscribers_and_nobody_else(client, session, api, subscribed):
    subscribed()
    other = protocol.add_tenant(session, "Other")
    path = f"/ApiResource/{api}/Subscriptions"
    ben = center.manager(client, session, *RIGHTS, username="ben")
    eve = center.manager(client, session, *RIGHTS, username="eve", tenant_id=other)
    for caller in (ben, eve):
        content = caller.call("GET", path)
        assert (content["code"], content["data"]) == (404, [])
    assert ben.call("POST", f"{path}/VerifyEmail", {"email": "ben@mail.example"})["code"] == 200
    assert eve.misses("POST", f"{path}/VerifyEmail", {"email": "eve@mail.example"})
    for number in (0, 999, 2**63, 10**30):
        wrong = f"/ApiResource/{number}/Subscriptions"
        assert ben.call("GET", wrong)["code"] == 404
        assert ben.misses("POST", f"{wrong}/VerifyEmail", {"email": "a@mail.example"})


def test_the_trail_tells_what_happened_and_to_nobody_whom(session, ask, links, follow):
    ask()
    confirm, cancel = links()
    for link in (confirm, confirm, cancel, cancel):
        follow(link)
    wanted = AuditEvent.tag.like("user:subscription:%")
    rows = session.scalars(select(AuditEvent).where(wanted).order_by(AuditEvent.id))
    assert [(row.tag, row.target) for row in rows.all()] == [
        (Tag.SUBSCRIPTION_REQUESTED, "api:orders"),
        (Tag.SUBSCRIPTION_MADE, "api:orders"),
        (Tag.SUBSCRIPTION_ENDED, "api:orders"),
    ]
    assert "mail.example" not in repr([vars(event) for event in audit.search(session)])


def test_queries_do_not_grow_with_the_rows(runtime, mary, api, subscribed):
    def count():
        with center.statements(runtime.engine) as sent:
            addresses(mary, api)
        return len(sent)

    subscribed("a@mail.example")
    count()
    one = count()
    for number in range(20):
        subscribed(f"b{number}@mail.example")
    assert count() == one


# Mails about a publication


def publish(session, api_id, number):
    jobs.enqueue(session, mails.JOB, {"api_id": api_id, "version": number})


def test_every_subscriber_is_told_once_of_each_publication(session, api, outbox, subscribed):
    subscribed("ann@mail.example")
    subscribed("ben@mail.example", locale="zh")
    publish(session, api, 1)
    publish(session, api, 1)
    assert sorted(mail.to for mail in outbox()) == ["ann@mail.example", "ben@mail.example"]
    publish(session, api, 2)
    publish(session, api, 1)  # late
    subjects = [mail.subject for mail in outbox()]
    assert len(subjects) == 4
    assert "Orders was published (no. 2)" in subjects
    assert sum("已发布" in subject for subject in subjects) == 2


def test_only_the_subscribers_of_the_microservice_are_told(session, api, outbox, subscribed):
    other = protocol.add_api(session, "parts", ["parts.read"], tenant_id=1).id
    subscribed("ann@mail.example")
    subscribed("ben@mail.example", other)
    publish(session, other, 1)
    assert [mail.to for mail in outbox()] == ["ben@mail.example"]


def test_a_mail_program_ends_a_subscription_by_one_click(
    new_client, session, mary, api, outbox, subscribed
):
    subscribed()
    publish(session, api, 1)
    (mail,) = outbox()
    content = mail.path.read_bytes()
    # As the other side reads it, byte by byte: on one line, and not as an encoded word.
    (header,) = re.findall(rb"(?m)^List-Unsubscribe: <(\S+)>\r?$", content)
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    parts = urlsplit(header.decode())
    address = f"{parts.path}?{parts.query}"
    stranger = new_client()  # without cookies and form token
    assert stranger.get(address).status_code == 200
    assert addresses(mary, api) == ["ann@mail.example"]
    for _ in range(2):
        answer = stranger.post(address, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.mimetype) == (200, "text/plain")
        assert "Set-Cookie" not in answer.headers
        assert addresses(mary, api) == []


def test_mails_are_left_batch_by_batch(session, api, outbox, subscribed, monkeypatch):
    monkeypatch.setattr(mails, "BATCH", 3)
    for number in range(7):
        subscribed(f"a{number}@mail.example")
    publish(session, api, 1)
    assert len({mail.to for mail in outbox()}) == 7


def test_a_microservice_that_is_gone_tells_nobody(client, session, api, outbox, subscribed):
    subscribed()
    publish(session, api, 1)
    center.administrator(client, session).data("DELETE", f"/ApiResource/{api}")
    session.commit()
    jobs_done = session.scalars(select(OutboxMessage.done_at)).all()
    assert jobs_done == [None]
    with pytest.raises(FileNotFoundError):
        outbox()
    session.expire_all()
    assert None not in session.scalars(select(OutboxMessage.done_at)).all()
