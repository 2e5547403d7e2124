"""Publications without a gateway: what the operations do to the rows."""

from __future__ import annotations

import json
import threading
from functools import partial

import pytest
from sqlalchemy import select, text

from idp.directory.resources.models import ApiResource
from idp.oauth.server import offer
from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.jobs.worker import Job
from idp.platform.web.requests import HOSTLESS
from idp.publishing import slots
from idp.publishing.descriptions import parsing
from idp.publishing.gateway import announcements, products, tables
from idp.publishing.gateway.models import Publication, PublicationVersion
from idp.publishing.gateway.service import describing, planning
from tests import protocol
from tests.api import center
from tests.delivery import JOBS, deliver_due
from tests.gateway.sites import description


def waiting(session, job):
    """List the payloads of a job that waits in the outbox."""
    session.expire_all()
    query = select(OutboxMessage).where(OutboxMessage.job == job, OutboxMessage.done_at.is_(None))
    keyring = session.info["runtime"].keyring
    return [
        json.loads(keyring.decrypt(jobs.PURPOSE, row.payload_encrypted))
        for row in session.scalars(query)
    ]


# Done


def test_what_is_published_is_read_again(session, orders, site):
    assert orders.publish() == {
        "code": 200,
        "codeName": "Status200OK",
        "message": None,
        "data": True,
    }
    (version,) = orders.versions()
    assert version["id"] == f"/apis/{orders.id}"
    assert (version["name"], version["description"]) == ("Orders", "What was ordered")
    assert (version["path"], version["serviceUrl"]) == ("orders", site.origin)
    assert (version["apiRevision"], version["apiVersion"]) == ("1", None)
    (revision,) = version["revisions"]
    assert revision["apiId"] == f"/apis/{orders.id};rev=1"
    assert (revision["isCurrent"], revision["isOnline"]) == (True, True)
    assert revision["createdDateTime"].endswith("Z")
    stored = tables.document(session, str(orders.id), 1)
    assert set(stored["paths"]["/orders"]) == {"get", "post"}
    (event,) = audit.search(session, Filters(tag=Tag.PUBLICATION_CHANGED))
    assert (event.target, event.details["action"]) == ("publication:orders", "publish")
    assert event.user_id == orders.caller.user.id


def test_the_last_configuration_is_what_was_asked_for(session, orders):
    path = f"/ApiResource/{orders.id}/PublishConfiguration"
    assert orders.caller.call("GET", path)["data"] is None
    products.add_product(session, products.NewProduct("gold", "Gold"))
    orders.publish(productIds=["/products/gold"], scope="orders.read")
    found = orders.caller.data("GET", path)
    assert found == {
        **orders.body(productIds=["/products/gold"], scope="orders.read"),
        "authorizationServerId": None,
        "openid": None,
        "policy": None,
    }
    stored = session.scalars(select(Publication.configuration_encrypted)).one()
    assert "orders.json" not in stored


def test_publishing_is_announced_to_every_listener(session, orders, runtime, monkeypatch):
    orders.publish()
    assert waiting(session, announcements.JOB) == [{"api_id": orders.id, "version": 1}]
    heard = []
    lanes = dict.fromkeys(("first", "second"), "notify")
    monkeypatch.setitem(JOBS, announcements.JOB, Job(partial(announcements.spread, lanes)))
    for name in lanes:
        job = Job(lambda _, payload, name=name: heard.append((name, dict(payload))))
        monkeypatch.setitem(JOBS, name, job)
    session.commit()
    deliver_due(runtime)
    assert heard == [(name, {"api_id": orders.id, "version": 1}) for name in ("first", "second")]
    orders.publish()
    assert waiting(session, announcements.JOB) == [{"api_id": orders.id, "version": 2}]


def test_publishing_the_same_description_again_changes_settings_only(orders):
    orders.publish()
    orders.publish(name="Orders again", suffix="Bestellungen")
    (version,) = orders.versions()
    assert (version["name"], version["path"]) == ("Orders again", "Bestellungen")
    assert [row["apiRevision"] for row in version["revisions"]] == ["1"]


def test_publishing_another_description_is_a_revision_that_is_online(orders, site):
    orders.publish()
    changed = description(site.origin)
    del changed["paths"]["/orders"]["post"]
    site.describe("/orders.json", changed)
    orders.publish()
    (version,) = orders.versions()
    shown = [(row["apiRevision"], row["isCurrent"]) for row in version["revisions"]]
    assert shown == [("2", True), ("1", False)]
    releases = f"/ApiResource/{orders.id}/Releases"
    (release,) = orders.caller.data("GET", releases, apiId=f"/apis/{orders.id}")
    assert "operation removed: POST /orders" in release["notes"]


