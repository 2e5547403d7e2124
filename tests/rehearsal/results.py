"""The page of results, as text and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.rehearsal.blows import Outcome
from tests.rehearsal.stage import ROOT

FOLDER = ROOT / "var"
PAGE = ROOT / "docs" / "availability.md"
BEGIN, END = "<!-- rehearsal: begin -->", "<!-- rehearsal: end -->"
GOOD = (200, 303)
HEAD = (
    "| blow | first write after | good | 503 | other | no answer | slowest | writes | lost |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a table of Markdown."""
    return "\n".join((*HEAD, *map(_row, outcomes)))


def _row(outcome: Outcome) -> str:
    good = sum(outcome.statuses.get(status, 0) for status in GOOD)
    refused = outcome.statuses.get(503, 0)
    others = sum(outcome.statuses.values()) - good - refused
    cells = (
        outcome.name,
        "" if outcome.gap is None else f"{outcome.gap:.1f} s",
        f"{good:,}",
        f"{refused:,}",
        f"{others:,}",
        f"{outcome.unanswered:,}",
        f"{outcome.slowest:.1f} s",
        f"{outcome.acknowledged:,}",
        f"{sum(outcome.lost.values()):,}",
    )
    return f"| {' | '.join(cells)} |"


def problems(outcomes: Sequence[Outcome]) -> list[str]:
    """List the bars that were missed, and what went wrong."""
    return [
        f"{outcome.name}: {what}"
        for outcome in outcomes
        for what in (
            *(f"not met: {bar}" for bar, holds in outcome.bars if not holds),
            *(f"lost: {number} x {kind}" for kind, number in outcome.lost.items()),
            *(f"{number} x {fault}" for fault, number in outcome.faults.items()),
        )
    ]


def document(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Return the outcomes as values of JSON."""
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "seconds": round(seconds),
        "outcomes": [asdict(outcome) for outcome in outcomes],
        "problems": problems(outcomes),
    }


def write(outcomes: Sequence[Outcome], seconds: float) -> Path:
    """Write both forms; return where they are."""
    FOLDER.mkdir(exist_ok=True)
    found = document(outcomes, seconds)
    (FOLDER / "rehearsal.md").write_text(table(outcomes) + "\n", encoding="utf-8")
    (FOLDER / "rehearsal.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return FOLDER / "rehearsal.json"


def publish(outcomes: Sequence[Outcome], page: Path = PAGE) -> None:
    """Put the table and its JSON into the documentation."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, "the page has no place for the results"
    short = [
        {name: value for name, value in asdict(outcome).items() if name != "bars"}
        for outcome in outcomes
    ]
    lines = ",\n".join(json.dumps(entry) for entry in short)
    block = f"{BEGIN}\n\n{table(outcomes)}\n\n```json\n[\n{lines}\n]\n```\n\n{END}"
    page.write_text(before + block + after, encoding="utf-8")
