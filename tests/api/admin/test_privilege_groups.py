"""Groups of the privilege tree by our own API."""

from __future__ import annotations

from itertools import chain

import pytest
from sqlalchemy import select

from idp.directory.roles import catalogue
from idp.platform.audit.models import AuditEvent
from tests.api import admin, center

GROUPS = "/privilege-groups"
ANY = {"If-Match": "*"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def sales(session):
    group = catalogue.create_group(session, "sales", "Sales")
    session.commit()
    return group


def events(session, code):
    session.rollback()
    found = select(AuditEvent).where(AuditEvent.target == f"privilege-group:{code}")
    return [event.tag for event in session.scalars(found.order_by(AuditEvent.id))]


def test_a_group_is_created_changed_and_deleted(root, session, sales):
    new = {"code": "sales.shop", "name": "Shop", "parent": "sales", "sort": 3}
    answer = admin.send(root, "POST", GROUPS, new)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/admin/v1{GROUPS}/sales.shop"
    path = f"{GROUPS}/sales.shop"
    read = admin.send(root, "GET", path)
    assert read.get_json() == answer.get_json() == new
    seen = {"If-Match": read.headers["ETag"]}
    changed = admin.send(root, "PATCH", path, {"name": "Store"}, headers=seen)
    assert changed.get_json() == {**new, "name": "Store"}
    assert admin.send(root, "PATCH", path, {"sort": 1}, headers=seen).status_code == 412
    assert admin.send(root, "DELETE", path, headers=seen).status_code == 412
    current = {"If-Match": changed.headers["ETag"]}
    assert admin.send(root, "DELETE", path, headers=current).status_code == 204
    tags = [tag.rpartition(":")[2] for tag in events(session, "sales.shop")]
    assert tags == ["created", "changed", "deleted"]


def test_a_group_that_is_not_empty_stays(root, session, sales):
    catalogue.create_group(session, "inner", "Inner", parent_id=sales.id)
    other = catalogue.create_group(session, "other", "Other")
    catalogue.create_privilege(session, "orders.read", "Read", group_id=other.id)
    session.commit()
    for code in ("sales", "other"):
        answer = admin.send(root, "DELETE", f"{GROUPS}/{code}", headers=ANY)
        assert (answer.status_code, answer.get_json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"code": "a", "name": "A", "parent": "none"}, 400, ["parent"]),
        ({"code": "a b", "name": "A"}, 400, ["code"]),
        ({"code": "12", "name": "A"}, 400, ["code"]),
        ({"code": "sales", "name": "A"}, 409, ["code"]),
        ({"code": "a", "name": "A", "sort": "1"}, 400, ["sort"]),
    ],
)
def test_a_group_that_cannot_be_is_refused_by_field(root, sales, body, status, fields):
    answer = admin.refused(root, "POST", GROUPS, body)
    assert (answer[0], list(answer[1])) == (status, fields)


def test_a_tree_is_only_so_deep(root, session, sales):
    parent_id = sales.id
    for level in range(catalogue.MOST_LEVELS - 1):
        parent_id = catalogue.create_group(session, f"g{level}", "G", parent_id=parent_id).id
    session.commit()
    body = {"code": "deep", "name": "D", "parent": f"g{catalogue.MOST_LEVELS - 2}"}
    answer = admin.refused(root, "POST", GROUPS, body)
    assert (answer[0], list(answer[1])) == (400, ["parent"])


def test_code_and_parent_stay(root, sales):
    for body in ({"code": "other"}, {"parent": None}):
        answer = admin.send(root, "PATCH", f"{GROUPS}/sales", body, headers=ANY)
        assert answer.status_code == 400


def test_groups_are_listed_in_a_constant_number_of_statements(root, session, runtime, sales):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", GROUPS, limit=200)
        return len(sent)

    count()  # what is remembered for a second is remembered
    before = count()
    for number in range(10):
        catalogue.create_group(session, f"g{number}", "G", parent_id=sales.id)
    session.commit()
    assert count() == before
    rows = [*chain(*admin.pages(root, GROUPS, limit=50))]
    assert {row["code"]: row["parent"] for row in rows}["g3"] == "sales"
