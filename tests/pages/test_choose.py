"""Choosing an account and an organisation."""

from __future__ import annotations

from sqlalchemy import select, update

from idp.directory.tenants.models import Membership
from idp.platform.audit.tags import Tag
from tests.pages.browsing import events, goes_on, page_of_flow, send, submit
from tests.protocol import (
    PASSWORD,
    add_person,
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
    acme = add_tenant(session, "Acme")
    user = add_person(session, tenant_ids=(1, acme))
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
    assert list(session.scalars(query)) == [1]


def test_an_organisation_of_others_is_refused(client, session):
    app = register(session)
    acme, foreign = add_tenant(session, "Acme"), add_tenant(session, "Foreign")
    elsewhere = add_tenant(session, "Elsewhere", hosts=["elsewhere.example"])
    sign_in(client, session, add_person(session, tenant_ids=(1, acme, elsewhere)))
    address = page_of_flow(client, app, "/choose-tenant")
    shown = client.get(address).get_data(as_text=True)
    assert "Foreign" not in shown
    assert "Elsewhere" not in shown
    for wrong in (str(foreign), str(elsewhere), "", "x", "-1", "9" * 30):
        answer = submit(client, address, {"tenant": wrong})
        assert answer.status_code == 400, wrong
