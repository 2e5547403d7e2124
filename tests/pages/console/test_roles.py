"""Roles in the console: the matrix, its difference, who may grant what, people, the end of one."""

from __future__ import annotations

import re
from html import unescape

import orjson
import pytest
from sqlalchemy import func, select, update

from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.policies.models import RolePolicy
from idp.directory.roles import catalogue, effects
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.tenants.models import Tenant
from idp.pages.console import gate
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events, readable, send
from tests.protocol import add_api, add_person, add_role, add_tenant, grant_directly, sign_in

MANAGING = [
    *(f"ids4.ms.role.{act}" for act in ("get", "detail", "post", "put", "delete")),
    "ids4.ms.us.role.bind",
]


@pytest.fixture
def orders(session):
    """Add an API of the platform with privileges."""
    api = add_api(session, "orders")
    codes = ("orders.all", "orders.read", "orders.write", "orders.export")
    rights = [
        catalogue.create_privilege(session, code, f"Name of {code}", api_resource_id=api.id)
        for code in codes
    ]
    session.commit()
    return dict(zip(codes, rights, strict=True))


@pytest.fixture
def ann(client, session, orders):
    """Sign in somebody who manages roles in Acme and holds its orders; return them and Acme."""
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    add_role(session, user, "manager", [*MANAGING, "orders.read", "orders.write"], tenant_id=acme)
    sign_in(client, session, user)
    return user, acme


@pytest.fixture
def root(client, session, orders):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


def make_role(session, code, codes=(), tenant_id=None, **values):
    """Add a role that nobody has."""
    role = Role(code=code, name=values.pop("name", code.title()), tenant_id=tenant_id, **values)
    session.add(role)
    session.flush()
    for right in session.scalars(select(Privilege).where(Privilege.code.in_(codes))):
        session.add(RolePrivilege(role_id=role.id, privilege_id=right.id))
    session.commit()
    return role


def stored(session, role):
    """Read what a role carries now."""
    session.expire_all()
    return sorted(right.code for right in session.get(Role, role.id).privileges)


def form_of(page: str) -> dict[str, list[str]]:
    """Read what a browser would send of the matrix."""
    form = page.partition('id="matrix"')[2].partition("</form>")[0]
    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        if 'type="checkbox"' in tag and not re.search(r"\bchecked\b", tag):
            continue
        values = {name: re.search(rf'\b{name}="([^"]*)"', tag)[1] for name in ("name", "value")}
        found.setdefault(values["name"], []).append(unescape(values["value"]))
    return found


def changed(client, path, *, add=(), remove=(), act="save"):
    """Tick cells of the matrix and send it."""
    form = form_of(client.get(path, headers=HTML).get_data(as_text=True))
    ticks = [cell for cell in form.get("tick", []) if cell not in remove]
    return client.post(path, data={**form, "tick": [*ticks, *add], "act": act}, headers=HTML)


def test_a_tenant_shows_its_own_roles_alone(client, session, ann):
    _, acme = ann
    other = add_tenant(session, "Bluefen")
    theirs = make_role(session, "theirs", tenant_id=other)
    platform = session.scalar(select(Role).where(Role.code == "administrators"))
    page = client.get(f"/console/t/{acme}/roles").get_data(as_text=True)
    assert "manager" in page
    assert "Theirs" not in page
    token = csrf_token(client.get(f"/console/t/{acme}/roles/new"))
    for role in (theirs, platform):
        for path in ("", "/delete"):
            address = f"/console/t/{acme}/roles/{role.id}{path}"
            assert client.get(address, headers=HTML).status_code == 404
            sent = {"csrf_token": token, "name": "x", "typed": role.name}
            assert client.post(address, data=sent, headers=HTML).status_code == 404
        people = f"/console/t/{acme}/roles/{role.id}/people"
        sent = {"csrf_token": token, "people": "ann"}
        assert client.post(people, data=sent, headers=HTML).status_code == 404


def test_ids_of_other_tenants_in_the_form_change_nothing(client, session, ann, orders):
    _, acme = ann
    theirs = make_role(session, "theirs", tenant_id=add_tenant(session, "Bluefen"))
    cell = f"{theirs.id}-{orders['orders.read'].id}"
    form = form_of(client.get(f"/console/t/{acme}/roles").get_data(as_text=True))
    form["role"].append(f"{theirs.id}:{theirs.concurrency_stamp}")
    sent = {**form, "tick": [*form["tick"], cell], "act": "save"}
    assert client.post(f"/console/t/{acme}/roles", data=sent, headers=HTML).status_code == 303
    assert stored(session, theirs) == []


