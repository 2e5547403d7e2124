"""Programs without a browser sign in against a server: the example, and a client of others."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.directory.product import DEVICE_CODE
from tests import debian, npm, protocol
from tests.conformance.browser import Browser, Page, Person
from tests.conformance.provider import Provider
from tests.servers import clean_environment

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

HERE = Path(__file__).parent / "npm"
OIDC_AGENT = (
    *("oidc-agent-cli", "liboidc-agent4", "libcjson1", "libcurl4", "libmicrohttpd12"),
    *("libqrencode4", "libseccomp2", "libsecret-1-0", "libsodium23"),
)
"""What oidc-agent consists of, and libraries that few systems have."""
EXAMPLE = Path(__file__).parents[2] / "docs/examples/sign_in_on_a_device.py"


@pytest.fixture(scope="module")
def box(provider: Provider) -> str:
    with provider.sessions() as session:
        protocol.register(session, "box", public=True, grants=(DEVICE_CODE, "refresh_token"))
    return "box"


def compare(provider: Provider, person: Person, address: str) -> None:
    """Sign in at the page of a device and allow what it asks."""
    with Browser(provider.url) as browser:
        stop = browser.answer(browser.open(address), person)
        assert isinstance(stop, Page)
        stop = browser.submit(stop, press="allow")
        assert isinstance(stop, Page)
        assert stop.url.endswith("/device/allowed")


def test_the_example_signs_in(provider: Provider, box: str, person: Person) -> None:
    process = subprocess.Popen(
        [sys.executable, EXAMPLE, provider.url, box, "openid offline_access"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stderr is not None
    shown = re.search(r"Open (\S+) and enter (\S+)\.", process.stderr.readline())
    assert shown is not None
    compare(provider, person, f"{shown[1]}?user_code={shown[2]}")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    tokens = json.loads(output)
    assert protocol.payload(tokens["id_token"])["sub"] == str(person.id)


@pytest.mark.parametrize("bound", ["", "bound"])
def test_openid_client_signs_a_device_in(
    provider: Provider, box: str, person: Person, bound: str
) -> None:
    folder = npm.installed((HERE / "package.json").read_bytes()).parent
    shutil.copyfile(HERE / "device.mjs", folder / "device.mjs")
    process = subprocess.Popen(
        [npm.NODE, "device.mjs", provider.url, box, bound],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout is not None
    compare(provider, person, process.stdout.readline().strip())
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    result = json.loads(output)
    assert result["sub"] == str(person.id)
    assert result["type"].lower() == ("dpop" if bound else "bearer")


@pytest.fixture
def oidc_agent(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start oidc-agent; return the environment of its programs."""
    unpacked = debian.environment(debian.unpacked(*OIDC_AGENT))
    own = {"HOME": str(tmp_path), "OIDC_CONFIG_DIR": str(tmp_path), "OIDC_ENCRYPTION_PW": "x"}
    environment = {**clean_environment(), **unpacked, **own}
    started = subprocess.run(
        ["oidc-agent"], env=environment, capture_output=True, text=True, timeout=30
    )
    if started.returncode:
        pytest.skip(f"oidc-agent does not start here: {started.stderr[-300:]}")
    shown = dict(re.findall(r"(OIDC\w+)=([^;]+);", started.stdout))
    yield environment | shown
    os.kill(int(shown["OIDCD_PID"]), signal.SIGTERM)


@pytest.mark.parametrize("public", [False, True])
def test_oidc_agent_signs_a_terminal_in(
    provider: Provider, person: Person, oidc_agent: dict[str, str], public: bool
) -> None:
    """As a public client it sends an empty secret."""
    with provider.sessions() as session:
        name, grants = f"terminal-{public}", (DEVICE_CODE, "refresh_token")
        app = protocol.register(session, name, public=public, grants=grants)
    known = [f"--iss={provider.url}", f"--client-id={app.client_id}"]
    known += [f"--client-secret={app.secret or ''}", "--redirect-uri=http://localhost:4242"]
    process = subprocess.Popen(
        [
            *("oidc-gen", "--manual", "--flow=device", "--scope=openid offline_access", *known),
            *("--prompt=none", "--pw-env", "--no-url-call", "box"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=oidc_agent,
    )
    assert process.stdout is not None
    address, code, told = None, None, ""
    for line in process.stdout:
        told += line
        address = address or next(iter(re.findall(r"^http\S+/device$", line.strip())), None)
        code = next(iter(re.findall(r"enter the code: (\S+)", line)), None)
        if address and code:
            break
    assert address, told
    assert code, told
    compare(provider, person, f"{address}?user_code={code}")
    told += process.communicate(timeout=60)[0]
    assert process.returncode == 0, told
    # A new access token, by the refresh token that the agent keeps.
    tokens = [
        subprocess.run(
            ["oidc-token", "--force-new", "box"],
            env=oidc_agent,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert tokens[0] != tokens[1]
    for token in tokens:
        answer = provider.http.get(
            provider.metadata["userinfo_endpoint"], headers=protocol.bearer(token)
        )
        assert answer.json()["sub"] == str(person.id)
