"""Tenants: hosts that become issuers, private settings, who owns what, and what is public."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.api.center.tenant import LOOKUPS_PER_MINUTE
from idp.directory import permissions
from idp.directory.clients import service as clients
from idp.directory.tenants import hosts
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantHost, TenantProperty
from idp.directory.users.models import UserClaim
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import center

ALL = "ids4.ms.tenant.all"
SECRET = "the-key-of-the-gateway"
ACME = {
    "name": "Acme",
    "theme": "dark",
    "status": 1,
    "identityServerIssuerUri": "login.acme.example",
    "hosts": [{"hostName": "acme.example:8443"}, {"hostName": "login.acme.example"}],
    "claims": [{"claimType": "country", "claimValue": "NL"}],
    "cacheDuration": 600,
    "properties": [
        {"key": "Azure:ApiManagement:ApiKey", "value": SECRET},
        {"key": "WebSite", "value": "https://acme.example"},
    ],
}


@pytest.fixture
def settings(settings, name_server):
    return settings.model_copy(update={"dns_server": name_server.address})


@pytest.fixture(autouse=True)
def _hosts_are_proven(runtime, name_server):
    """Prove every host to everybody; whose a host is is the subject of test_tenant_hosts.py."""

    def find(name: str) -> list[str]:
        host = name.removeprefix(f"{hosts.LABEL}.")
        claimants = [f"{kind}:{number}" for kind in ("user", "tenant") for number in range(1, 9)]
        keyring = runtime.keyring
        return [hosts.PREFIX + keyring.mac(hosts.PURPOSE, f"{who} {host}") for who in claimants]

    name_server.find = find


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, ALL)


@pytest.fixture
def acme(mary):
    return mary.data("GET", f"/Tenant/{mary.data('POST', '/Tenant', ACME)}")


@pytest.fixture
def abroad(client, session):
    """Return the administrator of another tenant, who may do everything about tenants there."""
    other = protocol.add_tenant(session, "Other")
    caller = center.manager(client, session, ALL, username="abroad", tenant_id=other)
    tenants.add_member(session, other, caller.user.id, is_admin=True)
    session.commit()
    return caller


def discovery(new_client, host):
    return new_client(f"http://{host}").get("/.well-known/openid-configuration")


def info(caller, **query):
    content = caller.call("GET", "/Tenant/Info", **query)
    return content["code"], content["data"] and json.loads(content["data"])


# Done


def test_what_is_made_is_read_again_without_the_private_values(session, mary, acme):
    assert {name: acme[name] for name in ("name", "theme", "status", "cacheDuration")} == {
        "name": "Acme",
        "theme": "dark",
        "status": 1,
        "cacheDuration": 600,
    }
    assert acme["identityServerIssuerUri"] == "login.acme.example"
    assert [row["hostName"] for row in acme["hosts"]] == ["acme.example:8443", "login.acme.example"]
    assert {row["appTenantId"] for row in (*acme["hosts"], *acme["claims"])} == {acme["id"]}
    assert [row["value"] for row in acme["properties"]] == ["***", "***"]
    assert acme["ownerUserId"] == mary.user.id
    assert acme["createDate"].endswith("Z")
    assert SECRET not in mary.send("GET", "/Tenant").get_data(as_text=True)
    assert tenants.properties(session, acme["id"]) == {
        "Azure:ApiManagement:ApiKey": SECRET,
        "WebSite": "https://acme.example",
    }
    stored = session.scalars(select(TenantProperty.value_encrypted)).all()
    assert len(stored) == 2
    assert not any(SECRET in text for text in stored)


def test_what_is_not_said_has_the_value_of_the_contract(mary):
    made = mary.data("POST", "/Tenant", {"name": "Plain"})
    seen = mary.data("GET", f"/Tenant/{made}")
    assert (seen["status"], seen["cacheDuration"], seen["theme"]) == (0, 60, None)
    assert (seen["hosts"], seen["claims"], seen["properties"]) == ([], [], [])
    assert seen["identityServerIssuerUri"] is None


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_every_operation_is_served_with_and_without_the_prefix(mary, acme, prefix):
    for path, query in (
        ("/Tenant", {}),
        (f"/Tenant/{acme['id']}", {}),
        ("/Tenant/Info", {"host": "acme.example:8443"}),
    ):
        answer = mary.send("GET", path, prefix=prefix, **query)
        assert answer.get_json()["code"] == 200, path
    answer = mary.send("GET", "/Tenant/Codes", prefix=prefix)
    assert (answer.status_code, answer.get_json()) == (200, [])


def test_a_new_host_serves_its_own_issuer_at_once(new_client, mary, acme):
    issuer = "http://login.acme.example"
    answer = discovery(new_client, "login.acme.example")
    assert answer.get_json()["issuer"] == issuer
    assert discovery(new_client, "acme.example:8443").status_code == 404
    assert discovery(new_client, "new.acme.example").status_code == 400
    hosts = [*acme["hosts"], {"hostName": "new.acme.example"}]
    content = {**acme, "hosts": hosts, "identityServerIssuerUri": "new.acme.example"}
    mary.data("PUT", "/Tenant", content)
    document = discovery(new_client, "new.acme.example").get_json()
    assert document["issuer"] == "http://new.acme.example"
    assert document["token_endpoint"] == "http://new.acme.example/connect/token"
    assert new_client("http://new.acme.example").get("/login").status_code == 200
    moved = new_client(issuer).get("/login")
    assert (moved.status_code, moved.location) == (308, "http://new.acme.example/login")
    mary.data("PUT", "/Tenant", {**content, "hosts": [], "identityServerIssuerUri": None,
                                 "concurrencyStamp": None})  # fmt: skip
    assert discovery(new_client, "new.acme.example").status_code == 400


def test_a_disabled_tenant_is_not_served_until_the_platform_opens_it(new_client, mary, root, acme):
    mary.data("PUT", "/Tenant", {**acme, "status": 2})
    assert discovery(new_client, "login.acme.example").status_code == 400
    assert info(mary, host="login.acme.example") == (404, None)
    seen = mary.data("GET", f"/Tenant/{acme['id']}")
    assert set(mary.refused("PUT", "/Tenant", {**seen, "status": 1})) == {"status"}
    mary.data("PUT", "/Tenant", {**seen, "name": "Acme again"})
    seen = root.data("GET", f"/Tenant/{acme['id']}")
    root.data("PUT", "/Tenant", {**seen, "status": 1})
    assert discovery(new_client, "login.acme.example").status_code == 200


def test_people_sign_in_at_issuer_1_while_there_is_no_host(session, mary, acme):
    assert session.get_one(Tenant, acme["id"]).issuer_tenant_id == acme["id"]
    mary.data("PUT", "/Tenant", {**acme, "hosts": [], "identityServerIssuerUri": None})
    assert session.get_one(Tenant, acme["id"]).issuer_tenant_id == 1


def test_no_issuer_takes_the_name_of_an_api_or_a_client(session, mary, acme):
    protocol.add_api(session, "http://early.example")
    protocol.register_machine(session, "http://soon.example", ["orders.read"])
    for host in ("early.example", "soon.example"):
        changed = {**acme, "hosts": [{"hostName": host}], "identityServerIssuerUri": None}
        assert set(mary.refused("PUT", "/Tenant", changed)) == {"hosts"}


# Public


def test_anybody_may_ask_who_signs_in_at_a_host(client, session, acme):
    anybody = center.Caller(client, protocol.add_person(session), None)
    expected = {"id": acme["id"], "name": "Acme", "claims": {"country": "NL"}}
    assert info(anybody, host="acme.example:8443") == (200, expected)
    assert info(anybody, host=" LOGIN.acme.example ") == (200, expected)
    assert info(anybody, host="127.0.0.1:8000")[1]["id"] == 1
    for host in ("nobody.example", "acme.example", "", "%", "a" * 255):
        assert info(anybody, host=host) == (404, None), host
    assert info(anybody) == (404, None)
    assert set(anybody.refused("GET", "/Tenant/Info", host="a" * 256)) == {"host"}
    answer = anybody.send("GET", "/Tenant/Info", host="login.acme.example")
    assert answer.headers["Cache-Control"] == "public, max-age=600"
    assert SECRET not in answer.get_data(as_text=True)


def test_a_change_of_public_data_is_seen_at_once(mary, acme):
    assert info(mary, host="login.acme.example")[1]["name"] == "Acme"
    claims = [{**acme["claims"][0], "claimValue": "BE"}]
    mary.data("PUT", "/Tenant", {**acme, "name": "Acme AG", "claims": claims})
    seen = {"id": acme["id"], "name": "Acme AG", "claims": {"country": "BE"}}
    assert info(mary, host="login.acme.example") == (200, seen)


def test_asking_for_public_data_is_limited_by_address(mary):
    for _ in range(LOOKUPS_PER_MINUTE):
        assert mary.send("GET", "/Tenant/Info", host="x.example").status_code == 200
    answer = mary.send("GET", "/Tenant/Info", host="x.example")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


# Replacing


def test_put_of_what_get_gave_changes_nothing(session, root, mary, acme):
    for row in [acme, *root.call("GET", "/Tenant")["data"]]:
        before = center.whole_database(session)
        assert root.data("PUT", "/Tenant", row) == row["id"]
        assert center.whole_database(session) == before
    mary.data("PUT", "/Tenant", acme)
    assert center.whole_database(session) == before


def test_missing_lists_stay_and_missing_values_are_the_contracts(mary, acme):
    content = {"id": acme["id"], "name": "Acme", "identityServerIssuerUri": "acme.example:8443"}
    for rest in ({}, {"hosts": None, "claims": None, "properties": None}):
        mary.data("PUT", "/Tenant", {**content, **rest})
        seen = mary.data("GET", f"/Tenant/{acme['id']}")
        for name in ("hosts", "claims", "properties"):
            assert seen[name] == acme[name]
        assert (seen["status"], seen["theme"], seen["cacheDuration"]) == (0, None, 60)


@pytest.mark.parametrize("name", ["hosts", "claims", "properties"])
def test_an_empty_list_clears(mary, acme, name):
    mary.data("PUT", "/Tenant", {**acme, name: [], "identityServerIssuerUri": None})
    seen = mary.data("GET", f"/Tenant/{acme['id']}")
    assert seen[name] == []
    for other in {"hosts", "claims", "properties"} - {name}:
        assert seen[other] == acme[other]


def test_children_are_changed_made_and_removed_by_id(session, mary, acme):
    first, second = acme["properties"]
    content = {
        **acme,
        "identityServerIssuerUri": None,
        "hosts": [{**acme["hosts"][1], "hostName": "Two.example"}, {"hostName": "three.example"}],
        "claims": [{"claimType": "city", "claimValue": "X"}, {**acme["claims"][0]}],
        "properties": [{**second, "key": "Site"}, {"key": "Favicon", "value": "f"}],
    }
    mary.data("PUT", "/Tenant", content)
    seen = mary.data("GET", f"/Tenant/{acme['id']}")
    assert [row["hostName"] for row in seen["hosts"]] == ["two.example", "three.example"]
    assert seen["hosts"][0]["id"] == acme["hosts"][1]["id"]
    assert [row["claimType"] for row in seen["claims"]] == ["country", "city"]
    assert seen["concurrencyStamp"] != acme["concurrencyStamp"]
    assert tenants.properties(session, acme["id"]) == {
        "Site": "https://acme.example",
        "Favicon": "f",
    }
    assert first["id"] not in {row["id"] for row in seen["properties"]}


def test_names_may_be_exchanged(session, mary, acme):
    hosts = [row["hostName"] for row in acme["hosts"]]
    keys = [row["key"] for row in acme["properties"]]
    content = {
        **acme,
        "hosts": [{**acme["hosts"][i], "hostName": hosts[1 - i]} for i in (0, 1)],
        "properties": [{**acme["properties"][i], "key": keys[1 - i]} for i in (0, 1)],
    }
    mary.data("PUT", "/Tenant", content)
    assert tenants.properties(session, acme["id"])["WebSite"] == SECRET


@pytest.mark.parametrize("value", ["***", None])
def test_a_private_value_stays_until_a_new_one_comes(session, mary, acme, value):
    rows = [{**row, "value": value} for row in acme["properties"]]
    before = center.whole_database(session)
    mary.data("PUT", "/Tenant", {**acme, "properties": rows})
    assert center.whole_database(session) == before
    rows[0]["value"] = "another"
    mary.data("PUT", "/Tenant", {**acme, "properties": rows})
    stored = tenants.properties(session, acme["id"])
    assert stored["Azure:ApiManagement:ApiKey"] == "another"
    assert stored["WebSite"] == "https://acme.example"


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("hosts", {"hostName": "stolen.example"}),
        ("claims", {"claimType": "stolen", "claimValue": "x"}),
        ("properties", {"key": "stolen", "value": "x"}),
    ],
)
def test_foreign_children_are_refused(session, mary, acme, name, row):
    other = {**ACME, "identityServerIssuerUri": None, "hosts": [{"hostName": "other.example"}]}
    foreign = mary.data("GET", f"/Tenant/{mary.data('POST', '/Tenant', other)}")[name][0]["id"]
    before = center.whole_database(session)
    content = {**acme, "identityServerIssuerUri": None}
    for row_id in (foreign, 10_000):
        refused = mary.refused("PUT", "/Tenant", {**content, name: [{**row, "id": row_id}]})
        assert set(refused) == {f"{name}[0].id"}
    own = acme[name][0]
    assert set(mary.refused("PUT", "/Tenant", {**content, name: [own, {**row, "id": own["id"]}]}))
    assert set(mary.refused("POST", "/Tenant", {"name": "x", name: [{**row, "id": foreign}]}))
    assert center.whole_database(session) == before


def test_of_two_who_read_the_same_the_second_is_told(session, mary, acme, root):
    hosts = [*acme["hosts"], {"hostName": "new.acme.example"}]
    mary.data("PUT", "/Tenant", {**acme, "hosts": hosts})
    before = center.whole_database(session)
    assert set(root.refused("PUT", "/Tenant", acme)) == {"concurrencyStamp"}
    assert center.whole_database(session) == before
    # Who does not say what was read has the last word, and takes no list along.
    root.data("PUT", "/Tenant", {"id": acme["id"], "name": "Mine", "status": 1})
    seen = mary.data("GET", f"/Tenant/{acme['id']}")
    assert (seen["name"], len(seen["hosts"])) == ("Mine", 3)


@pytest.mark.parametrize("stamped", [True, False])
def test_two_at_the_same_time_lose_nothing_silently(new_client, session, mary, acme, stamped):
    barrier = threading.Barrier(2)
    outcomes: list[Any] = []

    def save(number: int) -> None:
        browser = new_client()
        browser._database = None
        caller = center.Caller(browser, mary.user, mary.token)
        added = {"claimType": f"claim{number}", "claimValue": "x"}
        content = {**acme, "claims": [*acme["claims"], added]}
        if not stamped:
            del content["concurrencyStamp"]
        barrier.wait()
        outcomes.append(caller.call("PUT", "/Tenant", content)["code"])

    session.commit()
    threads = [threading.Thread(target=save, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ([200, 422] if stamped else [200, 200])
    assert len(mary.data("GET", f"/Tenant/{acme['id']}")["claims"]) == 2


# Refused


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"theme": "x" * 101}, "theme"),
        ({"theme": "a\u202eb"}, "theme"),
        ({"status": 3}, "status"),
        ({"status": -1}, "status"),
        ({"status": "1"}, "status"),
        ({"status": True}, "status"),
        ({"cacheDuration": -1}, "cacheDuration"),
        ({"cacheDuration": 2**63}, "cacheDuration"),
        ({"cacheDuration": 1.5}, "cacheDuration"),
        ({"identityServerIssuerUri": "other.example"}, "identityServerIssuerUri"),
        ({"identityServerIssuerUri": "https://login.acme.example"}, "identityServerIssuerUri"),
        ({"hosts": "acme.example"}, "hosts"),
        ({"hosts": [{"hostName": f"h{n}.example"} for n in range(10_000)]}, "hosts"),
        ({"hosts": [{"hostName": "a b"}]}, "hosts[0].hostName"),
        ({"hosts": [{"hostName": "https://a.example"}]}, "hosts[0].hostName"),
        ({"hosts": [{"hostName": None}]}, "hosts[0].hostName"),
        ({"hosts": [{"hostName": "a.example"}, {"hostName": "A.example"}]}, "hosts[1].hostName"),
        ({"hosts": [{"hostName": "127.0.0.1:8000"}], "identityServerIssuerUri": None}, "hosts"),
        ({"claims": [{"claimType": "", "claimValue": "x"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": " ", "claimValue": "x"}]}, "claims[0].claimType"),
        ({"claims": [{"claimType": "a", "claimValue": "x"}] * 2}, "claims[1].claimType"),
        ({"claims": [{"claimType": "a", "claimValue": "x" * 2001}]}, "claims[0].claimValue"),
        ({"properties": [{"key": "a"}]}, "properties[0].value"),
        ({"properties": [{"key": "a", "value": "***"}]}, "properties[0].value"),
        ({"properties": [{"key": "a", "value": "x"}] * 2}, "properties[1].key"),
        ({"properties": [{"key": "a", "value": "x" * 10_001}]}, "properties[0].value"),
        ({"id": "seven"}, "id"),
        ({"id": 2**63}, "id"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(session, mary, acme, wrong, field):
    before = center.whole_database(session)
    fresh = {"name": "New", "hosts": [{"hostName": "login.new.example"}], "status": 1}
    if "hosts" not in wrong and "identityServerIssuerUri" not in wrong:
        fresh["identityServerIssuerUri"] = "login.new.example"
    assert field in mary.refused("POST", "/Tenant", {**fresh, **wrong})
    assert field in mary.refused("PUT", "/Tenant", {**acme, **wrong})
    assert center.whole_database(session) == before


def test_hosts_are_unique_over_all_tenants(session, mary, acme, abroad):
    before = center.whole_database(session)
    for host in ("acme.example:8443", "LOGIN.acme.example"):
        content = {"name": "Thief", "hosts": [{"hostName": host}]}
        assert set(abroad.refused("POST", "/Tenant", content)) == {"hosts"}
    assert center.whole_database(session) == before


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"'])
def test_what_is_no_json_is_an_http_problem(mary, body):
    assert mary.send("POST", "/Tenant", body).status_code == 400


@pytest.mark.parametrize("tenant_id", [0, 999, 2**31, 2**63, 10**30])
def test_ids_of_nothing_are_not_found(root, tenant_id):
    assert root.misses("GET", f"/Tenant/{tenant_id}")
    assert root.misses("DELETE", f"/Tenant/{tenant_id}")
    if tenant_id < 2**63:
        assert root.misses("PUT", "/Tenant", {"id": tenant_id, "name": "x"})


# Who may


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/Tenant"),
        ("PUT", "/Tenant"),
        ("POST", "/Tenant"),
        ("GET", "/Tenant/1"),
        ("DELETE", "/Tenant/1"),
    ],
)
def test_token_scope_and_permission_are_all_needed(client, session, method, path):
    body = {"name": "x"} if method in {"PUT", "POST"} else None
    nobody = center.Caller(client, protocol.add_person(session), None)
    answer = nobody.send(method, path, body)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    other = center.manager(client, session, ALL, username="scope", scopes=["ids4.ms.client.all"])
    assert other.send(method, path, body).status_code == 403
    other = center.manager(client, session, "ids4.ms.client.all", username="permission")
    assert other.send(method, path, body).status_code == 403


def test_a_tenant_of_somebody_else_does_not_exist(session, mary, acme, abroad):
    before = center.whole_database(session)
    assert acme["id"] not in {row["id"] for row in abroad.call("GET", "/Tenant")["data"]}
    assert abroad.misses("GET", f"/Tenant/{acme['id']}")
    assert abroad.misses("PUT", "/Tenant", acme)
    assert abroad.misses("DELETE", f"/Tenant/{acme['id']}")
    assert center.whole_database(session) == before


def test_a_member_who_is_no_administrator_does_not_manage(client, session, acme):
    bob = center.manager(client, session, ALL, username="bob", tenant_id=acme["id"])
    # Their tokens come from the tenant's own host.
    issuer = bob.browser.__class__(client.application, "http://login.acme.example", session)
    bob = center.Caller(issuer, bob.user, bob.token)
    assert bob.call("GET", "/Tenant")["data"] == []
    assert bob.misses("PUT", "/Tenant", acme)
    session.execute(
        update(Membership).where(Membership.user_id == bob.user.id).values(is_admin=True)
    )
    assert [row["id"] for row in bob.call("GET", "/Tenant")["data"]] == [acme["id"]]


def test_the_permission_must_be_effective_in_the_tenant_that_is_touched(session, mary, acme):
    """What a person may do elsewhere does not count here, though they belong to this tenant."""
    session.execute(
        update(UserClaim)
        .where(UserClaim.user_id == mary.user.id, UserClaim.tenant_id == acme["id"])
        .values(value="ids4.ms.tenant.detail")
    )
    assert mary.data("GET", f"/Tenant/{acme['id']}") == acme
    assert mary.call("GET", "/Tenant")["data"] == []
    assert mary.misses("PUT", "/Tenant", acme)
    assert mary.misses("DELETE", f"/Tenant/{acme['id']}")


def test_the_platform_is_changed_by_its_administrators_only(session, mary, root):
    tenants.add_member(session, 1, mary.user.id, is_admin=True)
    platform = mary.data("GET", "/Tenant/1")
    before = center.whole_database(session)
    assert mary.send("PUT", "/Tenant", {**platform, "name": "Mine"}).status_code == 403
    assert mary.send("DELETE", "/Tenant/1").status_code == 403
    after = center.whole_database(session)
    assert {**after, "audit_event": before["audit_event"]} == before
    root.data("PUT", "/Tenant", {**platform, "name": "Ours"})
    for status in (0, 2):
        content = {**platform, "status": status, "concurrencyStamp": None}
        assert set(root.refused("PUT", "/Tenant", content)) == {"status"}
    assert set(root.refused("DELETE", "/Tenant/1")) == {"id"}


def test_nobody_becomes_owner_by_saying_so(session, mary, acme, root):
    """The owner is the person who made the tenant; what is sent about it is not read."""
    bob = protocol.add_person(session, "bob", tenant_ids=[acme["id"]])
    mary.data("PUT", "/Tenant", {**acme, "ownerUserId": bob.id, "name": "A"})
    root.data("PUT", "/Tenant", {**acme, "concurrencyStamp": None, "name": "B"})
    made = mary.data("POST", "/Tenant", {"name": "Second", "ownerUserId": bob.id})
    for tenant_id in (acme["id"], made):
        assert mary.data("GET", f"/Tenant/{tenant_id}")["ownerUserId"] == mary.user.id
    members = select(Membership.user_id).where(Membership.is_admin, Membership.tenant_id != 1)
    assert set(session.scalars(members)) == {mary.user.id}


def test_whoever_makes_a_tenant_takes_his_rights_along_and_no_more(client, session):
    mary = center.manager(client, session, ALL, "ids4.ms.role.get")
    protocol.grant_directly(session, mary.user, "ids4.ms.user.get")  # everywhere
    protocol.grant_directly(session, mary.user, "ids4.ms.client.get", tenant_id=None)
    made = mary.data("POST", "/Tenant", {"name": "Mine"})
    granted = session.scalars(select(UserClaim.value).where(UserClaim.tenant_id == made)).all()
    assert sorted(granted) == ["ids4.ms.role.get", ALL]
    held = permissions.effective_permissions(session, mary.user.id, made, platform=True)
    assert {row.code for row in held} == {
        ALL,
        "ids4.ms.role.get",
        "ids4.ms.user.get",
        "ids4.ms.client.get",
    }


def test_an_administrator_of_the_platform_sees_all(root, mary, acme, abroad):
    assert root.call("GET", "/Tenant")["total"] == 3
    made = root.data("POST", "/Tenant", {"name": "Third"})
    assert root.data("GET", f"/Tenant/{made}")["ownerUserId"] == root.user.id


def test_a_client_of_a_tenant_reaches_that_tenant_only(client, session, mary, acme):
    assert mary.call("GET", "/Tenant")["total"] == 1
    row = clients.get(session, center.TOOL)
    row.tenant_id = 1
    session.commit()
    caller = center.Caller(client, mary.user, center.token_for(session, mary.user))
    assert caller.call("GET", "/Tenant")["total"] == 0
    assert caller.misses("GET", f"/Tenant/{acme['id']}")


# Deleting


def test_a_tenant_that_nothing_hangs_on_is_deleted(new_client, session, mary, acme):
    protocol.add_role(session, mary.user, "clerk", tenant_id=acme["id"])
    assert mary.data("DELETE", f"/Tenant/{acme['id']}") == acme["id"]
    assert mary.misses("GET", f"/Tenant/{acme['id']}")
    assert discovery(new_client, "login.acme.example").status_code == 400
    for table in (TenantHost, TenantProperty):
        assert session.scalars(select(table)).all() == []
    assert mary.user.id == session.get_one(type(mary.user), mary.user.id).id
    again = mary.data("POST", "/Tenant", ACME)
    assert again != acme["id"]


def test_a_tenant_goes_only_when_nothing_hangs_on_it(session, mary, acme, root):
    bob = protocol.add_person(session, "bob", tenant_ids=[acme["id"]])
    protocol.register(session, "acme-web", tenant_id=acme["id"])
    protocol.add_api(session, "acme-api", ["acme.read"], tenant_id=acme["id"])
    guest = protocol.add_tenant(session, "Guest")
    session.get_one(Tenant, guest).issuer_tenant_id = acme["id"]
    session.commit()
    before = center.whole_database(session)
    hanging = {"members", "clients", "apiResources", "tenants"}
    assert set(mary.refused("DELETE", f"/Tenant/{acme['id']}")) == hanging
    assert set(root.refused("DELETE", f"/Tenant/{acme['id']}")) == hanging
    content = {**acme, "hosts": [], "identityServerIssuerUri": None}
    assert set(mary.refused("PUT", "/Tenant", content)) == {"hosts"}
    assert center.whole_database(session) == before
    tenants.remove_member(session, acme["id"], bob.id)
    assert set(mary.refused("DELETE", f"/Tenant/{acme['id']}")) == hanging - {"members"}


# Lists, cost and trail


def test_a_list_is_filtered_sorted_and_paged(mary):
    names = ["b", "c", "a"]
    made = [
        mary.data("POST", "/Tenant", {"name": name, "hosts": [{"hostName": f"{name}.example"}]})
        for name in names
    ]
    content = mary.call("GET", "/Tenant", take=2, skip=1)
    assert [row["id"] for row in content["data"]] == made[1:]
    assert (content["take"], content["skip"], content["total"]) == (2, 1, 3)
    content = mary.call("GET", "/Tenant", orderby="Name", asc="true")
    assert [row["name"] for row in content["data"]] == ["a", "b", "c"]
    content = mary.call("GET", "/Tenant", **{"q.Host": "C.example"})
    assert [row["name"] for row in content["data"]] == ["c"]
    for host in ("%.example", "example", "x.example"):
        assert mary.call("GET", "/Tenant", **{"q.Host": host})["total"] == 0
    assert mary.call("GET", "/Tenant", **{"q.Host": "127.0.0.1:8000"})["total"] == 0
    for query in ({"orderby": "properties"}, {"take": 0}, {"take": 2001}, {"skip": -1}):
        content = mary.call("GET", "/Tenant", **query)
        assert (content["code"], content["data"]) == (422, [])


def test_the_platform_is_found_by_the_host_that_is_a_setting(root):
    content = root.call("GET", "/Tenant", **{"q.Host": "127.0.0.1:8000"})
    assert [row["id"] for row in content["data"]] == [1]


def test_queries_do_not_grow_with_the_rows(runtime, mary):
    def count() -> int:
        with center.statements(runtime.engine) as sent:
            mary.data("GET", "/Tenant", take=100)
        return len(sent)

    def make(number: int) -> None:
        hosts = [{"hostName": f"h{number}.example"}]
        content = {**ACME, "name": f"t{number}", "hosts": hosts, "identityServerIssuerUri": None}
        mary.data("POST", "/Tenant", content)

    make(0)
    count()
    one = count()
    for number in range(1, 50):
        make(number)
    assert mary.call("GET", "/Tenant")["total"] == 50
    assert count() == one


def test_the_trail_tells_who_changed_what_without_secrets(session, mary, acme):
    rows = [{**acme["properties"][0], "value": "another-secret"}, acme["properties"][1]]
    mary.data("PUT", "/Tenant", {**acme, "name": "Acme AG", "hosts": acme["hosts"][1:],
                                 "properties": rows})  # fmt: skip
    mary.data("DELETE", f"/Tenant/{acme['id']}")
    events = audit.search(session, Filters(user_id=mary.user.id, tenant_id=acme["id"]))
    events = [event for event in reversed(events) if event.target == f"tenant:{acme['id']}"]
    assert [event.tag for event in events] == [
        Tag.TENANT_CREATED,
        Tag.TENANT_CHANGED,
        Tag.TENANT_DELETED,
    ]
    assert events[1].details["changes"] == [
        {"field": "name", "before": "Acme", "after": "Acme AG"},
        {"field": "hosts", "removed": ["acme.example:8443"], "added": []},
        {
            "field": "properties",
            "removed": ["Azure:ApiManagement:ApiKey"],
            "added": ["Azure:ApiManagement:ApiKey"],
        },
    ]
    written = repr(session.scalars(select(AuditEvent.details)).all())
    assert SECRET not in written
    assert "another-secret" not in written
