"""Programs with libraries of others that sign a person in.

They print the address that the browser opens, and read the one that it comes back to.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.browser import Arrival, Browser, Person
from tests.conformance.provider import Provider
from tests.servers import clean_environment


def sign_in(
    provider: Provider,
    person: Person,
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a program that signs a person in, play the browser, and return what it prints."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean_environment(), **(environment or {})},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    address = process.stdout.readline().strip()
    if not address:
        pytest.fail(process.stderr.read())
    with Browser(provider.url) as browser:
        stop = browser.answer(browser.open(address), person)
    assert isinstance(stop, Arrival), stop
    output, errors = process.communicate(stop.url + "\n", timeout=60)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(output)
    return result
