"""What an actor may grant: one answer for people, machines and the operator."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.actor import OPERATOR, Actor
from idp.directory.bundles import service as bundles
from idp.directory.bundles.service import BundleSpec
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