def test_an_administrator_of_the_platform_sees_the_roles_of_one_workspace(client, session, root):
    acme = add_tenant(session)
    make_role(session, "ours", tenant_id=acme)
    make_role(session, "elsewhere", tenant_id=add_tenant(session, "Bluefen"))
    page = client.get(f"/console/t/{acme}/roles").get_data(as_text=True)
    assert "Ours" in page
    assert "Elsewhere" not in page
    assert "Administrators" not in page
    page = client.get("/console/platform/roles").get_data(as_text=True)
    assert "Administrators" in page
    assert "Ours" not in page
    ours = session.scalar(select(Role).where(Role.code == "ours"))
    assert client.get(f"/console/platform/roles/{ours.id}", headers=HTML).status_code == 404


def test_privileges_of_other_tenants_are_not_shown(client, session, ann):
    _, acme = ann
    other = add_tenant(session, "Bluefen")
    api = add_api(session, "secret-api", ["secret.scope"], tenant_id=other)
    catalogue.create_privilege(session, "secret.read", "Secret", api_resource_id=api.id)
    session.commit()
    page = client.get(f"/console/t/{acme}/roles?q=secret").get_data(as_text=True)
    assert "secret.read" not in page
    page = client.get(f"/console/t/{acme}/roles").get_data(as_text=True)
    assert "secret-api" not in page
    answer = client.get(f"/console/t/{acme}/roles?api={api.id}", headers=HTML)
    assert answer.status_code == 400


def test_ticks_are_shown_as_a_difference_and_then_saved(client, session, ann, orders):
    user, acme = ann
    viewer = make_role(session, "viewer", ["orders.read"], tenant_id=acme)
    for number in range(3):
        person = add_person(session, f"v{number}", tenant_ids=(acme,))
        catalogue.assign(session, person.id, viewer)
    catalogue.assign(session, user.id, viewer)  # holds both through manager
    session.commit()
    path = f"/console/t/{acme}/roles"
    add, remove = (f"{viewer.id}-{orders[code].id}" for code in ("orders.write", "orders.read"))
    answer = changed(client, path, add=[add], remove=[remove], act="review")
    page = " ".join(unescape(answer.get_data(as_text=True)).split())
    assert answer.status_code == 200
    assert "3 people gain it" in page
    assert "3 people lose it" in page
    assert page.count("1 has it through manager") == 2
    assert "Save 2 changes" in page
    assert "3 people are affected" in page
    assert stored(session, viewer) == ["orders.read"]
    answer = changed(client, path, add=[add], remove=[remove])
    assert (answer.status_code, answer.location) == (303, path)
    assert stored(session, viewer) == ["orders.write"]
    event = events(session, Tag.ROLE_CHANGED)[-1]
    assert (event.user_id, event.tenant_id, event.target) == (user.id, acme, f"role:{viewer.id}")
    assert event.details["changes"] == [
        {"field": "privileges", "removed": ["orders.read"], "added": ["orders.write"]}
    ]


def test_what_stands_on_other_pages_of_the_matrix_stays(client, session, ann, orders):
    _, acme = ann
    role = make_role(session, "viewer", ["orders.read", "ids4.ms.role.get"], tenant_id=acme)
    path = f"/console/t/{acme}/roles?q=orders.write"
    changed(client, path, add=[f"{role.id}-{orders['orders.write'].id}"])
    assert stored(session, role) == ["ids4.ms.role.get", "orders.read", "orders.write"]


def test_a_form_that_is_sent_twice_changes_once(client, session, ann, orders):
    _, acme = ann
    role = make_role(session, "viewer", tenant_id=acme)
    path = f"/console/t/{acme}/roles"
    form = form_of(client.get(path).get_data(as_text=True))
    cell = f"{role.id}-{orders['orders.read'].id}"
    sent = {**form, "tick": [*form["tick"], cell], "act": "save"}
    assert client.post(path, data=sent, headers=HTML).status_code == 303
    answer = client.post(path, data=sent, headers=HTML)
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    assert stored(session, role) == ["orders.read"]
    assert len([one for one in events(session, Tag.ROLE_CHANGED) if one.tenant_id == acme]) == 1


