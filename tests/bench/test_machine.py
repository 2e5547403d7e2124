"""How busy the machine is with other work, from what /proc says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bench import machine
from bench.machine import Process, Reading

pytestmark = pytest.mark.no_database

OWN = 50


def listed(**more):
    """List this process with a server and its worker, a kernel thread, and a compiler of others."""
    processes = {
        1: Process(0, 3.0),
        2: Process(0, 0.0),
        7: Process(2, 9.0),
        40: Process(1, 1.0),
        OWN: Process(40, 10.0),
        51: Process(OWN, 20.0),
        52: Process(51, 30.0),
        60: Process(1, 5.0),
    }
    return processes | {int(name.removeprefix("p")): each for name, each in more.items()}


def test_what_descends_from_the_run_and_from_the_kernel_is_no_other_work():
    """Process 1, the shell and the compiler are other work."""
    assert machine.others(listed(), OWN) == 3.0 + 1.0 + 5.0


def test_an_ended_process_of_others_is_counted_once():
    """Its time moves to its parent, which has waited for it."""
    before = listed(p61=Process(60, 100.0))
    after = listed(p60=Process(1, 5.0 + 100.5))
    assert machine.others(after, OWN) - machine.others(before, OWN) == pytest.approx(0.5)


def test_a_process_whose_parent_has_just_ended_counts_as_other_work():
    """Its parent is not in the list."""
    assert machine.others({9: Process(8, 2.0)}, OWN) == 2.0


def test_share_is_of_all_cores():
    """Half of one core for two seconds."""
    share = machine.share(Reading(10.0, 4.0, 0.0), Reading(12.0, 5.0, 0.0))
    assert share == pytest.approx(0.5 / machine.CORES)


def test_share_is_never_negative():
    """A process that was not waited for takes its time with it."""
    assert machine.share(Reading(10.0, 4.0, 0.0), Reading(12.0, 3.0, 0.0)) == 0


def test_the_whole_machine_is_busy_as_far_as_it_is_not_idle():
    """A quarter of the time was idle."""
    idle = 0.25 * 2 * machine.CORES
    assert machine.whole(Reading(0.0, 0.0, 0.0), Reading(2.0, 0.0, idle)) == pytest.approx(0.75)


def test_idle_and_stolen_time_of_all_cores():
    """Waiting for a disk is idle."""
    stat = "cpu  100 20 30 400 50 6 7 80 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"
    assert machine.core_times(stat) == (450 / machine.TICKS, 80 / machine.TICKS)


def test_a_process_whose_name_has_spaces_and_parentheses():
    """User, system, and both of ended children."""
    stat = "77 (a (b) c) S 5 77 77 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 1 0"
    assert machine.process(stat) == Process(5, 127 / machine.TICKS)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_a_child_of_this_process_is_no_other_work():
    """Read from the real machine: a child that computes does not add to it, its time is ours."""
    loop = "import time\nwhile time.process_time() < 0.5: pass"
    processes = {os.getpid(): Process(1, 0.0)}
    child = subprocess.Popen([sys.executable, "-c", loop])
    try:
        stat = (machine.PROC / str(child.pid) / "stat").read_text()
        assert machine.others(processes | {child.pid: machine.process(stat)}, os.getpid()) == 0
    finally:
        child.wait()