def test_a_revision_waits_until_it_is_put_online(session, orders, site):
    orders.publish()
    changed = description(site.origin)
    changed["paths"]["/orders"]["get"]["parameters"] = [
        {"name": "day", "in": "query", "required": True, "schema": {"type": "string"}}
    ]
    site.describe("/orders.json", changed)
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url, "releaseNote": "By day"}
    path = f"/ApiResource/{orders.id}"
    assert orders.caller.data("POST", f"{path}/PublishRevision", body) is True
    (version,) = orders.versions()
    newest, first = version["revisions"]
    assert (newest["description"], newest["isCurrent"]) == ("By day", False)
    assert first["isCurrent"]
    assert orders.caller.data("POST", f"{path}/Versions/{orders.id};rev=2") is True
    (version,) = orders.versions()
    assert [row["isCurrent"] for row in version["revisions"]] == [True, False]
    (release,) = orders.caller.data("GET", f"{path}/Releases", apiId=str(orders.id))
    assert release["id"].startswith(f"/apis/{orders.id}/releases/")
    assert "parameter is now required: GET /orders query day" in release["notes"]
    orders.caller.data("POST", f"{path}/Versions/{orders.id};rev=1")
    assert [row["isCurrent"] for row in orders.versions()[0]["revisions"]] == [False, True]
    state = tables.find(session, orders.id)
    assert state.versions[0].find(2).breaking == ("parameter-required GET /orders query day",)


def test_a_version_has_an_id_of_its_own_and_the_products_of_its_source(session, orders):
    products.add_product(session, products.NewProduct("gold", "Gold"))
    orders.publish(productIds=["/products/gold"])
    path = f"/ApiResource/{orders.id}/PublishVersion"
    body = {"revisionId": f"{orders.id};rev=1", "apiVersionName": "V2"}
    assert orders.caller.data("POST", path, body) is True
    original, second = orders.versions()
    assert second["apiVersion"] == "v2"
    assert len(second["id"].removeprefix("/apis/")) == 32
    assert second["apiVersionSetId"] == original["apiVersionSetId"]
    rows = session.scalars(select(PublicationVersion)).all()
    assert [row.product_ids for row in rows] == [["gold"], ["gold"]]
    assert "apiVersionName" in orders.caller.refused("POST", path, body)
    for name in ("", " ", "a b", "../x", "ü", "-"):
        refused = orders.caller.refused("POST", path, {**body, "apiVersionName": name})
        assert set(refused) == {"apiVersionName"}, name
    for source in ("", "x", f"{orders.id};rev=9", f"{orders.id};rev=x", ";rev=1"):
        assert orders.caller.misses("POST", path, {**body, "revisionId": source}), source


def test_release_notes_are_made_changed_and_removed(orders):
    orders.publish()
    path = f"/ApiResource/{orders.id}/Releases"
    for notes in ("First", "Second"):
        assert orders.caller.data("POST", path, {"aid": f"{orders.id};rev=1", "notes": notes})
    first, second = orders.caller.data("GET", path, apiId=str(orders.id))
    assert [row["notes"] for row in (first, second)] == ["First", "Second"]
    name = first["id"].rpartition("/")[2]
    assert orders.caller.data("PUT", f"{path}/{name}", {"notes": "Changed"}) is True
    assert orders.caller.data("DELETE", f"{path}/{second['id'].rpartition('/')[2]}") is True
    (left,) = orders.caller.data("GET", path, apiId=f"/apis/{orders.id}")
    assert (left["id"], left["notes"]) == (first["id"], "Changed")
    assert orders.caller.misses("PUT", f"{path}/1", {"notes": "x"})
    assert orders.caller.misses("DELETE", f"{path}/1")
    assert orders.caller.misses("POST", path, {"aid": "other", "notes": "x"})
    assert orders.caller.call("DELETE", f"{path}/%20")["code"] == 300007


def test_a_note_about_a_revision_puts_nothing_online(orders, site):
    orders.publish()
    site.describe("/orders.json", description(site.origin, title="Other"))
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url}
    orders.caller.data("POST", f"/ApiResource/{orders.id}/PublishRevision", body)
    body = {"aid": f"{orders.id};rev=2", "notes": "Soon"}
    orders.caller.data("POST", f"/ApiResource/{orders.id}/Releases", body)
    assert [row["isCurrent"] for row in orders.versions()[0]["revisions"]] == [False, True]


