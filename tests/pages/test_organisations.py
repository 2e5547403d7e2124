"""The organisations of a person, as the account pages show them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select, update

from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML, events, readable, send, statements
from tests.protocol import add_person, add_role, add_tenant, obtain, register, sign_in

PATH = "/account/organisations"


@pytest.fixture
def acme(session):
    return add_tenant(session, "Acme")


@pytest.fixture
def beta(session):
    return add_tenant(session, "Beta <b>")


@pytest.fixture
def ann(client, session, acme, beta):
    user = add_person(session, tenant_ids=(1, acme, beta))
    sign_in(client, session, user)
    return user


def rows(client):
    text = re.sub(r"\s+", " ", readable(client.get(PATH, headers=HTML)))
    found = re.findall(r'<h2 id="organisation-\d+"> (.*?)</h2> <p> (.*?) </p>', text)
    return {re.sub(r" <span.*", "", name).strip(): roles for name, roles in found}


def test_each_organisation_is_shown_with_the_roles_there(client, session, ann, acme, beta):
    add_role(session, ann, "clerk", tenant_id=acme)
    add_role(session, ann, "buyer", tenant_id=acme)
    session.execute(update(Membership).where(Membership.tenant_id == beta).values(is_admin=True))
    session.commit()
    assert rows(client) == {"Acme": "buyer, clerk", "Beta <b>": "Administrator"}
    assert "Beta &lt;b&gt;" in client.get(PATH).get_data(as_text=True)


def test_a_switch_counts_for_the_next_sign_in(client, session, ann, acme, beta):
    app = register(session)
    page = client.get(PATH, headers=HTML)
    for tenant_id, name in ((acme, "Acme"), (beta, "Beta <b>"), (acme, "Acme")):
        answer = send(client, page, f"{PATH}/{tenant_id}/switch", {})
        assert (answer.status_code, answer.location) == (303, f"{PATH}?notice=switched")
        assert obtain(client, app).identity["tenant"] == {"id": tenant_id, "name": name}
        shown = client.get(PATH, headers=HTML).get_data(as_text=True)
        assert f"{PATH}/{tenant_id}/switch" not in shown
        assert shown.count("In use") == 1
    assert [entry.tenant_id for entry in events(session, Tag.TENANT_CHOSEN)] == [acme, beta, acme]


def test_a_switch_confirms_a_membership_as_a_choice_does(client, session, ann, acme, beta):
    session.execute(update(Membership).values(is_bound=True))
    session.commit()
    send(client, client.get(PATH, headers=HTML), f"{PATH}/{acme}/switch", {})
    query = select(Membership.tenant_id).where(Membership.user_id == ann.id, Membership.is_bound)
    assert sorted(session.scalars(query)) == [1, beta]


def test_nobody_switches_to_an_organisation_of_others(client, session, ann, acme):
    foreign = add_tenant(session, "Foreign")
    elsewhere = add_tenant(session, "Elsewhere", hosts=["elsewhere.example"])
    tenants.add_member(session, elsewhere, ann.id)
    page = client.get(PATH, headers=HTML)
    session.commit()
    for wrong in (foreign, elsewhere, 1, 999_999, 2**63):
        answer = send(client, page, f"{PATH}/{wrong}/switch", {})
        assert answer.status_code == 404, wrong
    assert session.scalars(select(BrowserSession.tenant_id)).all() == [None]
    assert "Foreign" not in page.get_data(as_text=True)
    # Disabled or left meanwhile
    session.get_one(Tenant, acme).status = TenantStatus.DISABLED
    session.commit()
    assert send(client, page, f"{PATH}/{acme}/switch", {}).status_code == 404


def test_the_number_of_queries_does_not_grow(client, session, ann, runtime):
    def count():
        return len(statements(runtime, client, PATH, "membership", "user_role", "user_claim"))

    few = count()
    assert few == 3
    for number in range(20):
        tenant_id = add_tenant(session, f"Tenant {number}")
        tenants.add_member(session, tenant_id, ann.id)
        add_role(session, ann, f"role-{number}", tenant_id=tenant_id)
    session.commit()
    assert count() == few
