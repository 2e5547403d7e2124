"""One provider for all modules, the certification's two clients, and a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import protocol
from tests.client_keys import ClientKey
from tests.conformance.bank import Bank
from tests.conformance.browser import Browser, Person
from tests.conformance.provider import Provider, add_full_person, own_database, running
from tests.conformance.relying_party import OTHER_CALLBACK, RelyingParty
from tests.conftest import Run
from tests.protocol import CALLBACK, App

BANK_KEYS = {"one": ClientKey("PS256"), "two": ClientKey("ES256", kid="two")}


@pytest.fixture(scope="session")
def provider_database(
    run: Run, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the database of the session's server."""
    with own_database(run, pytestconfig, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="session")
def provider(
    provider_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """Run a provider."""
    with running(provider_database, tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture(scope="session")
def person(provider: Provider) -> Person:
    """Add a person with a complete profile."""
    return add_full_person(provider)


@pytest.fixture(scope="session")
def applications(provider: Provider) -> tuple[App, App]:
    """Register the two clients of the certification; they use no PKCE.

    The second one has an address with a query of its own.
    """
    with provider.sessions() as session:
        return (
            protocol.register(session, "certification", require_pkce=False),
            protocol.register(
                session, "certification-2", require_pkce=False, redirect_uris=(OTHER_CALLBACK,)
            ),
        )


@pytest.fixture(params=["query", "fragment", "form_post"])
def mode(request: pytest.FixtureRequest) -> str:
    """Choose a response mode: every module runs with each of them."""
    return str(request.param)


@pytest.fixture
def party(provider: Provider, applications: tuple[App, App], mode: str) -> RelyingParty:
    """Return the relying party of the first client."""
    return RelyingParty(provider, applications[0], mode=mode)


@pytest.fixture
def other_party(provider: Provider, applications: tuple[App, App], mode: str) -> RelyingParty:
    """Return the relying party of the second client."""
    return RelyingParty(provider, applications[1], mode=mode, redirect_uri=OTHER_CALLBACK)


@pytest.fixture
def browser(provider: Provider) -> Iterator[Browser]:
    """Return a new browser without cookies."""
    with Browser(provider.url) as browser:
        yield browser


@pytest.fixture(scope="session")
def banks(provider: Provider) -> dict[tuple[bool, str], Bank]:
    """Register the two clients of each plan, as an operator does: by one setting and their keys."""
    made = {}
    with provider.sessions() as session:
        for signs, profile in ((False, "fapi2"), (True, "fapi2_message_signing")):
            for number, key in BANK_KEYS.items():
                app = protocol.register(
                    session,
                    f"{profile}-{number}",
                    scopes=("openid", "profile", "email"),
                    redirect_uris=(CALLBACK if number == "one" else OTHER_CALLBACK,),
                    security_profile=profile,
                    jwks=key.jwks,
                )
                own = ClientKey(key.alg, key.kid, provider.url, key.key)
                uri = CALLBACK if number == "one" else OTHER_CALLBACK
                made[signs, number] = Bank(provider, app, own, signs=signs, redirect_uri=uri)
    return made
