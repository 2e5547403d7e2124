"""Explanations by our own API: who may ask about whom, tokens that are pasted, bad input."""

from __future__ import annotations

import base64
import json

import pytest

from idp.directory.bundles.models import Bundle
from idp.directory.clients import strangers
from idp.directory.clients.documents import Document
from idp.directory.resources import service as resources
from idp.directory.roles.models import Privilege
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH
from tests import documents, protocol, registering
from tests.api import admin, center
from tests.protocol import (
    add_api,
    add_person,
    add_role,
    add_tenant,
    obtain,
    register,
    register_machine,
)

READ = "ids4.ms.admin.explain.read"


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    return center.manager(client, session, READ, tenant_id=acme, scopes=[READ])


def path(tenant_id=1):
    return f"/tenants/{tenant_id}/explain"


def ask(caller, client_id, tenant_id=1, **query):
    return admin.data(caller, "GET", path(tenant_id), client=client_id, **query)


def present(caller, token, tenant_id=1):
    return admin.data(caller, "POST", path(tenant_id), {"token": token})


def reasons(lines, name):
    (line,) = [line for line in lines if name in {line.get("code"), line.get("name")}]
    return line["present"], [(reason["code"], reason["subject"]) for reason in line["reasons"]]


def scene(session, *, permissions=("orders.read", "orders.write")):
    api = add_api(session, user_claims=["email"])
    user = add_person(session, email="ann@example.com")
    add_role(session, user, "clerk", permissions, api=api)
    register(session, scopes=("openid", "email", "orders.read", "offline_access"))
    return user


def test_a_token_is_explained_claim_by_claim(root, session):
    user = scene(session)
    found = ask(root, "web", user=user.id, scope="openid email orders.read offline_access")
    assert found["refused"] is None
    assert found["access_token"]["audience"] == ["orders", "http://127.0.0.1:8000"]
    assert found["access_token"]["claims"]["permission"] == ["orders.read", "orders.write"]
    assert found["access_token"]["expires_in"] == 3600
    assert found["refresh_token"] is True
    access = [line for line in found["claims"] if line["token"] == "access_token"]
    identity = [line for line in found["claims"] if line["token"] == "id_token"]
    assert reasons(access, "email") == (True, [("api_asks", "orders"), ("account", None)])
    assert reasons(access, "jti") == (True, [("each_token", None)])
    assert reasons(identity, "email") == (
        False,
        [("scope_releases", "email"), ("at_userinfo", None)],
    )
    assert reasons(found["permissions"], "orders.read") == (True, [("role", "clerk")])
    assert reasons(found["roles"], "clerk") == (True, [("tenant_role", None)])
    texts = [reason["text"] for line in found["permissions"] for reason in line["reasons"]]
    assert "The role clerk has it." in texts


def test_what_is_missing_has_its_reason(root, session):
    user = scene(session)
    stock = add_api(session, "stock", ["stock.read"])
    add_role(session, user, "keeper", ["stock.count"], api=stock)
    other = add_person(session, "other")
    add_role(session, other, "chief", ["orders.refund"])
    add_role(session, user, "idle", ["orders.old"])
    session.query(Privilege).filter_by(code="orders.old").update({"status": 0})
    session.commit()
    found = ask(
        root,
        "web",
        user=user.id,
        scope="openid orders.read offline_access nonsense",
        permission="orders.refund no.such",
    )["permissions"]
    assert reasons(found, "stock.count") == (
        False,
        [("role", "keeper"), ("other_audience", "stock")],
    )
    assert reasons(found, "orders.refund") == (False, [("not_held", None), ("role_has", "chief")])
    assert reasons(found, "orders.old") == (False, [("role", "idle"), ("disabled", None)])
    assert reasons(found, "no.such") == (False, [("unknown_permission", None)])


def test_what_the_bundle_lacks_is_said(root, session):
    user = scene(session)
    add_role(session, add_person(session, "other"), "chief", ["any.do"])
    ability = json.dumps({"roles": [], "adminRoleCodes": []})
    session.add(Bundle(code="small", name="Small", tenant_type_code="shop", ability=ability))
    session.get_one(Tenant, 1).bundle_code = "small"
    session.commit()
    found = ask(root, "web", user=user.id, scope="orders.read", permission="any.do")["permissions"]
    assert reasons(found, "orders.read") == (True, [("role", "clerk"), ("outside_bundle", "small")])
    assert ("not_in_bundle", "small") in reasons(found, "any.do")[1]


