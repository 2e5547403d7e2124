"""One provider for all modules, the certification's two clients, and a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests import protocol
from tests.certificates import DN, Authority, Certificate, self_signed
from tests.client_keys import ClientKey
from tests.conformance.bank import Bank, Banks
from tests.conformance.browser import Browser, Person
from tests.conformance.combinations import COMBINATIONS, USUAL, Combination
from tests.conformance.provider import Provider, add_full_person, own_database, running
from tests.conformance.relying_party import OTHER_CALLBACK, RelyingParty
from tests.conftest import Run
from tests.protocol import CALLBACK, App

BANK_KEYS = {"one": ClientKey("PS256"), "two": ClientKey("ES256", kid="two")}
BANK_ADDRESSES = {"one": CALLBACK, "two": OTHER_CALLBACK}


@pytest.fixture(scope="session")
def provider_database(
    run: Run, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the database of the session's server."""
    with own_database(run, pytestconfig, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Make the authority that vouches for clients."""
    return Authority()


@pytest.fixture(scope="session")
def provider(
    provider_database: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """Run a provider behind a proxy that passes certificates of clients on."""
    folder = tmp_path_factory.mktemp("provider")
    proxy = {"trusted_proxies": "127.0.0.1", "client_certificate": "rfc9440"}
    hosts = {"client_ca": authority.written(folder), "mtls_prefix": "mtls."}
    with running(provider_database, folder, **proxy, **hosts) as provider:
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


@pytest.fixture
def combination() -> Combination:
    """Return the usual combination; modules to which it makes a difference choose others."""
    return USUAL


@pytest.fixture(scope="session")
def banks(provider: Provider, authority: Authority) -> Banks:
    """Register the two clients of each plan, as an operator does: by one setting and their keys.

    An authority vouches for the certificate of the first; the second signed its own, of the same
    name.
    """
    certificates = {"one": authority.issue(), "two": self_signed()}
    with provider.sessions() as session:
        return {
            (signs, COMBINATIONS[name], number): add_bank(
                provider, session, (signs, name, number), certificates[number]
            )
            for signs, name, number in product((False, True), COMBINATIONS, BANK_KEYS)
        }


def add_bank(
    provider: Provider, session: Session, key: tuple[bool, str, str], certificate: Certificate
) -> Bank:
    """Register a client."""
    signs, name, number = key
    profile = "fapi2_message_signing" if signs else "fapi2"
    combination, address = COMBINATIONS[name], BANK_ADDRESSES[number]
    app = protocol.register(
        session,
        f"{profile}-{name}-{number}",
        scopes=("openid", "profile", "email"),
        redirect_uris=(address,),
        security_profile=profile,
        **credentials(combination, number, certificate),
    )
    own = replace(BANK_KEYS[number], issuer=provider.url)
    return Bank(provider, app, own, certificate, combination, signs=signs, redirect_uri=address)


def credentials(combination: Combination, number: str, certificate: Certificate) -> dict[str, Any]:
    """Return the settings by which a client is known and its tokens are bound."""
    keys = BANK_KEYS[number].jwks["keys"]
    settings: dict[str, Any] = {
        "jwks": {"keys": keys},
        "tls_client_certificate_bound_access_tokens": combination.bound_to_certificate,
    }
    if combination.by_certificate and number == "one":
        settings["token_endpoint_auth_method"] = "tls_client_auth"
        settings["tls_client_auth_subject_dn"] = DN
    elif combination.by_certificate:
        settings["token_endpoint_auth_method"] = "self_signed_tls_client_auth"
        settings["jwks"] = {"keys": [*keys, {**certificate.jwk, "kid": "certificate"}]}
    return settings
