"""Products, subscriptions and upstreams of the gateway by our own API."""

from __future__ import annotations

from itertools import chain

import pytest

from idp.platform.audit.tags import Tag
from idp.publishing.gateway import products
from idp.publishing.gateway.models import ProductSubscription, Upstream
from idp.publishing.gateway.products import NewProduct
from tests import protocol
from tests.api import admin, center
from tests.pages.browsing import events

PRODUCTS, UPSTREAMS = "/gateway/products", "/gateway/upstreams"
GOLD = {"id": "gold", "name": "Gold"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def test_a_product_is_added_changed_and_removed(root, session):
    made = admin.send(root, "POST", PRODUCTS, GOLD)
    assert (made.status_code, made.headers["Location"]) == (201, f"/admin/v1{PRODUCTS}/gold")
    path = f"{PRODUCTS}/gold"
    read = admin.send(root, "GET", path)
    assert (read.get_json()["published"], read.get_json()["subscriptions_limit"]) == (True, None)
    seen = {"If-Match": read.headers["ETag"]}
    changed = admin.send(root, "PATCH", path, {"subscriptions_limit": 3}, headers=seen)
    assert changed.get_json() == read.get_json() | {"subscriptions_limit": 3}
    for method, body in (("PATCH", {"name": "Other"}), ("DELETE", None)):
        assert admin.send(root, method, path, body, headers=seen).status_code == 412
    current = {"If-Match": changed.headers["ETag"]}
    assert admin.send(root, "DELETE", path, headers=current).status_code == 204
    assert admin.refused(root, "GET", path)[0] == 404
    actions = [event.details["action"] for event in events(session, Tag.GATEWAY_CHANGED)]
    assert actions == ["added", "changed", "removed"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"name": "x"}, 400, ["id"]),
        ({"id": "a b", "name": "x"}, 400, ["id"]),
        ({"id": "a", "name": ""}, 400, ["name"]),
        ({"id": "a", "name": "x", "subscriptions_limit": 0}, 400, ["subscriptions_limit"]),
        ({"id": "a", "name": "x", "subscriptions_limit": 2**31}, 400, ["subscriptions_limit"]),
        ({"id": "a", "name": "x", "tenant": 0}, 400, ["tenant"]),
        ({"id": "a", "name": "x", "more": 1}, 400, ["more"]),
        ({"id": "a", "name": "x", "tenant": 77}, 404, []),
        (GOLD, 409, []),
    ],
)
def test_a_product_that_cannot_be_is_refused_by_field(root, session, body, status, fields):
    products.add_product(session, NewProduct("gold", "Gold"))
    session.commit()
    found = admin.refused(root, "POST", PRODUCTS, body)
    assert (found[0], list(found[1])) == (status, fields)


def test_a_client_is_subscribed_suspended_and_ended(root, session):
    products.add_product(session, NewProduct("gold", "Gold"))
    protocol.register(session, "shop")
    base = f"{PRODUCTS}/gold/subscriptions"
    made = admin.send(root, "POST", base, {"client": "shop"})
    path = f"{base}/{made.get_json()['id']}"
    assert made.headers["Location"] == f"/admin/v1{path}"
    assert admin.send(root, "POST", base, {"client": "shop"}).get_json() == made.get_json()
    assert admin.refused(root, "POST", base, {"client": "nobody"})[0] == 404
    for act, suspended in (("suspend", True), ("suspend", True), ("resume", False)):
        assert admin.data(root, "POST", f"{path}/{act}")["suspended"] is suspended
    stale = admin.send(root, "DELETE", path, headers={"If-Match": '"former"'})
    assert stale.status_code == 412
    seen = {"If-Match": admin.send(root, "GET", path).headers["ETag"]}
    assert admin.send(root, "DELETE", path, headers=seen).status_code == 204
    assert admin.refused(root, "GET", path) == (404, {})
    # A row of another product is none of this one.
    products.add_product(session, NewProduct("silver", "Silver"))
    other = products.subscribe(session, "silver", "shop")
    session.commit()
    assert admin.refused(root, "POST", f"{base}/{other.id}/suspend") == (404, {})


def test_upstreams_are_allowed_and_removed(root, session):
    body = {"tenant": 1, "url": "HTTPS://orders.internal:443/v1/"}
    made = admin.send(root, "POST", UPSTREAMS, body)
    assert made.get_json()["url"] == "https://orders.internal/v1"
    path = f"{UPSTREAMS}/{made.get_json()['id']}"
    assert admin.refused(root, "POST", UPSTREAMS, {"tenant": 1, "url": "ftp://x"})[0] == 400
    seen = {"If-Match": admin.send(root, "GET", path).headers["ETag"]}
    assert admin.send(root, "DELETE", path, headers=seen).status_code == 204
    assert admin.refused(root, "GET", path) == (404, {})


@pytest.mark.postgresql
def test_what_is_removed_is_locked_before_its_state_is_compared(root, session, runtime):
    products.add_product(session, NewProduct("gold", "Gold"))
    protocol.register(session, "shop")
    subscribed = products.subscribe(session, "gold", "shop")
    upstream = products.allow_upstream(session, 1, "https://orders.internal")
    session.commit()
    for path, table in (
        (f"{PRODUCTS}/gold/subscriptions/{subscribed.id}", ProductSubscription.__tablename__),
        (f"{UPSTREAMS}/{upstream.id}", Upstream.__tablename__),
    ):
        with center.statements(runtime.engine) as sent:
            stale = admin.send(root, "DELETE", path, headers={"If-Match": '"former"'})
        assert stale.status_code == 412
        (locked,) = [text for text in sent if f"FROM {table}" in text][-1:]
        assert locked.rstrip().endswith("FOR UPDATE"), path


def test_lists_go_on_page_by_page_with_as_many_statements(root, session, runtime):
    counts = []
    for number in range(4):
        pid = f"p{number}"
        products.add_product(session, NewProduct(pid, pid))
        protocol.register(session, f"client{number}")
        products.subscribe(session, "p0", f"client{number}")
        products.allow_upstream(session, 1, f"https://a{number}.internal")
        session.commit()
        if number in {0, 3}:
            with center.statements(runtime.engine) as sent:
                for path in (PRODUCTS, f"{PRODUCTS}/p0/subscriptions", UPSTREAMS):
                    admin.data(root, "GET", path, limit=200)
            counts.append(len(sent))
    assert counts[0] == counts[1]
    rows = [*chain(*admin.pages(root, PRODUCTS, limit=1))]
    assert [row["id"] for row in rows] == ["p0", "p1", "p2", "p3"]


def test_without_a_gateway_there_is_nothing_to_compare(root):
    found = admin.data(root, "GET", "/gateway/differences")
    assert found == {"gateway": "local", "differences": None}
