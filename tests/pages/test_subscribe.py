"""The page of an API for visitors, and the pages that links in mails lead to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from idp.directory.actor import OPERATOR
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.packages import service as packages
from idp.publishing.packages.service import Content
from idp.publishing.subscribers import service
from idp.publishing.subscribers.models import Subscription
from tests import protocol
from tests.pages.browsing import submit

DAY = 86400
ANN = "ann@mail.example"
LINK = re.compile(r"http\S+")
SDK = Content(
    name="orders-client",
    version="1.4.0",
    publisher="Acme <b>",
    link="https://registry.example/orders-client",
    icon="https://static.example/icon.svg",
    platform="npm",
    language="typescript",
)


@pytest.fixture
def api(session):
    row = protocol.add_api(session, "orders", ["orders.read"], tenant_id=1)
    row.display_name, row.description = "Orders <i>", "Everything about orders"
    packages.add(session, OPERATOR, row.id, SDK)
    session.commit()
    return row.id


@pytest.fixture
def links(outbox):
    def links():
        parts = [urlsplit(link) for link in LINK.findall(outbox()[-1].text)]
        return [f"{part.path}?{part.query}" for part in parts]

    return links


def subscribers(session):
    session.expire_all()
    return session.scalars(select(Subscription.address)).all()


def mails(session):
    return len(session.scalars(select(OutboxMessage)).all())


def test_a_domain_in_a_labels_is_the_same_subscriber(client, session, api, links, clock):
    for address in ("ann@bücher.example", "ann@xn--bcher-kva.example"):
        subscribe(client, api, address)
        client.post(client.get(links()[0]).location)
        clock.shift(DAY)
    assert subscribers(session) == ["ann@bücher.example"]


def subscribe(client, api, address=ANN):
    return submit(client, f"/subscriptions/{api}", {"email": address})


def test_a_stranger_sees_the_sdks_and_subscribes(client, session, api, links):
    page = client.get(f"/subscriptions/{api}")
    text = page.get_data(as_text=True)
    assert "Orders &lt;i&gt;" in text
    assert "Acme &lt;b&gt;" in text
    assert 'href="https://registry.example/orders-client"' in text
    assert "static.example" not in text  # no page asks another host
    answer = subscribe(client, api)
    assert (answer.status_code, answer.location) == (303, f"/subscriptions/{api}/sent")
    assert client.get(answer.location).status_code == 200
    confirm, cancel = links()
    for link, path, done, left in (
        (confirm, "confirm", "confirmed", [ANN]),
        (cancel, "cancel", "cancelled", []),
    ):
        answer = client.get(link, headers={"Accept": "text/html"})
        assert answer.status_code == 303
        assert answer.location.startswith(f"/subscriptions/{api}/{path}?code=")
        assert "Orders &lt;i&gt;" in client.get(answer.location).get_data(as_text=True)
        for _ in range(2):
            posted = client.post(answer.location)
            assert (posted.status_code, posted.location) == (303, f"/subscriptions/{api}/{done}")
            assert subscribers(session) == left
        assert client.get(posted.location).status_code == 200


def test_nobody_learns_who_is_subscribed(new_client, session, api):
    row = Subscription(api_resource_id=api, address=ANN, address_key=ANN, locale="en")
    session.add(row)
    session.commit()
    known, unknown = (
        subscribe(new_client(), api, address) for address in (ANN, "ben@mail.example")
    )
    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)
    assert mails(session) == 1
    again = [subscribe(new_client(), api, address) for address in (ANN, "ben@mail.example")]
    assert [answer.status_code for answer in again] == [429, 429]
    texts = [re.sub(r"[\w.-]{40,}|ann|ben", "", answer.get_data(as_text=True)) for answer in again]
    assert texts[0] == texts[1]


def test_a_stranger_does_not_use_up_what_is_sent_to_an_address(client, new_client, session, api):
    assert subscribe(client, api, ANN).status_code == 303
    assert subscribe(client, api, ANN).status_code == 429
    browsers = [new_client() for _ in range(service.SENT_WHILE_GOOD + 2)]
    for number, browser in enumerate(browsers):
        browser.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        assert subscribe(browser, api, ANN).status_code == 303
    # Enough links are good then, and nobody learns that others asked.
    assert mails(session) == service.SENT_WHILE_GOOD


def test_a_stranger_asks_so_many_in_an_hour(client, session, api):
    for number in range(service.PER_HOUR_FROM_ADDRESS):
        assert subscribe(client, api, f"a{number}@mail.example").status_code == 303
    answer = subscribe(client, api, "b@mail.example")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert mails(session) == service.PER_HOUR_FROM_ADDRESS


@pytest.mark.parametrize(
    "address", ["", "ann", "a@b.example, c@d.example", "x" * 300 + "@a.example"]
)
def test_what_is_no_address_is_refused(client, session, api, address):
    answer = subscribe(client, api, address)
    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.get_data(as_text=True)
    assert mails(session) == 0


def test_the_form_needs_its_token(client, session, api):
    assert client.post(f"/subscriptions/{api}", data={"email": ANN}).status_code == 400
    assert mails(session) == 0


def test_what_discovery_does_not_name_has_no_page(client, new_client, session, api):
    hidden = protocol.add_api(session, "hidden", ["hidden.read"], tenant_id=1)
    hidden.scopes[0].show_in_discovery_document = False
    off = protocol.add_api(session, "off", ["off.read"], tenant_id=1)
    off.enabled = False
    foreign = protocol.add_tenant(session, "Far", hosts=["far.example"])
    session.commit()
    for number in (hidden.id, off.id, 0, 999, 2**63, 10**30):
        assert client.get(f"/subscriptions/{number}").status_code == 404
    elsewhere = new_client("http://far.example")
    assert elsewhere.get(f"/subscriptions/{api}").status_code == 404
    theirs = protocol.add_api(session, "theirs", ["theirs.read"], tenant_id=foreign).id
    assert elsewhere.get(f"/subscriptions/{theirs}").status_code == 200


@pytest.mark.parametrize("name", ["confirm", "cancel"])
def test_a_link_that_is_worth_nothing_says_so(client, session, api, name):
    for code in ("", "?code=", "?code=x", "?code=" + "x" * 3000):
        for method in ("GET", "POST"):
            answer = client.open(f"/subscriptions/{api}/{name}{code}", method=method)
            assert answer.status_code == 400
    assert subscribers(session) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_are_in_the_visitors_language(client, api, language):
    headers = {"Accept-Language": language}
    for path in ("", "/sent", "/confirmed", "/cancelled"):
        text = client.get(f"/subscriptions/{api}{path}", headers=headers).get_data(as_text=True)
        assert bool(re.search(r"[\u4e00-\u9fff]", text.partition("<footer")[0])) is (
            language == "zh"
        )
