"""Types of tenants by our own API."""

from __future__ import annotations

from itertools import chain

import pytest
from sqlalchemy import select

from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.tenants.models import Tenant
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import admin

TYPES = "/tenant-types"
SHOP = {"code": "shop", "name": "Shop"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def events(session):
    session.rollback()
    found = select(AuditEvent).where(AuditEvent.target == "tenant-type:shop")
    return [event.tag for event in session.scalars(found.order_by(AuditEvent.id))]


def test_a_type_is_created_renamed_and_deleted(root, session):
    answer = admin.send(root, "POST", TYPES, SHOP)
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/admin/v1{TYPES}/shop")
    path = f"{TYPES}/shop"
    read = admin.send(root, "GET", path)
    assert read.get_json() == SHOP
    seen = {"If-Match": read.headers["ETag"]}
    changed = admin.send(root, "PATCH", path, {"name": "Store"}, headers=seen)
    assert changed.get_json() == {**SHOP, "name": "Store"}
    assert changed.headers["ETag"] == admin.send(root, "GET", path).headers["ETag"]
    for method, body in (("PATCH", {"name": "Other"}), ("DELETE", None)):
        stale = admin.send(root, method, path, body, headers=seen)
        assert (stale.status_code, stale.get_json()["code"]) == (412, "precondition_failed")
    current = {"If-Match": changed.headers["ETag"]}
    assert admin.send(root, "DELETE", path, headers=current).status_code == 204
    assert admin.refused(root, "GET", path) == (404, {})
    assert [tag.rpartition(":")[2] for tag in events(session)] == ["created", "changed", "deleted"]


def test_types_are_listed_page_by_page(root, session):
    session.add_all(TenantType(code=code, name=code) for code in ("zoo", "bar", "inn"))
    session.commit()
    codes = [row["code"] for row in chain(*admin.pages(root, TYPES, limit=1))]
    assert codes == sorted(codes)
    assert {"zoo", "bar", "inn"} <= set(codes)


@pytest.mark.parametrize("user", ["tenant", "bundle"])
def test_a_type_in_use_stays(root, session, user):
    session.add(TenantType(**SHOP))
    if user == "tenant":
        session.get_one(Tenant, protocol.add_tenant(session)).type_code = "shop"
    else:
        ability = '{"roles": [], "adminRoleCodes": []}'
        session.add(Bundle(code="b", name="B", tenant_type_code="shop", ability=ability))
    session.commit()
    answer = admin.send(root, "DELETE", f"{TYPES}/shop", headers={"If-Match": "*"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"name": "x"}, 400, ["code"]),
        ({"code": "12", "name": "x"}, 400, ["code"]),
        ({"code": " a", "name": "x"}, 400, ["code"]),
        ({"code": "a\n", "name": "x"}, 400, ["code"]),
        ({"code": "a", "name": ""}, 400, ["name"]),
        ({"code": "a", "name": "x", "more": 1}, 400, ["more"]),
        (SHOP, 409, ["code"]),
    ],
)
def test_a_type_that_cannot_be_is_refused_by_field(root, session, body, status, fields):
    session.add(TenantType(**SHOP))
    session.commit()
    answer = admin.refused(root, "POST", TYPES, body)
    assert (answer[0], list(answer[1])) == (status, fields)
