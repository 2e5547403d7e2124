"""One provider for all modules, the certification's two clients, and a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import protocol
from tests.conformance.browser import Browser, Person
from tests.conformance.provider import Provider, add_full_person, own_database, running
from tests.conformance.relying_party import RelyingParty
from tests.conftest import Run


@pytest.fixture(scope="session")
def provider_database(
    run: Run, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Give the database of the session's server."""
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
    """Add somebody with a complete profile."""
    return add_full_person(provider)


@pytest.fixture(scope="session")
def party(provider: Provider) -> RelyingParty:
    """Register the first client of the certification; it uses no PKCE."""
    with provider.sessions() as session:
        return RelyingParty(
            provider, protocol.register(session, "certification", require_pkce=False)
        )


@pytest.fixture(scope="session")
def other_party(provider: Provider) -> RelyingParty:
    """Register the second client."""
    with provider.sessions() as session:
        return RelyingParty(
            provider, protocol.register(session, "certification-2", require_pkce=False)
        )


@pytest.fixture
def browser(provider: Provider) -> Iterator[Browser]:
    """Give a browser that was never here before."""
    with Browser(provider.url) as browser:
        yield browser
