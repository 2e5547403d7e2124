"""Privileges by our own API: made, listed, read."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import admin, center

NEW = {"code": "orders.refund", "name": "Refund orders"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def add(session, *codes):
    for code in codes:
        catalogue.create_privilege(session, code, code)
    session.commit()


def test_a_privilege_is_made_and_found_where_the_answer_says(client, session, root):
    protocol.add_api(session, "orders")
    catalogue.create_group(session, "sales", "Sales")
    session.commit()
    body = {**NEW, "api": "orders", "group": "sales"}
    answer = admin.send(root, "POST", "/privileges", body)
    assert answer.status_code == 201
    assert answer.get_json() == body
    assert answer.headers["Location"] == "/admin/v1/privileges/orders.refund"
    assert client.get(answer.headers["Location"], headers=protocol.bearer(root.token)).json == body
    assert admin.data(root, "GET", "/privileges", api="orders")["items"] == [body]
    event = session.scalars(
        select(AuditEvent).where(AuditEvent.tag == "admin:privilege:created")
    ).one()
    assert (event.target, event.user_id) == ("privilege:orders.refund", root.user.id)


def test_the_address_of_a_privilege_is_spelled_for_addresses(client, root):
    code = "退款?#%2F"
    answer = admin.send(root, "POST", "/privileges", {**NEW, "code": code})
    found = client.get(answer.headers["Location"], headers=protocol.bearer(root.token))
    assert found.get_json() == {"code": code, "name": NEW["name"], "api": None, "group": None}


def test_privileges_are_searched_by_text_and_api(root, session):
    protocol.add_api(session, "orders")
    admin.data(root, "POST", "/privileges", {**NEW, "api": "orders"})
    admin.data(root, "POST", "/privileges", {"code": "stock.count", "name": "Count 100% of it"})

    def found(**query):
        return [row["code"] for row in admin.data(root, "GET", "/privileges", **query)["items"]]

    assert found(search="refund") == ["orders.refund"]
    assert found(search="100%") == ["stock.count"]
    assert found(search="%") == ["stock.count"]
    assert found(api="orders") == ["orders.refund"]
    assert found(api="orders", search="stock") == []
    assert admin.refused(root, "GET", "/privileges", api="nothing") == (
        400,
        {"api": ["API not found."]},
    )


def test_the_list_is_read_page_by_page(root, session):
    add(session, *(f"zz.{number}" for number in range(5)))
    found = admin.pages(root, "/privileges", search="zz.", limit=2)
    assert [[row["code"] for row in rows] for rows in found] == [
        ["zz.0", "zz.1"],
        ["zz.2", "zz.3"],
        ["zz.4"],
    ]


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", "/privileges", search="zz.", limit=200)
        return len(sent)

    add(session, "zz.first")
    count()  # what is remembered for a second is remembered
    before = count()
    add(session, *(f"zz.{number}" for number in range(20)))
    assert count() == before


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": None}, "code"),
        ({"code": ""}, "code"),
        ({"code": "a b"}, "code"),
        ({"code": "a/b"}, "code"),
        ({"code": "1234"}, "code"),
        ({"code": "a" * 201}, "code"),
        ({"code": 7}, "code"),
        ({"code": "ids4.ms.all.of.it"}, "code"),
        ({"name": ""}, "name"),
        ({"name": "a" * 201}, "name"),
        ({"api": "nothing"}, "api"),
        ({"api": ""}, "api"),
        ({"group": "nothing"}, "group"),
        ({"apiResource": "orders"}, "apiResource"),
        ({"id": 1}, "id"),
    ],
)
def test_what_is_wrong_or_unknown_is_named_and_leaves_nothing(root, session, change, field):
    count = len(session.scalars(select(Privilege.id)).all())
    session.rollback()
    status, fields = admin.refused(root, "POST", "/privileges", {**NEW, **change})
    assert (status, list(fields)) == (400, [field])
    assert len(session.scalars(select(Privilege.id)).all()) == count


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7"])
def test_a_body_that_is_no_object_is_refused(root, body):
    assert admin.refused(root, "POST", "/privileges", body)[0] == 400


def test_a_code_that_is_taken_is_refused(root):
    assert admin.data(root, "POST", "/privileges", NEW)["code"] == NEW["code"]
    status, fields = admin.refused(root, "POST", "/privileges", NEW)
    assert (status, fields) == (409, {"code": ["The code orders.refund is taken."]})
    assert admin.refused(root, "GET", "/privileges/orders.nothing") == (404, {})
