"""What an actor may grant: one answer for people, machines and the operator."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.actor import OPERATOR, Actor, Permitted
from idp.directory.bundles import service as bundles
from idp.directory.bundles.service import BundleSpec
from idp.directory.clients import management
from idp.directory.clients import service as clients
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege
from idp.directory.tenants.models import Tenant
from tests import protocol


def some_privileges(session: Session) -> list[Privilege]:
    return [catalogue.create_privilege(session, code, code) for code in ("see.it", "do.it")]


def test_a_person_grants_what_they_hold(session: Session) -> None:
    privileges = some_privileges(session)
    user = protocol.add_person(session)
    protocol.grant_directly(session, user, "see.it", tenant_id=1)
    actor = Actor(user.id)
    assert actor.lacking(session, 1, privileges) == ["do.it"]
    assert actor.lacking_codes(session, 1, ["see.it", "none"]) == ["none"]
    assert actor.within(protocol.add_tenant(session)).lacking(session, None, privileges) == [
        "do.it",
        "see.it",
    ]


def test_a_machine_grants_what_its_client_lists(session: Session) -> None:
    privileges = some_privileges(session)
    app = protocol.register(session, "tool", grants=("client_credentials",), scopes=())
    row = clients.get(session, app.client_id)
    row.grantable_privileges = ["see.it"]
    session.flush()
    machine = Actor(None, client_row_id=row.id)
    assert machine.lacking(session, 1, privileges) == ["do.it"]


def test_the_bundle_of_a_tenant_limits_everyone(session: Session) -> None:
    privileges = some_privileges(session)
    role = '{"roles": [{"code": "clerk", "name": "Clerk", "privilegeCodes": ["see.it"]}]}'
    bundles.create(session, OPERATOR, BundleSpec("basic", "Basic", "company", role))
    tenant_id = protocol.add_tenant(session)
    session.scalars(select(Tenant).where(Tenant.id == tenant_id)).one().bundle_code = "basic"
    session.flush()
    assert OPERATOR.lacking(session, tenant_id, privileges) == ["do.it"]
    assert OPERATOR.lacking(session, None, privileges) == []
    assert OPERATOR.lacking_codes(session, None, ["unknown"]) == []


def test_an_administrator_of_the_platform_may_keep_to_one_tenant(session: Session) -> None:
    acme = protocol.add_tenant(session)
    for name, tenant_id in (("ours", acme), ("of-all", None)):
        protocol.register(session, name, tenant_id=tenant_id)
    free = Actor(1, is_platform_admin=True)
    confined = Actor(1, acme, is_platform_admin=True, permitted="tenant")
    assert (free.owner_tenant, free.tenant_in_reach) == (None, None)
    assert (confined.owner_tenant, confined.tenant_in_reach) == (acme, acme)
    seen = session.scalars(management.list_query(confined)).all()
    assert [client.client_id for client in seen] == ["ours"]
    assert {"ours", "of-all"} <= {
        client.client_id for client in session.scalars(management.list_query(free))
    }


def clients_in_reach(session: Session, actor: Actor) -> set[str]:
    found = session.scalars(management.list_query(actor))
    return {row.client_id for row in found} & {"own", "other", "platform", "linked"}


def test_where_a_permission_is_held_decides_which_rows_are_in_reach(session: Session) -> None:
    acme, other = protocol.add_tenant(session), protocol.add_tenant(session, "Other")
    user = protocol.add_person(session, tenant_ids=[acme])
    protocol.register(session, "platform")
    protocol.register(session, "own", tenant_id=acme)
    protocol.register(session, "other", tenant_id=other)
    protocol.register(session, "linked", tenant_id=acme)
    clients.link_owner(session, clients.get(session, "linked"), user.id)
    actor = Actor(user.id, tenant_id=acme)

    def reach(tenant_id: int, permitted: Permitted, *, admin: bool = False) -> set[str]:
        acting = replace(actor, tenant_id=tenant_id, permitted=permitted, is_platform_admin=admin)
        return clients_in_reach(session, acting)

    everything = {"platform", "own", "other", "linked"}
    assert reach(acme, "links") == {"linked"}
    assert reach(acme, "tenant") == reach(acme, "platform") == {"own", "linked"}
    assert reach(1, "platform") == everything
    assert reach(1, "tenant") == set()
    assert reach(acme, "links", admin=True) == everything
    assert reach(acme, "platform", admin=True) == {"own", "linked"}


def test_new_rows_belong_to_the_tenant_in_which_the_permission_counts() -> None:
    def owner(tenant_id: int, permitted: Permitted, *, admin: bool = False) -> int | None:
        acting = Actor(5, tenant_id, is_platform_admin=admin, permitted=permitted)
        return acting.owner_tenant

    assert owner(7, "links") == owner(7, "tenant") == owner(7, "platform") == 7
    assert owner(7, "platform", admin=True) == 7
    assert owner(1, "tenant", admin=True) == 1
    assert owner(1, "platform") is None
    assert owner(7, "links", admin=True) is None
