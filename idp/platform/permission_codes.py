"""Codes of scopes and privileges: `P.all` grants every code that starts with `P.`."""

from __future__ import annotations

from collections.abc import Iterable

ALL_SUFFIX = ".all"


def covering(code: str) -> frozenset[str]:
    """Return the codes that grant a code: itself and the `.all` of every prefix."""
    parts = code.split(".")
    prefixes = (".".join(parts[:count]) for count in range(1, len(parts)))
    return frozenset({code, *(prefix + ALL_SUFFIX for prefix in prefixes)})


def covers(held: Iterable[str], code: str) -> bool:
    """Return whether one of the held codes grants a code."""
    return not covering(code).isdisjoint(held)
