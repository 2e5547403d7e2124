"""What a new installation starts with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from idp import seeds
from idp.config import Settings, sqlite_url
from idp.directory import permissions
from idp.directory.actor import OPERATOR
from idp.directory.branding.rules import BrandingSpec
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientOwner, StrangerPolicy
from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege, PrivilegeGroup, Role, UserRole
from idp.directory.scopes import DEFAULT_PERMISSIONS, Scope
from idp.directory.seeding import service as seeding
from idp.directory.seeding.models import SeedMark
from idp.directory.tenants import service as tenants
from idp.directory.tenants import strangers
from idp.directory.tenants.models import Tenant
from idp.directory.tenants.service import NewTenant
from idp.directory.tenants.strangers import StrangerSpec
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import schema
from idp.platform.runtime import Runtime
from idp.publishing import branding
from idp.runtime import create as create_runtime
from tests.conftest import ADMIN_PASSWORD, make_settings


def count(session: Session, model: type) -> int:
    return session.scalar(select(func.count()).select_from(model))


def test_the_platform_is_tenant_one_and_the_next_tenant_another(session: Session) -> None:
    assert session.get(Tenant, 1).name == "idp"
    assert tenants.create(session, NewTenant("second")).id == 2


def test_management_scopes_and_privileges_are_the_code_list(session: Session) -> None:
    api = session.scalar(select(ApiResource).where(ApiResource.name == "ids4.ms"))
    assert {scope.name for scope in api.scopes} == set(Scope)
    assert {claim.type for claim in api.user_claims} == {"permission", "role"}
    privileges = session.scalars(select(Privilege)).all()
    assert {privilege.code for privilege in privileges} == set(Scope)
    assert {privilege.api_resource_id for privilege in privileges} == {api.id}
    groups = {group.id: group.code for group in session.scalars(select(PrivilegeGroup))}
    assert all(groups[row.group_id] == Scope(row.code).module for row in privileges)


def test_identity_resources_release_the_standard_claims(session: Session) -> None:
    found = {row.name: row for row in session.scalars(select(IdentityResource))}
    assert set(found) == {"openid", "profile", "email", "phone", "address"}
    assert {claim.type for claim in found["email"].user_claims} == {"email", "email_verified"}
    assert {claim.type for claim in found["openid"].user_claims} == {"sub"}
    assert len(found["profile"].user_claims) == 14


def test_platform_roles_hold_what_they_should(session: Session) -> None:
    person = users.create(session, users.NewUser("somebody"))
    held = {}
    for code in ("administrators", "users", "developer", "partners"):
        role = catalogue.find_role(session, code, None)
        catalogue.assign(session, person.id, role)
        found = permissions.effective_permissions(session, person.id, 1, platform=True)
        held[code] = {permission.code for permission in found}
        session.execute(UserRole.__table__.delete())
    assert held == {
        "administrators": {"ids4.ms.all"},
        "users": set(DEFAULT_PERMISSIONS),
        "developer": set(DEFAULT_PERMISSIONS),
        "partners": set(),
    }


def test_the_administrator_may_do_everything(session: Session) -> None:
    admin = seeding.find_administrator(session)
    assert admin.username == "admin"
    assert tenants.find_member(session, 1, admin.id).is_admin
    assert permissions.has_permission(session, admin.id, None, "ids4.ms.role.delete", platform=True)
    session.commit()
    assert users.verify_password(session, admin, ADMIN_PASSWORD)


def test_seeding_again_adds_nothing(session: Session, settings: Settings) -> None:
    models = (User, Role, Privilege, PrivilegeGroup, ApiScope, IdentityResource, Client, Tenant)
    before = [count(session, model) for model in models]
    again = seeds.seed(session, settings)
    assert again.added == []
    assert again.admin_username is None
    assert [count(session, model) for model in models] == before


def test_deleted_seeds_stay_deleted_and_missing_ones_come(
    session: Session, settings: Settings
) -> None:
    session.delete(catalogue.find_role(session, "partners", None))
    session.delete(session.scalar(select(ApiScope).where(ApiScope.name == "ids4.ms.file.post")))
    users.delete(session, seeding.find_administrator(session))
    session.commit()
    demo = settings.model_copy(update={"demo": True})
    added = seeds.seed(session, demo).added
    session.commit()
    assert catalogue.find_role(session, "partners", None) is None
    assert session.scalar(select(ApiScope).where(ApiScope.name == "ids4.ms.file.post")) is None
    assert seeding.find_administrator(session) is None
    assert "client:demo-web" in added
    clients.delete(session, clients.get(session, "demo-web"))
    session.commit()
    assert seeds.seed(session, demo).added == []
    assert clients.find(session, "demo-web") is None


def test_a_deleted_management_api_takes_no_setup_down(session: Session, settings: Settings) -> None:
    session.delete(session.scalar(select(ApiResource).where(ApiResource.name == "ids4.ms")))
    session.commit()
    assert seeds.seed(session, settings).added == []


@pytest.mark.settings(demo=True)
def test_the_demo_shows_branding_unless_some_is_set_already(
    session: Session, settings: Settings
) -> None:
    theirs = BrandingSpec(name="Ours")
    branding.replace(session, OPERATOR, 1, theirs)
    assert "demo-branding" in seeds.seed(session, settings).added
    assert branding.get(session, OPERATOR, 1).accent is None
    session.delete(branding.get(session, OPERATOR, 1))
    session.execute(delete(SeedMark).where(SeedMark.name == "demo-branding"))
    seeds.seed(session, settings)
    assert branding.get(session, OPERATOR, 1).accent == seeds.DEMO_BRANDING.accent


@pytest.mark.settings(demo=True, environment="development")
def test_the_demo_lets_applications_in_on_this_computer_alone(
    session: Session, settings: Settings, tmp_path: Path
) -> None:
    seeds.seed(session, settings)
    row = strangers.get(session, OPERATOR, 1)
    assert (row.clients_by_document, row.clients_by_registration) == ("any", "any")
    # What an administrator sets stays, and nothing is set where others reach the issuer.
    strangers.replace(session, OPERATOR, 1, StrangerSpec())
    assert seeds.seed(session, settings).added == []
    session.execute(delete(SeedMark).where(SeedMark.name == "demo-strangers"))
    seeds.seed(session, settings)
    assert strangers.get(session, OPERATOR, 1).clients_by_document == "off"
    session.execute(delete(StrangerPolicy))
    session.execute(delete(SeedMark).where(SeedMark.name == "demo-strangers"))
    local = {"environment": "development"}
    for other in ({"environment": "production"}, {"public_url": "https://id.example.com"}):
        seeds.seed(session, make_settings(tmp_path, demo=True, **local | other))
        assert strangers.get(session, OPERATOR, 1).id is None


@pytest.mark.settings(demo=True)
def test_demo_secrets_are_random_told_again_and_work(
    session: Session, settings: Settings, runtime: Runtime
) -> None:
    first, again = seeds.seed(session, settings), seeds.seed(session, settings)
    session.commit()
    assert first.demo_password == again.demo_password
    assert first.demo_clients == again.demo_clients
    secrets = {client.client_id: client.secret for client in first.demo_clients}
    assert set(secrets) == {"demo-web", "demo-spa", "demo-service"}
    assert secrets["demo-spa"] is None
    assert secrets["demo-web"] != secrets["demo-service"]
    row = clients.get(session, "demo-web").secrets[0]
    assert runtime.keyring.mac_matches("client secret", secrets["demo-web"], row.value_hash)
    demo = users.find_by_login(session, "demo")
    session.commit()
    assert users.verify_password(session, demo, first.demo_password)
    admin = seeding.find_administrator(session)
    owned = session.scalars(select(ClientOwner.client_id).where(ClientOwner.user_id == admin.id))
    assert len(owned.all()) == 4  # and the client of /docs


@pytest.mark.settings(
    demo=True,
    demo_password=SecretStr("given-to-the-demo"),
    demo_web_secret=SecretStr("given-to-the-web-client-1"),
)
def test_demo_secrets_may_be_given_and_changed_ones_are_not_told(
    session: Session, settings: Settings
) -> None:
    first = seeds.seed(session, settings)
    assert first.demo_password == "given-to-the-demo"
    assert first.demo_clients[0].secret == "given-to-the-web-client-1"
    users.set_password(session, users.find_by_login(session, "demo"), "something else")
    web = clients.get(session, "demo-web")
    clients.remove_secret(session, web, web.secrets[0].id)
    clients.add_secret(session, web)
    again = seeds.seed(session, settings)
    assert again.demo_password is None
    assert again.demo_clients[0].secret is None


def test_the_client_of_the_docs_follows_the_address_and_new_scopes(
    session: Session, settings: Settings
) -> None:
    row = clients.get(session, "api-docs")
    assert not row.require_client_secret
    assert row.require_pkce
    assert row.require_consent
    assert [grant.grant_type for grant in row.grant_types] == ["authorization_code"]
    assert {scope.scope for scope in row.scopes} == set(Scope)
    mark = session.get(SeedMark, "scope:ids4.ms.file.post")
    session.delete(session.scalar(select(ApiScope).where(ApiScope.name == "ids4.ms.file.post")))
    session.delete(mark)
    row.scopes.remove(next(scope for scope in row.scopes if scope.scope == "ids4.ms.file.post"))
    session.commit()
    elsewhere = settings.model_copy(update={"public_url": "https://id.example"})
    seeds.seed(session, elsewhere)
    session.commit()
    assert {redirect.redirect_uri for redirect in row.redirect_uris} == {
        f"{settings.public_url}/docs/oauth2-redirect",
        "https://id.example/docs/oauth2-redirect",
    }
    assert {scope.scope for scope in row.scopes} == set(Scope)
    clients.delete(session, row)
    session.commit()
    assert seeds.seed(session, elsewhere).added == []


def test_two_nodes_may_seed_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if pytestconfig.getoption("database") == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("new_database")
        url = make()
    else:
        url = sqlite_url(tmp_path / "two.sqlite3")
    schema.upgrade(url)
    settings = make_settings(tmp_path, database_url=url, admin_password=SecretStr(""), demo=True)
    runtimes = [create_runtime(settings) for _ in range(2)]
    results: list[seeds.Seeded] = []
    start = threading.Barrier(2)

    def node(runtime: Runtime) -> None:
        start.wait()
        with runtime.sessions() as session:
            results.append(seeds.seed(session, settings))
            session.commit()

    threads = [threading.Thread(target=node, args=(runtime,)) for runtime in runtimes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(result.added) for result in results) == [False, True]
    assert [bool(result.admin_password) for result in results].count(True) == 1
    for runtime in runtimes:
        runtime.engine.dispose()