def test_a_role_that_is_deleted_meanwhile_is_left_out(client, session, ann, orders):
    _, acme = ann
    role = make_role(session, "viewer", tenant_id=acme)
    path = f"/console/t/{acme}/roles"
    form = form_of(client.get(path).get_data(as_text=True))
    sent = {**form, "tick": [f"{role.id}-{orders['orders.read'].id}", *form["tick"]]}
    session.delete(role)
    session.commit()
    answer = client.post(path, data={**sent, "act": "save"}, headers=HTML)
    assert answer.status_code == 303
    assert client.get(f"{path}/{role.id}", headers=HTML).status_code == 404


def test_what_one_does_not_hold_cannot_be_ticked(client, session, ann, orders):
    _, acme = ann
    role = make_role(session, "viewer", tenant_id=acme)
    page = unescape(
        client.get(
            f"/console/t/{acme}/roles?api=" + str(orders["orders.all"].api_resource_id)
        ).get_data(as_text=True)
    )
    cells = {code: f'value="{role.id}-{right.id}"' for code, right in orders.items()}
    assert cells["orders.write"] in page
    assert cells["orders.export"] not in page
    assert "You cannot grant what you do not hold here." in page
    path = f"/console/t/{acme}/roles"
    changed(client, path, add=[f"{role.id}-{orders['orders.export'].id}"])
    changed(client, path, add=[f"{role.id}-{orders['orders.all'].id}"])
    assert stored(session, role) == []


def test_the_bundle_limits_everybody(client, session, root, orders):
    acme = add_tenant(session)
    role = make_role(session, "viewer", tenant_id=acme, bundle_code="small")
    session.add(TenantType(code="company", name="Company"))
    content = [{"code": "a", "name": "A", "privilegeCodes": ["orders.read"]}]
    ability = orjson.dumps({"roles": content, "adminRoleCodes": []}).decode()
    session.add(Bundle(code="small", name="Small", tenant_type_code="company", ability=ability))
    session.execute(update(Tenant).where(Tenant.id == acme).values(bundle_code="small"))
    session.commit()
    path = f"/console/t/{acme}/roles"
    page = unescape(client.get(path).get_data(as_text=True))
    assert "Not in the bundle Small." in page
    assert "from the bundle" in page
    assert f'value="{role.id}-{orders["orders.write"].id}"' not in page
    changed(
        client, path, add=[f"{role.id}-{orders[c].id}" for c in ("orders.write", "orders.read")]
    )
    assert stored(session, role) == ["orders.read"]


def test_what_an_all_covers_has_no_box_of_its_own(client, session, root, orders):
    acme = add_tenant(session)
    role = make_role(session, "viewer", ["orders.all"], tenant_id=acme)
    page = unescape(client.get(f"/console/t/{acme}/roles").get_data(as_text=True))
    assert f'value="{role.id}-{orders["orders.read"].id}"' not in page
    assert "Through Name of orders.all" in page


def test_without_the_permission_to_change_nothing_can_be_ticked(client, session, orders):
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    add_role(session, user, "reader", ["ids4.ms.role.get", "orders.read"], tenant_id=acme)
    sign_in(client, session, user)
    path = f"/console/t/{acme}/roles"
    page = client.get(path).get_data(as_text=True)
    boxes = re.findall(r'<input[^>]*type="checkbox"[^>]*>', page)
    assert boxes
    assert all("disabled" in box for box in boxes)
    assert "Show the difference" not in page
    assert client.post(path, data=form_of(page), headers=HTML).status_code == 403


def test_roles_of_the_platform_need_a_recent_sign_in(client, session, root, orders, clock):
    role = make_role(session, "support")
    path = "/console/platform/roles"
    clock.shift(gate.RECENT.total_seconds() + 1)
    page = client.get(path).get_data(as_text=True)
    assert "Sign in again to make changes" in page
    assert "Show the difference" not in page
    cell = f"{role.id}-{orders['orders.read'].id}"
    answer = changed(client, path, add=[cell])
    assert answer.location.startswith("/login?prompt=login")
    assert stored(session, role) == []
    answer = client.get(f"{path}/change")
    assert answer.location.startswith("/login?prompt=login")
    sign_in(client, session, root)
    assert client.get(f"{path}/change?q=orders").location == f"{path}?q=orders"
    assert changed(client, path, add=[cell]).status_code == 303
    assert stored(session, role) == ["orders.read"]


