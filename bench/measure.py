"""Figures, rows of the table, bars and whether they may be judged."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import machine


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
        """Return what the result file keeps."""
        return {"median": self.median, "values": list(self.values)}


Row = Mapping[str, Figure]
"""Figures of one target of a case, by the column of the table."""


@dataclass
class Result:
    """What a case found."""

    figures: Mapping[str, Figure] = field(default_factory=dict)
    bars: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """What was not measured, and why."""
    rows: Mapping[str, Row] = field(default_factory=dict)
    busy: float = 0.0
    """Largest share of the machine that other work took while it was measured."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int | None = None
    """At most so many rounds of everything; None: as many as each case needs."""

    def count(self, usual: int) -> int:
        """Return the number of rounds of something that usually takes this many."""
        return usual if self.rounds is None else min(usual, self.rounds)


def judge(results: Sequence[Result], before: float) -> int:
    """Write the state into every bar; return the exit code.

    1 when a bar is missed, 3 when none is but some could not be judged, else 0.
    """
    for result in results:
        busy = max(before, result.busy)
        for bar in result.bars:
            if busy > machine.LIMIT:
                bar["state"] = f"not judged: the machine was busy ({busy:.0%})"
            else:
                bar["state"] = "met" if bar["met"] else "MISSED"
    states = {bar["state"] for result in results for bar in result.bars}
    if "MISSED" in states:
        return 1
    return 3 if states - {"met"} else 0


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
