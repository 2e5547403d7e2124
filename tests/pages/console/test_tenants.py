"""Tenants in the console: the list, a new one, hosts and their proof, state, bundle, the end."""

from __future__ import annotations

from collections import defaultdict
from html import unescape

import orjson
import pytest
from sqlalchemy import select

from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.clients.models import Client
from idp.directory.roles import catalogue
from idp.directory.tenants import clearing, hosts
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant, TenantStatus
from idp.pages.console import gate
from idp.platform import dns_records
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.delivery import deliver_due
from tests.pages.browsing import HTML, csrf_token, events
from tests.protocol import add_person, add_role, add_tenant, register, sign_in

PATH = "/console/platform/tenants"
HOST = "login.acme.example"
ACTS = ("get", "detail", "put", "post", "delete")


@pytest.fixture(autouse=True)
def records(monkeypatch):
    """Return what the DNS holds: texts by names."""
    found = defaultdict(frozenset)
    monkeypatch.setattr(dns_records, "txt", lambda name, _server="": found[name])
    return found


@pytest.fixture
def root(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def company(session):
    """Add a type of tenants with two bundles."""
    session.add(TenantType(code="company", name="Company"))
    roles = [{"code": "boss", "name": "Boss", "privilegeCodes": ["ids4.ms.role.get"]}]
    ability = orjson.dumps({"roles": roles, "adminRoleCodes": ["boss"]}).decode()
    for code, initial in (("starter", True), ("gold", False)):
        session.add(
            Bundle(
                code=code,
                name=code.title(),
                tenant_type_code="company",
                ability=ability,
                initialize=initial,
            )
        )
    session.commit()


@pytest.fixture
def send(client):
    """Send a form to an address below the list, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(PATH + address, data={"csrf_token": token, **form}, headers=HTML)

    return post


def page_of(client, address: str) -> str:
    answer = client.get(PATH + address, headers=HTML)
    assert answer.status_code == 200
    return " ".join(unescape(answer.get_data(as_text=True)).split())


def settings_of(session, tenant_id: int, **values):
    """Return what a browser would send of the settings."""
    session.expire_all()
    tenant = session.get(Tenant, tenant_id)
    return {
        "name": tenant.name,
        "hosts": "\n".join(row.host for row in tenant.hosts),
        "issuer_host": tenant.issuer_host or "",
        "theme": tenant.theme or "",
        "cache_seconds": str(tenant.cache_seconds),
        "stamp": tenant.concurrency_stamp,
    } | values


def test_tenants_are_listed_searched_and_filtered(client, session, root):
    acme = add_tenant(session, "Acme", hosts=[HOST])
    add_tenant(session, "Bluefen")
    tenants.change(session, tenants.get(session, acme), status=TenantStatus.DISABLED)
    session.commit()
    assert "2 organisations" in page_of(client, "")
    for query in ("q=ACM", "q=login.ac", "state=disabled"):
        page = page_of(client, f"?{query}")
        assert "Acme" in page.partition('id="rows"')[2], query
        assert "Bluefen" not in page.partition('id="rows"')[2], query
    assert f'href="{PATH}/{acme}"' in page_of(client, "")


def test_a_tenant_has_no_such_screen(client, session, root):
    acme = add_tenant(session)
    assert client.get(f"/console/t/{acme}/tenants", headers=HTML).status_code == 404


def test_somebody_with_the_permissions_sees_what_they_administer(client, session, send):
    user = add_person(session, "mary")
    codes = [f"ids4.ms.tenant.{act}" for act in ACTS]
    add_role(session, user, "manager", codes, tenant_id=None)
    sign_in(client, session, user)
    mine, theirs = add_tenant(session, "Mine"), add_tenant(session, "Theirs")
    tenants.add_member(session, mine, user.id, is_admin=True)
    tenants.add_member(session, theirs, user.id)
    session.commit()
    page = page_of(client, "")
    assert "Mine" in page
    assert "1 organisation" in page
    for address in (f"/{theirs}", f"/{theirs}/state", f"/{theirs}/delete"):
        assert client.get(PATH + address, headers=HTML).status_code == 404
        assert send(address, typed="Theirs", name="x", stamp="x").status_code == 404
    assert send(f"/{theirs}/hosts").status_code == 404
    answer = send("/new", name="New one", type_code="", hosts="")
    assert answer.status_code == 303
    # A host needs a proof of whoever is not the platform.
    answer = send(f"/{mine}", **settings_of(session, mine, hosts=HOST))
    assert answer.status_code == 400
    assert "_idp-challenge" in answer.get_data(as_text=True)
    assert send("/new", name="Typed", type_code="company").status_code == 400


def test_a_tenant_is_created_with_its_maker_as_administrator(client, session, root, send):
    answer = send("/new", name=" Acme ", type_code="", hosts=f"{HOST}\r\n{HOST}")
    tenant = session.scalar(select(Tenant).where(Tenant.name == "Acme"))
    assert answer.location == f"{PATH}/{tenant.id}"
    assert [row.host for row in tenant.hosts] == [HOST]
    assert tenant.owner_user_id == root.id
    assert [event.user_id for event in events(session, Tag.TENANT_CREATED)] == [root.id]
    assert send("/new", name="", type_code="").status_code == 400
    assert send("/new", name="x" * 10_000, type_code="").status_code == 400
    assert send("/new", name="a\u202eb", type_code="").status_code == 400
    assert send("/new", name="Other", type_code="", hosts=HOST).status_code == 409
    assert send("/new", name="Other", type_code="", hosts="no host").status_code == 400
    assert send("/new", name="Other", type_code="unknown").status_code == 400


def test_a_tenant_of_a_type_starts_with_a_bundle(client, session, root, company, send):
    ann = add_person(session)
    form = {"name": "Acme", "type_code": "company"}
    assert send("/new", **form).status_code == 400
    assert send("/new", **form, administrator="nobody").status_code == 404
    answer = send("/new", **form, administrator="ann", hosts=HOST)
    tenant = session.scalar(select(Tenant).where(Tenant.name == "Acme"))
    assert answer.location == f"{PATH}/{tenant.id}"
    assert (tenant.bundle_code, tenant.owner_user_id) == ("starter", ann.id)
    assert catalogue.find_role(session, "boss", tenant.id) is not None
    page = page_of(client, f"/{tenant.id}")
    assert HOST in page
    answer = send(f"/{tenant.id}/bundle", bundle="gold")
    assert answer.status_code == 303
    session.expire_all()
    assert session.get(Tenant, tenant.id).bundle_code == "gold"
    assert send(f"/{tenant.id}/bundle", bundle="gold").status_code == 409
    assert send(f"/{tenant.id}/bundle", bundle="unknown").status_code == 400
    other = add_tenant(session, "Untyped")
    assert send(f"/{other}/bundle", bundle="gold").status_code == 400


def test_settings_are_changed_once(client, session, root, send):
    acme = add_tenant(session)
    form = settings_of(session, acme, name="Acme Ltd", hosts=HOST, cache_seconds="5")
    assert send(f"/{acme}", **form).location == f"{PATH}/{acme}"
    answer = send(f"/{acme}", **form | {"name": "Acme Inc"})
    assert answer.status_code == 409
    page = " ".join(unescape(answer.get_data(as_text=True)).split())
    assert "changed by someone else" in page
    assert "Acme Inc" in page
    session.expire_all()
    tenant = session.get(Tenant, acme)
    assert (tenant.name, tenant.cache_seconds, len(tenant.hosts)) == ("Acme Ltd", 5, 1)
    assert len(events(session, Tag.TENANT_CHANGED)) == 1
    for values in (
        {"name": ""},
        {"cache_seconds": "x"},
        {"cache_seconds": "-1"},
        {"cache_seconds": "99999999999999999999"},
        {"hosts": "x" * 30_000},
        {"issuer_host": "elsewhere.example"},
        {"theme": "\u202e"},
    ):
        answer = send(f"/{acme}", **settings_of(session, acme, **values))
        assert answer.status_code == 400, values


def test_the_proof_of_hosts_is_looked_up(client, session, root, send, records):
    acme = add_tenant(session, hosts=[HOST, "other.example"])
    assert page_of(client, f"/{acme}").count("Not checked") == 2
    record = hosts.challenge(session, f"tenant:{acme}", HOST)
    records[record.name] = frozenset({record.text})
    answer = send(f"/{acme}/hosts")
    page = " ".join(unescape(answer.get_data(as_text=True)).split())
    assert answer.status_code == 200
    assert record.text in page
    assert (page.count("Proven"), page.count("No record")) == (1, 1)


def test_a_tenant_is_disabled_and_enabled_again(client, session, root, send):
    acme = add_tenant(session)
    add_person(session, tenant_ids=(acme,))
    register(session, tenant_id=acme)
    page = page_of(client, f"/{acme}/state")
    assert "Disable Acme?" in page
    assert "<strong>1</strong> <span>member</span>" in page
    assert "<strong>1</strong> <span>client of its own</span>" in page
    stamp = settings_of(session, acme)["stamp"]
    assert send(f"/{acme}/state").status_code == 400
    assert send(f"/{acme}/state", stamp=stamp).status_code == 303
    # The same form once more does not enable it again.
    assert send(f"/{acme}/state", stamp=stamp).status_code == 409
    session.expire_all()
    assert session.get(Tenant, acme).status == TenantStatus.DISABLED
    assert "Enable Acme?" in page_of(client, f"/{acme}/state")
    assert send(f"/{acme}/state", stamp=settings_of(session, acme)["stamp"]).status_code == 303
    session.expire_all()
    assert session.get(Tenant, acme).is_enabled
    assert len(events(session, Tag.TENANT_CHANGED)) == 2


def test_the_platform_is_none_of_the_organisations(client, root, send):
    for address in ("/1", "/1/state", "/1/delete"):
        assert client.get(PATH + address, headers=HTML).status_code == 404
        assert send(address, stamp="x", typed="x", name="x").status_code == 404
    assert send("/1/bundle", bundle="x").status_code == 404


def test_only_a_disabled_tenant_with_nothing_but_members_is_deleted(client, session, root, send):
    acme = add_tenant(session)
    member = add_person(session, tenant_ids=(acme,))
    app = register(session, "of-acme", tenant_id=acme)
    page = page_of(client, f"/{acme}/delete")
    assert "Disable the organisation first." in page
    assert "This cannot be undone." not in page
    assert send(f"/{acme}/delete", typed="Acme").status_code == 409
    tenants.change(session, tenants.get(session, acme), status=TenantStatus.DISABLED)
    session.commit()
    page = page_of(client, f"/{acme}/delete")
    assert "cannot be deleted while it has" in page
    assert "This cannot be undone." not in page
    assert send(f"/{acme}/delete", typed="Acme").status_code == 409
    assert tenants.find_member(session, acme, member.id) is not None
    session.delete(session.get(Client, app.row_id))
    session.commit()
    page = page_of(client, f"/{acme}/delete")
    assert "This cannot be undone." in page
    assert "members besides administrators" in page
    assert send(f"/{acme}/delete", typed="acme").status_code == 400
    assert send(f"/{acme}/delete", typed="Acme").location == PATH
    assert send(f"/{acme}/delete", typed="Acme").status_code == 404
    assert session.scalar(select(Tenant.id).where(Tenant.id == acme)) is None


def test_many_members_are_removed_by_the_worker(client, session, runtime, root, send, monkeypatch):
    monkeypatch.setattr(clearing, "SMALL", 2)
    acme = add_tenant(session)
    for name in ("ann", "bob", "cid"):
        add_person(session, name, tenant_ids=(acme,))
    tenants.change(session, tenants.get(session, acme), status=TenantStatus.DISABLED)
    session.commit()
    for _ in range(2):  # the form is sent twice
        assert send(f"/{acme}/delete", typed="Acme").location == f"{PATH}/{acme}/delete"
    page = page_of(client, f"/{acme}/delete")
    assert "The members are being removed" in page
    assert "of 3 members left" in page
    assert "This cannot be undone." not in page
    (event,) = events(session, Tag.TENANT_CLEARING)
    assert event.details == {"members": 3}
    session.commit()
    assert deliver_due(runtime, clearing.LANE) == 1
    assert client.get(f"{PATH}/{acme}/delete", headers=HTML).status_code == 404
    (event,) = events(session, Tag.TENANT_DELETED)
    assert event.user_id == root.id


@pytest.mark.parametrize("address", ["state", "delete"])
def test_what_is_sensitive_needs_a_recent_sign_in(client, session, root, clock, send, address):
    acme = add_tenant(session)
    stamp = settings_of(session, acme)["stamp"]
    clock.shift(gate.RECENT.total_seconds() + 1)
    answers = [
        client.get(f"{PATH}/{acme}/{address}"),
        send(f"/{acme}/{address}", typed="Acme", stamp=stamp),
        send(f"/{acme}/bundle", bundle="gold"),
    ]
    for answer in answers:
        assert answer.location.startswith("/login?prompt=login")
    assert session.get(Tenant, acme).is_enabled


def test_names_are_text(client, session, root):
    acme = add_tenant(session, "<b>Acme</b>")
    person = add_person(session, nick_name="<i>Ann</i>")
    session.add(Membership(user_id=person.id, tenant_id=acme, is_admin=True))
    session.commit()
    for address in ("", f"/{acme}", f"/{acme}/state", f"/{acme}/delete"):
        answer = client.get(PATH + address, headers=HTML)
        assert answer.status_code == 200
        assert b"<b>Acme" not in answer.data
        assert b"<i>Ann" not in answer.data


def test_private_settings_are_never_shown(client, session, root):
    acme = add_tenant(session)
    tenants.set_properties(session, tenants.get(session, acme), {"api_key": "s3cret-value"})
    session.commit()
    page = page_of(client, f"/{acme}")
    assert "api_key" in page
    assert "s3cret-value" not in page


def test_the_number_of_queries_does_not_grow(client, session, root, runtime):
    counts = []
    for many in (1, 20):
        for number in range(many):
            tenant = add_tenant(session, f"T {many} {number}", hosts=[f"h{many}-{number}.example"])
            add_person(session, f"p-{many}-{number}", tenant_ids=(tenant,))
        client.get(PATH)
        with statements(runtime.engine) as sent:
            assert client.get(PATH).status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1] < 40
