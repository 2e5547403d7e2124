"""How busy the machine is with other work, and whether ratios measured meanwhile may be judged.

Over a round, the other work is the processor time of every process that does not descend from this
one: servers, databases and generators all do. It is summed from their own counters, ended children
included, because the idle time in /proc/stat is some per cent too low while processes wake each
other thousands of times a second. Kernel threads are left out: they mostly write what the
databases commit. What the host takes from a virtual machine is added.

Before anything is started, the whole machine is looked at instead; that sees other containers too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LIMIT = 0.03
"""Share of the machine beyond which nothing is judged."""
BEFORE_SECONDS = 3.0
KERNEL = 2
"""Process id of the parent of the kernel's threads."""
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process as /proc lists it."""

    parent: int
    seconds: float
    """Processor time, its own and that of ended children."""


@dataclass(frozen=True)
class Reading:
    """What was read at one moment."""

    at: float
    others: float
    """Processor seconds of other work so far."""
    idle: float
    """Seconds that the cores were idle so far."""


def read() -> Reading:
    """Read the state of the machine."""
    idle, stolen = core_times((PROC / "stat").read_text())
    return Reading(time.perf_counter(), others(_processes(), os.getpid()) + stolen, idle)


def share(before: Reading, after: Reading) -> float:
    """Return the share of the machine that other work took between two readings."""
    elapsed = (after.at - before.at) * CORES
    return max(0.0, after.others - before.others) / elapsed


def whole(before: Reading, after: Reading) -> float:
    """Return the share of the machine that was not idle between two readings."""
    elapsed = (after.at - before.at) * CORES
    return min(1.0, max(0.0, 1 - (after.idle - before.idle) / elapsed))


def before_measuring() -> float:
    """Return how busy the machine is while this process does nothing."""
    first = read()
    time.sleep(BEFORE_SECONDS)
    last = read()
    return max(share(first, last), whole(first, last))


def core_times(stat: str) -> tuple[float, float]:
    """Return the idle and the stolen seconds of all cores in the text of /proc/stat."""
    _, _user, _nice, _system, idle, iowait, _irq, _softirq, stolen = stat.split(maxsplit=9)[:9]
    return (int(idle) + int(iowait)) / TICKS, int(stolen) / TICKS


def others(processes: Mapping[int, Process], own: int) -> float:
    """Return the processor seconds of processes that are neither `own`, below it, nor the kernel's.

    An ended process moves into its parent's counter, so sums stay comparable.
    """
    return sum(
        process.seconds
        for number, process in processes.items()
        if not _descends(processes, number, {own, KERNEL})
    )


def _descends(processes: Mapping[int, Process], number: int, roots: set[int]) -> bool:
    while number in processes and number not in roots:
        number = processes[number].parent
    return number in roots


def _processes() -> dict[int, Process]:
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                found[int(folder.name)] = process((folder / "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
    return found


def process(stat: str) -> Process:
    """Read the text of /proc/PID/stat; the name in it may contain spaces and parentheses."""
    fields = stat.rpartition(")")[2].split()
    return Process(int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
