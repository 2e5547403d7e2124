"""The public page of a published API."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.directory.actor import OPERATOR, Actor
from idp.directory.resources import service as resources
from idp.pages import apis as pages
from idp.publishing.gateway import outline, products
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.service import PublishRequest, planning
from idp.publishing.gateway.validation import Description
from idp.publishing.packages import service as packages
from tests import protocol
from tests.api import center
from tests.pages.browsing import send

UPSTREAM = "https://orders.example"
HOSTILE = "<script>alert(1)</script>"

OWN_SCRIPT = '<script type="module" src="/static/page.js?v='


def document(**more):
    answer = {"description": "The order"}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Orders", "version": "1", "description": "What was ordered"},
        "security": [{"oauth2": ["orders.read"]}],
        "paths": {
            "/orders/{id}": {
                "get": {
                    "tags": ["Orders"],
                    "summary": "Read an order",
                    "parameters": [{"$ref": "#/components/parameters/day"}],
                    "responses": {"200": answer},
                },
                **more,
            }
        },
        "components": {
            "parameters": {
                "day": {
                    "name": "day",
                    "in": "query",
                    "required": True,
                    "description": "Day of delivery",
                    "schema": {"type": "string"},
                }
            }
        },
    }


@pytest.fixture
def publish(session):
    """Publish descriptions of one microservice, each as a revision that is online."""
    ann = protocol.add_person(session, "owner")
    made = {}

    def publish(content, *, tenant_id=1, suffix="orders", version=None, **fields):
        actor = Actor(ann.id, tenant_id)
        if suffix not in made:
            api = protocol.add_api(session, suffix, [f"{suffix}.read"], tenant_id=tenant_id)
            products.allow_upstream(session, tenant_id, UPSTREAM)
            made[suffix] = api.id
        api = resources.get_api(session, OPERATOR, made[suffix])
        if version is not None:
            plan = publications.add_version(session, actor, api, str(api.id), version)
            publications.carry_out(session, plan)
            return api.id
        described = Description(f"{UPSTREAM}/openapi.json", "3.0", content)
        request = PublishRequest(str(api.id), suffix=suffix, **fields)
        plan = planning.publish(session, actor, api, request, described)
        publications.carry_out(session, plan)
        return api.id

    return publish


def shown(client, path="/apis/orders", **headers):
    answer = client.get(path, headers={"Accept": "text/html", "Accept-Language": "en", **headers})
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_anybody_reads_what_is_published(client, publish):
    publish(document(), name="Order service", description="All of them")
    page = shown(client)
    for text in ("Order service", "All of them", "/orders/{id}", "Read an order", "orders.read",
                 "Day of delivery", "required", "The order", "/orders"):  # fmt: skip
        assert text in page, text
    assert page.count("<script") == page.count(OWN_SCRIPT) == 1
    assert shown(client, "/apis/ORDERS")


def test_the_page_speaks_chinese(client, publish):
    publish(document())
    publish({**document(), "paths": {}})
    page = shown(client, **{"Accept-Language": "zh-CN"})
    assert 'lang="zh-Hans"' in page
    for text in ("不兼容的变更", "操作已删除", "发布说明", "修订", "接口描述中没有任何操作"):
        assert text in page, text
    page = shown(client)
    assert "operation removed" in page
    assert "操作已删除: " not in page.partition('id="releases"')[0]


def test_a_small_description_makes_no_large_page(client, publish):
    """References repeat one text for nothing: half a gigabyte of it, were they all followed."""
    content = document()
    day = {"$ref": "#/components/parameters/day"}
    content["components"]["parameters"]["day"]["description"] = "d" * 4000
    answers = {str(status): {"$ref": "#/components/responses/a"} for status in range(200, 260)}
    content["components"]["responses"] = {"a": {"description": "a" * 4000}}
    content["security"] = [{"oauth2": [f"scope.{number}" for number in range(500)]}]
    operation = {"parameters": [day] * 60, "responses": answers}
    content["paths"] |= {f"/p/{number}": {"get": operation} for number in range(1000)}
    publish(content)
    page = shown(client)
    assert len(page) < 2 * outline.MOST_TEXT
    assert "the rest is not shown" in page
    content["components"]["parameters"]["day"]["description"] = "d"
    content["components"]["responses"] = {"a": {"description": "a"}}
    found = outline.of(content)
    parts = [
        len(one.parameters) + len(one.answers) + len(one.scopes) + len(one.media_types)
        for section in found.sections
        for one in section.operations
    ]
    assert found.is_shortened
    assert sum(parts) <= outline.MOST_PARTS
    assert not outline.of(document()).is_shortened


def test_pages_are_not_made_without_end_for_one_network(client, publish):
    publish({**document(), "paths": {}})
    for _ in range(pages.PER_MINUTE):
        assert client.get("/apis/none", headers={"Accept": "text/html"}).status_code == 404
    assert client.get("/apis/orders").status_code == 429
    shown_elsewhere = client.get("/apis/orders", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert shown_elsewhere.status_code == 200


def test_its_sdks_are_shown_and_anybody_may_subscribe(client, session, publish, outbox):
    publish(document())
    api = resources.find_api(session, "orders")
    sdk = {"publisher": "Acme", "icon": UPSTREAM, "platform": "npm", "language": "typescript"}
    content = packages.Content(name="@acme/orders", link=f"{UPSTREAM}/sdk", version="1.2.3", **sdk)
    packages.add(session, OPERATOR, api.id, content)
    page = client.get("/apis/orders", headers={"Accept-Language": "en"})
    assert "@acme/orders 1.2.3" in " ".join(page.get_data(as_text=True).split())
    assert f'href="{UPSTREAM}/sdk"' in page.get_data(as_text=True)
    address = f"/subscriptions/{api.id}"
    answer = send(client, page, address, {"email": "ann@app.example"})
    assert answer.status_code == 303
    (mail,) = outbox()
    code = parse_qs(urlsplit(re.search(r"http\S+AddSubscription\S+", mail.text)[0]).query)["code"][
        0
    ]
    confirmed = client.get(
        f"/api/ApiResource/{api.id}/AddSubscription",
        query_string={"code": code},
        headers={"Accept": "application/json"},
    )
    assert confirmed.get_json()["code"] == 200
    # Who subscribed is told of the next publication, and where to read about it.
    publish(document(post={"responses": {"200": {"description": "Made"}}}))
    outbox()
    told = outbox()[-1]
    assert told.to == "ann@app.example"
    assert "/apis/orders" in told.text


def test_versions_have_pages_of_their_own(client, publish):
    publish(document())
    publish(None, version="v2")
    changed = document()
    changed["info"]["title"] = "Later"
    publish(changed)
    page = shown(client)
    assert 'href="/apis/orders?api-version=v2"' in page
    other = shown(client, "/apis/orders?api-version=v2")
    assert 'href="/apis/orders"' in other
    assert "?api-version=v2</code>" in other
    for query in ("?api-version=v3", "?api-version=%00", f"?api-version={HOSTILE}"):
        assert client.get(f"/apis/orders{query}").status_code in {400, 404}, query


def test_what_strangers_wrote_is_text_and_nothing_else(client, publish):
    content = document(
        put={
            "tags": [HOSTILE],
            "summary": HOSTILE,
            "description": HOSTILE,
            "parameters": [{"name": HOSTILE, "in": "query", "schema": {"type": "string"}}],
            "requestBody": {"content": {HOSTILE: {}}},
            "responses": {"200": {"description": HOSTILE}},
            "security": [{"x": [HOSTILE]}],
        }
    )
    content["paths"]["/" + HOSTILE] = {"get": {"responses": {"200": {"description": "x"}}}}
    content["info"]["description"] = HOSTILE
    publish(content, name=HOSTILE, description=HOSTILE)
    answer = client.get("/apis/orders", headers={"Accept": "text/html"})
    page = answer.get_data(as_text=True)
    assert page.count("<script") == page.count(OWN_SCRIPT) == 1
    assert "&lt;script&gt;" in page
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


def test_references_to_something_else_leave_the_page_standing(client, publish):
    content = document()
    thing = {"$ref": "#/info/title"}
    content["paths"]["/orders/{id}"]["get"] |= {
        "parameters": [thing],
        "requestBody": thing,
        "responses": {"200": thing},
    }
    publish(content)
    assert "Read an order" in shown(client)


def test_only_the_host_of_its_tenant_shows_it(session, client, new_client, publish):
    acme = protocol.add_tenant(session, "Acme", ["acme.example"])
    guest = protocol.add_tenant(session, "Guest")
    publish(document(), suffix="theirs", tenant_id=acme)
    publish(document(), suffix="guests", tenant_id=guest)
    publish(document())
    there = new_client("http://acme.example")
    assert shown(there, "/apis/theirs")
    assert there.get("/apis/orders").status_code == 404
    assert client.get("/apis/theirs").status_code == 404
    assert shown(client, "/apis/guests"), "its people sign in at issuer 1"


def test_what_is_not_published_is_404(session, client, publish):
    api_id = publish(document())
    assert client.get("/apis/none").status_code == 404
    resources.get_api(session, OPERATOR, api_id).enabled = False
    assert client.get("/apis/orders").status_code == 404


def test_the_page_costs_the_same_for_one_version_and_for_many(runtime, client, publish):
    publish(document())
    shown(client)
    with center.statements(runtime.engine) as one:
        shown(client)
    for number in range(3):
        publish(None, version=f"v{number}")
    shown(client)
    with center.statements(runtime.engine) as many:
        shown(client)
    assert len(many) == len(one)
