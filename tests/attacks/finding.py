"""What of the package reads text: every pattern, and every function that takes one text."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import idp

ENTRIES = frozenset({"idp.wsgi", "idp.commands.migrating"})
"""Modules that a server or a tool imports; they begin to work when they are."""
METHODS = frozenset({"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"})
WHOLE = frozenset({"match", "fullmatch"})
"""Methods that try a pattern at the beginning alone."""


@dataclass
class Found:
    """A pattern with the places that name it and the ways it is used."""

    pattern: re.Pattern[Any]
    places: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=set)

    def run(self, text: str) -> None:
        """Use the pattern as the package does."""
        given = text.encode(errors="replace") if isinstance(self.pattern.pattern, bytes) else text
        for method in self.methods & WHOLE:
            getattr(self.pattern, method)(given)
        if self.methods - WHOLE:  # each of them looks for the next match until there is none
            for _ in self.pattern.finditer(given):
                pass


@cache
def modules() -> dict[str, ModuleType]:
    """Import every module of the package."""
    names = [module.name for module in pkgutil.walk_packages(idp.__path__, "idp.")]
    return {name: importlib.import_module(name) for name in names if name not in ENTRIES}


@cache
def _trees() -> dict[str, ast.Module]:
    return {name: ast.parse(inspect.getsource(module) or "") for name, module in modules().items()}


def patterns() -> list[Found]:
    """List every pattern that is written in the package, in whatever way it is compiled."""
    found: dict[tuple[Any, int], Found] = {}
    uses = _uses()
    for name, tree in _trees().items():
        names = {id(node.value): node for node in ast.walk(tree) if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            how = _compiles(node)
            if how is None:
                continue
            assert isinstance(node, ast.Call)
            pattern = _compiled(name, node, how)
            entry = found.setdefault((pattern.pattern, pattern.flags), Found(pattern))
            entry.places.add(f"{name}:{node.lineno}")
            assigned = names.get(id(node))
            if how == "Regexp":
                entry.methods.add("match")
            elif how != "compile":
                entry.methods.add(how)
            elif assigned is not None and isinstance(assigned.targets[0], ast.Name):
                entry.methods |= uses.get(assigned.targets[0].id, {"search"})
            else:
                entry.methods.add("search")
    return list(found.values())


def _compiles(node: ast.AST) -> str | None:
    """Return the word by which a call makes a pattern; None: it makes none."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    called = node.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        if called.value.id == "re" and called.attr in METHODS | {"compile"}:
            return called.attr
        if called.attr == "Regexp":
            return "Regexp"
    return "Regexp" if isinstance(called, ast.Name) and called.id == "Regexp" else None


def _compiled(module: str, node: ast.Call, how: str) -> re.Pattern[Any]:
    """Compile what a call names; it must be known when its module is imported."""
    space = vars(modules()[module])
    try:
        source = _evaluated(node.args[0], space)
        place = {"compile": 1, "Regexp": 1, "sub": 4, "subn": 4, "split": 3}.get(how, 2)
        given = [word.value for word in node.keywords if word.arg == "flags"]
        given += node.args[place : place + 1]
        flags = _evaluated(given[0], space) if given else 0
    except NameError as error:
        message = f"{module}:{node.lineno}: make this pattern a constant of the module ({error})"
        raise AssertionError(message) from None
    return re.compile(source, flags)


def _evaluated(node: ast.expr, space: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "<pattern>", "eval"), dict(space))  # noqa: S307 - our own source


def _uses() -> dict[str, set[str]]:
    """List the methods that are called on anything of a name, anywhere in the package."""
    uses: dict[str, set[str]] = {}
    for tree in _trees().values():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or node.attr not in METHODS:
                continue
            of = node.value
            name = of.id if isinstance(of, ast.Name) else getattr(of, "attr", None)
            if name is not None and name != "re":
                uses.setdefault(name, set()).add(node.attr)
    return uses


def held_patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """List the patterns that modules and their classes hold, wherever these come from."""
    for name, module in modules().items():
        spaces = [vars(module)]
        spaces += [
            vars(thing)
            for thing in vars(module).values()
            if inspect.isclass(thing) and thing.__module__ == name
        ]
        for space in spaces:
            for key, value in space.items():
                if isinstance(value, re.Pattern):
                    yield f"{name}.{key}", value


def readers() -> dict[str, Callable[[str], object]]:
    """List the functions that need one text and nothing else."""
    found: dict[str, Callable[[str], object]] = {}
    for name, tree in _trees().items():
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or not _is_plain(node):
                continue
            kinds = _needed(node)
            if len(kinds) == 1 and kinds[0] in {"str", "bytes", "str | None", "bytes | None"}:
                function = inspect.unwrap(getattr(modules()[name], node.name))
                found[f"{name.removeprefix('idp.')}.{node.name}"] = (
                    function if "str" in kinds[0] else _of_bytes(function)
                )
    return found


def _is_plain(node: ast.FunctionDef) -> bool:
    """Whether a function is itself: no view, command or operation is made of it."""
    return all("cache" in ast.unparse(decorator) for decorator in node.decorator_list)


def _needed(node: ast.FunctionDef) -> list[str]:
    given = node.args
    by_place = [*given.posonlyargs, *given.args]
    needed = by_place[: len(by_place) - len(given.defaults)]
    needed += [
        argument
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if default is None
    ]
    return [ast.unparse(argument.annotation) if argument.annotation else "?" for argument in needed]


def _of_bytes(function: Callable[[bytes], object]) -> Callable[[str], object]:
    return lambda text: function(text.encode())


def words_of(module: str) -> list[str]:
    """List the short texts that a module is written with: what it looks for."""
    found = {
        node.value if isinstance(node.value, str) else node.value.decode("latin-1"): None
        for node in ast.walk(_trees()[module])
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    }
    return [word for word in found if 0 < len(word) <= 6 and not word.isalpha()]
