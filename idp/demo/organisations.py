"""Setting up the organisations of the demo: rights, APIs, clients and people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy.orm import Session

from idp.demo import content
from idp.demo.content import App, Person
from idp.directory.actor import Actor
from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.clients import presets
from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi
from idp.directory.roles import tenant_roles as roles
from idp.directory.tenants import service as tenants
from idp.directory.tenants.service import NewTenant
from idp.directory.users import service as users
from idp.directory.users.service import NewUser
from idp.imports import reader
from idp.imports import service as imports
from idp.platform import clock, files

FILE = files.package_dir() / "demo" / "organisations.yaml"


@dataclass(frozen=True, slots=True)
class Organisations:
    """The ids and secrets that the history is played with."""

    administrator: Actor
    """Of the platform."""
    tenants: Mapping[str, int]
    """By the names of `content`."""
    people: Mapping[str, int]
    """By user name."""
    clients: Mapping[str, int]
    """Ids of rows, by client id."""
    secrets: Mapping[str, str | None]
    """By client id; None: public."""

    def actor(self, person: Person) -> Actor:
        """Return a person who acts in their organisation, with what they hold there."""
        tenant_id = self.tenants[person.organisation]
        return Actor(self.people[person.username], tenant_id, permitted="tenant")


def create(session: Session, administrator_id: int, password_hash: str) -> Organisations:
    """Create everything that `content` names; all people get one password."""
    document = reader.read(FILE)
    tenant_ids = {
        row["ref"]: _tenant(session, row["name"], row["type"], document["tenant_types"])
        for row in document["tenants"]
    }
    for api in content.APIS:
        new = NewApi(
            api.name,
            api.title,
            tenant_id=tenant_ids[api.organisation],
            scopes=api.scopes,
            user_claims=("permission", "role"),
        )
        resources.create_api(session, new)
    created = {app.client_id: _client(session, app, tenant_ids) for app in content.APPS}
    imports.import_document(session, document)
    for name, code in content.BUNDLES.items():
        applying.initialise(session, tenant_ids[name], bundles.get(session, code))
    administrator = Actor(administrator_id, is_platform_admin=True)
    people, begin = {}, clock.now()
    for person in content.PEOPLE:
        with clock.at(begin + timedelta(days=content.DAYS - person.days)):
            user_id = _person(session, administrator, person, tenant_ids, password_hash)
        people[person.username] = user_id
        if person.role == "administrator":
            _link(session, person.organisation, user_id)
    return Organisations(
        administrator,
        tenant_ids,
        people,
        {client_id: row_id for client_id, (row_id, _) in created.items()},
        {client_id: secret for client_id, (_, secret) in created.items()},
    )


def _link(session: Session, organisation: str, user_id: int) -> None:
    """Make a person the owner of the clients and APIs of their organisation."""
    for app in content.APPS:
        if app.organisation == organisation:
            clients.link_owner(session, clients.get(session, app.client_id), user_id)
    for api in content.APIS:
        found = resources.find_api(session, api.name)
        if api.organisation == organisation and found is not None:
            resources.link_owner(session, found, user_id)


def _tenant(session: Session, name: str, type_code: str, types: list[dict[str, str]]) -> int:
    titles = {row["code"]: row["name"] for row in types}
    bundles.ensure_type(session, type_code, titles[type_code])
    return tenants.create(session, NewTenant(name, type_code=type_code)).id


def _client(session: Session, app: App, tenant_ids: Mapping[str, int]) -> tuple[int, str | None]:
    new = NewClient(
        client_id=app.client_id,
        client_name=app.title,
        scopes=app.scopes,
        redirect_uris=() if app.kind == "service" else (content.CALLBACK,),
        tenant_id=tenant_ids[app.organisation],
        settings=app.settings,
    )
    client, secret = clients.create(session, presets.fill(new, app.kind))
    return client.id, secret


def _person(
    session: Session,
    administrator: Actor,
    person: Person,
    tenant_ids: Mapping[str, int],
    password_hash: str,
) -> int:
    tenant_id = tenant_ids[person.organisation]
    email = f"{person.username}@{person.organisation}.example"
    new = NewUser(
        person.username,
        email=email,
        email_verified=True,
        nick_name=person.name,
        locale=person.locale,
    )
    user = users.create(session, new, tenant_id=tenant_id)
    user.password_hash = password_hash
    is_admin = person.role == "administrator"
    tenants.add_member(session, tenant_id, user.id, is_admin=is_admin)
    acting = replace(administrator, tenant_id=tenant_id)
    roles.bind(session, acting, person.username, [person.role])
    return user.id
