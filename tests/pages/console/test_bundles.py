"""Bundles and types of tenants in the console: contents, their difference, and what is in use."""

from __future__ import annotations

import re
from html import unescape

import orjson
import pytest
from sqlalchemy import select

from idp.directory.applications.models import Application, Menu
from idp.directory.bundles import applying
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.roles import catalogue
from idp.directory.roles.models import Role
from idp.directory.tenants.models import Tenant
from idp.pages.console import gate
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events
from tests.protocol import add_api, add_person, add_role, add_tenant, sign_in

PATH = "/console/platform/bundles"
EMPTY = '{"roles": [], "adminRoleCodes": []}'
LIMITS = {"number_of_app": "", "number_of_concurrent": "", "number_of_invocation": ""}


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(PATH + address, data={"csrf_token": token, **form}, headers=HTML)

    return post


@pytest.fixture
def rights(session):
    """Add privileges; return them by code."""
    codes = ("orders.read", "orders.write", "orders.export")
    found = {code: catalogue.create_privilege(session, code, code.title()) for code in codes}
    session.commit()
    return found


@pytest.fixture
def small(session, rights):
    """Add a bundle with a role that has one privilege."""
    return make_bundle(session, "small", {"clerk": ["orders.read"]})


def make_bundle(session, code, roles=(), **values) -> Bundle:
    rows = [
        {"code": role, "name": role.title(), "privilegeCodes": codes}
        for role, codes in dict(roles).items()
    ]
    ability = orjson.dumps({"roles": rows, "adminRoleCodes": []}).decode()
    values = {"name": code.title(), "tenant_type_code": "shop", **values}
    row = Bundle(code=code, ability=ability, **values)
    session.add(row)
    session.commit()
    return row


def contents(session, bundle) -> dict[str, list[str]]:
    session.expire_all()
    ability = orjson.loads(session.get(Bundle, bundle.id).ability)
    return {role["code"]: role["privilegeCodes"] for role in ability["roles"]}


def page_of(client, path: str = "") -> str:
    answer = client.get(PATH + path, headers=HTML)
    assert answer.status_code == 200, answer.status_code
    return " ".join(unescape(answer.get_data(as_text=True)).split())


def form_of(page: str) -> dict[str, object]:
    """Read what a browser would send of a role of a bundle."""
    found = {
        name: re.search(rf'name="{name}"[^>]*?value="([^"]*)"', page)[1]
        for name in ("stamp", "privileges", "name")
    }
    boxes = [tag for tag in re.findall(r"<input[^>]*>", page) if 'name="tick"' in tag]
    ticks = [re.search(r'value="(\d+)"', box)[1] for box in boxes if re.search(r"\bchecked\b", box)]
    return {**found, "tick": ticks}


def test_a_bundle_is_created_by_type_then_details(client, session, root, send, small):
    session.add(TenantType(code="shop", name="Shops"))
    session.commit()
    page = page_of(client, "/new")
    assert "Shops" in page
    assert 'value="shop"' in page_of(client, "/new?type=shop")
    form = {"name": "Big", "code": "big", "tenant_type_code": "shop", "contents": "", **LIMITS}
    assert send("/new", **form | {"name": ""}).status_code == 400
    assert send("/new", **form | {"code": "a b"}).status_code == 400
    assert send("/new", **form | {"code": "small"}).status_code == 409
    assert send("/new", **form | {"number_of_app": "-1"}).status_code == 400
    assert send("/new", **form | {"number_of_app": "x"}).status_code == 400
    assert send("/new", **form | {"contents": "nothing"}).status_code == 400
    assert send("/new", **form | {"tenant_type_code": "a b"}).status_code == 400
    answer = send("/new", **form | {"contents": "small", "number_of_app": "3", "initialize": "y"})
    big = session.scalar(select(Bundle).where(Bundle.code == "big"))
    assert answer.location == f"{PATH}/{big.id}"
    assert (big.number_of_app, big.number_of_concurrent, big.initialize) == (3, None, True)
    assert contents(session, big) == {"clerk": ["orders.read"]}
    answer = send("/new", **form | {"code": "other", "initialize": "y"})
    assert answer.status_code == 409
    assert 'id="initialize-error"' in answer.get_data(as_text=True)
    answer = send("/new", **form | {"code": "uni", "tenant_type_code": "school"})
    assert answer.status_code == 303
    assert session.scalar(select(TenantType).where(TenantType.code == "school")) is not None


