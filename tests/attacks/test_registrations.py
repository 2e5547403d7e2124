"""Clients that register themselves: what they may not be, ask for, or make us fetch.

SECURITY 29, 30 and 32, PROTOCOL 64.
"""

from __future__ import annotations

import time

import orjson
import pytest
from sqlalchemy import func, select

from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientRegistration
from idp.platform.audit.models import AuditEvent
from idp.platform.secrets import digest
from tests import protocol
from tests.client_keys import ClientKey
from tests.protocol import CALLBACK, add_person, add_tenant, bearer
from tests.registering import (
    REGISTER,
    app_of,
    enrol,
    initial_token,
    let_in,
    manage,
    metadata,
    refused,
    replace,
    send,
)

pytestmark = pytest.mark.no_database

METADATA = "invalid_client_metadata"
REDIRECT = "invalid_redirect_uri"


def test_a_script_is_no_redirect_address_at_any_time(client, session):
    let_in(session)
    made = enrol(client)
    for uri in (
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "file:///etc/passwd",
        "https://app.example@evil.example/",
        "https://app.example\\@evil.example/",
        "https://app.example/..;/",
        "https://app.example/%2e%2e/",
        "https://*.example/",
        " https://app.example/",
        "//evil.example/",
    ):
        for native in ({}, {"application_type": "native"}):
            assert refused(send(client, redirect_uris=[uri], **native), REDIRECT)
            assert refused(replace(client, made, redirect_uris=[CALLBACK, uri], **native), REDIRECT)
    for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri", "initiate_login_uri"):
        assert refused(send(client, **{name: "javascript:alert(1)"}), METADATA, name)
    session.rollback()
    row = clients.get(session, made["client_id"])
    assert [uri.redirect_uri for uri in row.redirect_uris] == [CALLBACK]


def test_inner_addresses_are_not_fetched_and_tell_nothing(client, session):
    let_in(session)
    made = enrol(client)
    answers = set()
    for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "0x7f.1"):
        for name in ("jwks_uri", "sector_identifier_uri"):
            members = {name: f"https://{host}/latest/meta-data"}
            for answer in (
                send(client, initial_token(session), **members),
                replace(client, made, **members),
            ):
                assert answer.status_code in {400, 503}
                body = answer.get_json()
                answers.add(body["error_description"].partition(":")[2])
                assert host.strip("[]") not in answers
    assert all("public" not in text and "refused" not in text for text in answers)


def test_no_scope_of_management_is_ever_registered(client, session):
    protocol.add_api(session)
    other = add_tenant(session, "Other")
    let_in(session)
    made = enrol(client)
    assert refused(send(client, scope="ids4.ms.client.get"), METADATA, "ids4")
    assert refused(replace(client, made, scope="openid ids4.ms.all"), METADATA, "ids4")
    # A scope that exists and is not for strangers is not given, at no time.
    assert enrol(client, scope="openid orders.read")["scope"] == "openid"
    assert refused(send(client, scope="orders.read"), METADATA, "scope")
    widened = replace(client, made, scope="openid email orders.read offline_access")
    assert "orders.read" not in widened.get_json()["scope"]
    # Nor by a policy, for which nobody may write them down.
    with pytest.raises(Exception, match="management scopes"):
        initial_token(session, scopes=("openid", "ids4.ms.client.get"), is_trusted=True)
    session.rollback()
    assert other
    app = app_of(made)
    protocol.sign_in(client, session, add_person(session))
    fields = protocol.returned(protocol.authorize(client, app, scope="openid orders.read"))
    assert fields["error"] == "invalid_scope"


def test_what_the_issuer_takes_back_is_gone_at_the_next_update(client, session):
    let_in(session, stranger_scopes=["address"])
    made = enrol(client)
    assert "address" in made["scope"]
    let_in(session, stranger_scopes=[])
    assert "address" not in replace(client, made, scope=made["scope"]).get_json()["scope"]


def test_a_disabled_client_has_no_say_any_more(client, session):
    """CVE-2026-9705: an update after the client was disabled."""
    let_in(session)
    made = enrol(client)
    clients.update(session, clients.get(session, made["client_id"]), {"enabled": False})
    session.commit()
    assert refused(manage(client, "GET", made), "invalid_token", status=401)
    assert refused(replace(client, made, client_name="Back"), "invalid_token", status=401)
    assert refused(manage(client, "DELETE", made), "invalid_token", status=401)
    session.rollback()
    row = clients.get(session, made["client_id"])
    assert (row.enabled, row.client_name) == (False, "Chess")


