"""Rounds in alternation, medians and ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Measured values of one thing, in the unit that its name says."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """Middle value."""
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        """Smallest value."""
        return min(self.values)

    @property
    def highest(self) -> float:
        """Largest value."""
        return max(self.values)

    def members(self) -> dict[str, Any]:
        """Give what the result file keeps."""
        return {"median": self.median, "values": list(self.values)}


@dataclass(frozen=True)
class Result:
    """What a case found."""

    figures: Mapping[str, Figure]
    bars: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What was not measured, and why."""


def alternate(things: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Figure]:
    """Time things in turn, after one round that does not count; milliseconds."""
    values: dict[str, list[float]] = {name: [] for name in things}
    for round_ in range(rounds + 1):
        for name, do in things.items():
            started = time.perf_counter()
            do()
            if round_:
                values[name].append((time.perf_counter() - started) * 1000)
    return {name: Figure(taken) for name, taken in values.items()}


def at_most(case: str, ratio: float, bar: float) -> dict[str, Any]:
    """Judge a ratio that must not be larger."""
    return {"case": case, "ratio": ratio, "bar": f"<= {bar}", "met": ratio <= bar}


def at_least(case: str, ratio: float, bar: float) -> dict[str, Any]:
    """Judge a ratio that must be reached."""
    return {"case": case, "ratio": ratio, "bar": f">= {bar}", "met": ratio >= bar}