def test_codes_that_an_all_stands_for_are_called_folded(root, session):
    codes = [f"orders.part.do{number:04}" for number in range(400)]
    user = scene(session, permissions=[*codes, "orders.part.all", "orders.one"])
    found = ask(root, "web", user=user.id, scope="orders.read")
    assert found["access_token"]["claims"]["permission"] == ["orders.one", "orders.part.all"]
    assert reasons(found["permissions"], codes[7]) == (
        False,
        [("role", "clerk"), ("folded", "orders.part.all")],
    )


def test_what_a_token_has_no_room_for_is_left_to_introspection(root, session):
    codes = [f"orders.part.do{number:04}" for number in range(400)]
    user = scene(session, permissions=codes)
    found = ask(root, "web", user=user.id, scope="orders.read")
    assert found["access_token"]["claims"]["permission_ref"] is True
    assert reasons(found["permissions"], codes[7]) == (
        False,
        [("role", "clerk"), ("too_large", "introspection")],
    )


def test_platform_roles_do_not_count_at_another_issuer(root, session):
    beta = protocol.add_tenant(session, "Beta", ["beta.example"])
    api = add_api(session)
    register(session, scopes=("openid", "orders.read"))
    user = add_person(session, tenant_ids=[1, beta])
    add_role(session, user, "helpers", ["orders.read"], tenant_id=None, api=api)
    found = ask(root, "web", beta, user=user.id, scope="orders.read")
    assert found["issuer"] == "http://beta.example"
    assert reasons(found["permissions"], "orders.read") == (False, [("other_issuer", "helpers")])
    assert reasons(found["roles"], "helpers")[0] is False
    at_first = ask(root, "web", user=user.id, scope="orders.read")["permissions"]
    assert reasons(at_first, "orders.read") == (True, [("role_of_platform", "helpers")])


@pytest.mark.parametrize(
    ("scope", "error", "check", "rule", "name", "why"),
    [
        (
            "openid stock.read",
            "invalid_scope",
            "Scopes of the client",
            "RFC 6749 3.3",
            "stock.read",
            "not_of_client",
        ),
        (
            "nonsense",
            "invalid_scope",
            "Scopes that there are",
            "RFC 6749 3.3",
            "nonsense",
            "unknown_scope",
        ),
        (
            "closed.read",
            "invalid_scope",
            "Scopes of the client",
            "RFC 6749 3.3",
            "closed.read",
            "api_disabled",
        ),
    ],
)
def test_a_refusal_names_the_check_and_the_rule(
    root, session, scope, error, check, rule, name, why
):
    add_api(session, "stock", ["stock.read"])
    closed = add_api(session, "closed", ["closed.read"])
    register(session, scopes=("openid", "closed.read"))
    closed.enabled = False
    session.commit()
    found = ask(root, "web", user=add_person(session).id, scope=scope)
    refused = found["refused"]
    assert (refused["error"], refused["check"], refused["rule"]) == (error, check, rule)
    assert found["access_token"] is None
    (line,) = [line for line in found["scopes"] if line["name"] == name]
    assert line["granted"] is False
    assert [reason["code"] for reason in line["reasons"]] == [why]


def test_people_who_cannot_sign_in_are_refused_with_the_reason(root, session, acme):
    register(session)
    disabled = add_person(session, is_disabled=True)
    stranger = add_person(session, "stranger", tenant_ids=[acme])
    found = ask(root, "web", user=disabled.id, scope="openid")
    assert found["refused"]["description"] == "The person is disabled or locked out"
    found = ask(root, "web", user=stranger.id, scope="openid")
    assert found["refused"]["check"] == "Membership in a tenant"


def test_consent_that_is_missing_is_said(root, session):
    register(session, require_consent=True)
    found = ask(root, "web", user=add_person(session).id, scope="openid")
    assert (found["consent"], found["refused"]) == ("needed", None)