def test_nothing_published_has_a_code(orders):
    path = f"/ApiResource/{orders.id}"
    call = orders.caller.call
    assert call("GET", f"{path}/Versions")["codeName"] == "Versions_GetDetailFailed"
    assert call("GET", f"{path}/Releases")["codeName"] == "Releases_IdCanNotBeNull"
    found = call("GET", f"{path}/Releases", apiId="1")
    assert (found["code"], found["codeName"]) == (300008, "Releases_GetVersionListFailed")
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url}
    found = call("POST", f"{path}/PublishRevision", body)
    assert (found["code"], found["codeName"]) == (300004, "PublishRevision_GetDetailFailed")
    assert orders.caller.misses("POST", f"{path}/Versions/{orders.id};rev=1")
    body = {"revisionId": str(orders.id), "apiVersionName": "v2"}
    assert orders.caller.misses("POST", f"{path}/PublishVersion", body)


def test_products_and_servers_are_those_of_the_tenant(session, client, orders):
    other = protocol.add_tenant(session, "Other")
    for tenant_id, pid in ((None, "all"), (1, "ours"), (other, "theirs")):
        new = products.NewProduct(pid, pid.title(), tenant_id=tenant_id, subscriptions_limit=5)
        products.add_product(session, new)
        products.add_server(session, products.NewServer(pid, pid.title(), tenant_id=tenant_id))
    session.commit()
    found = orders.caller.data("GET", "/ApiResource/Products")
    assert [row["id"] for row in found["value"]] == ["/products/all", "/products/ours"]
    assert (found["count"], found["nextLink"]) == (2, None)
    assert found["value"][0]["subscriptionRequired"] == "true"
    assert found["value"][0]["subscriptionsLimit"] == "5"
    found = orders.caller.data("GET", "/ApiResource/AuthServers")
    assert [row["name"] for row in found["value"]] == ["All", "Ours"]
    assert found["value"][0]["tokenEndpoint"] == "http://127.0.0.1:8000/connect/token"
    assert found["value"][0]["clientSecret"] is None
    for field in ("authorizationServerId", "openid"):
        path = f"/ApiResource/{orders.id}/Publish"
        assert set(orders.caller.refused("PUT", path, orders.body(**{field: "theirs"}))) == {field}
        assert orders.publish(**{field: "ours"})["code"] == 200
    body = orders.body(productIds=["/products/theirs"])
    assert set(orders.caller.refused("PUT", path, body)) == {"productIds[0]"}


# Refused


def test_nothing_is_published_without_an_allowed_upstream(session, orders, site):
    products.forbid_upstream(session, 1, site.origin)
    found = orders.publish()
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert site.origin in found["message"]
    # Another tenant's list does not count, nor one that only looks like it.
    other = protocol.add_tenant(session, "Other")
    products.allow_upstream(session, other, site.origin)
    for url in (f"{site.origin}1", f"http://localhost:{site.port}", f"{site.origin}/base"):
        if site.port * 10 + 1 < 65536 or not url.endswith("1"):
            products.allow_upstream(session, 1, url)
    assert orders.publish()["code"] == 300011
    assert session.scalar(select(Publication)) is None


@pytest.mark.no_database
@pytest.mark.parametrize(
    "server",
    [
        "http://127.0.0.1:1",
        "http://127.0.0.1:{port}@evil.example",
        "http://evil.example#127.0.0.1:{port}",
        "{origin}/../admin",
        "{origin}/a/%2e%2e/b",
        "{origin}//evil.example",
        "//evil.example",
        "http://user@127.0.0.1:{port}",
        "file:///etc/passwd",
        "http://{{host}}/",
    ],
)
def test_the_description_alone_does_not_choose_the_upstream(session, orders, site, server):
    url = server.format(origin=site.origin, port=site.port)
    site.describe("/orders.json", description(url))
    assert orders.publish()["code"] == 300011
    assert session.scalar(select(Publication)) is None


def test_an_upstream_may_be_below_an_allowed_path_and_never_beside_it(session, orders, site):
    products.forbid_upstream(session, 1, site.origin)
    products.allow_upstream(session, 1, f"{site.origin}/base/")
    for path, code in (("/bases", 300011), ("/", 300011), ("/base", 200), ("/base/v1", 200)):
        site.describe("/orders.json", description(site.origin + path))
        assert orders.publish()["code"] == code, path
    assert orders.versions()[0]["serviceUrl"] == f"{site.origin}/base/v1"


