"""Applications and menus in the console: the tree, its entries, the preview, and the gates."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import select, update

from idp.directory import permissions
from idp.directory.applications import editing, menus
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles.models import Bundle
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.directory.tenants.models import Tenant
from idp.pages.console import gate
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events
from tests.protocol import add_api, add_person, add_role, add_tenant, grant_directly, sign_in

STATE = ("stamp", "places")
ENTRY = {"title": "Orders", "enabled": "y", "parent": ""}


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(address, data={"csrf_token": token, **form}, headers=HTML)

    return post


@pytest.fixture
def desk(session, boss):
    """Add an application of Acme; return it."""
    return make_application(session, "desk", boss)


@pytest.fixture
def tree(session, desk):
    """Add a menu with two levels; return the ids of its entries by code."""
    top = {code: make_entry(session, desk, code) for code in ("home", "orders", "stock")}
    below = {
        code: make_entry(session, desk, code, parent_id=top["orders"]) for code in ("open", "done")
    }
    return top | below


def make_application(session, code: str, tenant_id: int) -> Application:
    row = Application(code=code, name=code.title(), tenant_id=tenant_id)
    session.add(row)
    session.commit()
    return row


def make_entry(session, application, code: str, privilege: str | None = None, **values) -> int:
    if privilege is not None:
        found = catalogue.find_privilege(session, privilege)
        found = found or catalogue.create_privilege(session, privilege, privilege.title())
        values["privilege_id"] = found.id
    sort = len(session.scalars(select(Menu.id)).all()) * 10
    values = {"title": code.title(), "sort": sort, **values}
    row = Menu(application_id=application.id, code=code, **values)
    session.add(row)
    session.commit()
    return row.id


def page_of(client, address: str) -> str:
    answer = client.get(address, headers=HTML)
    assert answer.status_code == 200, answer.status_code
    return " ".join(unescape(answer.get_data(as_text=True)).split())


def form_of(page: str) -> dict[str, str]:
    """Read the state of the tree that a page holds."""
    return {
        name: re.search(rf'name="{name}" value="([^"]*)"', page)[1] for name in ("stamp", "places")
    }


def pressed(send, address: str, form: dict[str, str], *acts: str) -> str:
    """Press buttons of the editor, one after the other; return the last page."""
    page = ""
    for act in acts:
        answer = send(address, **form, act=act)
        assert answer.status_code == 200
        page = " ".join(unescape(answer.get_data(as_text=True)).split())
        form = form_of(page)
    return page


def shape(session, application) -> list[tuple[str, int, bool]]:
    """Read the codes of a menu with their levels, in order."""
    session.expire_all()
    entries = editing.read(session, application)
    levels = editing.levels(entries)
    return [(entry.code, levels[entry.id], bool(entry.status)) for entry in entries]


def test_a_tenant_shows_its_own_applications_and_those_of_the_platform(
    client, session, boss, desk, send
):
    portal = make_application(session, "portal", 1)
    entry = make_entry(session, portal, "start")
    theirs = make_application(session, "theirs", add_tenant(session, "Bluefen"))
    foreign = make_entry(session, theirs, "secret")
    base = f"/console/t/{boss}/menus"
    page = page_of(client, base)
    assert "Desk" in page
    assert "Portal" in page
    assert "Theirs" not in page
    page = page_of(client, f"{base}/{portal.id}")
    assert "managed at the platform" in page
    assert 'name="act"' not in page
    assert "ids4.ms" not in page.partition('id="menu"')[2].partition("</form>")[0]
    assert page_of(client, f"{base}/{portal.id}/entries/{entry}")
    assert client.get(f"{base}/{theirs.id}/entries/{foreign}", headers=HTML).status_code == 404
    assert client.get(f"{base}/{desk.id}/entries/{foreign}", headers=HTML).status_code == 404
    for row, found in ((portal, entry), (theirs, foreign)):
        one = f"{base}/{row.id}"
        for path in (f"{one}/entries/new", f"{one}/entries/{found}/delete", f"{one}/delete"):
            assert client.get(path, headers=HTML).status_code == 404, path
        for path in ("", "/name", "/entries/new", f"/entries/{found}", f"/entries/{found}/delete"):
            answer = send(one + path, title="x", code="x", name="x", typed=row.name, act="save")
            assert answer.status_code == 404, path
        assert send(f"{one}/delete", typed=row.name).status_code == 404
    for path in ("", "/preview", "/entries/new"):
        assert client.get(f"{base}/{theirs.id}{path}", headers=HTML).status_code == 404
    for path in (f"/entries/{foreign}", f"/entries/{foreign}/delete"):
        assert send(f"{base}/{desk.id}{path}", **ENTRY).status_code == 404
    assert [row[0] for row in shape(session, theirs)] == ["secret"]


def test_the_platform_shows_the_applications_of_all(client, session, root, send):
    theirs = make_application(session, "theirs", add_tenant(session, "Bluefen"))
    page = page_of(client, "/console/platform/menus")
    assert "Theirs" in page
    assert "Bluefen" in page
    base = f"/console/platform/menus/{theirs.id}"
    assert send(f"{base}/entries/new", code="a", **ENTRY).location == base
    assert [row[0] for row in shape(session, theirs)] == ["a"]


def test_those_who_hold_it_at_the_platform_alone_see_the_applications_of_the_platform(
    client, session
):
    user = add_person(session, "clerk")
    codes = ["ids4.ms.us.app.page", "ids4.ms.us.menu.page"]
    add_role(session, user, "clerk", codes, tenant_id=None)
    sign_in(client, session, user)
    theirs = make_application(session, "theirs", add_tenant(session, "Bluefen"))
    portal = make_application(session, "portal", 1)
    page = page_of(client, "/console/platform/menus")
    assert "Portal" in page
    assert "Theirs" not in page
    assert client.get(f"/console/platform/menus/{theirs.id}", headers=HTML).status_code == 404
    page = page_of(client, f"/console/platform/menus/{portal.id}")
    assert "ids4.ms.admin.menus.write" in page
    assert 'name="act"' not in page


def test_an_application_is_created_renamed_and_deleted(client, session, boss, send, tree, desk):
    base = f"/console/t/{boss}/menus"
    assert send(f"{base}/new", name="", code="").status_code == 400
    assert send(f"{base}/new", name="A", code="a b").status_code == 400
    assert send(f"{base}/new", name="A", code="page").status_code == 400
    assert send(f"{base}/new", name="A", code="desk").status_code == 409
    assert send(f"{base}/new", name="A", code="7").status_code == 400
    answer = send(f"{base}/new", name="Shop", code="shop")
    shop = session.scalar(select(Application).where(Application.code == "shop"))
    assert (shop.tenant_id, answer.location) == (boss, f"{base}/{shop.id}")
    assert send(f"{base}/{shop.id}/name", name="Store", stamp="Shop").status_code == 303
    answer = send(f"{base}/{shop.id}/name", name="Other", stamp="Shop")
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    session.expire_all()
    assert shop.name == "Store"
    assert "cannot be deleted" in page_of(client, f"{base}/{desk.id}/delete")
    assert send(f"{base}/{desk.id}/delete", typed="Desk").status_code == 409
    path = f"{base}/{shop.id}/delete"
    assert send(path, typed="store").status_code == 400
    assert send(path, typed="Store").location == base
    assert send(path, typed="Store").status_code == 404
    assert client.get(f"{base}/{path}", headers=HTML).status_code == 404


def test_the_bundle_limits_the_number_of_applications(client, session, boss, send, desk):
    ability = '{"roles": [], "adminRoleCodes": []}'
    session.add(
        Bundle(code="small", name="S", tenant_type_code="x", ability=ability, number_of_app=1)
    )
    session.execute(update(Tenant).where(Tenant.id == boss).values(bundle_code="small"))
    session.commit()
    answer = send(f"/console/t/{boss}/menus/new", name="Shop", code="shop")
    assert answer.status_code == 409
    assert "at most 1 applications" in answer.get_data(as_text=True)


def test_entries_are_moved_in_the_form_and_then_saved(client, session, boss, send, desk, tree):
    address = f"/console/t/{boss}/menus/{desk.id}"
    stored = [("home", 1, True), ("orders", 1, True), ("open", 2, True), ("done", 2, True)]
    stored += [("stock", 1, True)]
    assert shape(session, desk) == stored
    form = form_of(page_of(client, address))
    page = pressed(
        send,
        address,
        form,
        f"up-{tree['stock']}",
        f"in-{tree['stock']}",
        f"toggle-{tree['orders']}",
    )
    assert "From the top to Home" in page
    assert "Will be hidden with 2 entries below it" in page
    assert "Save 2 changes" in page
    assert f'value="toggle-{tree["orders"]}"' in page
    assert re.search(rf'value="toggle-{tree["orders"]}"[^>]*autofocus', page)
    assert shape(session, desk) == stored
    assert send(address, **form_of(page), act="save").location == address
    assert shape(session, desk) == [
        ("home", 1, True),
        ("stock", 2, True),
        ("orders", 1, False),
        ("open", 2, True),
        ("done", 2, True),
    ]
    (event,) = events(session, Tag.APPLICATION_CHANGED)
    assert (event.target, event.tenant_id) == ("application:desk", boss)
    changed = {change["field"]: change for change in event.details["changes"]}
    assert changed["menus.status"]["added"] == ["orders=0"]
    assert changed["menus.parent"]["added"] == ["stock=home"]


def test_every_move_does_what_it_says(client, session, boss, send, desk, tree):
    address = f"/console/t/{boss}/menus/{desk.id}"

    def after(*acts: str) -> list[tuple[str, int]]:
        form = form_of(page_of(client, address))
        page = pressed(
            send, address, form, *(f"{act}-{tree[code]}" for act, code in map(str.split, acts))
        )
        codes = {menu_id: code for code, menu_id in tree.items()}
        levels = {0: 0}
        found = []
        for place in form_of(page)["places"].split(","):
            menu_id, parent_id, _ = map(int, place.split(":"))
            levels[menu_id] = levels[parent_id] + 1
            found.append((codes[menu_id], levels[menu_id]))
        return found

    as_is = [("home", 1), ("orders", 1), ("open", 2), ("done", 2), ("stock", 1)]
    assert after("up home") == as_is
    assert after("out home") == as_is
    assert after("in home") == as_is
    assert after("down stock") == as_is
    assert after("in open") == as_is
    assert after("up orders", "down orders") == as_is
    assert after("out open", "up open", "in open") == [
        ("home", 1), ("open", 2), ("orders", 1), ("done", 2), ("stock", 1)
    ]  # fmt: skip
    assert after("down open") == [
        ("home", 1), ("orders", 1), ("done", 2), ("open", 2), ("stock", 1)
    ]  # fmt: skip
    assert after("in orders") == [
        ("home", 1), ("orders", 2), ("open", 3), ("done", 3), ("stock", 1)
    ]  # fmt: skip


def test_only_what_moved_is_in_the_difference(client, boss, send, desk, tree):
    address = f"/console/t/{boss}/menus/{desk.id}"
    form = form_of(page_of(client, address))
    page = pressed(send, address, form, f"up-{tree['stock']}", f"up-{tree['stock']}")
    assert "Save 1 change<" in page
    page = pressed(send, address, form, f"up-{tree['stock']}", f"down-{tree['stock']}")
    assert "change not saved" not in page


@pytest.mark.no_database
@pytest.mark.parametrize(
    "places",
    [
        "", "1", "x:0:1", "-1:0:1", "1:0", "1:2:3:4", "\u0661:0:1", "999999:0:1", "9" * 30 + ":0:1",
        "{home}:0:1", "{home}:0:1,{home}:0:1,{orders}:0:1,{open}:0:1,{done}:0:1",
        "{home}:{home}:1,{orders}:0:1,{open}:0:1,{done}:0:1,{stock}:0:1",
        "{home}:{orders}:1,{orders}:{home}:1,{open}:0:1,{done}:0:1,{stock}:0:1",
        "{home}:0:1,{orders}:0:1,{open}:0:1,{done}:0:1,{theirs}:0:1",
        "{home}:{theirs}:1,{orders}:0:1,{open}:0:1,{done}:0:1,{stock}:0:1",
        "1:0:1," * 10_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("act", ["save", "review"])
def test_places_that_were_made_up_are_refused(client, session, boss, send, desk, tree, places, act):
    other = make_application(session, "other", boss)
    theirs = make_entry(session, other, "theirs")
    before = shape(session, desk)
    address = f"/console/t/{boss}/menus/{desk.id}"
    stamp = form_of(page_of(client, address))["stamp"]
    answer = send(address, stamp=stamp, places=places.format(theirs=theirs, **tree), act=act)
    assert answer.status_code in {400, 409}
    assert shape(session, desk) == before


@pytest.mark.parametrize("act", ["fly-{home}", "up-999999", "up-9999999999999999999", "-", "up-x"])
def test_moves_that_were_made_up_change_nothing(client, session, boss, send, desk, tree, act):
    address = f"/console/t/{boss}/menus/{desk.id}"
    form = form_of(page_of(client, address))
    answer = send(address, **form, act=act.format(**tree))
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert form_of(" ".join(answer.get_data(as_text=True).split())) == form


def test_a_tree_that_was_changed_meanwhile_is_not_overwritten(
    client, session, boss, send, desk, tree
):
    address = f"/console/t/{boss}/menus/{desk.id}"
    page = page_of(client, address)
    form = form_of(pressed(send, address, form_of(page), f"up-{tree['stock']}"))
    assert send(address, **form, act="save").status_code == 303
    saved = shape(session, desk)
    for act in ("save", f"up-{tree['stock']}"):  # sent twice, or from another window
        answer = send(address, **form, act=act)
        assert answer.status_code == 409
        assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    assert shape(session, desk) == saved
    assert len(events(session, Tag.APPLICATION_CHANGED)) == 1


def test_menus_have_at_most_ten_levels(client, session, boss, send, desk):
    parent, ids = None, []
    for number in range(editing.DEEPEST):
        parent = make_entry(session, desk, f"l{number}", parent_id=parent)
        ids.append(parent)
    address = f"/console/t/{boss}/menus/{desk.id}"
    answer = send(f"{address}/entries/new", code="x", **ENTRY | {"parent": str(parent)})
    assert answer.status_code == 400
    last = make_entry(session, desk, "last", parent_id=ids[-2])
    form = form_of(page_of(client, address))
    page = pressed(send, address, form, f"in-{last}")
    assert form_of(page) == form
    places = form["places"].replace(f"{last}:{ids[-2]}:1", f"{last}:{ids[-1]}:1")
    assert places != form["places"]
    assert send(address, stamp=form["stamp"], places=places, act="save").status_code == 400


def test_a_menu_has_a_bounded_number_of_entries(client, session, boss, send, desk, monkeypatch):
    monkeypatch.setattr(editing, "MOST_ENTRIES", 1)
    base = f"/console/t/{boss}/menus/{desk.id}"
    assert send(f"{base}/entries/new", code="a", **ENTRY).status_code == 303
    assert send(f"{base}/entries/new", code="b", **ENTRY).status_code == 409
    make_entry(session, desk, "c")
    page = page_of(client, base)
    assert "too many entries" in page
    assert 'name="act"' not in page


def test_an_entry_is_created_changed_and_deleted(client, session, boss, send, desk, tree):
    base = f"/console/t/{boss}/menus/{desk.id}"
    catalogue.create_privilege(session, "desk.read", "Read")
    session.commit()
    new = f"{base}/entries/new"
    assert send(new, code="", title="").status_code == 400
    assert send(new, code="home", **ENTRY).status_code == 409
    assert send(new, code="x", **ENTRY | {"parent": "999999"}).status_code == 400
    assert send(new, code="x", privilege="nothing", **ENTRY).status_code == 400
    form = ENTRY | {"url": "/all", "icon": "list", "privilege": "desk.read", "comment": "C"}
    assert send(new, code="all", **form | {"parent": str(tree["orders"])}).location == base
    row = session.scalar(select(Menu).where(Menu.code == "all"))
    assert (row.parent_id, row.url, row.icon, row.status) == (tree["orders"], "/all", "list", 1)
    assert row.privilege.code == "desk.read"
    assert [entry[0] for entry in shape(session, desk)][2:5] == ["open", "done", "all"]
    path = f"{base}/entries/{row.id}"
    stamp = re.search(r'name="stamp"[^>]*value="([^"]+)"', page_of(client, path))[1]
    changed = {"title": "Every order", "stamp": stamp}
    assert send(path, **changed).location == base
    answer = send(path, **changed | {"title": "Other"})
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    session.expire_all()
    row = session.get(Menu, row.id)
    assert (row.title, row.privilege_id, row.status) == ("Every order", None, 0)


def test_an_entry_is_deleted_with_those_below_it(client, session, boss, send, desk, tree):
    path = f"/console/t/{boss}/menus/{desk.id}/entries/{tree['orders']}/delete"
    page = page_of(client, path)
    assert "2 entries below it are deleted too" in page
    stamp = re.search(r'name="stamp" value="([^"]+)"', page)[1]
    assert send(path, stamp="").status_code == 409
    make_entry(session, desk, "late", parent_id=tree["open"])
    answer = send(path, stamp=stamp)
    assert answer.status_code == 409
    page = " ".join(answer.get_data(as_text=True).split())
    assert "Late" in page
    stamp = re.search(r'name="stamp" value="([^"]+)"', page)[1]
    assert send(path, stamp=stamp).status_code == 303
    assert [entry[0] for entry in shape(session, desk)] == ["home", "stock"]
    assert send(path, stamp=stamp).status_code == 404
    event = events(session, Tag.APPLICATION_CHANGED)[-1]
    assert event.details["changes"][0]["removed"] == ["done", "late", "open", "orders"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", " JavaScript:x", "data:text/html,x", "vbscript:x", "http://[",
            "/a\u202eb", "java\nscript:x"]
)  # fmt: skip
def test_addresses_that_a_browser_would_run_are_refused(client, session, boss, send, desk, url):
    answer = send(f"/console/t/{boss}/menus/{desk.id}/entries/new", code="x", url=url, **ENTRY)
    assert answer.status_code == 400
    assert 'id="url-error"' in answer.get_data(as_text=True)
    assert shape(session, desk) == []


@pytest.mark.parametrize(
    "url", ["", "/orders", "#/orders", "orders/all?x=1", "https://a.example/x"]
)
def test_paths_and_addresses_of_sites_are_taken(client, session, boss, send, desk, url):
    path = f"/console/t/{boss}/menus/{desk.id}"
    assert send(f"{path}/entries/new", code="x", url=url, **ENTRY).location == path


def test_privileges_of_other_tenants_are_neither_offered_nor_taken(
    client, session, boss, send, desk
):
    api = add_api(session, "secret-api", ["secret.scope"], tenant_id=add_tenant(session, "Bluefen"))
    catalogue.create_privilege(session, "secret.read", "Secret", api_resource_id=api.id)
    session.commit()
    new = f"/console/t/{boss}/menus/{desk.id}/entries/new"
    assert "secret.read" not in page_of(client, new)
    answer = send(new, code="x", privilege="secret.read", **ENTRY)
    assert answer.status_code == 400
    assert "There is no such privilege." in answer.get_data(as_text=True)


def test_texts_are_text_and_long_ones_are_refused(client, session, boss, send, desk):
    session.execute(
        update(Application).where(Application.id == desk.id).values(name="<b>Bold</b>\u202e")
    )
    values = {"title": "<i>T</i>\u202e" + "x" * 180, "url": "<u>", "icon": "<s>"}
    entry = make_entry(session, desk, "<q>" + "c" * 90, **values)
    person = add_person(session, "eve", nick_name="<em>Eve", tenant_ids=(boss,))
    session.commit()
    base = f"/console/t/{boss}/menus"
    one = f"{base}/{desk.id}"
    paths = [base, one, f"{one}/entries/{entry}", f"{one}/entries/{entry}/delete"]
    paths += [f"{one}/preview?user={person.id}", f"{one}/preview?q=eve", f"{base}?q=bold"]
    paths += [f"{one}/delete", f"{one}/entries/new", f"/console/t/{boss}/search?q=bold"]
    for path in paths:
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200, path
        for letters in (b"<b>Bold", b"<i>T", b"<u>", b"<s>", b"<q>", b"<em>Eve"):
            assert letters not in answer.data, path
    new = {"code": "x", **ENTRY}
    for field in ("title", "code", "url", "icon", "comment", "privilege"):
        answer = send(f"{one}/entries/new", **{**new, field: "x" * 10_000})
        assert answer.status_code == 400, field
        assert f'id="{field}-error"' in answer.get_data(as_text=True), field
        answer = send(f"{one}/entries/new", **{**new, field: "a\u202eb"})
        assert answer.status_code == 400, field


def test_a_preview_says_what_a_person_sees_and_why(client, session, boss, desk):
    ann = add_person(session, "ann", tenant_ids=(boss,))
    add_role(session, ann, "clerk", [], tenant_id=boss)
    api = add_api(session, "desk-api", ["desk.scope"], tenant_id=boss)
    for code in ("desk.all", "desk.read"):
        catalogue.create_privilege(session, code, code, api_resource_id=api.id)
    for code in ("desk.own", "desk.off", "other.read"):
        catalogue.create_privilege(session, code, code)
    session.flush()
    role = catalogue.find_role(session, "clerk", boss)
    for code in ("desk.all", "desk.off"):
        catalogue.add_privilege(session, role, catalogue.find_privilege(session, code))
    grant_directly(session, ann, "desk.own", tenant_id=boss)
    session.execute(update(Privilege).where(Privilege.code == "desk.off").values(status=0))
    top = make_entry(session, desk, "top")
    make_entry(session, desk, "read", "desk.read", parent_id=top)
    make_entry(session, desk, "own", "desk.own")
    make_entry(session, desk, "stopped", "desk.off")
    make_entry(session, desk, "foreign", "other.read")
    make_entry(session, desk, "lonely")
    off = make_entry(session, desk, "off", "desk.own", status=0)
    make_entry(session, desk, "under", "desk.own", parent_id=off)
    base = f"/console/t/{boss}/menus/{desk.id}/preview"
    page = page_of(client, f"{base}?user={ann.id}")
    rows = dict(re.findall(r"<em>(\w+)</em>\s*<small>\s*(.*?)\s*</small>", page))
    assert rows == {
        "Top": "Leads to an entry below it.",
        "Read": f"desk.all, by the role {role.name}",
        "Own": "desk.own, granted to the person",
        "Stopped": "Its privilege desk.off is disabled.",
        "Foreign": "Needs other.read, which no role of the person carries.",
        "Lonely": "Has no privilege, and nothing below it is shown.",
        "Off": "The entry is disabled.",
        "Under": "An entry above it is disabled.",
    }
    assert "3 of 8 entries" in page
    held = permissions.effective_permissions(session, ann.id, boss, platform=True)
    rendered = menus.permitted(session, [desk], {one.code for one in held})[desk.id]
    assert [menu.code for menu in menus.flat(rendered)] == ["top", "read", "own"]
    ability = '{"roles": [], "adminRoleCodes": []}'
    session.add(Bundle(code="small", name="Small", tenant_type_code="x", ability=ability))
    session.execute(update(Tenant).where(Tenant.id == boss).values(bundle_code="small"))
    session.commit()
    page = page_of(client, f"{base}?user={ann.id}")
    assert "Needs other.read, which the bundle Small does not contain." in page


def test_a_preview_shows_people_of_the_tenant_alone(client, session, boss, desk):
    other = add_person(session, "stranger", tenant_ids=(add_tenant(session, "Bluefen"),))
    base = f"/console/t/{boss}/menus/{desk.id}/preview"
    assert "Search for a person" in page_of(client, base)
    assert "boss" in page_of(client, f"{base}?q=bos")
    assert "Nobody is found." in page_of(client, f"{base}?q=stranger")
    for user in (other.id, 999_999, 10**30, "x", "\u0661"):
        answer = client.get(base, query_string={"user": user}, headers=HTML)
        assert answer.status_code == 404, user
    assert client.get(f"{base}?user=1&user=2", headers=HTML).status_code == 400
    assert client.get(base, query_string={"q": "x" * 10_000}, headers=HTML).status_code == 200


def test_a_preview_in_a_tenant_reveals_no_rights_of_the_platform(client, session, boss, desk):
    ann = add_person(session, "ann", tenant_ids=(1, boss))
    make_entry(session, desk, "read", "desk.read")
    add_role(session, ann, "secret-role", ["desk.read"], tenant_id=None)
    session.commit()
    page = page_of(client, f"/console/t/{boss}/menus/{desk.id}/preview?user={ann.id}")
    assert "by the role" not in page
    assert "0 of 1 entries" in page
    assert "Roles at the platform are not considered here." in page


def test_a_preview_of_the_platform_counts_its_roles(client, session, root):
    theirs = make_application(session, "theirs", add_tenant(session, "Bluefen"))
    make_entry(session, theirs, "read", "desk.read")
    ann = add_person(session, "ann", tenant_ids=(theirs.tenant_id,))
    add_role(session, ann, "helper", ["desk.read"], tenant_id=None)
    session.commit()
    for base in ("platform", f"t/{theirs.tenant_id}"):
        page = page_of(client, f"/console/{base}/menus/{theirs.id}/preview?user={ann.id}")
        assert "1 of 1 entries" in page, base
        assert "not considered" not in page


@pytest.mark.parametrize("lacking", ["ids4.ms.admin.users.read", "ids4.ms.us.menu.page"])
def test_a_preview_needs_both_permissions(client, session, lacking):
    acme = add_tenant(session)
    desk = make_application(session, "desk", acme)
    user = add_person(session, tenant_ids=(acme,))
    codes = {"ids4.ms.us.app.page", "ids4.ms.us.menu.page", "ids4.ms.admin.users.read"}
    add_role(session, user, "r", sorted(codes - {lacking}), tenant_id=acme)
    sign_in(client, session, user)
    answer = client.get(f"/console/t/{acme}/menus/{desk.id}/preview", headers=HTML)
    assert answer.status_code == 403
    assert lacking in answer.get_data(as_text=True)


def test_deleting_an_application_needs_a_recent_sign_in(client, session, boss, desk, send, clock):
    clock.shift(gate.RECENT.total_seconds() + 1)
    answer = send(f"/console/t/{boss}/menus/{desk.id}/delete", typed="Desk")
    assert answer.location.startswith("/login?prompt=login")


def test_the_number_of_queries_does_not_grow(client, session, boss, desk, send, runtime):
    counts = []
    for many in (1, 7):
        for number in range(many):
            make_application(session, f"a-{many}-{number}", boss)
            parent = make_entry(session, desk, f"m-{many}-{number}", f"p.{many}.{number}")
            make_entry(session, desk, f"n-{many}-{number}", parent_id=parent)
            add_person(session, f"u-{many}-{number}", tenant_ids=(boss,))
        session.commit()
        base = f"/console/t/{boss}/menus"
        one = f"{base}/{desk.id}"
        form = form_of(page_of(client, one))
        person = add_person(session, f"v-{many}", tenant_ids=(boss,))
        session.commit()
        each = []
        for path in (base, one, f"{one}/entries/{parent}", f"{one}/preview?user={person.id}",
                     f"{one}/preview?q=u-"):  # fmt: skip
            with statements(runtime.engine) as sent:
                assert client.get(path).status_code == 200
            each.append(len(sent))
        token = csrf_token(client.get(one))
        with statements(runtime.engine) as sent:
            data = {"csrf_token": token, **form, "act": f"in-{parent}"}
            assert client.post(one, data=data).status_code == 200
        each.append(len(sent))
        counts.append(each)
    assert counts[0] == counts[1]
    assert max(counts[0]) < 45
