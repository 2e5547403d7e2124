"""Applications that nobody registered, in the console: who may come in, blocked, registered."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.directory.clients.models import Client, StrangerPolicy
from idp.platform.audit.tags import Tag
from tests.documents import ID
from tests.pages.browsing import HTML, events, readable, send
from tests.protocol import add_tenant, register

READ, WRITE = "ids4.ms.admin.policy.read", "ids4.ms.admin.policy.write"
SCREEN = "/console/platform/policy/applications"
TYPED = {
    "clients_by_document": "listed",
    "clients_by_document_hosts": "client.example\n*.Tools.example",
    "clients_by_document_blocked": ID,
    "clients_by_registration": "off",
    "stranger_scopes": "",
}


def save(client, screen=SCREEN, **changes):
    page = client.get(screen, headers=HTML)
    stamp = re.search(r'name="stamp"[^>]*value="([^"]*)"', page.get_data(as_text=True))[1]
    return send(client, page, screen, {**TYPED, "stamp": stamp, **changes})


def row_of(session, tenant_id=1):
    session.rollback()
    session.expire_all()
    query = select(StrangerPolicy).where(StrangerPolicy.tenant_id == tenant_id)
    return session.scalars(query).one_or_none()


def test_who_may_come_in_is_saved_and_recorded(client, session, root):
    assert save(client).location == f"{SCREEN}?notice=saved"
    row = row_of(session)
    assert row.clients_by_document == "listed"
    assert row.clients_by_document_hosts == ["client.example", "*.tools.example"]
    assert row.clients_by_document_blocked == [ID]
    assert row.clients_by_registration == "off"
    assert len(events(session, Tag.STRANGERS_CHANGED)) == 1
    for changes, reason in (
        ({"clients_by_document_hosts": "https://client.example"}, "is not a host"),
        ({"clients_by_document_hosts": "a..b\n*"}, "is not a host"),
        ({"clients_by_document_blocked": "https://client.example"}, "is not a host"),
        ({"stranger_scopes": "ids4.ms.client.all"}, "There is no scope ids4.ms.client.all"),
        ({"stranger_scopes": "nothing"}, "There is no scope nothing"),
        ({"clients_by_document_hosts": "\n".join(f"a{n}.example" for n in range(101))}, "At most"),
        ({"stamp": "old"}, "Someone else saved"),
    ):
        answer = save(client, **changes)
        assert answer.status_code in {400, 409}, changes
        if answer.status_code == 400:
            assert reason in readable(answer), changes
    assert row_of(session).clients_by_document_hosts == ["client.example", "*.tools.example"]


@pytest.mark.no_database
def test_the_page_says_where_it_is(client, root):
    page = client.get(SCREEN, headers=HTML).get_data(as_text=True)
    (crumbs,) = re.findall(r'<nav[^>]*class="crumbs".*?</nav>', page, re.DOTALL)
    assert 'href="/console/platform/policy"' in crumbs
    assert re.search(r'aria-current="page"[^>]*>\s*Which applications may come in', crumbs)


@pytest.mark.no_database
def test_only_an_issuer_lets_applications_in(client, session, root):
    plain, issuer = add_tenant(session, "Plain"), add_tenant(session, "Acme", ["acme.example"])
    answer = save(client, f"/console/t/{plain}/policy/applications")
    assert answer.status_code == 422
    assert "Only an organisation with hosts of its own" in readable(answer)
    assert save(client, f"/console/t/{issuer}/policy/applications").status_code == 303
    assert row_of(session, plain) is None
    assert row_of(session, issuer).clients_by_document == "listed"


def test_a_client_that_came_by_itself_is_blocked_or_registered(client, session, root):
    app = register(session, ID, public=True, require_consent=True)
    row = session.get_one(Client, app.row_id)
    row.origin, row.document_hash = "document", "x" * 43
    session.add(StrangerPolicy(tenant_id=1, clients_by_document="any"))
    session.commit()
    shown = readable(client.get("/console/platform/clients?origin=document", headers=HTML))
    assert ID in shown
    assert "Not verified" in shown
    screen = f"/console/platform/clients/{app.row_id}"
    page = client.get(f"{screen}/settings", headers=HTML)
    assert "Nobody registered this client." in readable(page)
    assert send(client, page, f"{screen}/block", {}).status_code == 303
    assert row_of(session).clients_by_document_blocked == [ID]
    shown = readable(client.get(f"{screen}/settings", headers=HTML))
    assert "This client may not come in." in shown
    assert "/block" not in shown
    assert send(client, page, f"{screen}/promote", {}).status_code == 303
    session.expire_all()
    row = session.get_one(Client, app.row_id)
    assert (row.origin, row.document_hash) == ("operator", None)
    assert {"openid", "profile", "email"} <= {one.scope for one in row.scopes}
    assert "Nobody registered" not in readable(client.get(f"{screen}/settings", headers=HTML))
