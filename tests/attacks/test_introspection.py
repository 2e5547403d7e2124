"""Attacks on introspection: who asks, and what with."""

from __future__ import annotations

import pytest

from idp.directory.resources import service as resources
from tests import protocol
from tests.attacks import forging
from tests.protocol import App, add_api, add_person, obtain, register, register_machine

pytestmark = pytest.mark.no_database


def ask(client, form):
    return client.post("/connect/introspect", data=form)


def test_who_may_not_ask_learns_nothing(client, session):
    # Row 19, RFC 7662 2.1.
    api = add_api(session)
    secret = resources.add_secret(session, api)
    session.commit()
    app = register(session, scopes=("openid", "orders.read"))
    spa = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    token = obtain(client, app, "openid orders.read").access
    for form in (
        {},
        {"client_id": "web"},
        {"client_id": "web", "client_secret": ""},
        {"client_id": "web", "client_secret": "x" * 30},
        {"client_id": "web", "client_secret": secret},
        {"client_id": "nobody", "client_secret": "x" * 30},
        {"client_id": "orders"},
        {"client_id": "orders", "client_secret": "x" * 30},
        {"client_id": "orders", "client_secret": app.secret},
        {"client_id": "ids4.ms", "client_secret": ""},
        {"client_id": "Orders", "client_secret": secret},
        {"client_id": "orders\x00", "client_secret": secret},
        {"client_id": "x" * 5000, "client_secret": secret},
        spa.post,
    ):
        answer = ask(client, {"token": token, **form})
        if "\x00" in form.get("client_id", ""):
            assert answer.status_code == 400
            continue
        assert answer.status_code == 401, form
        assert answer.get_json()["error"] == "invalid_client", form
        assert "sub" not in answer.get_data(as_text=True)
    token_as_credential = client.post(
        "/connect/introspect", data={"token": token}, headers=protocol.bearer(token)
    )
    assert token_as_credential.status_code == 401
    orders = App("orders", secret, api.id)
    assert protocol.is_active(client, orders, token)


def test_an_api_or_client_sees_only_its_own(client, session):
    secrets = {}
    for name in ("orders", "stock"):
        api = add_api(session, name, [f"{name}.read"])
        secrets[name] = App(name, resources.add_secret(session, api), api.id)
        session.commit()
    app = register(session, scopes=("openid", "orders.read", "stock.read"))
    other = register(session, "other")
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app, "openid orders.read offline_access")
    inactive = {"active": False}
    assert protocol.introspect(client, secrets["stock"], tokens.access) == inactive
    assert protocol.introspect(client, other, tokens.access) == inactive
    assert protocol.introspect(client, other, tokens.refresh) == inactive
    assert protocol.introspect(client, secrets["orders"], tokens.refresh) == inactive
    assert protocol.introspect(client, secrets["orders"], tokens.access)["active"]
    assert protocol.introspect(client, app, tokens.refresh)["active"]


def test_only_the_whole_token_counts(client, session):
    # CVE-2026-27840: a look-up by prefix would accept these.
    add_api(session)
    web = register(session)
    machine = register_machine(session, scopes=["orders.read"], access_token_type=1)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, web, "openid offline_access")
    reference = protocol.machine_token(client, machine).get_json()["access_token"]
    assert reference.startswith("at_")
    for app, token in ((web, tokens.access), (web, tokens.refresh), (machine, reference)):
        assert protocol.is_active(client, app, token)
        for changed in (
            token[:-1],
            token[:20],
            token[1:],
            token + "A",
            token + "=",
            token + ".",
            token + " ",
            token + "\n",
            " " + token,
            token.swapcase(),
            token.replace(".", "..", 1) if "." in token else token * 2,
            token[: len(token) // 2]
            + ("A" if token[len(token) // 2] != "A" else "B")
            + token[len(token) // 2 + 1 :],
        ):
            assert protocol.introspect(client, app, changed) == {"active": False}, changed
    identity = str(tokens.body["id_token"])
    assert protocol.introspect(client, web, identity) == {"active": False}
    for garbage in ("a", "a.b.c", "...", "at_", "rt_", "é", "{}", "x" * 300_000, "0", "at_%"):
        assert protocol.introspect(client, web, garbage) == {"active": False}
    changed = forging.with_claims(tokens.access, scope="openid orders.write")
    assert protocol.introspect(client, web, changed) == {"active": False}


def test_the_second_spelling_of_a_signature_is_another_token(client, session):
    # The last character of base64url has unused bits: a revoked token must not come back so.
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    token = obtain(client, app).access
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(token[-1])
    for other in range(64):
        if other != last:
            spelled = token[:-1] + alphabet[other]
            assert not protocol.is_active(client, app, spelled)


def test_a_claim_of_a_client_does_not_pass_for_an_answer(client, session):
    from idp.directory.clients.models import ClientClaim
    from idp.directory.clients.service import get

    add_api(session)
    machine = register_machine(session, scopes=["orders.read"], client_claims_prefix="")
    row = get(session, "machine")
    for name in ("active", "username", "token_type", "sub", "exp", "scope", "client_id"):
        row.claims.append(ClientClaim(type=name, value="admin"))
    session.commit()
    token = protocol.machine_token(client, machine).get_json()["access_token"]
    content = protocol.introspect(client, machine, token)
    assert content["active"] is True
    assert content["token_type"] == "Bearer"
    assert content["sub"] == content["client_id"] == "machine"
    assert content["scope"] == "orders.read"
    assert "username" not in content
