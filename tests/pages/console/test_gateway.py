"""The gateway in the console: publishing in two steps, switching, products, upstreams."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import func, select

from idp.directory.resources import service as resources
from idp.platform.audit.tags import Tag
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.gateway import access, products
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.models import ProductSubscription, PublicationDraft
from idp.publishing.gateway.products import NewProduct
from idp.publishing.gateway.state import Difference, Drift
from tests.pages.browsing import HTML, csrf_token, events, readable, statements
from tests.protocol import (
    add_api,
    add_person,
    add_role,
    add_tenant,
    register,
    sign_in,
)

PATH = "/console/platform/gateway"
ORIGIN = "https://orders.internal"
STAMP = re.compile(r'name="stamp"[^>]* value="([0-9a-f]+)"')
HOSTILE = "<b>\u202e'\"&"
ACTS = (
    *("versions", "publish", "publishrevision", "publishversion", "setonlineversion"),
    *("postrelease", "deleterelease"),
)


def description(*, paths: Any = None, server: str = ORIGIN, title: str = "Orders") -> bytes:
    """Write a description with one operation, or with these."""
    paths = paths or {"/orders": {"get": {"responses": {"200": {"description": "All"}}}}}
    about = {"title": title, "version": "1"}
    document = {"openapi": "3.0.3", "info": about, "servers": [{"url": server}], "paths": paths}
    return json.dumps(document).encode()


OTHER = {"/things": {"get": {"responses": {"200": {"description": "All"}}}}}


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(address, data={"csrf_token": token, **form}, headers=HTML)

    return post


@pytest.fixture
def orders(session):
    """Add an API of the platform that may be published."""
    api = add_api(session, "orders", ["orders.read"])
    products.allow_upstream(session, 1, ORIGIN)
    session.commit()
    return api


@pytest.fixture
def publish(client, send):
    """Check a publication with a file, and carry it out."""

    def both(api_id, content=None, base=PATH, **form):
        file = (BytesIO(content or description()), "orders.json")
        values = {"suffix": "orders", "name": "Orders", "file": file} | form
        checked = send(f"{base}/{api_id}/publish", **values)
        assert checked.status_code == 303, readable(checked)
        return send(checked.location)

    return both


def revise(client, send, api_id, content, base=PATH):
    file = (BytesIO(content), "later.json")
    checked = send(f"{base}/{api_id}/versions/{api_id}/revise", file=file, note="Later")
    assert checked.status_code == 303, readable(checked)
    assert send(checked.location).status_code == 303


def state_of(session, api_id):
    session.expire_all()
    return gateway.find(session, api_id)


def test_nothing_is_published_before_the_result_was_shown(client, session, root, send, orders):
    file = (BytesIO(description()), "../../orders.json")
    checked = send(f"{PATH}/{orders.id}/publish", suffix="orders", name="Orders", file=file)
    assert checked.status_code == 303
    assert state_of(session, orders.id) is None
    page = readable(client.get(checked.location))
    for text in ("OpenAPI 3.0", ORIGIN, "file:orders.json", "Nothing has been changed yet"):
        assert text in page
    assert send(checked.location).location == f"{PATH}/{orders.id}"
    state = state_of(session, orders.id)
    assert (state.suffix, state.versions[0].current.source_url) == ("orders", "file:orders.json")
    (event,) = events(session, Tag.PUBLICATION_CHANGED)
    assert event.user_id == root.id
    page = readable(client.get(f"{PATH}/{orders.id}"))
    for text in ("/orders", ORIGIN, "Online", "Publication changed"):
        assert text in page
    assert "/orders" in readable(client.get(PATH))
    assert f"/{orders.id}/publish" not in readable(client.get(f"{PATH}/new"))


def test_a_check_is_carried_out_once_and_by_whoever_made_it(
    client, new_client, session, root, send, orders
):
    file = (BytesIO(description()), "a.json")
    checked = send(f"{PATH}/{orders.id}/publish", suffix="orders", file=file)
    other = new_client()
    person = add_person(session, "other")
    add_role(session, person, "administrators", tenant_id=None)
    sign_in(other, session, person)
    assert other.get(checked.location, headers=HTML).status_code == 404
    token = csrf_token(other.get("/login?prompt=login"))
    assert other.post(checked.location, data={"csrf_token": token}).status_code == 404
    assert send(checked.location).status_code == 303
    assert send(checked.location).status_code == 404
    assert state_of(session, orders.id).number == 1


def test_a_check_of_an_earlier_state_is_refused(client, session, root, send, orders, publish):
    publish(orders.id)
    file = (BytesIO(description(paths=OTHER)), "a.json")
    checked = send(f"{PATH}/{orders.id}/publish", suffix="orders", file=file)
    draft = session.scalars(select(PublicationDraft)).one()
    stale = draft.stamp
    session.expire_all()
    draft.stamp = "former"
    session.commit()
    refused = send(checked.location)
    assert refused.status_code == 409
    assert "changed by someone else" in readable(refused)
    draft.stamp = stale
    session.commit()
    assert send(checked.location).status_code == 303


def test_a_draft_ends_after_an_hour(client, session, root, send, orders, clock):
    file = (BytesIO(description()), "a.json")
    checked = send(f"{PATH}/{orders.id}/publish", suffix="orders", file=file)
    draft = session.scalars(select(PublicationDraft)).one()
    draft.expires_at = draft.created_at
    session.commit()
    assert client.get(checked.location, headers=HTML).status_code == 404
    assert send(checked.location).status_code == 404


def test_what_cannot_be_published_is_refused_with_its_reason(session, root, send, orders):
    for content, form, status, text in (
        (b"[]", {}, 409, "it is not an object"),
        (b"{}", {}, 409, "neither OpenAPI 3 nor Swagger 2"),
        (b"\xff\xfe", {}, 409, ""),
        (description(server="https://evil.example"), {}, 409, "https://evil.example"),
        (description(server="/v1"), {}, 409, "allowed upstream"),
        (description(), {"suffix": "a/b"}, 400, "Must have up to 32 letters and digits."),
        (description(), {"suffix": "console"}, 400, "This suffix is reserved."),
        (description(), {"suffix": ""}, 409, "Missing: suffix"),
        (description(), {"suffix": "x" * 10_000}, 400, "too long"),
        (description(), {"scope": "other.read"}, 400, "Not a scope of this microservice."),
        (description(), {"product_ids": "none"}, 400, "Product not found."),
        (description(), {"policy": "<policy/>"}, 400, "does not support policies"),
        (description(), {"aid": "7"}, 400, "A number must be"),
        (None, {"swagger_url": "http://127.0.0.1:1/x"}, 400, ""),
        (None, {}, 409, "Missing: swaggerUrl"),
    ):
        sent = {"suffix": "orders", **form}
        if content is not None:
            sent["file"] = (BytesIO(content), "a.json")
        answer = send(f"{PATH}/{orders.id}/publish", **sent)
        assert answer.status_code == status, (form, readable(answer))
        assert text in readable(answer), form
    assert session.scalar(select(func.count()).select_from(PublicationDraft)) == 0


def test_a_revision_goes_online_after_its_breaking_changes_were_shown(
    client, session, root, send, orders, publish
):
    publish(orders.id)
    revise(client, send, orders.id, description(paths=OTHER))
    assert state_of(session, orders.id).versions[0].current.number == 1
    address = f"{PATH}/{orders.id}/versions/{orders.id}/revisions/2/online"
    page = client.get(address, headers=HTML)
    assert "operation removed" in readable(page)
    assert "GET /orders" in readable(page)
    seen = state_of(session, orders.id).stamp
    assert send(address).status_code == 400
    assert send(address, seen="former").status_code == 409
    assert state_of(session, orders.id).versions[0].current.number == 1
    assert send(address, seen=seen).location == f"{PATH}/{orders.id}"
    assert send(address, seen=seen).status_code == 409
    version = state_of(session, orders.id).versions[0]
    assert version.current.number == 2
    assert "GET /orders" in version.releases[-1].notes
    for other in ("versions/none/revisions/1", f"versions/{orders.id}/revisions/77"):
        assert client.get(f"{PATH}/{orders.id}/{other}/online").status_code == 404


def test_versions_and_release_notes_are_added_and_removed(
    client, session, root, send, orders, publish
):
    publish(orders.id)
    base, revision = f"{PATH}/{orders.id}", f"{orders.id};rev=1"
    for name, status in (("", 400), ("a b", 400), ("x" * 10_000, 400), ("v2", 303), ("v2", 400)):
        answer = send(f"{base}/versions", revision_id=revision, api_version_name=name)
        assert answer.status_code == status, name
    assert send(f"{base}/versions", revision_id="none", api_version_name="v3").status_code == 404
    assert [version.name for version in state_of(session, orders.id).versions] == ["", "v2"]
    assert send(f"{base}/releases", revision=revision, notes="").status_code == 400
    assert send(f"{base}/releases", revision=revision, notes=HOSTILE).status_code == 303
    page = client.get(base).get_data(as_text=True)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    release = state_of(session, orders.id).versions[0].releases[0].name
    assert send(f"{base}/releases/{release}/remove").status_code == 303
    assert send(f"{base}/releases/{release}/remove").status_code == 404
    assert state_of(session, orders.id).versions[0].releases == ()


@pytest.fixture
def ann(client, session):
    """Sign in somebody who publishes APIs in Acme; return them and the tenant."""
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    codes = [f"ids4.ms.apiresource.{act}" for act in ACTS]
    add_role(session, user, "publisher", codes, tenant_id=acme)
    sign_in(client, session, user)
    return user, acme


def owned(session, user, name, tenant_id):
    api = add_api(session, name, [f"{name}.read"], tenant_id=tenant_id)
    resources.link_owner(session, api, user.id)
    products.allow_upstream(session, tenant_id, ORIGIN)
    session.commit()
    return api


def test_a_tenant_publishes_its_own_apis_and_sees_no_others(
    client, new_client, session, ann, send, publish, runtime
):
    user, acme = ann
    base = f"/console/t/{acme}/gateway"
    mine = owned(session, user, "mine", acme)
    assert publish(mine.id, base=base, suffix="mine").location == f"{base}/{mine.id}"
    other = owned(session, user, "elsewhere", add_tenant(session, "Bluefen"))
    boss = new_client()
    root = add_person(session, "root")
    add_role(session, root, "administrators", tenant_id=None)
    sign_in(boss, session, root)
    token = csrf_token(boss.get("/login?prompt=login"))
    file = (BytesIO(description()), "a.json")
    form = {"csrf_token": token, "suffix": "other", "file": file}
    checked = boss.post(f"{PATH}/{other.id}/publish", data=form, headers=HTML)
    assert boss.post(checked.location, data={"csrf_token": token}).status_code == 303
    page = readable(client.get(base)).partition('id="rows"')[2]
    assert "/mine" in page
    assert "/other" not in page
    aid = f"versions/{other.id}"
    for address in ("", "/publish", f"/{aid}/revise", f"/{aid}/revisions/1/online", "/compare"):
        assert client.get(f"{base}/{other.id}{address}", headers=HTML).status_code == 404, address
    for address in (
        *("/publish", f"/{aid}/revise", f"/{aid}/revisions/1/online", "/versions"),
        *("/releases", "/releases/1/remove", "/drafts/1"),
    ):
        answer = send(f"{base}/{other.id}{address}", suffix="x", seen="x", notes="x")
        assert answer.status_code == 404, address
    # What belongs to one API is not reached through another.
    foreign = f"{base}/{mine.id}/versions/{other.id}"
    assert client.get(f"{foreign}/revise", headers=HTML).status_code == 404
    assert client.get(f"{foreign}/revisions/1/online", headers=HTML).status_code == 404
    for address in ("products", "upstreams", "differences"):
        assert client.get(f"{base}/{address}", headers=HTML).status_code == 404
        assert client.get(f"{PATH}/{address}", headers=HTML).status_code == 404


def test_whoever_may_only_read_publishes_nothing(client, session, send, orders):
    acme = add_tenant(session)
    reader = add_person(session, "reader", tenant_ids=(acme,))
    add_role(session, reader, "reader", ["ids4.ms.apiresource.versions"], tenant_id=acme)
    sign_in(client, session, reader)
    api = owned(session, reader, "mine", acme)
    base = f"/console/t/{acme}/gateway/{api.id}"
    page = readable(client.get(base))
    assert "Needs the permission ids4.ms.apiresource.publish" in page
    assert send(f"{base}/publish", suffix="x").status_code == 403
    draft = PublicationDraft(
        api_resource_id=api.id,
        user_id=reader.id,
        action="publish",
        request_encrypted="x",
        source_url="-",
        document=b"",
        stamp="",
        expires_at=api.created_at.replace(year=2099),
    )
    session.add(draft)
    session.commit()
    assert send(f"{base}/drafts/{draft.id}").status_code == 403


def test_the_list_needs_as_many_queries_for_many_as_for_one(
    client, session, root, send, publish, runtime
):
    tables = ("publication", "publication_version", "publication_revision", "api_resource")
    products.allow_upstream(session, 1, ORIGIN)
    counts = []
    for number in range(4):
        api = add_api(session, f"api{number}", [f"api{number}.read"])
        session.commit()
        publish(api.id, suffix=f"api{number}")
        if number in {0, 3}:
            assert client.get(PATH).status_code == 200  # what is configured is in the cache now
            counts.append(len(statements(runtime, client, PATH, *tables)))
    assert counts[0] == counts[1]


def test_a_product_is_added_changed_and_removed(client, session, root, send, orders, publish):
    base = f"{PATH}/products"
    for form, status in (
        ({"pid": "a b", "name": "Gold"}, 400),
        ({"pid": "x" * 10_000, "name": "Gold"}, 400),
        ({"pid": "gold", "name": ""}, 400),
        ({"pid": "gold", "name": "\u202e"}, 400),
        ({"pid": "gold", "name": "Gold", "subscriptions_limit": "0"}, 400),
        ({"pid": "gold", "name": "Gold", "tenant": "77"}, 404),
        ({"pid": "gold", "name": "Gold", "is_published": "y"}, 303),
        ({"pid": "gold", "name": "Gold"}, 409),
    ):
        assert send(f"{base}/new", **form).status_code == status, form
    changed = send(f"{base}/gold", name="Golden", subscriptions_limit="3", is_published="y")
    assert changed.status_code == 303
    row = products.get_product(session, "gold")
    session.refresh(row)
    assert (row.name, row.subscriptions_limit, row.subscription_required) == ("Golden", 3, False)
    assert "Golden" in readable(client.get(f"{base}?q=GOLD"))
    publish(orders.id, product_ids="gold")
    refused = send(f"{base}/gold/remove", typed="gold")
    assert refused.status_code == 409
    assert str(orders.id) in readable(refused)
    publish(orders.id)
    assert send(f"{base}/gold/remove", typed="silver").status_code == 400
    assert send(f"{base}/gold/remove", typed="gold").status_code == 303
    for address in ("/gold", "/gold/remove"):
        assert client.get(f"{base}{address}", headers=HTML).status_code == 404
        assert send(f"{base}{address}", name="x", typed="gold").status_code == 404


def test_two_people_do_not_overwrite_each_other_s_product(client, session, root, send):
    products.add_product(session, NewProduct("gold", "Gold", terms="Old"))
    session.commit()
    address = f"{PATH}/products/gold"
    seen = STAMP.search(client.get(address).get_data(as_text=True))[1]
    values = {"name": "Gold", "is_published": "y", "subscription_required": "y"}
    assert send(address, **values, terms="Theirs", stamp=seen).status_code == 303
    refused = send(address, **values, terms="Yours", stamp=seen)
    assert refused.status_code == 409
    page = readable(refused)
    for text in ("Nothing was saved", "Theirs", "Yours", "Changed by"):
        assert text in page
    session.expire_all()
    assert products.get_product(session, "gold").terms == "Theirs"
    current = STAMP.search(refused.get_data(as_text=True))[1]
    assert send(address, **values, terms="Yours", stamp=current).status_code == 303
    session.expire_all()
    assert products.get_product(session, "gold").terms == "Yours"
    for stamp in ("x" * 10_000, "<b>"):
        assert send(address, **values, stamp=stamp).status_code in {400, 409}


def test_a_client_is_subscribed_suspended_resumed_and_ended(client, session, root, send):
    products.add_product(session, NewProduct("gold", "Gold", subscriptions_limit=1))
    register(session, "shop", client_name=HOSTILE)
    register(session, "other")
    base = f"{PATH}/products/gold"
    for name, status in (("", 400), ("nobody", 404), ("shop", 303), ("shop", 303), ("other", 409)):
        assert send(f"{base}/subscribe", client=name).status_code == status, name
    row = session.scalars(select(ProductSubscription)).one()
    page = client.get(base).get_data(as_text=True)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    for act, suspended in (("suspend", True), ("suspend", True), ("resume", False)):
        assert send(f"{base}/{act}", client="shop").status_code == 303
        session.refresh(row)
        assert row.is_suspended is suspended
    actions = [event.details["action"] for event in events(session, Tag.GATEWAY_CHANGED)]
    assert actions == ["added", "subscribed", "suspended", "resumed"]
    assert send(f"{base}/suspend", client="other").status_code == 404
    assert send(f"{base}/suspend").status_code == 404
    assert send(f"{base}/unsubscribe", client="shop").status_code == 303
    assert send(f"{base}/unsubscribe", client="shop").status_code == 404


def test_a_suspended_client_is_not_among_those_that_may_call(session, orders):
    products.add_product(session, NewProduct("gold", "Gold"))
    app = register(session, "shop")
    products.subscribe(session, "gold", "shop")
    session.commit()

    def admitted() -> frozenset[int]:
        session.expire_all()
        (view,) = access._products(session, ["gold"], 1)
        return view.client_row_ids

    assert admitted() == {app.row_id}
    products.suspend(session, "gold", "shop")
    assert admitted() == frozenset()
    products.suspend(session, "gold", "shop", ends=True)
    assert admitted() == {app.row_id}


def test_an_upstream_is_removed_after_what_closes_was_shown(
    client, session, root, send, orders, publish
):
    base = f"{PATH}/upstreams"
    publish(orders.id)
    for form, status in (
        ({"tenant": "1", "url": "ftp://x"}, 400),
        ({"tenant": "x", "url": ORIGIN}, 400),
        ({"tenant": "1", "url": "https://" + "x" * 10_000}, 400),
        ({"tenant": "77", "url": ORIGIN}, 404),
        ({"tenant": "1", "url": "https://other.internal"}, 303),
        ({"tenant": "1", "url": "https://other.internal"}, 303),
    ):
        assert send(base, **form).status_code == status, form
    rows = {row.url: row.id for row in products.list_upstreams(session)}
    assert len(rows) == 2
    assert "closes at once" not in readable(
        client.get(f"{base}/{rows['https://other.internal']}/remove")
    )
    assert "1 publication closes at once" in readable(client.get(f"{base}/{rows[ORIGIN]}/remove"))
    assert send(f"{base}/{rows[ORIGIN]}/remove").status_code == 303
    assert send(f"{base}/{rows[ORIGIN]}/remove").status_code == 404
    assert "Closed: upstream not allowed" in readable(client.get(f"{PATH}/{orders.id}"))


@pytest.mark.parametrize("found", [[], [Difference("idp-api-1", Drift.MISSING, 1)], None])
def test_differences_are_shown(client, root, monkeypatch, found):
    monkeypatch.setattr(gateway, "compare_all", lambda _session: found)
    monkeypatch.setattr(gateway, "kind", lambda _session: "local" if found is None else "caddy")
    page = readable(client.get(f"{PATH}/differences"))
    if found is None:
        assert "There is no gateway to compare with." in page
    elif found:
        assert "Missing at the gateway" in page
    else:
        assert "The gateway matches everything" in page


@pytest.mark.settings(gateway="caddy+http://127.0.0.1:9")
def test_a_gateway_that_does_not_respond_is_said_and_leaves_a_job(
    client, session, root, send, orders, publish
):
    refused = publish(orders.id)
    assert refused.status_code in {404, 409}
    assert state_of(session, orders.id) is None
    job = session.scalars(select(OutboxMessage).where(OutboxMessage.job == "gateway-change")).one()
    assert job.lane == "gateway"
    assert "is not responding" in readable(client.get(f"{PATH}/differences"))