@pytest.mark.parametrize(
    "form",
    [
        {"tick": "x"},
        {"tick": "1"},
        {"tick": "1-x"},
        {"tick": "-1--1"},
        {"role": "x:y"},
        {"role": ""},
        {"privileges": "1,x"},
        {"privileges": "\u0661"},
    ],
)
def test_a_form_that_was_made_up_is_refused(client, session, ann, form):
    _, acme = ann
    path = f"/console/t/{acme}/roles"
    token = csrf_token(client.get(path))
    answer = client.post(path, data={"csrf_token": token, "act": "save", **form}, headers=HTML)
    assert answer.status_code == 400


def test_a_search_narrows_what_it_names(client, session, ann):
    _, acme = ann
    make_role(session, "viewer", tenant_id=acme)
    make_role(session, "orders-clerk", tenant_id=acme)
    path = f"/console/t/{acme}/roles"

    def seen(text: str) -> tuple[bool, bool, bool]:
        page = client.get(path, query_string={"q": text}).get_data(as_text=True)
        rows = page.partition('id="rows"')[2]
        return "Viewer" in rows, "Orders-Clerk" in rows, "orders.export" in rows

    assert seen("viewer") == (True, False, True)
    assert seen("orders.exp") == (True, True, True)
    assert seen("orders") == (False, True, True)
    assert seen("orders.read") == (True, True, False)
    assert "Nothing matches" not in client.get(path, query_string={"q": "%"}).get_data(as_text=True)


def test_a_role_is_created_renamed_and_deleted(client, session, ann):
    user, acme = ann
    path = f"/console/t/{acme}/roles"
    token = csrf_token(client.get(f"{path}/new"))

    def send(address: str, **form: str):
        return client.post(path + address, data={"csrf_token": token, **form}, headers=HTML)

    assert send("/new", name="", code="").status_code == 400
    assert send("/new", name="A", code="a b").status_code == 400
    assert send("/new", name="A", code="manager").status_code == 409
    assert send("/new", name="x" * 10_000, code="y").status_code == 400
    answer = send("/new", name="Sellers", code="sellers")
    role = session.scalar(select(Role).where(Role.code == "sellers"))
    assert (role.tenant_id, answer.location) == (acme, f"{path}/{role.id}")
    stamp = role.concurrency_stamp
    assert send(f"/{role.id}", name="Shop", stamp=stamp).status_code == 303
    session.expire_all()
    assert session.get(Role, role.id).name == "Shop"
    answer = send(f"/{role.id}", name="Other", stamp=stamp)
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    page = unescape(client.get(f"{path}/{role.id}/delete").get_data(as_text=True))
    assert "Delete the role Shop?" in page
    deletion = f"/{role.id}/delete"
    assert send(deletion, typed="shop").status_code == 400
    assert send(deletion, typed="Shop").location == path
    assert send(deletion, typed="Shop").status_code == 404
    assert [event.user_id for event in events(session, Tag.ROLE_DELETED)] == [user.id]


def test_a_role_that_somebody_has_is_not_deleted(client, session, ann):
    _, acme = ann
    role = session.scalar(select(Role).where(Role.code == "manager"))
    address = f"/console/t/{acme}/roles/{role.id}/delete"
    page = client.get(address)
    assert "Remove this role from everybody first." in page.get_data(as_text=True)
    sent = {"csrf_token": csrf_token(page), "typed": role.name}
    assert client.post(address, data=sent, headers=HTML).status_code == 409
    assert session.get(Role, role.id) is not None


def test_built_in_roles_stay(client, session, root):
    role = session.scalar(select(Role).where(Role.code == "partners"))
    address = f"/console/platform/roles/{role.id}/delete"
    sent = {"csrf_token": csrf_token(client.get(address)), "typed": role.name}
    assert client.post(address, data=sent, headers=HTML).status_code == 422
    assert session.get(Role, role.id) is not None


