"""`idp gateway`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy.orm import Session

from idp.platform.audit import service as audit
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from tests import protocol

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_upstreams_are_listed_by_tenant(idp: Run, idp_json: RunJson, session: Session) -> None:
    acme = protocol.add_tenant(session)
    made = idp_json("gateway", "upstream", "add", "HTTPS://Orders.Internal:443/v1/")
    assert made == {"url": "https://orders.internal/v1", "tenant": 1}
    idp_json("gateway", "upstream", "add", "https://orders.internal/v1")
    idp_json("gateway", "upstream", "add", "http://10.0.0.7:8080", "--tenant", str(acme))
    assert idp_json("gateway", "upstream", "list", "--tenant", "1") == [made]
    assert len(idp_json("gateway", "upstream", "list")) == 2
    idp("gateway", "upstream", "remove", "https://orders.internal/v1")
    refused = idp("gateway", "upstream", "remove", "https://orders.internal/v1", code=1)
    assert "not on the list" in refused.stderr
    assert "Tenant not found" in idp(
        "gateway", "upstream", "add", "http://a.example", "--tenant", "99", code=1
    ).stderr  # fmt: skip
    events = audit.search(session, Filters(tag=Tag.GATEWAY_CHANGED))
    assert [event.details["action"] for event in events] == ["removed", "added", "added"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    "url",
    [
        "orders.internal",
        "ftp://a.example",
        "http://a.example/?x=1",
        "http://u:p@a.example",
        "http://a.example/../x",
        "http://a.example/%2e",
        "http://2130706433/",
        "http://a.example:0",
        "http://",
    ],
)
def test_an_upstream_that_could_mean_two_things_is_refused(idp: Run, url: str) -> None:
    assert "An upstream must be" in idp("gateway", "upstream", "add", url, code=1).stderr


def test_products_and_who_subscribed(idp: Run, idp_json: RunJson, session: Session) -> None:
    protocol.register_machine(session, "robot", ["ids4.ms.file.post"])
    protocol.register_machine(session, "other", ["ids4.ms.file.post"])
    made = idp_json("gateway", "product", "add", "gold", "--limit", "1", "--scope", "orders.read")
    assert made == {
        "id": "gold",
        "name": "gold",
        "scope": "orders.read",
        "subscription_required": True,
        "subscriptions_limit": 1,
        "published": True,
        "tenant": None,
    }
    assert idp_json("gateway", "product", "list") == [made]
    assert "A product with this id" in idp("gateway", "product", "add", "gold", code=1).stderr
    assert "The id must have" in idp("gateway", "product", "add", "../gold", code=1).stderr
    add = ("gateway", "subscription", "add", "--product", "gold", "--client")
    row = {"product": "gold", "client_id": "robot"}
    assert idp_json(*add, "robot") == row
    assert idp_json(*add, "robot") == row, "twice is no error"
    assert "limit of subscriptions" in idp(*add, "other", code=1).stderr
    assert "Client not found" in idp(*add, "nobody", code=1).stderr
    assert idp_json("gateway", "subscription", "list", "--product", "gold") == [row]
    gone = ("gateway", "subscription", "remove", "--product", "gold", "--client", "robot")
    idp(*gone)
    assert "is not subscribed" in idp(*gone, code=1).stderr
    idp("gateway", "product", "remove", "gold")
    assert "Product not found" in idp("gateway", "product", "remove", "gold", code=1).stderr


def test_a_product_of_one_tenant_is_not_for_clients_of_another(
    idp: Run, idp_json: RunJson, session: Session
) -> None:
    acme = protocol.add_tenant(session)
    protocol.register_machine(session, "robot", ["ids4.ms.file.post"], tenant_id=1)
    idp_json("gateway", "product", "add", "gold", "--tenant", str(acme))
    add = ("gateway", "subscription", "add", "--product", "gold", "--client", "robot")
    assert "different tenants" in idp(*add, code=1).stderr


def test_authorization_servers_are_the_issuer_unless_said(idp: Run, idp_json: RunJson) -> None:
    made = idp_json("gateway", "server", "add", "own", "--scope", "orders.read")
    assert made["token_endpoint"] == "http://127.0.0.1:8000/connect/token"
    other = ("--authorize", "https://a.example/authorize", "--token", "https://a.example/token")
    idp_json("gateway", "server", "add", "other", *other)
    listed = idp_json("gateway", "server", "list")
    assert [row["token_endpoint"] for row in listed] == [
        made["token_endpoint"],
        "https://a.example/token",
    ]
    idp("gateway", "server", "remove", "own")
    assert (
        "Authorization server not found" in idp("gateway", "server", "remove", "own", code=1).stderr
    )
    assert idp_json("gateway", "list") == []
