"""Whose a host is: a tenant proves it in the DNS, or the platform gives it."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import func, select

from idp.directory.tenants import hosts
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant, TenantHost
from idp.platform import dns_records
from idp.platform.audit.models import AuditEvent
from tests import protocol
from tests.api import center

ALL = "ids4.ms.tenant.all"
HOST = "login.acme.example"


@pytest.fixture
def settings(settings, name_server):
    return settings.model_copy(update={"dns_server": name_server.address})


@pytest.fixture
def mary(client, session):
    return center.manager(client, session, ALL)


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def acme(mary):
    """Return a tenant of mary's, without hosts."""
    return mary.data(
        "GET", f"/Tenant/{mary.data('POST', '/Tenant', {'name': 'Acme', 'status': 1})}"
    )


def with_hosts(tenant, *names):
    kept = [row for row in tenant["hosts"] if row["hostName"] in names]
    known = {row["hostName"] for row in kept}
    new = [{"hostName": name} for name in names if name not in known]
    return tenant | {"hosts": kept + new, "concurrencyStamp": None}


def publish(session, name_server, claimant, host):
    record = hosts.challenge(session, claimant, host)
    name_server.records[record.name].append(record.text)
    return record


def saved_hosts(session):
    session.expire_all()
    return session.scalars(select(TenantHost.host).order_by(TenantHost.host)).all()


def test_an_unproven_host_is_refused_with_the_record_that_would_prove_it(
    session, name_server, mary, acme
):
    answer = mary.call("PUT", "/Tenant", with_hosts(acme, HOST))
    assert answer["code"] == 422
    (message,) = json.loads(answer["message"])["hosts"]
    name, text = re.search(r'publish (\S+) TXT "([^"]+)"', message).groups()
    assert name == f"_idp-challenge.{HOST}"
    assert name_server.queries == [name]
    assert saved_hosts(session) == []

    name_server.records[name] = ["v=spf1 -all", text]
    assert mary.call("PUT", "/Tenant", with_hosts(acme, HOST))["code"] == 200
    assert saved_hosts(session) == [HOST]


def test_a_proven_host_is_an_issuer_at_once(session, new_client, name_server, mary, acme):
    publish(session, name_server, f"tenant:{acme['id']}", HOST)
    mary.data("PUT", "/Tenant", with_hosts(acme, HOST))
    answer = new_client(f"http://{HOST}").get("/.well-known/openid-configuration")
    assert answer.json["issuer"] == f"http://{HOST}"


def test_a_tenant_is_made_with_hosts_that_its_maker_proves(session, name_server, mary):
    said = {"name": "Acme", "status": 1, "hosts": [{"hostName": f"{HOST}:8443"}]}
    refused = mary.call("POST", "/Tenant", said)
    assert refused["code"] == 422
    assert session.scalar(select(func.count()).select_from(Tenant)) == 1
    session.rollback()
    publish(session, name_server, f"user:{mary.user.id}", HOST)
    assert mary.call("POST", "/Tenant", said)["code"] == 200
    assert saved_hosts(session) == [f"{HOST}:8443"]


@pytest.mark.parametrize("claimant", ["tenant:1", "user:1", "tenant:", "nobody"])
def test_the_proof_of_somebody_else_proves_nothing(session, name_server, mary, acme, claimant):
    publish(session, name_server, claimant, HOST)
    publish(session, name_server, f"tenant:{acme['id']}", "other.example")
    assert mary.call("PUT", "/Tenant", with_hosts(acme, HOST))["code"] == 422
    assert saved_hosts(session) == []


def test_the_platform_needs_no_proof_and_gives_a_host_to_its_tenant(
    session, name_server, root, acme
):
    root.data("PUT", "/Tenant", with_hosts(acme, HOST))
    assert saved_hosts(session) == [HOST]
    assert name_server.queries == []


def test_hosts_below_one_that_the_tenant_has_need_no_proof(session, name_server, root, mary, acme):
    root.data("PUT", "/Tenant", with_hosts(acme, "acme.example"))
    given = mary.data("GET", f"/Tenant/{acme['id']}")
    below = ("acme.example", "login.acme.example", "acme.example:8443")
    assert mary.call("PUT", "/Tenant", with_hosts(given, *below))["code"] == 200
    assert name_server.queries == []
    for wrong in ("notacme.example", "example", "acme.example.evil.example"):
        given = mary.data("GET", f"/Tenant/{acme['id']}")
        assert mary.call("PUT", "/Tenant", with_hosts(given, *below, wrong))["code"] == 422
    assert saved_hosts(session) == sorted(below)


def test_what_is_kept_is_not_asked_about_again(session, name_server, mary, acme):
    record = publish(session, name_server, f"tenant:{acme['id']}", HOST)
    mary.data("PUT", "/Tenant", with_hosts(acme, HOST))
    del name_server.records[record.name]
    name_server.queries.clear()
    kept = mary.data("GET", f"/Tenant/{acme['id']}")
    mary.data("PUT", "/Tenant", kept | {"name": "Acme Ltd"})
    assert name_server.queries == []
    mary.data("PUT", "/Tenant", with_hosts(kept | {"name": "Acme Ltd"}))
    gone = mary.data("GET", f"/Tenant/{acme['id']}")
    assert mary.call("PUT", "/Tenant", with_hosts(gone, HOST))["code"] == 422


