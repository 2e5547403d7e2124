"""Tenants: hosts, issuers, members, private settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.orm import Session

from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant, TenantHost, TenantProperty, TenantStatus
from idp.directory.tenants.service import NewTenant
from idp.directory.users import service as users
from idp.directory.users.service import NewUser
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring


@pytest.fixture
def statements(runtime: Runtime) -> Iterator[list[str]]:
    """Record the statements that the database receives."""
    recorded: list[str] = []

    def note(_conn, _cursor, statement, *_rest) -> None:
        recorded.append(statement)

    event.listen(runtime.engine, "before_cursor_execute", note)
    yield recorded
    event.remove(runtime.engine, "before_cursor_execute", note)


def test_issuer_one_follows_the_public_address(session: Session) -> None:
    session.add(TenantHost(tenant_id=1, host="old.example"))
    session.commit()
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    assert (issuer.tenant_id, issuer.url) == (1, "http://127.0.0.1:8000")
    assert issuer.is_canonical
    old = tenants.find_issuer(session, "OLD.example")
    assert (old.tenant_id, old.url, old.is_canonical) == (1, "http://127.0.0.1:8000", False)


def test_a_tenant_with_hosts_is_an_issuer_named_after_the_first(session: Session) -> None:
    tenant = tenants.create(session, NewTenant("two", hosts=["B.example:8443", "a.example"]))
    session.commit()
    assert tenant.issuer_tenant_id == tenant.id
    issuer = tenants.find_issuer(session, "b.EXAMPLE:8443")
    assert (issuer.url, issuer.is_canonical) == ("http://b.example:8443", True)
    other = tenants.find_issuer(session, "a.example")
    assert (other.url, other.is_canonical) == ("http://b.example:8443", False)
    tenants.set_hosts(session, tenant, ["b.example:8443", "a.example"], "a.example")
    session.commit()
    assert tenants.find_issuer(session, "a.example").is_canonical
    for host in ("b.example", "x.b.example:8443", "a.example.evil", "a.example:80", ""):
        assert tenants.find_issuer(session, host) is None


def test_a_tenant_without_hosts_signs_in_at_issuer_one(session: Session) -> None:
    tenant = tenants.create(session, NewTenant("plain"))
    assert tenants.issuer_of(session, tenant.id).tenant_id == 1
    tenants.set_hosts(session, tenant, ["c.example"])
    assert tenants.issuer_of(session, tenant.id).url == "http://c.example"
    tenants.set_hosts(session, tenant, [])
    assert tenants.issuer_of(session, tenant.id).tenant_id == 1


def test_a_disabled_tenant_does_not_resolve(session: Session) -> None:
    tenant = tenants.create(session, NewTenant("two", hosts=["a.example"]))
    session.commit()
    assert tenants.find_issuer(session, "a.example") is not None
    tenants.change(session, tenant, status=TenantStatus.DISABLED)
    session.commit()
    assert tenants.find_issuer(session, "a.example") is None
    with pytest.raises(Conflict):
        tenants.change(session, tenants.get(session, 1), status=TenantStatus.DISABLED)


def test_known_and_unknown_hosts_are_asked_for_once(
    session: Session, statements: list[str]
) -> None:
    for _ in range(3):
        assert tenants.find_issuer(session, "127.0.0.1:8000") is not None
        assert tenants.find_issuer(session, "unknown.example") is None
    assert len([text for text in statements if "tenant" in text]) == 2
    session.commit()
    tenants.create(session, NewTenant("two", hosts=["unknown.example"]))
    session.commit()
    assert tenants.find_issuer(session, "unknown.example") is not None


def test_invented_hosts_push_nothing_out_of_the_cache(
    session: Session, statements: list[str], monkeypatch: pytest.MonkeyPatch, runtime: Runtime
) -> None:
    monkeypatch.setattr("idp.platform.cache.ABSENT", 10)
    tenants.find_issuer(session, "127.0.0.1:8000")
    for number in range(50):
        tenants.find_issuer(session, f"{number}.example")
    assert len(runtime.cache._absent) == 10
    del statements[:]
    tenants.find_issuer(session, "127.0.0.1:8000")
    assert statements == []


@pytest.mark.no_database
@pytest.mark.parametrize(
    "host",
    [
        *("", "a b", "http://a.example", "a.example/", "a..b", "-a.example", "a.example:", "a:0"),
        *("a:x", "a:65536", "::1", "a@b", "[a.example]", "é..example", "*.example", "x" * 64),
        "a.b," * 80,
    ],
)
def test_what_is_no_host_is_refused(session: Session, host: str) -> None:
    with pytest.raises(BadRequest):
        tenants.create(session, NewTenant("two", hosts=[host]))


def test_hosts_are_unique_over_all_tenants(session: Session) -> None:
    tenants.create(session, NewTenant("two", hosts=["a.example", "[::1]:80", "10.0.0.1"]))
    session.commit()
    for taken in ("A.example", "127.0.0.1:8000"):
        with pytest.raises(Conflict):
            tenants.create(session, NewTenant("three", hosts=[taken]))
        session.rollback()
    with pytest.raises(BadRequest):
        tenants.create(session, NewTenant("three", hosts=["b.example"], issuer_host="c.example"))


def test_memberships_are_those_of_the_issuer_and_enabled(session: Session) -> None:
    person = users.create(session, NewUser("ann"))
    at_one = tenants.create(session, NewTenant("b at one"))
    also = tenants.create(session, NewTenant("a at one"))
    disabled = tenants.create(session, NewTenant("disabled", status=TenantStatus.DISABLED))
    own = tenants.create(session, NewTenant("own", hosts=["own.example"]))
    tenants.create(session, NewTenant("stranger"))
    for tenant in (at_one, also, disabled, own):
        tenants.add_member(session, tenant.id, person.id)
    issuer = tenants.issuer_of(session, 1)
    assert tenants.memberships(session, person.id, issuer) == [also, at_one]
    hosted = tenants.issuer_of(session, own.id)
    assert tenants.memberships(session, person.id, hosted) == [own]


def test_membership_is_added_once_and_removed(session: Session) -> None:
    person = users.create(session, NewUser("ann"))
    first = tenants.add_member(session, 1, person.id)
    again = tenants.add_member(session, 1, person.id, is_admin=True)
    assert first is again
    assert again.is_admin
    assert tenants.add_member(session, 1, person.id).is_admin
    assert tenants.remove_member(session, 1, person.id)
    assert not tenants.remove_member(session, 1, person.id)
    with pytest.raises(NotFound):
        tenants.add_member(session, 99, person.id)


def test_properties_are_encrypted_and_move_to_a_new_root(
    session: Session, runtime: Runtime
) -> None:
    tenant = tenants.get(session, 1)
    tenants.set_properties(session, tenant, {"ApiKey": "very secret", "gone": "x"})
    tenants.set_properties(session, tenant, {"gone": None})
    session.commit()
    rows = session.scalars(select(TenantProperty)).all()
    assert [row.key for row in rows] == ["ApiKey"]
    assert "very secret" not in rows[0].value_encrypted
    assert tenants.properties(session, 1) == {"ApiKey": "very secret"}
    assert tenants.rewrap(session) == 0
    old = runtime.settings.secret_keys[0]
    runtime.keyring = Keyring(["another root secret of the same length", old])
    assert tenants.rewrap(session) == 1
    runtime.keyring = Keyring(["another root secret of the same length"])
    assert tenants.properties(session, 1) == {"ApiKey": "very secret"}


@pytest.mark.no_database
@pytest.mark.parametrize(
    "logo", ["javascript:alert(1)", "http://a.example/x", "https://u@a/", "//a"]
)
def test_logos_are_https(session: Session, logo: str) -> None:
    with pytest.raises(BadRequest):
        tenants.create(session, NewTenant("two", logo_uri=logo))


@pytest.mark.no_database
@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_names_are_readable(session: Session, name: str) -> None:
    with pytest.raises(BadRequest):
        tenants.create(session, NewTenant(name))


def test_an_issuer_of_its_own_survives_without_a_named_host(session: Session) -> None:
    tenant = tenants.create(session, NewTenant("two", hosts=["a.example"]))
    session.execute(update(Tenant).where(Tenant.id == tenant.id).values(issuer_host=None))
    session.commit()
    assert tenants.find_issuer(session, "a.example").url == "http://a.example"