def test_a_token_is_good_for_its_own_client_alone(client, session):
    let_in(session)
    one, two = enrol(client), enrol(client)
    by_hand = protocol.register(session)
    own = two["registration_access_token"]
    for method in ("GET", "PUT", "DELETE"):
        body = {"json": metadata(client_id=one["client_id"])} if method == "PUT" else {}
        for token in (own, "made-up", initial_token(session), one["client_secret"]):
            answer = manage(client, method, one, token, **body)
            assert refused(answer, "invalid_token", status=401)
        path = "/connect/register/client"
        # Not for a client that an operator registered, for none, for a doubled id, in the address.
        for query in (f"id={by_hand.client_id}", "", "id=", "id=" + "x" * 300, "id=%00"):
            answer = client.open(f"{path}?{query}", method=method, headers=bearer(own), **body)
            assert answer.status_code in {400, 401}, query
        hidden = f"{path}?id={two['client_id']}&access_token={own}"
        assert client.open(hidden, method=method, **body).status_code == 401
        basic = client.open(
            f"{path}?id={one['client_id']}", method=method, headers=app_of(one).basic
        )
        assert basic.status_code == 401
    # The token of a client is none to register with, and a refused one stays good.
    assert send(client, own).status_code == 401
    assert manage(client, "GET", one).status_code == 200
    assert manage(client, "DELETE", one).status_code == 204
    for method in ("GET", "PUT", "DELETE"):
        assert manage(client, method, one, json={}).status_code == 401


def test_an_update_cannot_take_over_another_client(client, session):
    let_in(session)
    made, other = enrol(client), enrol(client)
    for client_id in (other["client_id"], "web", "https://app.example/client.json", None, 5, ["x"]):
        body = metadata(client_id=client_id)
        assert refused(manage(client, "PUT", made, json=body), METADATA, "client_id")
    # Nor choose its id, its rights or where it belongs at the beginning.
    named = enrol(
        client,
        client_id="https://app.example/client.json",
        tenant_id=7,
        origin="operator",
        require_pkce=False,
        require_consent=False,
        grantable_privileges=["ids4.ms.all"],
        second_factor_exempt=True,
        access_token_lifetime=10**6,
        security_profile="fapi2",
    )
    row = clients.get(session, named["client_id"])
    assert row.client_id.startswith("c_")
    assert (row.tenant_id, row.origin) == (None, "registered")
    assert (row.require_pkce, row.require_consent) == (True, True)
    assert (row.grantable_privileges, row.second_factor_exempt) == (None, False)
    assert row.access_token_lifetime == 3600


def test_large_registrations_are_refused_early(client, session):
    let_in(session)
    many = [f"{CALLBACK}/{n}" for n in range(1000)]
    assert refused(send(client, redirect_uris=many), REDIRECT, "20")
    assert refused(send(client, scope=" ".join(f"s{n}" for n in range(1000))), METADATA, "scope")
    assert refused(send(client, contacts=["x@y"] * 1000), METADATA, "contacts")
    keys = ClientKey().jwks["keys"] * 100
    assert refused(send(client, jwks={"keys": keys}), METADATA, "jwks")
    private = ClientKey("RS256").key.as_dict(private=True)
    assert refused(send(client, jwks={"keys": [private]}), METADATA, "jwks")
    big = orjson.dumps(metadata(client_name="x" * 2**20))
    started = time.process_time()
    answer = client.post(REGISTER, data=big, content_type="application/json")
    assert answer.status_code == 413
    assert time.process_time() - started < 5
    session.rollback()
    assert session.scalar(select(func.count()).select_from(ClientRegistration)) == 0


def test_nothing_in_the_database_is_a_token(client, session):
    let_in(session)
    first = initial_token(session)
    made = enrol(client, first, software_id="x")
    manage(client, "GET", made, "wrong-token")
    session.rollback()
    found = ""
    for table in (Client, ClientRegistration, AuditEvent):
        rows = session.execute(select(table.__table__)).all()
        found += repr([tuple(row) for row in rows])
    for value in (first, made["registration_access_token"], made["client_secret"], "wrong-token"):
        assert value not in found
    kept = session.scalar(select(ClientRegistration.token_hash))
    assert kept == digest(made["registration_access_token"])


def test_devices_and_machines_do_not_register_themselves(client, session):
    """SECURITY 32: a client that nobody checked shows no code for people to type."""
    let_in(session)
    device = "urn:ietf:params:oauth:grant-type:device_code"
    alone = {"grant_types": [device], "redirect_uris": None, "response_types": []}
    assert refused(send(client, **alone), METADATA, "grant_types")
    machine = {"grant_types": ["client_credentials"], "response_types": []}
    assert refused(send(client, **machine), METADATA, "grant_types")
    both = enrol(client, grant_types=["authorization_code", device, "client_credentials"])
    assert both["grant_types"] == ["authorization_code"]
    asked = client.post(
        "/connect/deviceauthorization", headers=app_of(both).basic, data={"scope": "openid"}
    )
    assert asked.get_json()["error"] == "unauthorized_client"
