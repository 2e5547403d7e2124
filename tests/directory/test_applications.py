"""What privileges open: the trees of menus, who may see them, and what the reading costs."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.applications import resources
from idp.directory.applications.models import Application, Menu
from idp.directory.roles.models import Privilege
from idp.directory.tenants.models import Tenant
from tests import protocol
from tests.api import center


def application(session: Session, code: str, tenant_id: int = 1) -> Application:
    row = Application(code=code, name=code.title(), tenant_id=tenant_id)
    session.add(row)
    session.flush()
    return row


def privilege(session: Session, code: str, owner: int | None = None) -> Privilege:
    row = Privilege(code=code, name=code, api_resource_id=owner)
    session.add(row)
    session.flush()
    return row


def menu(
    session: Session,
    of: Application,
    code: str,
    opened_by: Privilege | None = None,
    parent: Menu | None = None,
    **columns: int,
) -> Menu:
    row = Menu(
        application_id=of.id,
        code=code,
        title=code.title(),
        privilege_id=opened_by.id if opened_by else None,
        parent_id=parent.id if parent else None,
        **columns,
    )
    session.add(row)
    session.flush()
    return row


def drawn(nodes) -> dict:
    return {node.menu.code: drawn(node.children) for node in nodes}


def seen(session: Session, *codes: str, tenant_id: int = 1) -> dict:
    found = resources.by_tenant(session, {tenant_id: codes})[tenant_id]
    return {row.application.code: drawn(row.app_res["menu"].children) for row in found}


def test_privileges_open_their_menus_and_what_stands_above(session: Session) -> None:
    shop = application(session, "shop")
    read, write = privilege(session, "shop.read"), privilege(session, "shop.write")
    sales = menu(session, shop, "sales")
    menu(session, shop, "orders", read, sales, sort=2)
    menu(session, shop, "offers", read, sales, sort=1)
    menu(session, shop, "edit", write, sales)
    menu(session, shop, "help")
    guarded = menu(session, shop, "guarded", write)
    menu(session, shop, "inner", read, guarded)

    assert seen(session, "shop.read") == {
        "shop": {"sales": {"offers": {}, "orders": {}}, "guarded": {"inner": {}}}
    }
    found = resources.by_tenant(session, {1: ["shop.read"]})[1]
    assert [node.menu.code for node in found[0].menus[0].children] == ["offers", "orders"]
    assert seen(session, "shop.write") == {"shop": {"sales": {"edit": {}}, "guarded": {}}}
    assert seen(session, "shop.other") == {}
    assert seen(session) == {}


def test_disabled_menus_and_what_is_below_them_are_left_out(session: Session) -> None:
    shop = application(session, "shop")
    read = privilege(session, "shop.read")
    off = menu(session, shop, "off", status=0)
    menu(session, shop, "below", read, off)
    menu(session, shop, "beside", read)
    menu(session, shop, "gone", read, status=0)
    assert seen(session, "shop.read") == {"shop": {"beside": {}}}
    read.status = 0
    session.flush()
    assert seen(session, "shop.read") == {}


def test_a_right_to_all_opens_the_menus_of_its_own_api_only(session: Session) -> None:
    api = protocol.add_api(session, "shop-api", ["shop.scope"])
    shop = application(session, "shop")
    privilege(session, "shop.all", api.id)
    menu(session, shop, "own", privilege(session, "shop.read", api.id))
    menu(session, shop, "foreign", privilege(session, "shop.free"))
    assert seen(session, "shop.all") == {"shop": {"own": {}}}
    # A code that is no privilege opens nothing, however it is called.
    privilege(session, "other.read")
    assert seen(session, "other.all") == {}


def test_a_tenant_sees_its_own_applications_and_those_of_the_platform(session: Session) -> None:
    first, second = protocol.add_tenant(session, "First"), protocol.add_tenant(session, "Second")
    read = privilege(session, "read.it")
    for code, tenant_id in (("common", 1), ("mine", first), ("theirs", second)):
        menu(session, application(session, code, tenant_id), "page", read)
    found = resources.by_tenant(session, {first: ["read.it"], second: [], 999: ["read.it"]})
    assert [row.application.code for row in found[first]] == ["common", "mine"]
    assert (found[second], found[999]) == ([], [])


@pytest.mark.parametrize(("tenants", "codes"), [(1, 10), (50, 40)])
def test_the_number_of_questions_never_grows(session: Session, tenants: int, codes: int) -> None:
    shared = application(session, "shared")
    rows = [Privilege(code=f"p.read{number}", name="p") for number in range(tenants * codes)]
    organisations = [Tenant(name=f"t{number}") for number in range(tenants)]
    session.add_all([*rows, *organisations])
    session.flush()
    above = menu(session, shared, "above")
    held = {}
    for number, tenant in enumerate(organisations):
        own = application(session, f"own{number}", tenant.id)
        mine = rows[number * codes : (number + 1) * codes]
        session.add_all(
            Menu(application_id=own.id, code=row.code, title="m", privilege_id=row.id)
            for row in mine
        )
        held[tenant.id] = [*(row.code for row in mine), "p.all"]
    session.add_all(
        Menu(
            application_id=shared.id,
            parent_id=above.id,
            code=row.code,
            title="m",
            privilege_id=row.id,
        )
        for row in rows
    )
    session.commit()
    session.expunge_all()

    with center.statements(session.get_bind()) as sent:
        found = resources.by_tenant(session, held)
        for tenant_id in held:
            assert [len(row.menus) for row in found[tenant_id]] == [1, codes]
            assert len(found[tenant_id][0].menus[0].children) == codes
            assert found[tenant_id][1].menus[0].menu.privilege.code
            assert found[tenant_id][1].menus[0].menu.application.code
    questions = [text for text in sent if text.startswith("SELECT")]
    assert len(questions) == 4, questions


def test_what_lacks_in_several_tenants_is_told_by_a_constant_number_of_questions(
    session: Session,
) -> None:
    user = protocol.add_person(session)
    ids = [protocol.add_tenant(session, f"t{number}") for number in range(5)]
    api = protocol.add_api(session, "shop-api", ["shop.scope"])
    privilege(session, "shop.read", api.id)
    for tenant_id in ids:
        protocol.add_role(session, user, "clerk", ["read.it"], tenant_id=tenant_id)
    protocol.add_role(session, user, "chief", ["shop.all"], tenant_id=ids[0], api=api)
    protocol.grant_directly(session, user, "read.it", tenant_id=None)
    wanted = {tenant_id: ["read.it", "shop.read", "none"] for tenant_id in ids}
    session.commit()
    with center.statements(session.get_bind()) as sent:
        lacking = permissions.lacking_codes_by_tenant(session, user.id, wanted, platform=False)
    assert len([text for text in sent if text.startswith("SELECT")]) == 3
    assert lacking == {
        ids[0]: ["none"],
        **{tenant_id: ["none", "shop.read"] for tenant_id in ids[1:]},
    }
    for tenant_id in ids:
        actor = Actor(user.id, tenant_id, at_platform=False)
        assert lacking[tenant_id] == actor.lacking_codes(session, None, wanted[tenant_id])
    assert permissions.lacking_codes_by_tenant(session, user.id, {ids[0]: []}, platform=True) == {}
