"""`make bench`: what is measured, as ratios inside one run; `make bench T=lists` runs a part.

Every case gives figures and bars. A bar is a ratio of medians taken in alternation, so it holds
when the machine's speed drifts. The results are printed and written to bench/results.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import lists
from bench.measure import Case

CASES: dict[str, Case] = {"lists": lists.measure}
RESULTS = Path(__file__).parent / "results"


def main(wanted: list[str]) -> int:
    """Run the cases asked for, or all; 1 when a bar is missed."""
    unknown = sorted(set(wanted) - set(CASES))
    if unknown:
        print(f"There is no {', '.join(unknown)}; there are {', '.join(CASES)}.")
        return 2
    results = [CASES[name]() for name in wanted or CASES]
    figures = {name: figure for result in results for name, figure in result.figures.items()}
    bars = [bar for result in results for bar in result.bars]
    print(f"{'case':52}{'median':>12}{'lowest':>12}{'highest':>12}")
    for name, figure in figures.items():
        print(f"{name:52}{figure.median:12.1f}{figure.lowest:12.1f}{figure.highest:12.1f}")
    print()
    for bar in bars:
        state = "met" if bar["met"] else "MISSED"
        print(f"{bar['case']:52}{bar['ratio']:12.2f}   bar {bar['bar']:<10}{state}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    document = {
        "machine": {"python": platform.python_version(), "cores": os.cpu_count()},
        "figures": {name: figure.members() for name, figure in figures.items()},
        "bars": bars,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if all(bar["met"] for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
