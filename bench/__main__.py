"""`make bench`: what is measured, as ratios inside one run; `make bench T=token` runs a part.

A bar is a ratio of medians taken in alternation, so it holds when the machine's speed drifts; it is
not judged when other work took part of the machine. The results are printed and written to
bench/results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import cases, life, load, machine
from bench.console import console
from bench.factors import factors
from bench.fapi import fapi
from bench.lists import lists
from bench.measure import Plan, Result, judge
from bench.people import people
from bench.replays import replays
from bench.retention import retention
from bench.servers import WORKERS, Servers
from bench.strangers import strangers

Case = Callable[[Servers], list[Result]]

CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        cases.token,
        cases.flow,
        cases.refresh,
        cases.introspect,
        cases.userinfo,
        cases.registration,
        fapi,
        strangers,
        cases.documents,
        cases.tails,
        cases.login,
        factors,
        cases.gateway,
        life.start,
        life.memory,
        lists,
        console,
        retention,
        people,
        replays,
    )
}
LONG = {people.__name__, replays.__name__}
"""Measured only when they are asked for."""
RESULTS = Path(__file__).parent / "results"
COLUMNS = {"p50 ms": 9, "p99 ms": 9, "CPU us each": 13, "database CPU us each": 22, "MiB": 10}
"""Width of each column of medians; MiB is resident memory of the processes."""


def main(arguments: Sequence[str]) -> int:
    """Run the cases asked for, or all but long ones; 1: a bar is missed, 3: some not judged."""
    parser = argparse.ArgumentParser("python -m bench", description="Measure, or measure a part.")
    parser.add_argument("case", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, help="at most so many rounds of everything")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.case) - set(CASES))
    if unknown:
        parser.error(f"There is no {', '.join(unknown)}; there are {', '.join(CASES)}.")
    started = time.monotonic()
    before = machine.before_measuring()
    print(f"before measuring, other work took {before:.1%} of the machine", flush=True)
    results: list[Result] = []
    with Servers(Plan(options.rounds)) as servers:
        for name in options.case or (name for name in CASES if name not in LONG):
            print(f"measuring {name}", flush=True)
            results += _run(CASES[name], servers)
    code = judge(results, before)
    _show(results)
    about = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "workers": WORKERS,
        "load_generator": load.generator(),
        "seconds": round(time.monotonic() - started),
        "other_work_before": round(before, 4),
        "other_work": round(max(result.busy for result in results), 4),
    }
    print(f"\n{_write(about, results)}: {about}")
    return code


def _run(case: Case, servers: Servers) -> list[Result]:
    """Run a case; where it did not watch each round, other work is that of the whole case."""
    before = machine.read()
    results = case(servers)
    whole = machine.share(before, machine.read())
    for result in results:
        if not result.rows:
            result.busy = whole
    return results


def _write(about: dict[str, Any], results: list[Result]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    document = {
        "machine": about,
        "rows": {
            label: {column: figure.members() for column, figure in row.items()}
            for result in results
            for label, row in result.rows.items()
        },
        "figures": {
            name: figure.members() for result in results for name, figure in result.figures.items()
        },
        "bars": [bar for result in results for bar in result.bars],
        "left_out": _left_out(results),
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _show(results: list[Result]) -> None:
    """Print the tables, the bars and what is left out."""
    print(f"\n{'case, target':56}{'per second (lowest to highest)':>32}", end="")
    print("".join(f"{column:>{width}}" for column, width in COLUMNS.items()))
    for result in results:
        for label, row in result.rows.items():
            rate = row["per second"]
            rates = f"{rate.median:,.0f} ({rate.lowest:,.0f} to {rate.highest:,.0f})"
            cells = [
                f"{row[column].median:{width},.1f}" if column in row else " " * width
                for column, width in COLUMNS.items()
            ]
            print(f"{label:56}{rates:>32}{''.join(cells)}")
    print(f"\n{'figure':70}{'median':>12}{'lowest':>12}{'highest':>12}")
    for result in results:
        for name, figure in result.figures.items():
            print(f"{name:70}{figure.median:12.1f}{figure.lowest:12.1f}{figure.highest:12.1f}")
    print()
    for bar in (bar for result in results for bar in result.bars):
        print(f"{bar['case']:70}{bar['ratio']:12.2f}   bar {bar['bar']:<10}{bar['state']}")
    for reason in _left_out(results):
        print(f"left out: {reason}")


def _left_out(results: list[Result]) -> list[str]:
    return list(dict.fromkeys(reason for result in results for reason in result.left_out))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
