"""Bars: when they are met, missed, or not judged."""

from __future__ import annotations

import pytest

from bench import cases, machine
from bench.cases import Bar, Target
from bench.load import Taken
from bench.measure import Plan, Result, at_least, at_most, judge

pytestmark = pytest.mark.no_database


def result(*bars, busy=0.0):
    """Make the result of a case."""
    return Result(bars=list(bars), busy=busy)


def test_bars_that_are_met():
    """A bar that is just reached is met."""
    first, second = at_least("a", 1.5, 1.5), at_most("b", 1.2, 1.2)
    assert judge([result(first), result(second)], 0.0) == 0
    assert [first["state"], second["state"]] == ["met", "met"]


def test_a_missed_bar_is_exit_code_1():
    """Whatever else could not be judged."""
    missed, unknown = at_least("a", 1.49, 1.5), at_least("b", 1.0, 1.0)
    assert judge([result(missed), result(unknown, busy=0.2)], 0.0) == 1
    assert missed["state"] == "MISSED"


def test_a_case_that_other_work_disturbed_is_not_judged():
    """Neither its missed bars nor the others; other cases are."""
    missed, fine = at_most("a", 9.0, 5), at_least("b", 2.0, 1.0)
    assert judge([result(missed, busy=0.12), result(fine)], 0.0) == 3
    assert missed["state"] == "not judged: the machine was busy (12%)"
    assert fine["state"] == "met"


def test_nothing_is_judged_when_the_machine_was_busy_before():
    """As all of the run is suspect then."""
    bar = at_least("a", 2.0, 1.0)
    assert judge([result(bar)], 0.4) == 3
    assert "40%" in bar["state"]


def test_a_little_other_work_does_no_harm():
    """Up to the limit."""
    assert judge([result(at_least("a", 2.0, 1.0), busy=machine.LIMIT)], machine.LIMIT) == 0


def test_fewer_rounds_are_never_more():
    """The option only shortens."""
    assert Plan().count(5) == 5
    assert Plan(1).count(5) == 1
    assert Plan(9).count(5) == 5


@pytest.fixture
def quiet(monkeypatch):
    """Report that nothing else happens on the machine."""
    monkeypatch.setattr(machine, "share", lambda _before, _after: 0.0)


def counted(name, units, rounds=None):
    """Make a target that answers so many requests a second at a cost of 2 ms, and 1 in a store."""
    spent = [units * 0.002, units * 0.001]
    return Target(name, lambda: Taken(units, 1.0, 1.0, 3.0, spent), rounds)


@pytest.mark.usefixtures("quiet")
def test_rows_have_the_processor_time_beside_the_rate():
    """Of the server, and of its stores."""
    found = cases.measure(Plan(2), "case", [counted("ours", 100)])
    row = found.rows["case, ours"]
    assert row["per second"].values == [100, 100]
    assert row["CPU us each"].median == pytest.approx(2000)
    assert row["database CPU us each"].median == pytest.approx(1000)


@pytest.mark.usefixtures("quiet")
def test_a_slow_peer_takes_fewer_rounds():
    """As the run must end."""
    found = cases.measure(Plan(), "case", [counted("ours", 100), counted("peer", 50, 2)])
    assert len(found.rows["case, ours"]["per second"].values) == cases.ROUNDS
    assert len(found.rows["case, peer"]["per second"].values) == 2


@pytest.mark.usefixtures("quiet")
def test_a_bar_against_a_peer_that_is_left_out_is_left_out():
    """The others are computed."""
    bars = [Bar("ours", "peer", 1.0), Bar("ours", "missing", 1.0)]
    found = cases.measure(Plan(1), "case", [counted("ours", 100), counted("peer", 50)], bars)
    assert [(bar["case"], bar["ratio"]) for bar in found.bars] == [("case: ours ÷ peer", 2.0)]


def test_a_disturbed_round_is_taken_again(monkeypatch):
    """Until one is not, and that one counts."""
    shares = iter([0.5, 0.01])
    monkeypatch.setattr(machine, "share", lambda _before, _after: next(shares))
    taken = iter([Taken(10, 1.0, 0, 0), Taken(20, 1.0, 0, 0)])
    found = cases.measure(Plan(1), "case", [Target("ours", lambda: next(taken))])
    assert found.rows["case, ours"]["per second"].values == [20]
    assert found.busy == 0.01


def test_a_round_that_stays_disturbed_is_kept_with_its_share(monkeypatch):
    """The least disturbed of them."""
    shares = iter([0.5, 0.2])
    monkeypatch.setattr(machine, "share", lambda _before, _after: next(shares))
    found = cases.measure(Plan(1), "case", [counted("ours", 10)])
    assert found.busy == 0.2
    assert found.rows["case, ours"]["other work, share"].values == [0.2]