@pytest.mark.no_database
def test_a_client_known_by_its_document_is_explained(root, session):
    user = scene(session)
    unknown = ask(root, documents.ID, user=user.id)["refused"]
    assert unknown["description"] == "The issuer does not let the application in"
    policy = documents.let_in(session)
    resources.find_api(session, "orders").open_to_strangers = True
    strangers.keep(session, Document(documents.ID, "Notes", (documents.CALLBACK,)))
    session.commit()
    asked = {"user": user.id, "scope": "openid orders.read offline_access"}
    found = ask(root, documents.ID, **asked)
    assert (found["refused"], found["consent"]) == (None, "needed")
    assert "permission" not in found["access_token"]["claims"]  # strangers get none
    assert found["access_token"]["claims"]["client_id"] == documents.ID
    assert found["access_token"]["expires_in"] == 3600
    assert found["refresh_token"] is True
    refused = ask(root, documents.ID, user=user.id, scope="ids4.ms.client.get")["refused"]
    assert refused["error"] == "invalid_scope"
    policy.clients_by_document_blocked = [documents.ID]
    session.commit()
    refused = ask(root, documents.ID, **asked)["refused"]
    assert refused["description"] == "The issuer does not let the application in"


@pytest.mark.no_database
def test_a_client_that_registered_itself_is_explained_where_it_is_served(client, root, session):
    acme = add_tenant(session, "Acme", ["acme.example"])
    registering.let_in(session)
    client_id = registering.enrol(client)["client_id"]
    user = add_person(session, tenant_ids=(1, acme))
    assert ask(root, client_id, user=user.id, scope="openid")["refused"] is None
    refused = ask(root, client_id, acme, user=user.id)["refused"]
    assert refused["description"] == "The client is served at another issuer"


def test_a_client_by_itself_is_explained(root, session):
    add_api(session)
    register_machine(session, scopes=["orders.read", "orders.write"])
    found = ask(root, "machine", permission="orders.read")
    assert found["grant_type"] == "client_credentials"
    assert found["access_token"]["claims"]["sub"] == "machine"
    assert [line["name"] for line in found["scopes"]] == ["orders.read", "orders.write"]
    assert reasons(found["permissions"], "orders.read") == (False, [("no_person", None)])
    register(session)
    refused = ask(root, "web")["refused"]
    assert (refused["error"], refused["check"]) == (
        "unauthorized_client",
        "Grant types of the client",
    )


@pytest.mark.parametrize("is_person", [True, False])
def test_scopes_of_other_resources_are_left_out_with_the_reason(root, session, is_person):
    add_api(session)
    add_api(session, "stock", ["stock.read"])
    scopes = ("orders.read", "stock.read")
    register(session, scopes=scopes, grants=("authorization_code", "client_credentials"))
    query = {"user": add_person(session).id} if is_person else {}
    found = ask(root, "web", scope=" ".join(scopes), resource="orders", **query)
    assert found["access_token"]["audience"] == ["orders"]
    orders, stock = found["scopes"]
    assert (orders["granted"], stock["granted"]) == (True, False)
    (why,) = stock["reasons"]
    assert why == {
        "code": "other_resource",
        "subject": "stock",
        "text": "The API stock is not among the resources asked for.",
    }


# Who may ask about whom


def test_in_a_tenant_only_its_clients_and_people_are_explained(session, boss, acme):
    elsewhere = protocol.add_tenant(session, "Elsewhere")
    register(session, "ours", tenant_id=acme)
    register(session, "theirs", tenant_id=elsewhere)
    register(session, "everybodys")
    ours = add_person(session, "ours", tenant_ids=[acme, elsewhere])
    theirs = add_person(session, "theirs", tenant_ids=[elsewhere])
    of_platform = add_person(session, "chief", tenant_ids=[acme])
    add_role(session, of_platform, "administrators", tenant_id=None)
    found = ask(boss, "ours", acme, user=ours.id, scope="openid")
    assert found["access_token"]["claims"]["tenant"]["id"] == acme

    def refused(client_id, user_id, tenant_id=acme):
        query = {"client": client_id, "user": user_id, "scope": "openid"}
        return admin.refused(boss, "GET", path(tenant_id), **query)

    assert refused("ours", theirs.id) == (404, {})
    assert refused("ours", of_platform.id) == (404, {})
    assert refused("ours", 999_999) == (404, {})
    assert refused("theirs", ours.id) == (404, {})
    assert refused("everybodys", ours.id) == (404, {})
    assert refused("none", ours.id) == (404, {})
    assert refused("theirs", ours.id, elsewhere) == (403, {})
    assert refused("ours", ours.id, 1) == (403, {})


