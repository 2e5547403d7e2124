"""How command tests run `idp`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from idp.cli import main
from idp.config import Settings
from tests.conftest import as_environment


@pytest.fixture
def idp(settings: Settings) -> Callable[..., Result]:
    """Run a command in this process with the test's settings."""

    def run(*arguments: str, code: int = 0, **environment: str | None) -> Result:
        variables = {**as_environment(settings), **environment}
        result = CliRunner().invoke(main, arguments, env=variables, catch_exceptions=False)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def idp_json(idp: Callable[..., Result]) -> Callable[..., Any]:
    """Run a command with `--json` and read its answer."""

    def run(*arguments: str, **environment: str | None) -> Any:
        return json.loads(idp(*arguments, "--json", **environment).stdout)

    return run