def test_ticks_are_shown_as_a_difference_and_then_saved(client, session, root, send, small, rights):
    for name in ("Acme", "Bluefen"):
        applying.initialise(session, add_tenant(session, name), small)
    clerk = session.scalars(select(Role).where(Role.bundle_code == "small")).first()
    catalogue.assign(session, add_person(session, "ann", tenant_ids=(clerk.tenant_id,)).id, clerk)
    session.commit()
    path = f"/{small.id}/roles/clerk"
    form = form_of(page_of(client, path))
    assert form["tick"] == [str(rights["orders.read"].id)]
    ticks = [str(rights["orders.write"].id), str(rights["orders.export"].id)]
    answer = send(path, **form | {"tick": ticks}, act="review")
    assert answer.status_code == 200
    page = " ".join(unescape(answer.get_data(as_text=True)).split())
    assert "Save 3 changes" in page
    assert "2 organisations have this bundle and keep their roles" in page
    assert "2 organisations can grant it" in page
    losses = page.partition("What the bundle contains")[2].partition("</section>")[0]
    assert "orders.read</strong> <small> 2 roles · 2 organisations · 1 person" in losses
    assert contents(session, small) == {"clerk": ["orders.read"]}
    answer = send(path, **form | {"tick": ticks, "is_admin": "y", "name": "Seller"}, act="save")
    assert answer.location == PATH + path
    assert contents(session, small) == {"clerk": ["orders.export", "orders.write"]}
    ability = orjson.loads(session.get(Bundle, small.id).ability)
    assert (ability["adminRoleCodes"], ability["roles"][0]["name"]) == (["clerk"], "Seller")
    (event,) = events(session, Tag.BUNDLE_CHANGED)
    assert (event.user_id, event.target) == (root.id, f"bundle:{small.id}")
    session.refresh(clerk)
    assert [right.code for right in clerk.privileges] == ["orders.read"]


def test_what_stands_on_other_pages_stays(client, session, root, send, small, rights):
    path = f"/{small.id}/roles/clerk?q=orders.write"
    form = form_of(page_of(client, path))
    assert form["tick"] == []
    answer = send(path, **form | {"tick": [str(rights["orders.write"].id)]}, act="save")
    assert answer.location == PATH + path
    assert contents(session, small) == {"clerk": ["orders.read", "orders.write"]}
    assert (
        send(path, **form_of(page_of(client, path)) | {"tick": []}, act="save").status_code == 303
    )
    assert contents(session, small) == {"clerk": ["orders.read"]}


def test_two_who_change_it_do_not_overwrite_each_other(client, session, root, send, small, rights):
    path = f"/{small.id}/roles/clerk"
    form = form_of(page_of(client, path))
    assert send(path, **form | {"tick": []}, act="save").status_code == 303
    for act in ("save", "review"):
        answer = send(path, **form | {"tick": [str(rights["orders.write"].id)]}, act=act)
        assert answer.status_code == 409
        assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    assert contents(session, small) == {"clerk": []}
    new = {"name": "X", "code": "x", "stamp": form["stamp"]}
    assert send(f"/{small.id}/roles/new", **new).status_code == 409
    settings = {"name": "Other", "stamp": form["stamp"], **LIMITS}
    answer = send(f"/{small.id}", **settings)
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    assert send(f"{path}/remove", stamp=form["stamp"]).status_code == 409
    assert send(f"{path}/remove").status_code == 409
    assert contents(session, small) == {"clerk": []}


def test_roles_are_added_and_removed(client, session, root, send, small):
    stamp = form_of(page_of(client, f"/{small.id}/roles/clerk"))["stamp"]
    new = f"/{small.id}/roles/new"
    form = {"name": "Boss", "code": "boss", "is_admin": "y", "stamp": stamp}
    assert send(new, **form | {"name": ""}).status_code == 400
    assert send(new, **form | {"code": "CLERK"}).status_code == 409
    assert send(new, **form | {"code": "administrators"}).status_code == 400
    assert send(new, **form | {"code": "a b"}).status_code == 400
    assert send(new, **form).location == f"{PATH}/{small.id}/roles/boss"
    assert contents(session, small) == {"clerk": ["orders.read"], "boss": []}
    path = f"/{small.id}/roles/boss/remove"
    stamp = re.search(r'name="stamp" value="([^"]+)"', page_of(client, path))[1]
    assert send(path, stamp=stamp).location == f"{PATH}/{small.id}"
    assert contents(session, small) == {"clerk": ["orders.read"]}
    assert orjson.loads(session.get(Bundle, small.id).ability)["adminRoleCodes"] == []
    assert send(path, stamp=stamp).status_code == 404
    page = page_of(client, f"/{small.id}/roles/clerk/remove")
    assert "No role of an organisation carries it." in page