def test_a_renamed_row_is_a_new_host(session, name_server, mary, acme):
    publish(session, name_server, f"tenant:{acme['id']}", HOST)
    mary.data("PUT", "/Tenant", with_hosts(acme, HOST))
    kept = mary.data("GET", f"/Tenant/{acme['id']}")
    kept["hosts"][0]["hostName"] = "login.victim.example"
    assert mary.call("PUT", "/Tenant", kept)["code"] == 422
    assert saved_hosts(session) == [HOST]


def test_a_silent_name_server_is_503_and_holds_nothing_meanwhile(
    session, runtime, monkeypatch, name_server, mary, acme
):
    monkeypatch.setattr(dns_records, "TIMEOUT_SECONDS", 0.5)

    def write() -> None:
        with runtime.sessions() as other:
            other.get_one(Tenant, 1).name = "Written while the DNS was asked"
            other.commit()

    name_server.is_silent, name_server.before = True, write
    answer = mary.send("PUT", "/Tenant", with_hosts(acme, HOST))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    session.expire_all()
    assert session.get_one(Tenant, 1).name == "Written while the DNS was asked"
    assert saved_hosts(session) == []


def test_more_questions_than_places_are_refused_at_once(name_server, mary, acme):
    for _ in range(dns_records.CONCURRENT):
        assert dns_records._slots.acquire(blocking=False)
    try:
        answer = mary.send("PUT", "/Tenant", with_hosts(acme, HOST))
    finally:
        for _ in range(dns_records.CONCURRENT):
            dns_records._slots.release()
    assert answer.status_code == 503
    assert name_server.queries == []


def test_many_hosts_and_many_tries_are_refused(name_server, mary, acme):
    many = [f"h{number}.example" for number in range(hosts.MOST_AT_ONCE + 1)]
    assert "At most" in mary.call("PUT", "/Tenant", with_hosts(acme, *many))["message"]
    for number in range(hosts.QUESTIONS_PER_HOUR):
        mary.call("PUT", "/Tenant", with_hosts(acme, f"h{number}.example"))
    answer = mary.send("PUT", "/Tenant", with_hosts(acme, HOST))
    assert answer.status_code == 429
    assert len(name_server.queries) == hosts.QUESTIONS_PER_HOUR


def test_who_does_not_reach_a_tenant_learns_and_asks_nothing(client, session, name_server, acme):
    stranger = center.manager(client, session, ALL, username="stranger")
    assert stranger.call("PUT", "/Tenant", with_hosts(acme, HOST))["code"] == 404
    assert name_server.queries == []


@pytest.mark.settings(environment="production")
@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:18611", "a.localhost", "127.0.0.1:8000", "[::1]:80", "10.0.0.1"],
)
def test_addresses_and_localhost_are_no_hosts_in_production(session, root, acme, host):
    answer = root.call("PUT", "/Tenant", with_hosts(acme, host))
    assert json.loads(answer["message"]).keys() == {"hosts"}
    assert saved_hosts(session) == []


def test_a_tenant_that_a_tenant_makes_has_its_bundle(client, session):
    shop = protocol.add_tenant(session, "Shop")
    center.limit(session, shop, "ids4.ms.tenant.post", "ids4.ms.tenant.get")
    caller = center.manager(
        client, session, "ids4.ms.tenant.post", "ids4.ms.role.get", username="ann", tenant_id=shop
    )
    made = session.get_one(Tenant, caller.data("POST", "/Tenant", {"name": "Branch"}))
    assert (made.bundle_code, made.type_code) == ("small", "shop")
    assert tenants.find_member(session, made.id, caller.user.id).is_admin
    events = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == f"tenant:{made.id}")
    ).all()
    assert "admin:tenant-bundle:set" in events


def test_an_internationalised_host_is_one_host_however_it_is_written(
    session, new_client, name_server, mary, acme
):
    record = publish(session, name_server, f"tenant:{acme['id']}", "xn--mnchen-3ya.example")
    assert record.name == "_idp-challenge.xn--mnchen-3ya.example"
    mary.data("PUT", "/Tenant", with_hosts(acme, "MÜNCHEN.example"))
    assert saved_hosts(session) == ["xn--mnchen-3ya.example"]
    answer = new_client("http://xn--mnchen-3ya.example").get("/.well-known/openid-configuration")
    assert answer.json["issuer"] == "http://xn--mnchen-3ya.example"
    for host in ("münchen.example", "xn--mnchen-3ya.example"):
        assert mary.call("GET", "/Tenant/Info", host=host)["code"] == 200
        assert mary.call("GET", "/Tenant", **{"q.Host": host})["total"] == 1
    again = mary.data("GET", f"/Tenant/{acme['id']}")
    doubled = with_hosts(again, "xn--mnchen-3ya.example", "münchen.example")
    assert mary.call("PUT", "/Tenant", doubled)["code"] == 422
