"""The MCP server and the client of the guide, by the MCP Python SDK as it comes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from idp.directory.resources.models import ApiResource
from idp.platform.db import bump_configuration
from tests import protocol, registering
from tests.conformance.browser import Arrival, Browser, Page, Person
from tests.conformance.provider import Provider
from tests.conftest import as_environment
from tests.servers import clean_environment, free_port

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PAGE = EXAMPLES.parent / "protect-an-mcp-server.md"
IDP = str(Path(sys.executable).parent / "idp")
CLIENT = "notes-terminal"


def commands_of_the_page(address: str) -> list[list[str]]:
    """Return the commands that register the server and its client."""
    (block,) = re.findall(r"```sh\n(idp api add .+?)```", PAGE.read_text(), re.DOTALL)
    lines = block.replace("http://127.0.0.1:9000/mcp", address).splitlines()
    return [[IDP, *shlex.split(line)[1:]] for line in lines]


@pytest.fixture(scope="module")
def notes(provider: Provider) -> Iterator[str]:
    """Run the server; return its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}/mcp"
    environment = as_environment(provider.runtime.settings)
    for command in commands_of_the_page(address):
        subprocess.run(command, check=True, capture_output=True, env=environment)
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "mcp_server.py", provider.url, address, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "Uvicorn running" in line:
            break
    yield address
    process.terminate()
    process.communicate(timeout=30)


def sign_in(provider: Provider, person: Person, url: str, press: str) -> str:
    """Answer the pages; return the address that the browser is sent back to."""
    with Browser(provider.url) as browser:
        stop = browser.answer(browser.open(url), person)
        if isinstance(stop, Page):
            stop = browser.submit(stop, press=press)
        assert isinstance(stop, Arrival), stop
        return stop.url


@pytest.mark.parametrize("client_id", [CLIENT, ""], ids=["known", "registers itself"])
def test_a_person_calls_a_tool(
    provider: Provider, person: Person, notes: str, client_id: str
) -> None:
    with provider.sessions() as session:
        registering.let_in(session)
        session.execute(update(ApiResource).values(open_to_strangers=ApiResource.name == notes))
        bump_configuration(session)
        session.commit()
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "mcp_client.py", notes, client_id, "whoami"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stderr is not None
    shown = re.search(r"Open (\S+)", process.stderr.readline())
    assert shown is not None
    asked = dict(httpx.URL(shown[1]).params)
    assert asked["resource"] == notes
    assert asked["scope"].split() == ["notes.read", "offline_access"]
    back = sign_in(provider, person, shown[1], "allow")
    assert httpx.get(back).status_code == 200
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    told = json.loads(output)
    assert told["person"] == str(person.id)
    assert told["application"] == client_id or told["application"].startswith("c_")


def test_the_server_takes_tokens_for_itself_alone(provider: Provider, notes: str) -> None:
    with provider.sessions() as session:
        protocol.add_api(session, f"{notes}/other", ["other.read"])
        scopes = ["notes.read", "notes.write", "other.read"]
        machine = protocol.register_machine(session, "notes-robot", scopes)

    def call(**parameters: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", **machine.post, **parameters}
        tokens = provider.http.post(provider.metadata["token_endpoint"], data=form).json()
        sent = {"Authorization": f"Bearer {tokens['access_token']}"}
        accepted = {"Accept": "application/json, text/event-stream"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        return httpx.post(notes, json=body, headers=sent | accepted)

    assert call(resource=f"{notes}/other").status_code == 401
    assert call(resource=notes, scope="notes.write").status_code == 403
    assert call(resource=notes).status_code not in {401, 403}
    challenge = httpx.post(notes, json={}).headers["WWW-Authenticate"]
    found = re.search(r'resource_metadata="([^"]+)"', challenge)
    assert found is not None
    document = httpx.get(found[1]).json()
    assert (document["resource"], document["authorization_servers"]) == (notes, [provider.url])
