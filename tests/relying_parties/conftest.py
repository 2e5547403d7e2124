"""A provider with an API, the applications around it, and people with permissions."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from idp.directory.resources import service as resources
from idp.directory.users.models import User
from tests import protocol
from tests.conformance.browser import Browser, Person
from tests.conformance.provider import Provider, add_full_person, own_database, running
from tests.conformance.relying_party import RelyingParty
from tests.conftest import Run
from tests.protocol import App

API = "orders"
SCOPES = ("orders.read", "orders.write")
PERMISSIONS = ("orders.refund", "orders.items.all")
MANY = tuple(f"orders.warehouse.{number:04}.inspect" for number in range(300))
"""More than a token has room for."""


@dataclass(frozen=True)
class Service:
    """A registered API, and the clients that call it."""

    secret: str
    """Shown to the introspection endpoint."""
    web: RelyingParty
    machine: App


@pytest.fixture(scope="session")
def provider(
    run: Run, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """Run a provider for the whole session."""
    folder = tmp_path_factory.mktemp("provider")
    with own_database(run, pytestconfig, folder) as url, running(url, folder) as provider:
        yield provider


@pytest.fixture(scope="session")
def service(provider: Provider) -> Service:
    """Register an API with a secret, a web application and a machine."""
    with provider.sessions() as session:
        api = protocol.add_api(session, API, SCOPES)
        secret = resources.add_secret(session, api)
        session.commit()
        web = protocol.register(
            session, "shop", scopes=(*protocol.IDENTITY_SCOPES, *SCOPES), require_pkce=False
        )
        machine = protocol.register_machine(session, "robot", SCOPES)
    return Service(secret, RelyingParty(provider, web), machine)


@pytest.fixture(scope="session")
def person(provider: Provider, service: Service) -> Person:
    """Add a person with a few permissions."""
    return add_person(provider, "clerk", PERMISSIONS)


@pytest.fixture
def careful(provider: Provider) -> Person:
    """Add a person for one test, who may add a second factor in it."""
    return add_full_person(provider, f"careful-{secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def foreman(provider: Provider, service: Service) -> Person:
    """Add a person with more permissions than a token holds."""
    return add_person(provider, "foreman", MANY)


def add_person(provider: Provider, name: str, permissions: tuple[str, ...]) -> Person:
    """Add a person with permissions that the API owns."""
    person = add_full_person(provider, name)
    with provider.sessions() as session:
        api = resources.find_api(session, API)
        user = session.get_one(User, person.id)
        protocol.add_role(session, user, name, permissions, api=api)
    return person


@pytest.fixture(scope="session")
def second_issuer(provider: Provider) -> str:
    """Add a tenant with a host of its own: another issuer of the same installation."""
    host = f"localhost:{urlsplit(provider.url).port}"
    with provider.sessions() as session:
        protocol.add_tenant(session, "Acme", [host])
    return f"http://{host}"


@pytest.fixture
def browser(provider: Provider) -> Iterator[Browser]:
    """Return a new browser without cookies."""
    with Browser(provider.url) as browser:
        yield browser
