"""Choosing an account and an organisation."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select, update

from idp.directory.roles import catalogue
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users.models import UserClaim
from idp.platform.audit.tags import Tag
from tests.pages.browsing import HTML, events, goes_on, page_of_flow, send, submit
from tests.protocol import (
    PASSWORD,
    add_person,
    add_role,
    add_tenant,
    code_of,
    obtain,
    redeem,
    register,
    sign_in,
)


def test_a_person_goes_on_as_who_is_signed_in(client, session):
    app = register(session)
    sign_in(client, session, add_person(session, nick_name="Ann Lee"))
    address = page_of_flow(client, app, "/choose", prompt="select_account")
    assert "Ann Lee" in client.get(address).get_data(as_text=True)
    answer = submit(client, address, {"account": "current"})
    assert goes_on(answer, address)
    assert code_of(client.get(answer.location))


def test_a_person_signs_in_as_somebody_else(client, session):
    app = register(session)
    ann, bob = add_person(session), add_person(session, "bob")
    sign_in(client, session, ann)
    address = page_of_flow(client, app, "/choose", prompt="select_account")
    answer = submit(client, address, {"account": "other"})
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/login")
    done = submit(client, answer.location, {"login": "bob", "password": PASSWORD})
    assert goes_on(done, address)
    tokens = redeem(client, app, code_of(client.get(done.location))).get_json()
    claims = client.get(
        "/connect/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert claims.get_json()["sub"] == str(bob.id)


def test_an_answer_without_the_forms_token_is_refused(client, session):
    app = register(session)
    sign_in(client, session, add_person(session))
    address = page_of_flow(client, app, "/choose", prompt="select_account")
    assert client.post(address, data={"account": "current"}).status_code == 400


def test_who_is_not_signed_in_signs_in_first(client, new_client, session):
    app = register(session)
    sign_in(client, session, add_person(session))
    address = page_of_flow(client, app, "/choose", prompt="select_account")
    other = new_client()
    for path in ("/choose", "/choose-tenant", "/consent"):
        query = address.partition("?")[2]
        answer = other.get(f"{path}?{query}")
        assert (answer.status_code, answer.location) == (303, f"/login?{query}")
        page = other.get("/login")
        answer = send(other, page, f"{path}?{query}", {"account": "current", "answer": "allow"})
        assert (answer.status_code, answer.location) == (303, f"/login?{query}")


def test_the_organisation_is_asked_for_once_and_named_in_the_token(client, session):
    app = register(session)
    acme, beta = add_tenant(session, "Acme"), add_tenant(session, "Beta")
    user = add_person(session, tenant_ids=(1, acme, beta))
    session.execute(update(Membership).values(is_bound=True))
    session.commit()
    sign_in(client, session, user)
    address = page_of_flow(client, app, "/choose-tenant")
    page = client.get(address).get_data(as_text=True)
    assert "Acme" in page
    answer = submit(client, address, {"tenant": str(acme)})
    assert goes_on(answer, address)
    tokens = redeem(client, app, code_of(client.get(answer.location))).get_json()
    assert tokens["id_token"]
    assert obtain(client, app).identity["tenant"] == {"id": acme, "name": "Acme"}
    (event,) = events(session, Tag.TENANT_CHOSEN)
    assert (event.user_id, event.tenant_id) == (user.id, acme)
    # Where the person chose to work, and nowhere else, the account counts as theirs to manage.
    query = select(Membership.tenant_id).where(Membership.user_id == user.id, Membership.is_bound)
    assert sorted(session.scalars(query)) == [1, beta]


def test_an_organisation_of_others_is_refused(client, session):
    app = register(session)
    acme, foreign = add_tenant(session, "Acme"), add_tenant(session, "Foreign")
    elsewhere = add_tenant(session, "Elsewhere", hosts=["elsewhere.example"])
    beta = add_tenant(session, "Beta")
    sign_in(client, session, add_person(session, tenant_ids=(1, acme, beta, elsewhere)))
    address = page_of_flow(client, app, "/choose-tenant")
    shown = client.get(address).get_data(as_text=True)
    assert "Foreign" not in shown
    assert "Elsewhere" not in shown
    for wrong in (str(foreign), str(elsewhere), "", "x", "-1", "9" * 30):
        answer = submit(client, address, {"tenant": wrong})
        assert answer.status_code == 400, wrong


def offered(client, app):
    """Ask for a sign-in; return the names that are offered, or None where nothing is asked."""
    page = client.get(page_of_flow(client, app, "/choose-tenant"), headers=HTML)
    if page.status_code == 303:
        return None
    return re.findall(r"<strong>([^<]+)</strong>", page.get_data(as_text=True))


def test_the_platform_is_not_offered_to_members_without_rights_there(client, session):
    app = register(session)
    acme, beta = add_tenant(session, "Acme"), add_tenant(session, "Beta")
    ann = add_person(session, tenant_ids=(1, acme, beta))
    catalogue.assign_default_roles(session, ann.id)
    session.commit()
    sign_in(client, session, ann)
    assert offered(client, app) == ["Acme", "Beta"]
    address = page_of_flow(client, app, "/choose-tenant")
    assert submit(client, address, {"tenant": "1"}).status_code == 400


@pytest.mark.parametrize("right", ["administrator", "role", "platform role", "permission"])
def test_the_platform_is_offered_to_those_with_rights_there(client, session, right):
    app = register(session)
    ann = add_person(session, tenant_ids=(1, add_tenant(session, "Acme")))
    if right == "administrator":
        session.execute(update(Membership).where(Membership.tenant_id == 1).values(is_admin=True))
    elif right == "permission":
        session.add(UserClaim(user_id=ann.id, type="permission", value="ids4.ms.client.get"))
    else:
        add_role(session, ann, tenant_id=None if right == "platform role" else 1)
    session.commit()
    sign_in(client, session, ann)
    assert offered(client, app) == ["Acme", "idp"]


def test_where_only_one_is_offered_nothing_is_asked(client, session):
    app = register(session)
    acme = add_tenant(session, "Acme")
    sign_in(client, session, add_person(session, tenant_ids=(1, acme)))
    address = page_of_flow(client, app, "/choose-tenant")
    answer = client.get(address, headers=HTML)
    assert goes_on(answer, address)
    client.get(answer.location)
    assert obtain(client, app).identity["tenant"] == {"id": acme, "name": "Acme"}


def test_nobody_is_led_to_an_organisation_that_merely_bound_the_account(client, session):
    # Evil has bound Ann's account. A sign-in there would let it set her password.
    app = register(session)
    evil = add_tenant(session, "Evil")
    ann = add_person(session, tenant_ids=(1,))
    tenants.add_member(session, evil, ann.id, is_bound=True)
    session.commit()
    sign_in(client, session, ann)
    assert offered(client, app) == ["Evil", "idp"]
    assert session.scalar(select(Membership.is_bound).where(Membership.tenant_id == evil))
    # Not even where it is the only one: she is asked.
    tenants.remove_member(session, 1, ann.id)
    tenants.add_member(session, add_tenant(session, "Evil too"), ann.id, is_bound=True)
    session.commit()
    assert offered(client, app) == ["Evil", "Evil too"]
