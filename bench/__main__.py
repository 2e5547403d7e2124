"""`make bench`: what is measured, as ratios inside one run; `make bench T=token` runs a part.

A bar is a ratio of medians taken in alternation, so it holds when the machine's speed drifts. The
results are printed and written to bench/results.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench import cases, life, load
from bench.lists import lists
from bench.measure import Result
from bench.servers import WORKERS, Servers

Case = Callable[[Servers], list[Result]]

CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        cases.token,
        cases.flow,
        cases.refresh,
        cases.introspect,
        cases.userinfo,
        cases.documents,
        cases.login,
        cases.gateway,
        life.start,
        life.memory,
        lists,
    )
}
RESULTS = Path(__file__).parent / "results"


def main(wanted: list[str]) -> int:
    """Run the cases asked for, or all; 1 when a bar is missed."""
    unknown = sorted(set(wanted) - set(CASES))
    if unknown:
        print(f"There is no {', '.join(unknown)}; there are {', '.join(CASES)}.")
        return 2
    started = time.monotonic()
    results: list[Result] = []
    with Servers() as servers:
        for name in wanted or CASES:
            print(f"measuring {name}", flush=True)
            results += CASES[name](servers)
    met = _show(results)
    machine = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "workers": WORKERS,
        "load_generator": load.generator(),
        "seconds": round(time.monotonic() - started),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    document = {
        "machine": machine,
        "figures": {
            name: figure.members() for result in results for name, figure in result.figures.items()
        },
        "bars": [bar for result in results for bar in result.bars],
        "left_out": [reason for result in results for reason in result.left_out],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{path}: {machine}")
    return 0 if met else 1


def _show(results: list[Result]) -> bool:
    """Print the table; tell whether every bar is met."""
    print(f"\n{'case':70}{'median':>12}{'lowest':>12}{'highest':>12}")
    for result in results:
        for name, figure in result.figures.items():
            print(f"{name:70}{figure.median:12.1f}{figure.lowest:12.1f}{figure.highest:12.1f}")
    print()
    bars = [bar for result in results for bar in result.bars]
    for bar in bars:
        state = "met" if bar["met"] else "MISSED"
        print(f"{bar['case']:70}{bar['ratio']:12.2f}   bar {bar['bar']:<10}{state}")
    for result in results:
        for reason in result.left_out:
            print(f"left out: {reason}")
    return all(bar["met"] for bar in bars)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
