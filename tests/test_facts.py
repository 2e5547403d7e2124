"""Facts that many modules use are written in one of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

from idp.config import SigningAlgorithm
from idp.directory import product
from idp.directory.scopes import Scope
from idp.oauth import server
from idp.platform.permission_codes import covering, covers
from idp.platform.signing.algorithms import ALGORITHMS

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parent.parent
TEXTS = {"idp/api/texts.py", "idp/api/admin/texts.py"}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((ROOT / "idp").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_bytes())):
            yield name, node


def modules_with(is_wanted: Callable[[ast.AST], bool]) -> set[str]:
    return {name for name, node in nodes() if is_wanted(node)}


def test_names_of_the_product_are_spelt_in_two_modules() -> None:
    found = modules_with(
        lambda node: (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith("ids4")
        )
    )
    assert found - TEXTS == {"idp/directory/product.py", "idp/directory/scopes.py"}
    assert all(scope.startswith(product.MANAGEMENT_PREFIX) for scope in Scope)


def test_bounds_of_integers_are_spelt_in_one_module() -> None:
    found = modules_with(
        lambda node: (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Pow)
            and ast.unparse(node) in {"2 ** 31", "2 ** 63"}
        )
    )
    assert found == {"idp/platform/integers.py"}


def test_the_id_of_the_platform_tenant_is_spelt_in_one_module() -> None:
    found = {
        f"{name}: {ast.unparse(node)}"
        for name, node in nodes()
        if isinstance(node, ast.Compare | ast.BoolOp)
        for text in [ast.unparse(node)]
        if "tenant_id" in text and text.endswith((" == 1", " != 1", " or 1"))
    }
    assert found == set()


def test_algorithms_of_settings_clients_and_keys_are_the_same() -> None:
    assert get_args(SigningAlgorithm) == tuple(ALGORITHMS)
    assert tuple(server.offer().assertion_algorithms) == tuple(ALGORITHMS)


def test_the_protocol_offers_what_clients_may_be_given() -> None:
    offered = server.offer()
    assert set(offered.grants) == set(product.GRANT_TYPES)
    assert set(offered.proofs) == set(product.AUTH_METHODS)


def test_a_code_is_granted_by_itself_and_by_all_of_every_prefix() -> None:
    assert covering("a.b.c") == {"a.b.c", "a.b.all", "a.all"}
    assert covering("plain") == {"plain"}
    assert covers(["a.all"], "a.b.c")
    assert not covers(["a.b.c.all", "b.all"], "a.b.c")