def test_in_a_tenant_only_refusals_of_its_clients_are_explained(client, session, boss, acme):
    apps = {
        "ours": register_machine(session, "ours", tenant_id=acme),
        "everybodys": register_machine(session, "everybodys"),
    }
    found = {}
    for name, app in apps.items():
        answer = protocol.machine_token(client, app, scope="nonsense")
        found[name] = answer.headers["X-Request-Id"]
    shown = admin.data(boss, "GET", f"{path(acme)}/request", request=found["ours"])
    assert shown["client"] == "ours"
    assert shown["refused"]["check"] == "Scopes that there are"
    query = {"request": found["everybodys"]}
    assert admin.refused(boss, "GET", f"{path(acme)}/request", **query) == (404, {})
    query = {"request": "unknown"}
    assert admin.refused(boss, "GET", f"{path(acme)}/request", **query) == (404, {})


def test_of_a_token_of_another_tenant_only_what_everybody_can_see_is_told(
    client, session, boss, acme
):
    add_api(session)
    for kind in (0, 1):
        app = register_machine(
            session, f"others{kind}", scopes=["orders.read"], access_token_type=kind
        )
        token = protocol.machine_token(client, app).get_json()["access_token"]
        found = present(boss, token, acme)
        assert found["active"] is False
        assert found["now"] is None
        if kind == 1:
            assert found["claims"] == {}
            revoked = client.post("/connect/revocation", data={"token": token, **app.post})
            assert revoked.status_code == 200
            assert present(boss, token, acme) == found
        else:
            assert found["checks"][-1]["state"] == "skipped"


# Tokens that are pasted


def test_a_token_is_verified_and_compared_with_what_would_be_issued_now(client, root, session):
    user = scene(session)
    app = protocol.App("web", None, 0)
    protocol.sign_in(client, session, user)
    app = register(session, "second", scopes=("openid", "orders.read"))
    token = obtain(client, app, "openid orders.read").access
    found = present(root, token)
    assert (found["kind"], found["active"], found["differences"]) == ("access_token", True, [])
    assert [check["state"] for check in found["checks"]] == ["passed"] * 5
    assert found["claims"] == protocol.payload(token)
    assert found["now"]["access_token"]["claims"]["permission"] == found["claims"]["permission"]
    add_role(session, user, "chief", ["orders.refund"])
    assert present(root, token)["differences"] == ["role"]
    client.post("/connect/revocation", data={"token": token, **app.post})
    found = present(root, token)
    assert found["active"] is False
    assert [check["name"] for check in found["checks"] if check["state"] == "failed"] == [
        "revocation"
    ]


def test_an_expired_token_is_called_so(client, root, session, clock):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"], access_token_lifetime=60)
    token = protocol.machine_token(client, app).get_json()["access_token"]
    clock.shift(90)
    found = present(root, token)
    assert found["active"] is False
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert states == {
        "form": "passed",
        "signature": "passed",
        "issuer": "passed",
        "expiry": "failed",
        "revocation": "skipped",
    }


def test_a_reference_token_and_an_id_token_are_explained(client, root, session):
    add_api(session)
    app = register(session, scopes=("openid", "orders.read"), access_token_type=1)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app, "openid orders.read")
    found = present(root, tokens.access)
    assert (found["kind"], found["active"], found["differences"]) == ("reference_token", True, [])
    assert found["claims"]["scope"] == "openid orders.read"
    found = present(root, str(tokens.body["id_token"]))
    assert (found["kind"], found["active"], found["now"]) == ("id_token", True, None)


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def nested(levels):
    found = {}
    for _ in range(levels):
        found = {"a": found}
    return found


FOREIGN = ".".join(
    [
        encoded({"alg": "RS256", "kid": "other", "typ": "at+jwt"}),
        encoded({"iss": "https://other.example", "exp": 2**70, "aud": ["a"]}),
        "c2lnbmF0dXJl",
    ]
)


