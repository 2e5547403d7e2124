"""Menus of applications by our own API."""

from __future__ import annotations

import pytest

from idp.directory.applications import editing
from idp.directory.applications.models import Application
from idp.directory.roles import catalogue
from tests import protocol
from tests.api import admin


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def desk(session):
    row = Application(code="desk", name="Desk", tenant_id=protocol.add_tenant(session))
    session.add(row)
    session.commit()
    return row


@pytest.fixture
def path(desk):
    return f"/tenants/{desk.tenant_id}/applications/desk/menu"


@pytest.fixture
def menu(root, path):
    for code, parent in (("home", None), ("orders", None), ("open", "orders")):
        body = {"code": code, "title": code.title(), "parent": parent}
        assert admin.send(root, "POST", f"{path}/entries", body).status_code == 201


def shape(root, path):
    entries = admin.send(root, "GET", path).get_json()["entries"]
    return [(entry["code"], entry["parent"], entry["enabled"]) for entry in entries]


def test_an_entry_is_created_changed_and_deleted(root, session, path):
    catalogue.create_privilege(session, "desk.read", "Read")
    session.commit()
    body = {"code": "all", "title": "All", "url": "/all", "privilege": "desk.read"}
    answer = admin.send(root, "POST", f"{path}/entries", body)
    assert answer.headers["Location"] == f"/admin/v1{path}/entries/all"
    entry = {**body, "parent": None, "icon": None, "comment": None, "enabled": True}
    assert answer.get_json() == entry
    read = admin.send(root, "GET", f"{path}/entries/all")
    assert read.get_json() == entry
    seen = {"If-Match": read.headers["ETag"]}
    change = {"title": "Every", "privilege": None, "enabled": False}
    changed = admin.send(root, "PATCH", f"{path}/entries/all", change, headers=seen)
    assert changed.get_json() == {**entry, **change}
    for method, sent in (("PATCH", {"title": "Other"}), ("DELETE", None)):
        stale = admin.send(root, method, f"{path}/entries/all", sent, headers=seen)
        assert stale.status_code == 412
    seen = {"If-Match": changed.headers["ETag"]}
    assert admin.send(root, "DELETE", f"{path}/entries/all", headers=seen).status_code == 204
    assert admin.refused(root, "GET", f"{path}/entries/all") == (404, {})


def test_a_menu_is_arranged(root, path, menu):
    read = admin.send(root, "GET", path)
    places = [
        {"code": "orders", "enabled": False},
        {"code": "home", "parent": "orders"},
        {"code": "open", "parent": "home"},
    ]
    seen = {"If-Match": read.headers["ETag"]}
    answer = admin.send(root, "PUT", path, {"places": places}, headers=seen)
    assert answer.status_code == 200
    wanted = [("orders", None, False), ("home", "orders", True), ("open", "home", True)]
    assert shape(root, path) == wanted
    assert answer.headers["ETag"] == admin.send(root, "GET", path).headers["ETag"]
    stale = admin.send(root, "PUT", path, {"places": places}, headers=seen)
    assert stale.status_code == 412


@pytest.mark.parametrize(
    "codes",
    [
        [],
        [("home", None)],
        [("home", None), ("home", None), ("orders", None), ("open", None)],
        [("open", "orders"), ("orders", None), ("home", None)],
        [("orders", "orders"), ("home", None), ("open", None)],
        [("home", None), ("orders", None), ("open", "x")],
        [("home", None), ("orders", None), ("x", None)],
    ],
)
def test_places_that_are_no_tree_of_the_entries_are_refused(root, path, menu, codes):
    before = shape(root, path)
    places = [{"code": code, "parent": parent} for code, parent in codes]
    answer = admin.send(root, "PUT", path, {"places": places}, headers={"If-Match": "*"})
    assert answer.status_code in {400, 412}
    assert shape(root, path) == before


def test_an_entry_with_others_below_it_is_not_deleted(root, path, menu):
    answer = admin.send(root, "DELETE", f"{path}/entries/orders", headers={"If-Match": "*"})
    assert answer.status_code == 409
    assert len(shape(root, path)) == 3


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"code": "a b"}, "code"),
        ({"code": "7"}, "code"),
        ({"parent": "nothing"}, "parent"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"privilege": "nothing"}, "privilege"),
        ({"title": " "}, "title"),
        ({"title": "a\u202eb"}, "title"),
        ({"icon": "x" * 201}, "icon"),
        ({"enabled": "yes"}, "enabled"),
        ({"sort": 1}, "sort"),
    ],
)
def test_bad_values_are_refused_by_their_field(root, path, change, field):
    status, fields = admin.refused(
        root, "POST", f"{path}/entries", {"code": "x", "title": "X", **change}
    )
    assert (status, [*fields]) == (400, [field])


def test_applications_of_others_are_not_found(root, session, path, menu):
    other = protocol.add_tenant(session, "Other")
    for tenant in (other, 1, 99_999):
        elsewhere = f"/tenants/{tenant}/applications/desk/menu"
        assert admin.refused(root, "GET", elsewhere)[0] == 404
        body = {"code": "x", "title": "X"}
        assert admin.refused(root, "POST", f"{elsewhere}/entries", body)[0] == 404


def test_menus_of_the_platform_are_seen_in_tenants_and_changed_in_tenant_1(root, session, desk):
    session.add(Application(code="portal", name="Portal", tenant_id=1))
    session.commit()
    inside = f"/tenants/{desk.tenant_id}/applications/portal/menu"
    assert admin.send(root, "GET", inside).status_code == 200
    body = {"code": "x", "title": "X"}
    assert admin.refused(root, "POST", f"{inside}/entries", body)[0] == 404
    platform = "/tenants/1/applications/portal/menu"
    assert admin.send(root, "POST", f"{platform}/entries", body).status_code == 201


def test_a_menu_has_at_most_ten_levels(root, path):
    parent = None
    for number in range(editing.DEEPEST + 1):
        body = {"code": f"l{number}", "title": "L", "parent": parent}
        answer = admin.send(root, "POST", f"{path}/entries", body)
        parent = body["code"]
    assert answer.status_code == 400