def test_a_role_is_assigned_to_several_people_or_to_nobody(client, session, ann, orders):
    _, acme = ann
    role = make_role(session, "viewer", ["orders.read"], tenant_id=acme)
    strong = make_role(session, "strong", ["orders.export"], tenant_id=acme)
    for name in ("bea", "cid"):
        add_person(session, name, tenant_ids=(acme,))
    add_person(session, "stranger", tenant_ids=(add_tenant(session, "Bluefen"),))
    path = f"/console/t/{acme}/roles/{role.id}"
    token = csrf_token(client.get(path))

    def send(people: str, of: Role = role):
        address = f"/console/t/{acme}/roles/{of.id}/people"
        return client.post(address, data={"csrf_token": token, "people": people}, headers=HTML)

    def holders(of: Role = role) -> int:
        return session.scalar(select(func.count()).where(UserRole.role_id == of.id))

    assert send("bea\nstranger").status_code == 404
    assert send("bea\nnobody").status_code == 404
    assert send("").status_code == 400
    assert send("\n".join(f"p{n}" for n in range(101))).status_code == 400
    assert send("bea\nann").status_code == 400  # not to oneself
    assert send("bea", strong).status_code == 400  # not what one does not hold
    assert (holders(), holders(strong)) == (0, 0)
    assert send("bea\r\n cid \r\nbea").location == path
    assert send("bea,cid").location == path
    assert holders() == 2
    assert len([one for one in events(session, Tag.ROLE_GIVEN) if one.tenant_id == acme]) == 2
    assert "cid" in client.get(path).get_data(as_text=True)


def test_names_are_text_and_long_ones_fit(client, session, root):
    acme = add_tenant(session)
    name = "<b>Bold</b>\u202e" + "x" * 240
    role = make_role(session, "viewer", tenant_id=acme, name=name)
    person = add_person(session, "eve", nick_name="<i>Eve</i>", tenant_ids=(acme,))
    catalogue.assign(session, person.id, role)
    session.add(Privilege(code="c" * 200, name="<u>" + "n" * 190))
    session.commit()
    base = f"/console/t/{acme}"
    for path in ("/roles", f"/roles/{role.id}", f"/roles/{role.id}/delete", "/search?q=Bold"):
        answer = client.get(base + path, headers=HTML)
        assert answer.status_code == 200, path
        for letters in (b"<b>Bold", b"<i>Eve", b"<u>nn"):
            assert letters not in answer.data, path


def test_the_number_of_queries_does_not_grow(client, session, root, runtime, orders):
    acme = add_tenant(session)
    counts = []
    for many in (1, 5):
        for number in range(many):
            role = make_role(session, f"r-{many}-{number}", ["orders.read"], tenant_id=acme)
            user = add_person(session, f"p-{many}-{number}", tenant_ids=(acme,))
            catalogue.assign(session, user.id, role)
            catalogue.create_privilege(session, f"x.{many}.{number}", "X")
        session.commit()
        path = f"/console/t/{acme}/roles"
        form = form_of(client.get(path).get_data(as_text=True))
        sent = {**form, "tick": [], "act": "review"}
        with statements(runtime.engine) as sent_for_list:
            assert client.get(path).status_code == 200
        with statements(runtime.engine) as sent_for_form:
            assert client.post(path, data=sent).status_code == 200
        counts.append((len(sent_for_list), len(sent_for_form)))
    assert counts[0] == counts[1]
    assert max(counts[0]) < 60


def test_the_effect_counts_every_way_to_hold_a_privilege(session, orders):
    acme = add_tenant(session)
    read = orders["orders.read"]
    role = make_role(session, "a", ["orders.read"], tenant_id=acme)
    wide = make_role(session, "wide", ["orders.all"], tenant_id=acme)
    wide_at_platform = make_role(session, "everywhere", ["orders.read"])
    other = make_role(session, "other", ["orders.read"], tenant_id=add_tenant(session, "Other"))
    people = [add_person(session, f"p{n}", tenant_ids=(acme,)) for n in range(5)]
    for person in people:
        catalogue.assign(session, person.id, role)
    for person, also in zip(people, (wide, wide_at_platform, other), strict=False):
        catalogue.assign(session, person.id, also)
    grant_directly(session, people[3], "orders.read", tenant_id=acme)
    session.commit()
    loss = effects.Change(
        role.id, effects.Permission(read.code, read.api_resource_id), is_added=False
    )

    def counted(*, platform: bool) -> tuple[int, int]:
        (effect,) = effects.of(session, [loss], tenant_id=acme, platform=platform).each
        return effect.people, effect.unaffected

    assert counted(platform=True) == (2, 3)
    assert counted(platform=False) == (3, 2)