def test_a_token_of_another_issuer_is_taken_apart_and_not_believed(root):
    found = present(root, FOREIGN)
    assert found["active"] is False
    assert found["claims"]["iss"] == "https://other.example"
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert states == {
        "form": "passed",
        "signature": "failed",
        "issuer": "failed",
        "expiry": "failed",
    }


def test_a_changed_token_is_not_believed(client, root, session):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = ".".join([head, encoded({**claims, "scope": "ids4.ms.all"}), signature])
    found = present(root, forged)
    assert (found["active"], found["now"]) == (False, None)
    assert {"name": "signature", "state": "failed"}.items() <= found["checks"][1].items()


@pytest.mark.parametrize(
    "garbage",
    [
        "x",
        "a.b.c",
        "at_unknown",
        "é.é.é",
        "\u2028" * 40,
        "." * 16_000,
        f"{encoded({})}.{encoded([1])}.AAAA",
        f"{encoded({})}.{encoded(nested(400))}.AAAA",
    ],
)
def test_garbage_has_a_clear_answer(root, garbage):
    found = present(root, garbage)
    assert found["active"] is False
    assert found["claims"] == {}
    assert [check["state"] for check in found["checks"]][-1] == "failed"


def test_what_is_too_long_is_refused_by_its_length(root):
    status, fields = admin.refused(root, "POST", path(), {"token": "a" * (MAX_TOKEN_LENGTH + 1)})
    assert (status, list(fields)) == (400, ["token"])
    status, fields = admin.refused(root, "POST", path(), {"token": "a" * 1_000_000})
    assert (status, list(fields)) == (400, ["token"])
    assert admin.refused(root, "POST", path(), {"token": "a" * 1_100_000})[0] == 413


@pytest.mark.parametrize(
    ("body", "field"), [({}, "token"), ({"token": ""}, "token"), ({"token": 7}, "token")]
)
def test_a_body_without_a_token_is_refused(root, body, field):
    status, fields = admin.refused(root, "POST", path(), body)
    assert (status, list(fields)) == (400, [field])


def test_a_token_is_never_in_an_address_or_a_log(client, root, session, capfd):
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    assert admin.refused(root, "GET", path(), token=token, client="machine")[0] == 400
    for text in (token, token + "x", "secret-of-somebody"):
        present(root, text)
        admin.refused(root, "POST", path(), {"token": text, "more": 1})
    logged = capfd.readouterr().err
    assert token[-40:] not in logged
    assert "secret-of-somebody" not in logged


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "client"),
        ({"client": "web", "user": "ann"}, "user"),
        ({"client": "web", "user": "0"}, "user"),
        ({"client": "web", "user": str(2**63)}, "user"),
        ({"client": "w" * 201}, "client"),
        ({"client": "web", "scope": "s" * 9000}, "scope"),
        ({"client": "web", "scopes": "openid"}, "scopes"),
    ],
)
def test_bad_input_names_its_field(root, query, field):
    status, fields = admin.refused(root, "GET", path(), **query)
    assert (status, list(fields)) == (400, [field])


@pytest.mark.parametrize("tenant_id", [0, 999_999, 2**63 - 1, 2**80])
def test_a_tenant_that_is_not_there_is_not_found(root, session, tenant_id):
    register(session)
    query = {"client": "web", "scope": "openid"}
    assert admin.refused(root, "GET", path(tenant_id), **query) == (404, {})


def test_the_number_of_statements_does_not_grow(root, session, runtime):
    api = add_api(session, user_claims=["permission"])
    register(session, scopes=("openid", "orders.read"))
    few, many = add_person(session), add_person(session, "many")
    bob = add_person(session, "bob")
    add_role(session, few, "clerk", ["orders.one"], api=api)
    for number in range(20):
        codes = [f"orders.part{number}.do{place}" for place in range(20)]
        add_role(session, many, f"role{number}", codes, api=api)
        add_role(session, bob, f"other{number}", [f"orders.other{number}"], api=api)
        tenants.add_member(session, protocol.add_tenant(session, f"T{number}"), many.id)

    def count(user):
        query = {"user": user.id, "scope": "openid orders.read"}
        ask(root, "web", **query)  # what is configured is in the cache now
        with center.statements(runtime.engine) as sent:
            found = ask(root, "web", **query)
        assert len(found["permissions"]) > 400
        return len(sent)

    assert count(few) == count(many) <= 25
