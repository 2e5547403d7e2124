"""Clients by our own API: by preset, changed, copied, disabled, deleted, with secrets."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

import pytest
from sqlalchemy import select

from idp.api.admin.clients import PRESETS
from idp.directory import product
from idp.directory.clients.models import Client, ClientClaim, ClientProperty, ClientSecret
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import admin, center, userservice
from tests.api.center import Caller

READ = "ids4.ms.admin.clients.read"
WRITE = "ids4.ms.admin.clients.write"
CLIENTS = "/tenants/1/clients"
ANY = {"If-Match": "*"}


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


def one(app, tenant_id=1):
    return f"/tenants/{tenant_id}/clients/{app.row_id}"


def ids(caller, path=CLIENTS, **query):
    rows = chain(*admin.pages(caller, path, **query))
    return [row["client_id"] for row in rows if row["client_id"] != center.TOOL]


def tags(session, client_id):
    session.rollback()
    found = select(AuditEvent).where(AuditEvent.target == f"client:{client_id}")
    return [event.tag for event in session.scalars(found.order_by(AuditEvent.id))]


def change(caller, path, body, if_match="*"):
    return admin.send(caller, "PATCH", path, body, headers={"If-Match": if_match})


def delete(caller, path, if_match="*"):
    return admin.send(caller, "DELETE", path, headers={"If-Match": if_match})


PAGES = {"redirect_uris": [protocol.CALLBACK]}


@pytest.mark.parametrize(
    ("kind", "body", "grants", "has_secret"),
    [
        ("web", PAGES, ["authorization_code"], True),
        ("single_page", PAGES, ["authorization_code"], False),
        ("native", PAGES, ["authorization_code", "refresh_token"], False),
        ("device", {}, ["refresh_token", product.DEVICE_CODE], False),
        ("service", {}, ["client_credentials"], True),
    ],
)
def test_a_client_is_created_by_a_preset(root, session, kind, body, grants, has_secret):
    answer = admin.send(root, "POST", CLIENTS, {"kind": kind, "client_name": "Shop", **body})
    assert answer.status_code == 201, answer.text
    made = answer.get_json()
    assert answer.headers["Location"] == f"/admin/v1{CLIENTS}/{made['id']}"
    assert (made["kind"], made["tenant"], made["client_name"]) == (kind, None, "Shop")
    assert sorted(made["grant_types"]) == grants
    assert made["client_id"].startswith("client-")
    assert (made["client_secret"] is not None) == has_secret
    assert len(made["secrets"]) == has_secret
    read = admin.send(root, "GET", f"{CLIENTS}/{made['id']}")
    assert read.get_json() == {
        name: value for name, value in made.items() if name != "client_secret"
    }
    if has_secret:
        assert len(made["client_secret"]) >= 43
        assert made["client_secret"] not in repr(center.whole_database(session))


def test_a_created_service_gets_tokens_with_its_secret(client, root, session):
    protocol.add_api(session)
    body = {"kind": "service", "client_id": "robot", "scopes": ["orders.read"]}
    made = admin.data(root, "POST", CLIENTS, body)
    app = protocol.App("robot", made["client_secret"], made["id"])
    assert protocol.machine_token(client, app).status_code == 200


def test_a_client_of_a_tenant_belongs_to_it_whoever_makes_it(client, session, root, acme):
    made = admin.data(root, "POST", f"/tenants/{acme}/clients", {"kind": "service"})
    assert made["tenant"] == acme
    mary = center.manager(client, session, WRITE, READ, tenant_id=acme, scopes=[READ, WRITE])
    made = admin.data(mary, "POST", f"/tenants/{acme}/clients", {"kind": "service"})
    assert made["tenant"] == acme
    robot = userservice.machine(client, session, tenant_id=acme, scopes=[WRITE])
    caller = Caller(client, None, robot.token)
    made = admin.data(caller, "POST", f"/tenants/{acme}/clients", {"kind": "service"})
    assert made["tenant"] == acme
    assert admin.refused(caller, "POST", CLIENTS, {"kind": "service"}) == (403, {})


def test_in_a_tenant_its_clients_alone_are_in_reach(client, session, acme):
    other = protocol.add_tenant(session, "Other")
    own = protocol.register(session, "own", tenant_id=acme)
    mary = center.manager(client, session, WRITE, READ, tenant_id=acme, scopes=[READ, WRITE])
    path = f"/tenants/{acme}/clients"
    assert ids(mary, path) == ["own"]
    assert admin.data(mary, "GET", one(own, acme))["client_id"] == "own"
    theirs = protocol.register(session, "theirs", tenant_id=other)
    platforms = protocol.register(session, "everybody")
    for app in (theirs, platforms):
        target = one(app, acme)
        assert admin.refused(mary, "GET", target) == (404, {})
        assert change(mary, target, {"client_name": "Mine"}).status_code == 404
        assert delete(mary, target).status_code == 404
        for act in ("disable", "enable", "duplicate", "secrets"):
            assert admin.refused(mary, "POST", f"{target}/{act}") == (404, {}), act
    status, fields = admin.refused(mary, "GET", path, in_tenant=other)
    assert (status, list(fields)) == (400, ["in_tenant"])


def test_a_permission_in_tenant_1_does_not_open_clients_of_the_platform(client, session):
    mary = center.manager(client, session, WRITE, READ, scopes=[READ, WRITE])
    app = protocol.register(session, "everybody")
    assert ids(mary) == []
    assert admin.refused(mary, "GET", one(app)) == (404, {})
    made = admin.data(mary, "POST", CLIENTS, {"kind": "service"})
    assert made["tenant"] == 1


def test_the_platform_sees_all_and_narrows(root, session, acme):
    protocol.register(session, "a-web", client_name="Shop")
    protocol.register(session, "b-spa", public=True, tenant_id=acme, enabled=False)
    protocol.register_machine(session, "c-robot")
    assert ids(root, search="a-") == ids(root, search="SHOP") == ["a-web"]
    assert ids(root, kind="single_page") == ["api-docs", "b-spa"]
    assert ids(root, enabled="false") == ["b-spa"]
    assert ids(root, in_tenant=acme) == ids(root, f"/tenants/{acme}/clients") == ["b-spa"]
    assert "c-robot" in ids(root, kind="service", limit=1)
    (listed,) = admin.data(root, "GET", CLIENTS, search="a-web")["items"]
    assert (listed["kind"], listed["enabled"], len(listed["secrets"])) == ("web", True, 1)
    assert "value" not in repr(listed)


def test_the_number_of_statements_does_not_grow_with_the_rows(root, session, runtime):
    def count():
        with center.statements(runtime.engine) as sent:
            admin.data(root, "GET", CLIENTS, limit=200)
        return len(sent)

    protocol.register(session, "row")
    count()  # what is remembered for a second is remembered
    before = count()
    for number in range(10):
        protocol.register(session, f"row{number}")
    count()  # what changed is read anew
    assert count() == before


def test_what_was_read_is_written_back_without_a_change(root, session):
    app = protocol.register(session, "web", consent_lifetime=60, grantable_privileges="a,b")
    answer = admin.send(root, "GET", one(app))
    content = answer.get_json()
    writable = {
        name: value
        for name, value in content.items()
        if name
        not in (
            *("id", "client_id", "kind", "origin", "tenant", "secrets", "live_grants"),
            *("created_at", "updated_at"),
        )
    }
    noted = tags(session, "web")
    changed = change(root, one(app), writable, answer.headers["ETag"])
    assert changed.status_code == 200, changed.text
    assert changed.get_json() == content
    assert changed.headers["ETag"] == answer.headers["ETag"]
    assert tags(session, "web") == noted


def test_a_change_names_only_what_it_changes(root, session):
    app = protocol.register(session, "web")
    before = admin.data(root, "GET", one(app))
    body = {"client_name": "New", "redirect_uris": ["https://app.example/new"]}
    after = change(root, one(app), body).get_json()
    assert {name for name in after if after[name] != before[name]} == {*body, "updated_at"}
    assert tags(session, "web")[-1] == "admin:client:changed"


def test_a_change_of_what_somebody_else_changed_is_refused(root, session):
    app = protocol.register(session, "web")
    seen = admin.send(root, "GET", one(app)).headers["ETag"]
    first = change(root, one(app), {"client_name": "First"}, seen)
    assert first.headers["ETag"] != seen
    second = change(root, one(app), {"client_name": "Second"}, seen)
    assert (second.status_code, second.get_json()["code"]) == (412, "precondition_failed")
    assert admin.data(root, "GET", one(app))["client_name"] == "First"
    again = change(root, one(app), {"client_name": "Second"}, first.headers["ETag"])
    assert again.status_code == 200


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({"client_id": "other"}, 400, ["client_id"]),
        ({"secrets": []}, 400, ["secrets"]),
        ({"live_grants": 0}, 400, ["live_grants"]),
        ({"nonsense": 1}, 400, ["nonsense"]),
        ({"enabled": "true"}, 400, ["enabled"]),
        ({"access_token_lifetime": 0}, 400, ["access_token_lifetime"]),
        ({"access_token_lifetime": "60"}, 400, ["access_token_lifetime"]),
        ({"redirect_uris": ["javascript:alert(1)"]}, 400, ["redirect_uris"]),
        ({"redirect_uris": []}, 400, ["redirect_uris"]),
        ({"scopes": ["none"]}, 400, ["scopes"]),
        ({"grant_types": ["password"]}, 422, ["grant_types"]),
        ({"token_endpoint_auth_method": "none"}, 422, ["client_secret"]),
        ({"enabled": None}, 400, ["enabled"]),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_field(root, session, body, status, fields):
    app = protocol.register(session, "web")
    before = center.whole_database(session)
    answer = change(root, one(app), body)
    content = answer.get_json()
    assert (answer.status_code, list(content["fields"])) == (status, fields), content
    assert center.whole_database(session) == before


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["kind"]),
        ({"kind": "spa"}, 400, ["kind"]),
        ({"kind": "web"}, 400, ["redirect_uris"]),
        ({"kind": "service", "client_id": "taken"}, 409, ["client_id"]),
        ({"kind": "service", "client_id": "123"}, 400, ["client_id"]),
        ({"kind": "service", "client_secret": "x" * 40}, 400, ["client_secret"]),
        ({"kind": "service", "scopes": ["none"]}, 400, ["scopes"]),
    ],
)
def test_a_client_that_cannot_be_is_refused_by_field(root, session, body, status, fields):
    protocol.register(session, "taken")
    before = center.whole_database(session)
    answer = admin.refused(root, "POST", CLIENTS, body)
    assert (answer[0], list(answer[1])) == (status, fields)
    assert center.whole_database(session) == before


def test_nobody_makes_a_client_that_may_do_more_than_they(client, session, acme):
    mary = center.manager(client, session, WRITE, tenant_id=acme, scopes=[WRITE])
    robot = userservice.machine(client, session, tenant_id=acme, scopes=[WRITE])
    path = f"/tenants/{acme}/clients"
    app = protocol.register_machine(session, "row", tenant_id=acme)
    asked = {"ids4.ms.tenant.put", "ids4.ms.all"}
    for caller in (mary, Caller(client, None, robot.token)):
        for scope in asked:
            for kind in ({"kind": "service"}, {"kind": "web", **PAGES}):
                body = {**kind, "scopes": [scope]}
                status, fields = admin.refused(caller, "POST", path, body)
                assert (status, list(fields)) == (422, ["scopes"])
            answer = change(caller, one(app, acme), {"scopes": [scope]})
            assert (answer.status_code, list(answer.get_json()["fields"])) == (422, ["scopes"])
        answer = change(caller, one(app, acme), {"grantable_privileges": ["ids4.ms.all"]})
        assert answer.status_code == 422
        assert list(answer.get_json()["fields"]) == ["grantable_privileges"]
    made = admin.data(mary, "POST", path, {"kind": "service", "scopes": [WRITE]})
    assert made["scopes"] == [WRITE]


def test_only_platform_administrators_exempt_a_client_from_second_factors(
    client, session, root, acme
):
    mary = center.manager(client, session, WRITE, tenant_id=acme, scopes=[WRITE])
    user = protocol.add_person(session, "helper")
    protocol.add_role(session, user, "helper", [WRITE], tenant_id=None)
    helper = Caller(client, user, center.token_for(session, user, [WRITE]))
    app = protocol.register_machine(session, "row", tenant_id=acme)
    for caller in (mary, helper):
        answer = change(caller, one(app, acme), {"second_factor_exempt": True})
        assert (answer.status_code, list(answer.get_json()["fields"])) == (
            400,
            ["second_factor_exempt"],
        )
    assert change(root, one(app, acme), {"second_factor_exempt": True}).status_code == 200
    # Others may change the client further, and end the exemption; a copy does not have it.
    named = change(mary, one(app, acme), {"client_name": "Row"})
    assert named.get_json()["second_factor_exempt"] is True
    copy = admin.data(mary, "POST", f"{one(app, acme)}/duplicate", {"client_id": "copy"})
    assert copy["second_factor_exempt"] is False
    ended = change(mary, one(app, acme), {"second_factor_exempt": False})
    assert ended.get_json()["second_factor_exempt"] is False
    assert change(mary, one(app, acme), {"second_factor_exempt": True}).status_code == 400


@pytest.mark.parametrize(
    "power", ["scope of a machine", "privilege", "scope of people", "scope without consent"]
)
def test_nobody_takes_over_a_client_that_may_do_more_than_they(client, session, acme, power):
    right = "ids4.ms.tenant.put"
    if power == "scope of a machine":
        strong = protocol.register_machine(session, "strong", [right], tenant_id=acme)
    elif power == "privilege":
        strong = protocol.register_machine(
            session, "strong", tenant_id=acme, grantable_privileges=right
        )
    else:
        strong = protocol.register(
            session,
            "strong",
            scopes=("openid", right),
            tenant_id=acme,
            require_consent=power == "scope of people",
        )
    secret = session.scalars(
        select(ClientSecret.id).where(ClientSecret.client_id == strong.row_id)
    ).one()
    mary = center.manager(client, session, WRITE, READ, tenant_id=acme, scopes=[READ, WRITE])
    clerk = center.manager(client, session, username="clerk", scopes=[READ, WRITE])
    protocol.grant_directly(session, clerk.user, WRITE)  # at the platform
    robot = userservice.machine(client, session, tenant_id=acme, scopes=[WRITE])
    path = one(strong, acme)
    before = center.whole_database(session) | {"audit_event": []}
    for caller in (mary, clerk, Caller(client, None, robot.token)):
        for method, target, body in (
            ("POST", f"{path}/secrets", {}),
            ("PATCH", f"{path}/secrets/{secret}", {"expires_at": None}),
            ("DELETE", f"{path}/secrets/{secret}", None),
            ("PATCH", path, {"redirect_uris": ["https://evil.example/"]}),
            ("PATCH", path, {"scopes": []}),
            ("POST", f"{path}/disable", None),
            ("POST", f"{path}/enable", None),
            ("DELETE", path, None),
        ):
            answer = admin.send(caller, method, target, body, headers=ANY)
            assert answer.status_code == 403, (method, target, answer.text)
    assert center.whole_database(session) | {"audit_event": []} == before
    assert admin.data(mary, "GET", path)["client_id"] == "strong"
    protocol.grant_directly(session, mary.user, right, tenant_id=acme)
    assert admin.send(mary, "POST", f"{path}/secrets").status_code == 201


def test_nobody_copies_a_client_that_may_do_more_than_they(client, session, acme):
    mary = center.manager(client, session, WRITE, tenant_id=acme, scopes=[WRITE])
    strong = protocol.register_machine(session, "strong", ["ids4.ms.tenant.put"], tenant_id=acme)
    status, fields = admin.refused(mary, "POST", f"{one(strong, acme)}/duplicate")
    assert (status, list(fields)) == (422, ["scopes"])


def test_a_copy_has_everything_but_the_secrets(root, session, acme):
    app = protocol.register(session, "web", tenant_id=acme, access_token_lifetime=77)
    row = session.get_one(Client, app.row_id)
    row.claims.append(ClientClaim(type="kind", value="shop"))
    row.properties.append(ClientProperty(key="note", value="N"))
    session.commit()
    path = f"{one(app, acme)}/duplicate"
    made = admin.data(root, "POST", path, {"client_id": "copy", "client_name": "Copy"})
    origin = admin.data(root, "GET", one(app, acme))
    differs = {name for name in origin if origin[name] != made[name]}
    assert differs == {"id", "client_id", "client_name", "secrets", "created_at", "updated_at"}
    assert made["client_secret"] != app.secret
    copy = session.scalars(select(Client).where(Client.client_id == "copy")).one()
    assert [(claim.type, claim.value) for claim in copy.claims] == [("kind", "shop")]
    assert [(entry.key, entry.value) for entry in copy.properties] == [("note", "N")]
    assert admin.data(root, "POST", path)["client_id"].startswith("client-")
    assert admin.refused(root, "POST", path, {"client_id": "copy"})[0] == 409


def test_a_disabled_client_is_refused_and_let_in_again(client, root, session):
    app = protocol.register_machine(session, "robot", ["ids4.ms.client.get"])
    assert admin.data(root, "POST", f"{one(app)}/disable")["enabled"] is False
    assert protocol.machine_token(client, app).status_code == 401
    noted = tags(session, "robot")
    assert admin.data(root, "POST", f"{one(app)}/disable")["enabled"] is False
    assert tags(session, "robot") == noted
    assert admin.data(root, "POST", f"{one(app)}/enable")["enabled"] is True
    assert protocol.machine_token(client, app).status_code == 200


def test_only_a_disabled_client_is_deleted(client, root, session):
    app = protocol.register(session)
    ann = protocol.add_person(session)
    protocol.sign_in(client, session, ann)
    tokens = protocol.obtain(client, app)
    assert admin.data(root, "GET", one(app))["live_grants"] == 1
    refusal = delete(root, one(app))
    assert (refusal.status_code, refusal.get_json()["code"]) == (409, "client_enabled")
    seen = admin.send(root, "POST", f"{one(app)}/disable")
    assert seen.status_code == 200
    etag = admin.send(root, "GET", one(app)).headers["ETag"]
    assert delete(root, one(app), '"former"').status_code == 412
    done = delete(root, one(app), etag)
    assert (done.status_code, done.get_data()) == (204, b"")
    assert admin.refused(root, "GET", one(app)) == (404, {})
    assert tags(session, "web")[-1] == "admin:client:deleted"
    assert tokens.access


def test_secrets_are_used_side_by_side_and_shown_once(client, root, session):
    app = protocol.register_machine(session, "robot", ["ids4.ms.client.get"])
    path = f"{one(app)}/secrets"
    answer = admin.send(root, "POST", path, {"description": "Second"})
    assert answer.status_code == 201
    issued = answer.get_json()
    assert answer.headers["Location"] == f"/admin/v1{path}/{issued['id']}"
    assert len(issued["value"]) >= 43
    second = protocol.App("robot", issued["value"], app.row_id)
    for each in (app, second):
        assert protocol.machine_token(client, each).status_code == 200
    read = admin.send(root, "GET", f"{path}/{issued['id']}")
    assert read.get_json() == {name: value for name, value in issued.items() if name != "value"}
    assert read.headers["ETag"] == admin.send(root, "GET", one(app)).headers["ETag"]
    assert issued["value"] not in admin.send(root, "GET", one(app)).text
    assert issued["value"] not in repr(center.whole_database(session))
    removed = delete(root, f"{path}/{issued['id']}", read.headers["ETag"])
    assert removed.status_code == 204
    assert protocol.machine_token(client, second).status_code == 401
    assert protocol.machine_token(client, app).status_code == 200
    assert tags(session, "robot")[-2:] == [
        "admin:client-secret:added",
        "admin:client-secret:removed",
    ]


def test_a_secret_ends_when_it_is_told_to(client, root, session):
    app = protocol.register_machine(session, "robot", ["ids4.ms.client.get"])
    secret_id = session.scalars(
        select(ClientSecret.id).where(ClientSecret.client_id == app.row_id)
    ).one()
    path = f"{one(app)}/secrets/{secret_id}"
    ends = (clock.now() - timedelta(seconds=1)).isoformat()
    changed = change(root, path, {"expires_at": ends})
    assert changed.status_code == 200, changed.text
    assert protocol.machine_token(client, app).status_code == 401
    assert change(root, path, {"expires_at": None}).get_json()["expires_at"] is None
    assert protocol.machine_token(client, app).status_code == 200
    stale = change(root, path, {"description": "x"}, '"former"')
    assert stale.status_code == 412
    assert change(root, path, {"value": "x" * 40}).status_code == 400
    other = protocol.register_machine(session, "other")
    for method in ("GET", "PATCH", "DELETE"):
        target = f"{one(other)}/secrets/{secret_id}"
        body = {} if method == "PATCH" else None
        assert admin.send(root, method, target, body, headers=ANY).status_code == 404


def test_a_public_client_gets_no_secret(root, session):
    app = protocol.register(session, "spa", public=True)
    status, fields = admin.refused(root, "POST", f"{one(app)}/secrets")
    assert (status, list(fields)) == (422, ["client_secret"])


def test_every_preset_has_a_name_here():
    assert sorted(PRESETS) == ["device", "native", "service", "single_page", "web"]
