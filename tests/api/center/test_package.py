"""The market of SDK packages: entered by who manages the microservice, seen by its tenant."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict
from idp.publishing.packages import service as packages
from idp.publishing.packages.models import SdkPackage
from idp.publishing.packages.service import Content
from tests import protocol
from tests.api import center

RIGHTS = tuple(
    f"ids4.ms.apiresource.{name}" for name in ("packages", "postpackages", "deletepackage")
)
SDK: dict[str, Any] = {
    "name": "@acme/orders-client",
    "version": "1.4.0",
    "description": "Calls the orders API.",
    "publisher": "Acme",
    "link": "https://www.npmjs.com/package/@acme/orders-client",
    "icon": "https://static.acme.example/npm.svg",
    "packagePlatform": "npm",
    "language": "typescript",
    "showIndex": 2,
    "tags": "angular,rxjs",
}


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, *RIGHTS)


@pytest.fixture
def orders(session, mary):
    return own(session, mary, "orders")


def own(session, caller, name, tenant_id=1):
    api = protocol.add_api(session, name, [f"{name}.read"], tenant_id=tenant_id)
    resources.link_owner(session, api, caller.user.id)
    session.commit()
    return f"/ApiResource/{api.id}/Packages"


def test_what_is_entered_is_listed(mary, orders):
    assert mary.data("POST", orders, SDK) is True
    mary.data("POST", orders, {**SDK, "name": "orders", "showIndex": 1, "version": None})
    content = mary.call("GET", orders)
    assert (content["take"], content["skip"], content["total"]) == (2, 0, 2)
    first, second = content["data"]
    assert (first["rowKey"], first["version"]) == ("orders", None)
    assert second.pop("timestamp").endswith("Z")
    said = {name: value for name, value in SDK.items() if name != "name"}
    partition = orders.split("/")[2]
    assert second == {"partitionKey": partition, "rowKey": SDK["name"], "eTag": None, **said}


def test_what_is_not_said_is_empty(mary, orders):
    needed = ("name", "publisher", "link", "icon", "packagePlatform", "language")
    mary.data("POST", orders, {name: SDK[name] for name in needed})
    (row,) = mary.call("GET", orders)["data"]
    assert (row["showIndex"], row["tags"], row["description"]) == (0, None, None)
    for name in needed:
        assert name in mary.refused("POST", orders, {**SDK, name: ""})
        assert name in mary.refused("POST", orders, {k: v for k, v in SDK.items() if k != name})


def test_a_name_is_taken_once_in_a_microservice(session, mary, orders):
    mary.data("POST", orders, SDK)
    content = mary.call("POST", orders, {**SDK, "language": "java"})
    assert (content["code"], content["codeName"], content["data"]) == (
        300014,
        "Packages_PostFailed",
        None,
    )
    (row,) = mary.call("GET", orders)["data"]
    assert row["language"] == "typescript"
    mary.data("POST", own(session, mary, "parts"), SDK)


def test_of_two_at_the_same_time_one_is_entered(new_client, session, mary, orders):
    session.commit()
    barrier, codes = threading.Barrier(2), []

    def enter() -> None:
        browser = new_client()
        browser._database = None
        barrier.wait()
        caller = center.Caller(browser, mary.user, mary.token)
        codes.append(caller.call("POST", orders, SDK)["code"])

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 300014]


@pytest.mark.parametrize("name", ["@acme/orders-client", "Acme.Orders", "订单 客户端", "a+b_c"])
def test_removing_is_done_once_and_said_twice(mary, orders, name):
    mary.data("POST", orders, {**SDK, "name": name})
    for _ in range(2):
        assert mary.data("DELETE", f"{orders}/{name}") is True
        assert mary.call("GET", orders)["data"] == []


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "../etc"}, "name"),
        ({"name": "a/../b"}, "name"),
        ({"name": "/a"}, "name"),
        ({"name": "a/"}, "name"),
        ({"name": "a//b"}, "name"),
        ({"name": "."}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "<script>"}, "name"),
        ({"name": "a?b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 7}, "name"),
        ({"link": "javascript:alert(1)"}, "link"),
        ({"link": "data:text/html,x"}, "link"),
        ({"link": "//evil.example"}, "link"),
        ({"link": "npm install orders"}, "link"),
        ({"link": "https://user:pass@host.example/"}, "link"),
        ({"link": "https://host.example/" + "x" * 2000}, "link"),
        ({"icon": "javascript:alert(1)"}, "icon"),
        ({"icon": "https:\\\\evil.example"}, "icon"),
        ({"showIndex": 2**31}, "showIndex"),
        ({"showIndex": "1"}, "showIndex"),
        ({"tags": "x" * 1001}, "tags"),
        ({"description": "x" * 2001}, "description"),
        ({"version": "x" * 101}, "version"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(mary, orders, wrong, field):
    assert field in mary.refused("POST", orders, {**SDK, **wrong})
    assert mary.call("GET", orders)["data"] == []


def test_what_is_no_json_is_an_http_problem(mary, orders):
    for body in (b"", b"{", b'"\xff"'):
        assert mary.send("POST", orders, body).status_code == 400


def test_a_microservice_that_is_none_is_not_found(mary):
    for number in (0, 999, 2**31, 2**63, 10**30):
        path = f"/ApiResource/{number}/Packages"
        assert mary.call("GET", path)["code"] == 404
        assert mary.misses("POST", path, SDK)
        assert mary.misses("DELETE", f"{path}/some")


def test_only_who_manages_the_microservice_changes_its_market(client, session, mary, orders):
    """In the old system everybody with the permission could."""
    mary.data("POST", orders, SDK)
    before = center.whole_database(session)
    neighbour = center.manager(client, session, *RIGHTS, username="ben")
    other = protocol.add_tenant(session, "Other")
    stranger = center.manager(client, session, *RIGHTS, username="eve", tenant_id=other)
    assert [row["rowKey"] for row in neighbour.data("GET", orders)] == [SDK["name"]]
    assert stranger.call("GET", orders)["code"] == 404
    for caller in (neighbour, stranger):
        assert caller.misses("POST", orders, {**SDK, "name": "theirs"})
        assert caller.misses("DELETE", f"{orders}/{SDK['name']}")
    after = center.whole_database(session)
    assert after["sdk_package"] == before["sdk_package"]


def test_the_market_of_a_platform_api_is_open_to_every_tenant(client, session):
    root = center.administrator(client, session)
    path = own(session, root, "platform", tenant_id=None)
    root.data("POST", path, SDK)
    other = protocol.add_tenant(session, "Other")
    reader = center.manager(client, session, *RIGHTS, username="eve", tenant_id=other)
    assert [row["rowKey"] for row in reader.data("GET", path)] == [SDK["name"]]
    assert reader.misses("DELETE", f"{path}/{SDK['name']}")


def test_packages_go_with_their_microservice(client, session, mary, orders):
    mary.data("POST", orders, SDK)
    root = center.administrator(client, session)
    root.data("DELETE", f"/ApiResource/{orders.split('/')[2]}")
    assert session.scalars(select(SdkPackage)).all() == []


def test_the_trail_tells_who_changed_the_market(session, mary, orders):
    mary.data("POST", orders, SDK)
    mary.data("DELETE", f"{orders}/{SDK['name']}")
    mary.data("DELETE", f"{orders}/{SDK['name']}")
    events = list(reversed(audit.search(session, Filters(user_id=mary.user.id))))
    assert [(event.tag, event.target) for event in events] == [
        (Tag.PACKAGE_ENTERED, "api:orders"),
        (Tag.PACKAGE_REMOVED, "api:orders"),
    ]
    assert events[0].details == {"package": SDK["name"], "version": "1.4.0"}


def test_queries_do_not_grow_with_the_rows(runtime, mary, orders):
    def count() -> int:
        with center.statements(runtime.engine) as sent:
            mary.data("GET", orders)
        return len(sent)

    mary.data("POST", orders, SDK)
    count()
    one = count()
    for number in range(20):
        mary.data("POST", orders, {**SDK, "name": f"sdk{number}"})
    assert count() == one


# What the generator of SDKs calls


def test_a_new_version_takes_the_place_of_the_old_one(session, mary, orders):
    api = session.get_one(ApiResource, int(orders.split("/")[2]))
    content = Content("sdk", "Acme", "https://a.example/1", "https://a.example/i", "npm", "ts", "1")
    first = packages.enter(session, api, content, replace=True)
    again = Content("sdk", "Acme", "https://a.example/2", "https://a.example/i", "npm", "ts", "2")
    assert packages.enter(session, api, again, replace=True) == first
    session.commit()
    (row,) = mary.data("GET", orders)
    assert (row["version"], row["link"]) == ("2", "https://a.example/2")
    with pytest.raises(Conflict):
        packages.enter(session, api, content)
    with pytest.raises(BadRequest):
        packages.enter(session, api, Content("..", "a", "b", "c", "d", "e"))


def test_a_market_has_an_end(session, mary, orders, monkeypatch):
    monkeypatch.setattr(packages, "MOST", 2)
    for number in range(2):
        mary.data("POST", orders, {**SDK, "name": f"sdk{number}"})
    assert mary.call("POST", orders, SDK)["code"] == 300014
