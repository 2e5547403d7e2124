"""The code list against the contracts that it was written out from."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from idp.api import admin as own
from idp.api.admin.dialect import admin
from idp.directory.scopes import DEFAULT_PERMISSIONS, Scope
from idp.pages.console.blueprint import PAGES

pytestmark = pytest.mark.no_database

CONTRACT = Path(__file__).parents[1] / "contract"


def column(file: str, *names: str) -> set[str]:
    """Read the codes of some columns of an operations list."""
    with (CONTRACT / file).open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {row[name] for row in rows for name in names} - {""}


def expected() -> set[str]:
    """Make the whole list from the contracts, our own operations and the screens."""
    codes = column("authorization-center.operations.csv", "client_scope", "user_permission")
    codes |= column("user-service.operations.csv", "proposed_scope")
    codes |= {str(operation.scope) for operation in admin.operations}
    codes |= {str(gate.permission) for pages in PAGES for gate in pages.gates.values()}
    codes |= {f"ids4.ms.codegen.{name}" for name in ("clients", "servers", "gen", "get")}
    modules = {code.rpartition(".")[0] for code in codes}
    codes |= {f"{module}.all" for module in modules}
    return codes | {"ids4.ms.all", "ids4.ms.admin.all", "ids4.ms.us.all"}


SHARED = {"consents": "sessions", "devices": "sessions", "grants": "sessions"}
SHARED |= {"registrationtokens": "clients"}
"""Files of operations that are called by the codes of another one."""
POSTED_READS = {"explain-presented"}
"""Operations that change nothing, and take what must not stand in an address."""


def test_the_codes_are_those_of_the_operations() -> None:
    assert set(Scope) == expected()


def test_each_of_our_own_operations_is_called_and_permitted_by_its_modules_code() -> None:
    modules = {module.__name__.rpartition(".")[2] for module in own.MODULES}
    assert {operation.home for operation in admin.operations} == modules
    named = {SHARED.get(name, name) for name in modules}
    assert {operation.module for operation in admin.operations} == named
    for operation in admin.operations:
        act = "read" if operation.method == "GET" or operation.id in POSTED_READS else "write"
        assert operation.scope == operation.permission == f"ids4.ms.admin.{operation.module}.{act}"


def test_members_are_named_after_their_code() -> None:
    for scope in Scope:
        assert scope.name == scope.removeprefix("ids4.ms.").replace(".", "_").upper()


def test_every_code_has_its_own_text_and_module() -> None:
    assert all(scope.text for scope in Scope)
    assert Scope.CLIENT_GET.module == "ids4.ms.client"
    assert Scope.US_ROLE_CREATE.module == "ids4.ms.us.role"
    assert Scope.APIRESOURCE_POSTPACKAGES == "ids4.ms.apiresource.postpackages"


def test_default_permissions_reach_nothing_of_other_people() -> None:
    assert {code.removeprefix("ids4.ms.") for code in DEFAULT_PERMISSIONS} == {
        "apiresource.verifyemail",
        "apiresource.packages",
        "apiresource.postpackages",
        "apiresource.deletepackage",
        "client.issuetoken",
    }
