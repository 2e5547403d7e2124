"""Programs without a browser sign in against a server: the example, and a client of others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from idp.directory.product import DEVICE_CODE
from tests import npm, protocol
from tests.conformance.browser import Browser, Page, Person
from tests.conformance.provider import Provider
from tests.servers import clean_environment

pytestmark = pytest.mark.no_database  # what is examined stands outside the provider

HERE = Path(__file__).parent / "npm"
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