def test_what_one_does_not_hold_cannot_be_ticked(client, session, small, send, rights):
    user = add_person(session, "clerk")
    codes = ["ids4.ms.us.bundle.list", "ids4.ms.us.bundle.info", "ids4.ms.us.bundle.update"]
    add_role(session, user, "helper", [*codes, "orders.write"], tenant_id=None)
    sign_in(client, session, user)
    path = f"/{small.id}/roles/clerk"
    page = page_of(client, path)
    assert "You cannot grant what you do not hold here." in page
    form = form_of(page)
    wanted = [str(rights[code].id) for code in ("orders.read", "orders.write", "orders.export")]
    answer = send(path, **form | {"tick": wanted}, act="save")
    assert answer.status_code == 303
    assert contents(session, small) == {"clerk": ["orders.read", "orders.write"]}
    assert client.get(f"{PATH}/{small.id}/delete", headers=HTML).status_code == 403
    assert client.get(f"{PATH}/types", headers=HTML).status_code == 403


@pytest.mark.parametrize("form", [{"tick": "x"}, {"privileges": "1,x"}, {"tick": "\u0661"}])
def test_a_form_that_was_made_up_is_refused(client, session, root, send, small, form):
    path = f"/{small.id}/roles/clerk"
    sent = {**form_of(page_of(client, path)), "act": "save", **form}
    assert send(path, **sent).status_code == 400
    assert contents(session, small) == {"clerk": ["orders.read"]}


def test_a_bundle_in_use_is_not_deleted_and_says_by_whom(client, session, root, send, small):
    applying.initialise(session, add_tenant(session, "Acme <b>"), small)
    session.commit()
    path = f"/{small.id}/delete"
    assert "cannot be deleted: Acme <b>" in page_of(client, path)
    answer = send(path, typed="Small")
    assert answer.status_code == 409
    assert "still used by: Acme &lt;b&gt;" in answer.get_data(as_text=True)
    assert session.get(Bundle, small.id) is not None


def test_a_bundle_is_changed_and_deleted(client, session, root, send, small):
    stamp = form_of(page_of(client, f"/{small.id}/roles/clerk"))["stamp"]
    form = {"name": "Tiny", "comment": "C", "stamp": stamp, **LIMITS, "number_of_app": "0"}
    assert send(f"/{small.id}", **form | {"number_of_app": str(2**31)}).status_code == 400
    assert send(f"/{small.id}", **form).status_code == 303
    session.expire_all()
    assert (small.name, small.comment, small.number_of_app) == ("Tiny", "C", 0)
    assert contents(session, small) == {"clerk": ["orders.read"]}
    path = f"/{small.id}/delete"
    assert send(path, typed="small").status_code == 400
    assert send(path, typed="Tiny").location == PATH
    assert send(path, typed="Tiny").status_code == 404
    assert [event.user_id for event in events(session, Tag.BUNDLE_DELETED)] == [root.id]


def test_types_are_created_renamed_and_deleted(client, session, root, send, small):
    assert send("/types", code="", name="").status_code == 400
    assert send("/types", code="7", name="A").status_code == 400
    assert send("/types", code="shop", name="Shops").location == f"{PATH}/types"
    assert send("/types", code="shop", name="Other").status_code == 409
    kind = session.scalar(select(TenantType).where(TenantType.code == "shop"))
    path = f"/types/{kind.id}"
    assert send(path, name="Stores", stamp="Shops").status_code == 303
    answer = send(path, name="Other", stamp="Shops")
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    assert "Small" in page_of(client, path)
    answer = send(f"{path}/delete", typed="Stores")
    assert answer.status_code == 409
    assert "still used by tenants or bundles: Small" in unescape(answer.get_data(as_text=True))
    session.get(Bundle, small.id).tenant_type_code = "other"
    session.commit()
    assert send(f"{path}/delete", typed="stores").status_code == 400
    assert send(f"{path}/delete", typed="Stores").location == f"{PATH}/types"
    assert send(f"{path}/delete", typed="Stores").status_code == 404
    assert client.get(PATH + path, headers=HTML).status_code == 404


def test_types_are_seen_without_what_one_may_not_see(client, session, small):
    session.add(TenantType(code="shop", name="Shops"))
    session.get_one(Tenant, add_tenant(session, "Acme")).type_code = "shop"
    user = add_person(session, "clerk")
    add_role(
        session,
        user,
        "clerk",
        ["ids4.ms.admin.tenanttypes.read", "ids4.ms.admin.keys.read"],
        tenant_id=None,
    )
    sign_in(client, session, user)
    kind = session.scalar(select(TenantType))
    page = page_of(client, f"/types/{kind.id}")
    assert "Small" not in page
    assert ">Acme<" not in page
    assert "You cannot see the organisations" in page
    assert "ids4.ms.admin.tenanttypes.write" in page


