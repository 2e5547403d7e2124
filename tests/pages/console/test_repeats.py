"""Forms with an id are carried out once, and each time they come again the same page follows."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import delete, func, select, update

from idp.directory.clients.models import Client, ClientSecret
from idp.directory.resources import service as resources
from idp.directory.roles.models import RolePrivilege
from idp.directory.tenants.models import Tenant
from idp.directory.users import service as users
from idp.platform.idempotency.models import IdempotencyKey
from idp.platform.onetime.models import OneTimeKey
from tests.pages.browsing import HTML, csrf_token, readable
from tests.protocol import add_api, add_person, add_role, register, sign_in

NEW = "/console/platform/tenants/new"
_ID = re.compile(r'name="form_id" value="([^"]+)"')


def form_of(client, address, **values):
    """Open a page and return its form, filled in."""
    page = client.get(address, headers=HTML)
    found = _ID.search(page.get_data(as_text=True))
    assert found, readable(page)
    return {"csrf_token": csrf_token(page), "form_id": found[1], **values}


def add_client(session, client_id, **options):
    """Register a client and return the id of its row."""
    register(session, client_id, **options)
    session.commit()
    return session.scalar(select(Client.id).where(Client.client_id == client_id))


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


@pytest.fixture
def secrets(session, root):
    """The address of the secrets of a client."""
    return f"/console/platform/clients/{add_client(session, 'shop')}/secrets"


def test_a_tenant_is_created_once(client, session, root):
    form = form_of(client, NEW, name="Twice", type_code="", hosts="", administrator="")
    before = count(session, Tenant)
    first, second = (client.post(NEW, data=form, headers=HTML) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.location == second.location
    assert count(session, Tenant) == before + 1


def test_a_page_sent_with_other_values_is_another_form(client, session, root):
    form = form_of(client, NEW, name="One", type_code="", hosts="", administrator="")
    before = count(session, Tenant)
    first = client.post(NEW, data=form, headers=HTML)
    second = client.post(NEW, data=form | {"name": "Two"}, headers=HTML)
    assert first.location != second.location
    assert count(session, Tenant) == before + 2


def test_a_refused_form_is_carried_out_when_its_cause_is_gone(client, session, root):
    form = form_of(client, NEW, name="Typed", type_code="", hosts="not a host", administrator="")
    assert client.post(NEW, data=form, headers=HTML).status_code == 400
    assert count(session, IdempotencyKey) == 0


def test_a_secret_is_made_once_and_shown_after_either_answer(client, session, secrets):
    form = form_of(client, secrets, description="production", days="")
    before = count(session, ClientSecret)
    client.post(secrets, data=form, headers=HTML)
    shown = re.findall(r"<code>([^<]+)</code>", client.get(secrets).get_data(as_text=True))
    assert client.post(secrets, data=form, headers=HTML).status_code == 303
    assert shown[0] in client.get(secrets).get_data(as_text=True)
    assert count(session, ClientSecret) == before + 1


def test_a_repetition_shows_no_secret_after_its_time(client, session, secrets, clock):
    form = form_of(client, secrets, description="production", days="")
    client.post(secrets, data=form, headers=HTML)
    shown = re.findall(r"<code>([^<]+)</code>", client.get(secrets).get_data(as_text=True))
    clock.shift(121)
    assert client.post(secrets, data=form, headers=HTML).status_code == 303
    assert shown[0] not in client.get(secrets).get_data(as_text=True)
    (row,) = session.scalars(select(IdempotencyKey))
    assert shown[0] not in (row.answer_encrypted or "")


def test_the_id_of_another_person_opens_nothing(client, new_client, session, secrets):
    form = form_of(client, secrets, description="production", days="")
    client.post(secrets, data=form, headers=HTML)
    other = new_client()
    person = add_person(session, "other")
    add_role(session, person, "administrators", tenant_id=None)
    sign_in(other, session, person)
    theirs = form | form_of(other, secrets) | {"form_id": form["form_id"]}
    before = count(session, ClientSecret)
    assert other.post(secrets, data=theirs, headers=HTML).status_code == 303
    assert count(session, ClientSecret) == before + 1


def test_a_repetition_needs_the_permission_still(client, session, boss):
    api = add_api(session, tenant_id=boss)
    resources.link_owner(session, api, users.find_by_username(session, "boss").id)
    session.commit()
    page = f"/console/t/{boss}/apis/{api.id}"
    address = f"{page}/secrets"
    form = form_of(client, page, purpose="introspection")
    assert client.post(address, data=form, headers=HTML).status_code == 303
    session.execute(delete(RolePrivilege))
    session.commit()
    assert client.post(address, data=form, headers=HTML).status_code in {403, 404}


def test_a_repetition_whose_answer_cannot_be_read_does_nothing(client, session, secrets):
    form = form_of(client, secrets, description="production", days="")
    client.post(secrets, data=form, headers=HTML)
    session.execute(update(IdempotencyKey).values(answer_encrypted=None))
    session.commit()
    before = count(session, ClientSecret)
    answer = client.post(secrets, data=form, headers=HTML)
    assert answer.status_code == 409
    assert "carried out" in readable(answer)
    assert count(session, ClientSecret) == before


@pytest.mark.parametrize("form_id", ["x" * 65, "x" * 10_000])
def test_an_id_that_no_page_has_is_refused(client, session, root, form_id):
    form = form_of(client, NEW, name="Long", type_code="", hosts="", administrator="")
    answer = client.post(NEW, data=form | {"form_id": form_id}, headers=HTML)
    assert answer.status_code == 400


def test_a_reset_link_is_sent_once(client, session, root):
    ann = add_person(session, "ann", email="ann@example.com", email_verified=True)
    session.commit()
    page = f"/console/platform/users/{ann.id}"
    form = form_of(client, page)
    for _ in range(2):
        assert client.post(f"{page}/reset-link", data=form, headers=HTML).status_code == 303
    assert count(session, OneTimeKey) == 1
