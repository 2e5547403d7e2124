"""Charts: where the lines and bars of figures are drawn. Templates make the SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 190
LEFT, TOP, BOTTOM = 38, 16, 166
STEPS = 4
GAP = 0.52
"""Part of its place that a bar takes."""
LEAST = 2.0
"""Height of the smallest bar: a figure that is not zero can be seen."""
SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 96.0, 28.0, 3.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """What stands above one another for a day."""

    label: str | None
    """None: there is no room for one."""
    middle: float
    lower: Bar | None
    upper: Bar | None


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal line, and its number."""

    y: float
    number: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of two kinds upon each other."""

    rules: Sequence[Rule]
    columns: Sequence[Column]


def columns(rows: Sequence[tuple[int, int]], labels: Sequence[str | None]) -> Chart:
    """Draw pairs of figures as columns, the first of a pair below the second."""
    step = step_for(max((lower + upper for lower, upper in rows), default=0))
    scale = (BOTTOM - TOP) / (step * STEPS)
    place = (WIDTH - LEFT) / max(len(rows), 1)
    return Chart(
        [
            Rule(_round(BOTTOM - number * step * scale), number * step)
            for number in range(STEPS + 1)
        ],
        [
            _column(lower * scale, upper * scale, LEFT + index * place, place, label)
            for index, ((lower, upper), label) in enumerate(zip(rows, labels, strict=True))
        ],
    )


def step_for(highest: int) -> int:
    """Return a round number between two lines, so that the highest column has room."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power * STEPS >= highest:
                return digit * power
        power *= 10


def spark(figures: Sequence[int]) -> str:
    """Return the points of a small line without numbers."""
    highest, lowest = max(figures, default=0), min(figures, default=0)
    height = SPARK_HEIGHT - 2 * SPARK_EDGE
    across = SPARK_WIDTH / max(len(figures) - 1, 1)
    scale = height / (highest - lowest or 1)
    return " ".join(
        f"{_round(index * across)},{_round(SPARK_HEIGHT - SPARK_EDGE - (figure - lowest) * scale)}"
        for index, figure in enumerate(figures)
    )


def _column(lower: float, upper: float, x: float, place: float, label: str | None) -> Column:
    width, left = place * GAP, x + place * (1 - GAP) / 2
    lower, upper = (max(height, LEAST) if height else 0.0 for height in (lower, upper))
    return Column(
        label,
        _round(x + place / 2),
        _bar(left, BOTTOM - lower, width, lower),
        _bar(left, BOTTOM - lower - upper, width, upper),
    )


def _bar(x: float, y: float, width: float, height: float) -> Bar | None:
    if not height:
        return None
    return Bar(_round(x), _round(max(y, 0)), _round(width), _round(height))


def _round(value: float) -> float:
    return round(value, 1)
