"""Clients that nobody registered: their document says what they are."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from idp.directory.clients.models import Client
from idp.oauth.models import Consent, Grant
from tests import protocol
from tests.attacks import forms
from tests.documents import APP, CALLBACK, ID, document, let_in, publishing
from tests.protocol import Tokens, add_person, redeem, refresh


@pytest.fixture
def publisher(runtime, monkeypatch, tmp_path):
    """Return the server of documents, which this installation may fetch from."""
    with publishing(runtime, monkeypatch, tmp_path) as publisher:
        yield publisher


@pytest.fixture
def scene(client, session, publisher):
    """A document, an issuer that lets it in, and a person signed in."""
    publisher.put(document())
    let_in(session)
    user = add_person(session, email="ann@app.example")
    protocol.sign_in(client, session, user)
    return user


def authorize(client, **parameters):
    return protocol.authorize(client, APP, **{"redirect_uri": CALLBACK, **parameters})


def allow(client, asked, *scopes, remember=True):
    """Allow what is asked; return the answer that goes to the client."""
    assert asked.status_code == 303, asked.get_data(as_text=True)
    assert asked.location.startswith("/consent?"), asked.location
    return client.get(forms.allow(client, asked.location, *scopes, remember=remember).location)


def obtain(client, scope="openid offline_access", app=APP, **parameters):
    asked = authorize(client, scope=scope, **parameters)
    code = protocol.code_of(allow(client, asked, *scope.split()))
    uri = parameters.get("redirect_uri", CALLBACK)
    answer = redeem(client, app, code, redirect_uri=uri)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Tokens(answer.get_json())


def count(session, table):
    session.expire_all()
    return session.scalar(select(func.count()).select_from(table))


def test_a_client_gets_a_row_when_a_person_allows_it_something(client, session, scene, publisher):
    before = count(session, Client)
    for _ in range(3):
        assert authorize(client).location.startswith("/consent?")
    assert count(session, Client) == before
    tokens = obtain(client)
    assert count(session, Client) == before + 1
    assert publisher.asked == [ID]
    row = session.scalars(select(Client).where(Client.client_id == ID)).one()
    assert (row.origin, row.client_name, row.tenant_id) == ("document", "Notes", None)
    assert tokens.claims["client_id"] == ID
    answer = client.get("/connect/userinfo", headers=protocol.bearer(tokens.access))
    assert answer.get_json()["sub"] == str(scene.id)
    again = refresh(client, APP, tokens.refresh)
    assert again.status_code == 200, again.get_data(as_text=True)
    # A web application that was allowed to remember is not asked about again.
    assert protocol.code_of(authorize(client))
    assert (count(session, Consent), count(session, Grant)) == (1, 2)