def test_very_many_people_are_not_looked_at_one_by_one(session, orders, monkeypatch):
    monkeypatch.setattr(effects, "MOST_COUNTED", 1)
    acme = add_tenant(session)
    role = make_role(session, "a", tenant_id=acme)
    for number in range(2):
        catalogue.assign(session, add_person(session, f"p{number}").id, role)
    session.commit()
    read = effects.Permission("orders.read", orders["orders.read"].api_resource_id)
    found = effects.of(
        session, [effects.Change(role.id, read, is_added=True)], tenant_id=acme, platform=True
    )
    assert (found.is_exact, found.people, found.each[0].people) == (False, 2, 2)


POLICY_READ, POLICY_WRITE = "ids4.ms.admin.policy.read", "ids4.ms.admin.policy.write"


@pytest.fixture
def guard(client, session):
    """Sign in somebody who sees the roles of Acme and decides about policies there."""
    acme = add_tenant(session)
    person = add_person(session, "guard", tenant_ids=(acme,))
    codes = ["ids4.ms.role.get", "ids4.ms.role.detail", POLICY_READ, POLICY_WRITE]
    add_role(session, person, "guards", codes, tenant_id=acme)
    sign_in(client, session, person)
    return acme


def policy_of(session, role):
    session.rollback()
    session.expire_all()
    return session.scalars(select(RolePolicy).where(RolePolicy.role_id == role.id)).one_or_none()


def save_policy(browser, path, **values):
    page = browser.get(path, headers=HTML)
    stamp = re.search(r'name="policy_stamp"[^>]*value="([^"]*)"', page.get_data(as_text=True))
    form = {"second_factor": "", "level": "", "policy_stamp": stamp[1] if stamp else "", **values}
    return send(browser, page, f"{path}/policy", form)


def test_the_policy_of_a_role_is_saved_and_recorded(client, session, guard):
    role = make_role(session, "editor", tenant_id=guard)
    path = f"/console/t/{guard}/roles/{role.id}"
    for _ in range(2):
        assert save_policy(client, path, second_factor="required").location == path
    assert policy_of(session, role).second_factor == "required"
    (event,) = events(session, Tag.ROLE_POLICY_CHANGED)
    assert (event.target, event.tenant_id) == (f"role:{role.id}", guard)
    assert "Policy of a role changed" in readable(client.get(path))


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"level": "pwd"}, 400),
        ({"second_factor": "<script>alert(1)</script>" + "x" * 10_000}, 400),
        ({"second_factor": "required", "level": "phr"}, 400),
        ({"second_factor": "required", "policy_stamp": "of somebody else"}, 409),
    ],
)
def test_a_policy_of_a_role_that_cannot_be_is_refused(client, session, guard, values, status):
    role = make_role(session, "editor", tenant_id=guard)
    answer = save_policy(client, f"/console/t/{guard}/roles/{role.id}", **values)
    assert answer.status_code == status
    assert "<script>alert" not in answer.get_data(as_text=True)
    assert policy_of(session, role) is None


def test_policies_of_other_roles_are_out_of_reach(client, session, guard):
    other = add_tenant(session, "Bluefen")
    roles = [make_role(session, "theirs", tenant_id=other), make_role(session, "everywhere")]
    for role in roles:
        for place in (f"/console/t/{guard}", f"/console/t/{other}", "/console/platform"):
            form = {"second_factor": "required", "level": "", "policy_stamp": "unset"}
            page = client.get("/account/password", headers=HTML)
            answer = send(client, page, f"{place}/roles/{role.id}/policy", form)
            assert answer.status_code == 404
        assert policy_of(session, role) is None


def test_without_the_permission_the_policy_of_a_role_is_not_shown(client, session, ann):
    _, acme = ann
    role = make_role(session, "editor", tenant_id=acme)
    path = f"/console/t/{acme}/roles/{role.id}"
    assert f"{path}/policy" not in readable(client.get(path))
    assert save_policy(client, path, second_factor="required").status_code == 403
    assert policy_of(session, role) is None