def test_the_first_allowed_server_of_several_is_taken(orders, site):
    changed = description("http://evil.example")
    changed["servers"].append({"url": f"{site.origin}/v1"})
    site.describe("/orders.json", changed)
    assert orders.publish()["code"] == 200
    assert orders.versions()[0]["serviceUrl"] == f"{site.origin}/v1"


def test_an_upstream_that_is_forbidden_later_is_not_put_online_again(
    session, orders, site, backends
):
    orders.publish()
    other = backends[1].origin
    products.allow_upstream(session, 1, other)
    site.describe("/orders.json", description(other))
    orders.publish()
    products.forbid_upstream(session, 1, site.origin)
    found = orders.caller.call("POST", f"/ApiResource/{orders.id}/Versions/{orders.id};rev=1")
    assert (found["code"], found["codeName"]) == (300010, "SetOnlineVersion_PostFailed")
    assert site.origin in found["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("apiId", ""),
        ("suffix", None),
        ("swaggerUrl", None),
        ("swaggerUrl", " "),
    ],
)
def test_what_an_import_needs_is_asked_for_by_name(orders, field, value):
    found = orders.publish(**{field: value})
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert field in found["message"]
    language = orders.caller.call(
        "PUT", f"/ApiResource/{orders.id}/Publish", orders.body(**{field: value}), culture="en"
    )
    assert language["message"].isascii()


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("apiId", "a b"),
        ("apiId", "../x"),
        ("apiId", "x;rev=1"),
        ("apiId", "1"),
        ("suffix", "a-b"),
        ("suffix", "connect"),
        ("suffix", "API"),
        ("suffix", "x" * 33),
        ("swaggerUrl", "ftp://x.example/"),
        ("swaggerUrl", "http://169.254.169.254/latest"),
        ("swaggerUrl", "https://user@x.example/"),
        ("scope", "ids4.ms.all"),
        ("policy", "<policies/>"),
        ("productIds", ["/products/none"]),
        ("productIds", ["../x"]),
    ],
)
def test_values_without_an_effect_are_refused(session, orders, field, value):
    path = f"/ApiResource/{orders.id}/Publish"
    fields = orders.caller.refused("PUT", path, orders.body(**{field: value}))
    assert [name.partition("[")[0] for name in fields] == [field]
    assert session.scalar(select(Publication)) is None


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/openapi.json", "https://[::1]/openapi.json", "https://localhost/"]
)
def test_a_description_at_an_inner_address_is_not_fetched(session, orders, url):
    found = orders.publish(swaggerUrl=url)
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert session.scalar(select(Publication)) is None


@pytest.mark.no_database
def test_no_first_step_of_our_own_paths_can_be_a_suffix(app):
    ours = [rule.rule for rule in app.url_map.iter_rules()]
    ours += [*offer().endpoints, "/gateway/verify", *HOSTLESS]
    first = {path.split("/")[1].lower() for path in ours}
    # A suffix has letters and digits only.
    assert {step for step in first if step.isalnum()} <= planning.RESERVED


def test_descriptions_are_fetched_a_few_at_a_time_and_not_without_end(session, orders, monkeypatch):
    assert orders.publish()["code"] == 200
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url}
    asked = (
        ("PUT", f"/ApiResource/{orders.id}/Publish", orders.body(name="Other")),
        ("POST", f"/ApiResource/{orders.id}/PublishRevision", body),
    )
    with monkeypatch.context() as patch:
        patch.setattr(slots, "_free", threading.BoundedSemaphore(1))
        with slots.taken():
            for method, path, said in asked:
                answer = orders.caller.send(method, path, said)
                assert answer.status_code == 503
                assert answer.headers["Retry-After"]
    monkeypatch.setattr(describing, "FETCHES_PER_HOUR", 1)
    assert orders.publish()["code"] == 200
    for method, path, said in asked:
        answer = orders.caller.send(method, path, said)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"]
    assert len(orders.versions()[0]["revisions"]) == 1