def test_a_tenant_has_no_bundles(client, session, boss, small):
    for path in ("", "/new", f"/{small.id}", f"/{small.id}/roles/clerk", "/types"):
        assert client.get(f"/console/t/{boss}/bundles{path}", headers=HTML).status_code == 404
        assert client.get(PATH + path, headers=HTML).status_code == 404


def test_deleting_needs_a_recent_sign_in(client, session, root, send, small, clock):
    clock.shift(gate.RECENT.total_seconds() + 1)
    answer = send(f"/{small.id}/delete", typed="Small")
    assert answer.location.startswith("/login?prompt=login")


def test_what_privileges_open_is_named(client, session, root, small, rights):
    other = Application(code="o", name="Theirs", tenant_id=add_tenant(session))
    portal = Application(code="p", name="Portal", tenant_id=1)
    session.add_all([other, portal])
    session.flush()
    for row in (other, portal):
        privilege_id = rights["orders.read"].id
        session.add(
            Menu(application_id=row.id, code="a", title="<i>All", privilege_id=privilege_id)
        )
    session.commit()
    page = page_of(client, f"/{small.id}/roles/clerk")
    assert "Opens Portal: <i>All" in page
    assert "Theirs" not in page


def test_texts_are_text_and_long_ones_fit_or_are_refused(client, session, root, send, rights):
    name = "<b>Bold</b>\u202e" + "x" * 180
    values = {"name": name, "comment": "<i>", "tenant_type_code": "<u>t"}
    bundle = make_bundle(session, "<s>" + "c" * 90, {"<q>role": ["orders.read"]}, **values)
    session.add(TenantType(code="<u>t", name=name))
    api = add_api(session, "<xmp>api", ["xmp.scope"])
    catalogue.create_privilege(session, "<xmp>.x", "<xmp>n", api_resource_id=api.id)
    session.commit()
    kind = session.scalar(select(TenantType))
    paths = ["", f"/{bundle.id}", f"/{bundle.id}/delete", f"/{bundle.id}/roles/<q>role", "/new"]
    paths += [f"/{bundle.id}/roles/<q>role/remove", "/types", f"/types/{kind.id}", "?q=bold"]
    paths += ["/new?type=<u>t", f"/types/{kind.id}/delete", f"/{bundle.id}/roles/new"]
    for path in paths:
        answer = client.get(PATH + path, headers=HTML)
        assert answer.status_code == 200, path
        for letters in (b"<b>Bold", b"<i>", b"<u>", b"<s>", b"<q>", b"<xmp>"):
            assert letters not in answer.data, path
    form = {"name": "A", "code": "a", "tenant_type_code": "t", "contents": "", **LIMITS}
    for field in ("name", "code", "comment", "tenant_type_code"):
        for text in ("x" * 10_000, "a\u202eb") if field != "comment" else ("x" * 10_000,):
            answer = send("/new", **form | {field: text})
            assert answer.status_code == 400, (field, text[:9])
    for field in ("name", "code"):
        assert send("/types", **{"name": "A", "code": "a", field: "x" * 10_000}).status_code == 400


def test_the_number_of_queries_does_not_grow(client, session, root, runtime):
    counts = []
    for many in (1, 6):
        for number in range(many):
            code = f"{many}-{number}"
            catalogue.create_privilege(session, f"p.{code}", "P")
            bundle = make_bundle(session, f"b-{code}", {"clerk": [f"p.{code}"]})
            session.add(TenantType(code=f"t-{code}", name=code))
            applying.initialise(session, add_tenant(session, f"T {code}"), bundle)
        session.add(TenantType(code=f"shop-{many}", name="Shop"))
        session.commit()
        path = f"/{bundle.id}/roles/clerk"
        form = form_of(page_of(client, path))
        each = []
        for address in ("", f"/{bundle.id}", path, "/types", f"{path}/remove"):
            with statements(runtime.engine) as sent:
                assert client.get(PATH + address).status_code == 200
            each.append(len(sent))
        token = csrf_token(client.get(PATH + path))
        data = {"csrf_token": token, **form, "tick": [], "act": "review"}
        with statements(runtime.engine) as sent:
            assert client.post(PATH + path, data=data).status_code == 200
        counts.append([*each, len(sent)])
    assert counts[0] == counts[1]
    assert max(counts[0]) < 45
