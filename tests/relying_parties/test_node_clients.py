"""Clients of others for Node that bind their tokens and sign, unchanged, against a server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import npm, protocol, registering
from tests.client_keys import ClientKey
from tests.conformance.browser import Person
from tests.conformance.provider import Provider, add_full_person, own_database, running
from tests.conftest import Run
from tests.relying_parties import programs as programs_of

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

HERE = Path(__file__).parent / "npm"
LIBRARIES = ("openid_client", "oauth4webapi")


@pytest.fixture(scope="module")
def programs() -> Path:
    """Install the libraries; return the folder with the programs that use them."""
    folder = npm.installed((HERE / "package.json").read_bytes()).parent
    for program in HERE.glob("*.mjs"):
        shutil.copyfile(program, folder / program.name)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["free", "nonces"])
def demanding(
    request: pytest.FixtureRequest,
    run: Run,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Provider]:
    """Run a provider that asks every proof for a nonce, and one that does not."""
    folder = tmp_path_factory.mktemp("demanding")
    with (
        own_database(run, pytestconfig, folder) as url,
        running(url, folder, dpop_nonce=request.param) as provider,
    ):
        yield provider


@pytest.fixture(scope="module")
def clerk(demanding: Provider) -> Person:
    return add_full_person(demanding, "clerk")


def sign_in(
    provider: Provider, programs: Path, person: Person, program: str, *arguments: str
) -> dict[str, Any]:
    """Run a program of Node that signs a person in."""
    return programs_of.sign_in(
        provider, person, [npm.NODE, f"{program}.mjs", provider.url, *arguments], programs
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("is_public", [True, False], ids=["public", "confidential"])
def test_a_library_binds_its_tokens_by_itself(
    demanding: Provider, programs: Path, clerk: Person, library: str, is_public: bool
) -> None:
    alg = "EdDSA" if is_public and library == "oauth4webapi" else "ES256"
    name = f"{library}-{is_public}"
    with demanding.sessions() as session:
        app = protocol.register(session, name, public=is_public, dpop_bound_access_tokens=True)
    arguments = (name, app.secret or "", protocol.CALLBACK, _node_alg(alg))
    result = sign_in(demanding, programs, clerk, library, *arguments)
    assert [kind.lower() for kind in result["types"]] == ["dpop", "dpop"]
    assert result["sub"] == str(clerk.id)
    assert protocol.payload(result["access_token"])["cnf"].keys() == {"jkt"}
    stolen = demanding.http.get(
        demanding.metadata["userinfo_endpoint"],
        headers=protocol.bearer(result["access_token"]),
    )
    assert stolen.status_code == 401


def test_a_library_keeps_to_message_signing(
    demanding: Provider, programs: Path, clerk: Person
) -> None:
    key = ClientKey()
    with demanding.sessions() as session:
        protocol.register(session, "bank", security_profile="fapi2_message_signing", jwks=key.jwks)
    private = json.dumps({**key.key.as_dict(private=True), "kid": key.kid})
    result = sign_in(demanding, programs, clerk, "bank", "bank", protocol.CALLBACK, private)
    assert [kind.lower() for kind in result["types"]] == ["dpop", "dpop"]
    assert result["sub"] == str(clerk.id)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
def test_a_library_registers_itself(
    demanding: Provider, programs: Path, clerk: Person, method: str
) -> None:
    with demanding.sessions() as session:
        registering.let_in(session)
        token = registering.initial_token(session) if method == "client_secret_post" else ""
    registering.wait_until_open(demanding.url)
    arguments = (token, protocol.CALLBACK, method)
    result = sign_in(demanding, programs, clerk, "registers_itself", *arguments)
    assert result["client_id"].startswith("c_")
    assert result["token_endpoint_auth_method"] == method
    assert result["scope"] == "openid profile email offline_access"
    assert result["sub"] == str(clerk.id)


def _node_alg(argument: str) -> str:
    """Write the name that these libraries have for EdDSA, that of RFC 9864."""
    return "Ed25519" if argument == "EdDSA" else argument