def test_nobody_takes_the_suffix_or_the_id_of_another(session, new_orders):
    first, second = new_orders("orders"), new_orders("invoices")
    assert first.publish(apiId="mine")["code"] == 200
    found = second.publish(suffix="ORDERS")
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    path = f"/ApiResource/{second.id}/Publish"
    for aid in ("mine", str(first.id)):
        body = second.body(apiId=aid, suffix="invoices")
        assert set(second.caller.refused("PUT", path, body)) == {"apiId"}
    assert second.publish(suffix="invoices")["code"] == 200
    # What one publishes under is fixed; more is a version.
    path = f"/ApiResource/{first.id}/Publish"
    assert set(first.caller.refused("PUT", path, first.body(apiId="other"))) == {"apiId"}
    # Versions, releases and revisions of another's do not answer either.
    path = f"/ApiResource/{second.id}"
    assert second.caller.call("GET", f"{path}/Releases", apiId="mine")["code"] == 300008
    assert second.caller.misses("POST", f"{path}/Versions/mine;rev=1")
    assert second.caller.misses("POST", f"{path}/Releases", {"aid": "mine", "notes": "x"})
    first.caller.data("POST", f"/ApiResource/{first.id}/Releases", {"aid": "mine", "notes": "x"})
    (release,) = first.caller.data("GET", f"/ApiResource/{first.id}/Releases", apiId="mine")
    name = release["id"].rpartition("/")[2]
    assert second.caller.misses("DELETE", f"{path}/Releases/{name}")


def test_the_description_of_a_stranger_is_not_even_fetched(session, client, orders, site):
    ben = center.manager(client, session, "ids4.ms.apiresource.all", username="ben")
    fetched = len(site.fetched)
    for method, path, body in (
        ("PUT", "Publish", orders.body()),
        ("POST", "PublishRevision", {"apiId": str(orders.id), "swaggerUrl": orders.url}),
    ):
        assert ben.misses(method, f"/ApiResource/{orders.id}/{path}", body)
    assert len(site.fetched) == fetched


def test_a_deleted_microservice_takes_its_publication_along(session, orders):
    orders.publish()
    orders.caller.data("DELETE", f"/ApiResource/{orders.id}")
    assert session.scalar(select(Publication)) is None
    assert session.scalar(select(ApiResource).where(ApiResource.id == orders.id)) is None


def test_reading_costs_the_same_for_one_revision_and_for_many(runtime, orders, site):
    orders.publish()
    path = f"/ApiResource/{orders.id}"
    with center.statements(runtime.engine) as one:
        orders.versions()
    for number in range(3):
        site.describe("/orders.json", description(site.origin, title=f"Title {number}"))
        orders.publish()
        body = {"revisionId": str(orders.id), "apiVersionName": f"v{number}"}
        orders.caller.data("POST", f"{path}/PublishVersion", body)
    with center.statements(runtime.engine) as many:
        orders.versions()
    assert len(many) == len(one)


def test_two_who_publish_at_once_do_not_both_win(session, orders, site, monkeypatch):
    """The rows are written only if they are as the plan has seen them."""
    orders.publish()
    from idp.publishing.gateway.service import settling

    real = settling._apply

    def meanwhile(plan):
        monkeypatch.setattr(settling, "_apply", real)
        orders.publish(name="Somebody else's")
        return real(plan)

    monkeypatch.setattr(settling, "_apply", meanwhile)
    found = orders.publish(name="Mine")
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert orders.versions()[0]["name"] == "Somebody else's"


@pytest.mark.parametrize("size", [parsing.MAX_BYTES + 1, 100 * 1024 * 1024])
def test_a_huge_description_is_not_read_to_its_end(session, orders, site, size):
    site.files["/orders.json"] = b"{" + b" " * size + b"}"
    found = orders.publish()
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert session.scalar(select(Publication)) is None


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a: &a [*a]", "解析"),
        (b"{}", "OpenAPI"),
        (b'{"openapi": "3.0.3", "info": {"$ref": "http://evil.example/"}, "paths": {}}', "引用"),
    ],
)
def test_a_hostile_description_is_refused_in_words(session, orders, site, content, word):
    site.files["/orders.json"] = content
    found = orders.publish()
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert word in found["message"]
    body = {"apiId": str(orders.id), "swaggerUrl": orders.url}
    site.describe("/orders.json", description(site.origin))
    assert orders.publish()["code"] == 200
    site.files["/orders.json"] = content
    found = orders.caller.call("POST", f"/ApiResource/{orders.id}/PublishRevision", body)
    assert (found["code"], found["codeName"]) == (300005, "PublishRevision_PublishFailed")
    assert len(orders.versions()[0]["revisions"]) == 1


def test_fetching_holds_no_transaction(runtime, orders, monkeypatch):
    """On SQLite one would keep everybody from writing while a slow server answers."""
    real = runtime.fetcher.get
    checked = []

    def get(url, **options):
        with runtime.sessions() as other:
            other.execute(text("UPDATE tenant SET name = name"))
            other.commit()
        checked.append(url)
        return real(url, **options)

    monkeypatch.setattr(runtime.fetcher, "get", get)
    assert orders.publish()["code"] == 200
    assert checked == [orders.url]
