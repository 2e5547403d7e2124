"""Measures of the inner form: words, layers, late imports, visits. None of them may grow back.

How many files a new grant, claim, operation or page touches is held by `test_architecture.py`, and
facts that are written once by `test_facts.py`.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.protocol import add_api, machine_token, register_machine

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "idp"

SEARCHED = ("idp", "tests", "bench", "docs", ".ci")
"""What is searched for docstrings that begin with one of `REFUSED`."""
REFUSED = re.compile(r"(?:Give|Tell|Say|Let)s?\b")

LATE = {
    # Half a second, for the library that only checks of passkeys need.
    "idp/directory/factors/passkeys.py": {"idp.directory.factors.ceremonies"},
    # Only a command that failed needs the explanation of failures.
    "idp/cli.py": {"idp.commands.failures"},
    # Back ends, chosen by settings, each in one place.
    "idp/platform/connections/__init__.py": {"idp.platform.connections.threads"},
    "idp/platform/metrics/__init__.py": {
        "prometheus_client.multiprocess",
        "idp.platform.metrics.counting.Metrics",
        "idp.platform.metrics.scraping",
    },
    "idp/platform/throttle/__init__.py": {
        "idp.platform.throttle.shared.SharedStore",
    },
    "idp/platform/tracing/__init__.py": {"idp.platform.tracing.exporting.Tracer"},
    "idp/publishing/files/storage.py": {"idp.publishing.files.bucket.Bucket"},
    # The same for the pool and the loop; pages follow when machines are answered already.
    "idp/server/process.py": {"idp.app.finish", "idp.platform.postgres.Pool", "uvloop"},
}
"""What is imported inside functions, by the file that does it."""

INNER = ("account", "api", "directory", "oauth", "pages", "platform", "publishing")
"""Wings whose parts are layers of a contract of their own."""
MOST_IGNORED = 10

PARSED = "oauth/request.py"
"""The parsed request: a value that is read by whatever needs a parameter."""
MOST_VISITS = 2


def sources(*places: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the name and the tree of every Python file in folders, or of single files."""
    for place in places:
        path = ROOT / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if ".cache" in file.parts:  # programs of others that the benchmark installs
                continue
            if file.suffix == ".py" or (place == ".ci" and is_python(file)):
                yield str(file.relative_to(ROOT)), ast.parse(file.read_bytes())


def is_python(file: Path) -> bool:
    return file.is_file() and file.read_bytes().startswith(b"#!/usr/bin/env python")


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield docstrings with their lines, also those of constants and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = node.value.value
            if isinstance(text, str):
                yield node.lineno, text.strip()


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


def layers_of(contract: dict[str, Any]) -> Iterator[str]:
    """Yield the full names of all modules that are layers of a contract."""
    for container in contract.get("containers", [""]):
        for layer in contract["layers"]:
            for name in re.split(r"[|:]", layer):
                yield f"{container}.{name.strip()}".lstrip(".")


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_no_docstring_begins_with_a_word_of_conversation() -> None:
    found = [
        f"{file}:{line}: {text}"
        for file, tree in sources(*SEARCHED)
        for line, text in docstrings(tree)
        if REFUSED.match(text)
    ]
    assert found == []


@pytest.mark.parametrize("place", SEARCHED)
def test_places_that_are_searched_hold_docstrings(place: str) -> None:
    assert any(text for _, tree in sources(place) for _, text in docstrings(tree))


def test_functions_import_only_where_it_is_listed() -> None:
    late: dict[str, set[str]] = {}
    for file, tree in sources("idp"):
        functions = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        for node in (inner for function in functions for inner in ast.walk(function)):
            if isinstance(node, ast.Import):
                late.setdefault(file, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                late.setdefault(file, set()).update(names)
    assert late == LATE


def test_contracts_ignore_few_imports_each_with_its_reason() -> None:
    ignored = [line for contract in contracts() for line in contract.get("ignore_imports", [])]
    assert len(ignored) <= MOST_IGNORED
    assert [line for line in ignored if "*" in line] == []
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    without = [line for line in ignored if not re.search(rf'"{re.escape(line)}",? # \S', text)]
    assert without == []


def test_every_contract_of_layers_is_exhaustive_where_it_can_be() -> None:
    names = [
        contract["name"]
        for contract in contracts()
        if "containers" in contract and not contract.get("exhaustive")
    ]
    assert names == []


def test_every_module_is_named_by_a_contract_of_layers() -> None:
    found = [contract for contract in contracts() if contract["type"] == "layers"]
    (wings,) = [set(layers_of(one)) for one in found if one.get("containers") == ["idp"]]
    parts = {name for one in found for name in layers_of(one)} - wings
    outside = []
    for file, tree in sources("idp"):
        module = module_name(file)
        is_named = any(f"{module}.".startswith(f"{name}.") for name in wings | {"idp"})
        if module.split(".")[1:2] and module.split(".")[1] in INNER and holds_code(tree):
            is_wing = module.count(".") == 1
            is_named = is_wing or any(f"{module}.".startswith(f"{name}.") for name in parts)
        if not is_named:
            outside.append(module)
    assert outside == []


def holds_code(tree: ast.Module) -> bool:
    """Return whether a file holds more than a docstring; the file of a mere folder does not."""
    return any(
        not isinstance(node, ast.Expr) and getattr(node, "module", "") != "__future__"
        for node in tree.body
    )


def test_only_the_protocol_may_use_authlib() -> None:
    (contract,) = [one for one in contracts() if one.get("forbidden_modules") == ["authlib"]]
    (wings,) = [set(layers_of(one)) for one in contracts() if one.get("containers") == ["idp"]]
    assert set(contract["source_modules"]) == wings - {"idp.oauth"}


def test_there_is_one_way_to_say_who_acts() -> None:
    classes = {
        (node.name.strip("_"), file)
        for file, tree in sources("idp")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    words = ("Actor", "Asker", "Author", "Caller", "Editor", "Reach")
    assert {pair for pair in classes if pair[0] in words} == {("Actor", "idp/directory/actor.py")}


class Visits:
    """Counts how often control enters a file of the package from another of its files."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Counter[str]:
        sys.setprofile(self._note)
        return self.counts

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        file = self._file(frame)
        # What is written in the file of the caller and run elsewhere is no visit.
        if event != "call" or file is None or frame.f_code.co_name in {"<genexpr>", "<lambda>"}:
            return
        before = frame.f_back
        while before is not None and self._file(before) is None:
            before = before.f_back
        if before is None or self._file(before) != file:
            self.counts[file] += 1

    @staticmethod
    def _file(frame: FrameType) -> str | None:
        path = frame.f_code.co_filename
        folder = f"{PACKAGE}/"
        return path.removeprefix(folder) if path.startswith(folder) else None


def test_a_machine_request_visits_each_file_once_or_twice(
    client: FlaskClient, session: Session
) -> None:
    add_api(session)
    app = register_machine(session, scopes=["orders.read"])
    machine_token(client, app)  # caches are filled
    with Visits() as counts:
        assert machine_token(client, app).status_code == 200
    assert counts["oauth/machine_door.py"] == counts["platform/web/cors.py"] + 1 == 2
    assert counts["oauth/grants/client_credentials.py"] == 1
    often = {
        file: count
        for file, count in counts.items()
        if file.startswith(("oauth/", "platform/web/")) and file != PARSED and count > MOST_VISITS
    }
    assert often == {}
