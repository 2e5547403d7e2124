"""Publications at Azure API Management, as a recorded service on loopback plays it."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from sqlalchemy import select

from idp.directory.tenants import service as tenants
from idp.platform.fetch import Fetcher
from idp.platform.jobs.models import OutboxMessage
from idp.publishing import slots
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.models import Publication
from idp.publishing.gateway.reasons import NotPublished
from idp.publishing.gateway.state import Drift
from tests.delivery import deliver_due
from tests.gateway.azure import IDENTIFIER, KEY, FakeAzure
from tests.gateway.sites import description

pytestmark = pytest.mark.settings(gateway="azure")


@pytest.fixture
def azure():
    fake = FakeAzure()
    yield fake
    fake.close()


@pytest.fixture
def connected(session, runtime, azure, orders):
    """Return the microservice of a tenant whose gateway is the recorded one."""
    properties = {
        "Azure:ApiManagement:Host": f"http://127.0.0.1:{azure.port}",
        "Azure:ApiManagement:ApiId": IDENTIFIER,
        "Azure:ApiManagement:ApiKey": KEY,
    }
    tenants.set_properties(session, tenants.get(session, 1), properties)
    allowed = [orders.url.split("/")[2], f"127.0.0.1:{azure.port}"]
    runtime.fetcher.close()
    runtime.fetcher = Fetcher(",".join(allowed))
    session.commit()
    return orders


def test_publishing_imports_and_sets_what_was_asked_for(connected, azure, site):
    found = connected.publish(
        productIds=["/products/gold"],
        authorizationServerId="main",
        scope="orders.read",
        openid="login",
        policy="<policies><inbound/></policies>",
    )
    assert found["code"] == 200
    aid = connected.id
    first, second, third, fourth, fifth = azure.requests
    assert first[:2] == ("PUT", f"/apis/{aid}")
    assert (first[2]["import"], first[2]["path"]) == ("true", "orders")
    assert first[2]["type"] == "application/vnd.oai.openapi+json"
    assert first[3]["info"]["title"] == "Orders"
    assert second[3] == {"serviceUrl": site.origin, "protocols": ["https"]}
    assert third[3] == {
        "authenticationSettings": {
            "oAuth2": {"authorizationServerId": "main", "scope": "orders.read"},
            "openid": {"openidProviderId": "login"},
        },
        "name": "Orders",
        "description": "What was ordered",
    }
    assert fourth[:2] == ("PUT", f"/apis/{aid}/policy")
    assert fourth[3] == "<policies><inbound/></policies>"
    assert fifth[:2] == ("PUT", f"/products/gold/apis/{aid}")


def test_revisions_versions_and_releases_follow(connected, azure, site):
    connected.publish()
    azure.paths()
    aid, path = connected.id, f"/ApiResource/{connected.id}"
    site.describe("/orders.json", description(site.origin, title="Second"))
    body = {"apiId": str(aid), "swaggerUrl": connected.url, "releaseNote": "Note"}
    assert connected.caller.data("POST", f"{path}/PublishRevision", body) is True
    clone = azure.requests[0]
    assert clone[:2] == ("PUT", f"/apis/{aid};rev=2")
    assert clone[3] == {"sourceApiId": f"/apis/{aid};rev=1", "apiRevisionDescription": "Note"}
    assert azure.paths() == [
        f"PUT /apis/{aid};rev=2",
        f"PUT /apis/{aid};rev=2",
        f"PATCH /apis/{aid};rev=2",
    ]
    assert connected.caller.data("POST", f"{path}/Versions/{aid};rev=2") is True
    ((_, online, _, sent),) = azure.requests
    assert online.startswith(f"/apis/{aid}/releases/6")
    assert sent == {"apiId": f"/apis/{aid};rev=2", "notes": ""}
    azure.paths()
    release = online.rpartition("/")[2]
    assert connected.caller.data("PUT", f"{path}/Releases/{release}", {"notes": "N"}) is True
    assert connected.caller.data("DELETE", f"{path}/Releases/{release}") is True
    assert azure.paths() == [f"PATCH {online}", f"DELETE {online}"]
    body = {"revisionId": f"{aid};rev=2", "apiVersionName": "v2"}
    assert connected.caller.data("POST", f"{path}/PublishVersion", body) is True
    new = azure.requests[0]
    assert new[3]["sourceApiId"] == f"/apis/{aid}"
    assert new[3]["apiVersion"] == "v2"
    assert new[3]["apiVersionSet"]["versionQueryName"] == "api-version"


def test_products_and_servers_are_those_of_the_gateway_without_secrets(connected, azure):
    product = {"id": "/products/gold", "name": "Gold", "subscriptionRequired": True, "state": "x"}
    azure.collections["/products"] = {"value": [product], "count": 1, "nextLink": None}
    server = {
        "id": "/authorizationServers/main",
        "name": "Main",
        "clientSecret": "very-secret",
        "resourceOwnerPassword": "very-secret",
        "supportState": True,
    }
    azure.collections["/authorizationServers"] = {"value": [server], "count": 1}
    found = connected.caller.data("GET", "/ApiResource/Products")
    assert found["value"][0]["subscriptionRequired"] == "true"
    found = connected.caller.call("GET", "/ApiResource/AuthServers")
    assert found["data"]["value"][0]["name"] == "Main"
    assert "very-secret" not in str(found)
    azure.fail["/products"] = 500
    assert connected.caller.data("GET", "/ApiResource/Products") is None


@pytest.mark.parametrize(
    "listed", [5, "x", {"a": 1}, True, [5], [{"grantTypes": 5, "authorizationMethods": {"a": 1}}]]
)
def test_a_gateway_that_lists_nonsense_breaks_nothing(connected, azure, listed):
    for path in ("products", "authorizationServers"):
        azure.collections[f"/{path}"] = {"value": listed, "count": 1}
    for path in ("Products", "AuthServers"):
        found = connected.caller.data("GET", f"/ApiResource/{path}")
        assert found["count"] == len(found["value"]) <= 1


def test_few_requests_wait_for_gateways_and_the_next_is_told_to_come_back(
    session, connected, azure
):
    aid, path = connected.id, f"/ApiResource/{connected.id}"
    assert connected.publish()["code"] == 200
    body = {"apiId": str(aid), "swaggerUrl": connected.url}
    assert connected.caller.data("POST", f"{path}/PublishRevision", body) is True
    begun = [row.id for row in session.scalars(select(OutboxMessage))]
    azure.paths()
    with ExitStack() as stack:
        for _ in range(slots.AT_ONCE):
            stack.enter_context(slots.taken())
        for method, address in (
            ("POST", f"{path}/Versions/{aid};rev=2"),
            ("GET", "/ApiResource/Products"),
            ("GET", "/ApiResource/AuthServers"),
        ):
            answer = connected.caller.send(method, address)
            assert answer.status_code == 503, address
            assert int(answer.headers["Retry-After"]) > 0
    # Nothing was begun, neither at the gateway nor for the worker.
    assert azure.requests == []
    assert [row.id for row in session.scalars(select(OutboxMessage))] == begun


def test_a_tenant_without_a_gateway_is_told_what_is_missing(session, azure, connected):
    tenants.set_properties(session, tenants.get(session, 1), {"Azure:ApiManagement:ApiKey": None})
    session.commit()
    found = connected.publish()
    assert found["code"] == 300011
    assert "Azure:ApiManagement:ApiKey" in found["message"]
    assert azure.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "http://127.0.0.1:1",
        "169.254.169.254",
        "https://user@evil.example",
        "https://localhost",
        "file:///etc",
    ],
)
def test_a_tenant_cannot_point_the_gateway_at_inner_addresses(session, azure, connected, host):
    tenants.set_properties(session, tenants.get(session, 1), {"Azure:ApiManagement:Host": host})
    session.commit()
    found = connected.publish()
    assert found["code"] == 300011
    assert session.scalar(select(Publication)) is None
    assert KEY not in str(found)


def test_a_gateway_that_dies_between_two_steps_leaves_nothing_half_published(
    session, runtime, azure, connected
):
    """The import succeeds, the product does not; rows appear only when all of it has worked."""
    aid = connected.id
    azure.fail[f"/products/gold/apis/{aid}"] = 503
    found = connected.publish(productIds=["gold"])
    assert (found["code"], found["codeName"]) == (300011, "Publish_PublishFailed")
    assert session.scalar(select(Publication)) is None
    azure.paths()
    azure.fail.clear()
    session.commit()
    deliver_due(runtime, "gateway")
    assert azure.paths()[0] == f"PUT /apis/{aid}"
    assert session.scalars(select(Publication)).one().api_resource_id == aid
    waiting = select(OutboxMessage.job).where(OutboxMessage.done_at.is_(None))
    # Nothing of the gateway is left to do, only to tell others.
    assert all(job.startswith("api-published") for job in session.scalars(waiting))


def test_what_the_gateway_refuses_is_taken_back_there(session, runtime, azure, connected):
    aid = connected.id
    azure.fail[f"/apis/{aid}/policy"] = 400
    found = connected.publish(policy="<broken")
    assert found["code"] == 300011
    azure.paths()
    session.commit()
    deliver_due(runtime, "gateway")
    assert azure.paths() == [f"DELETE /apis/{aid}"]
    assert session.scalar(select(Publication)) is None


def test_the_key_is_neither_logged_nor_kept_in_the_trail(session, azure, connected, capsys):
    connected.publish()
    azure.fail[f"/apis/{connected.id}"] = 400
    connected.publish(name="Other")
    output = "".join(capsys.readouterr())
    assert KEY not in output
    assert "SharedAccessSignature" not in output


def test_a_comparison_names_the_versions_that_differ(session, connected, azure, site):
    assert connected.publish()["code"] == 200
    state, path = gateway.find(session, connected.id), f"/apis/{connected.id}"
    same = {"path": "orders", "serviceUrl": site.origin, "apiRevision": "1"}
    for answer, expected in (
        ({"properties": same}, []),
        (same, []),
        (same | {"serviceUrl": "https://elsewhere.example"}, [Drift.DIFFERENT]),
        ({}, [Drift.DIFFERENT]),
        ([], [Drift.DIFFERENT]),
    ):
        azure.collections[path] = answer
        found = gateway.compare(session, state)
        assert [row.drift for row in found] == expected, answer
    azure.fail[path] = 404
    assert [row.drift for row in gateway.compare(session, state)] == [Drift.MISSING]
    azure.fail[path] = 500
    with pytest.raises(NotPublished):
        gateway.compare(session, state)
    assert gateway.compare_all(session) is None
