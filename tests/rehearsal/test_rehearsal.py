"""One blow of the rehearsal, and what its ledger finds when a write is lost."""

from __future__ import annotations

import pytest

from tests.rehearsal import __main__ as rehearsal
from tests.rehearsal import blows, results
from tests.rehearsal.blows import Outcome, strike
from tests.rehearsal.stage import NAME, Stage, operator, stage

pytestmark = pytest.mark.no_database

KINDS = frozenset({"code", "redemption", "refresh", "revocation", "sign-in", "secret"})


def test_connections_are_cut_under_load_and_the_ledger_is_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blows, "CUTS", 5)
    with stage() as made:
        done = made.run("setup")
        assert done.returncode == 0, done.stderr
        made.prepare()
        made.node().start()
        made.fleet.ports = made.fleet.ports[:1]
        outcome = strike(made, _cut_until_each_kind_was_written)
        assert results.problems([outcome]) == []
        assert outcome.statuses.keys() <= {200, 303, 503}
        assert made.load.kinds.keys() >= KINDS
        assert outcome.acknowledged > 20

        # A write that is lost is noticed, in the database and over HTTP.
        with operator(made.primary, NAME) as session:
            session.execute("SET session_replication_role = replica")  # the trigger is in the way
            session.execute("DELETE FROM audit_event WHERE tag = 'client:token:refreshed'")
            session.execute(
                "UPDATE refresh_family SET secret_hash = decode(repeat('00', 32), 'hex')"
            )
        missing = made.load.ledger.missing(made.where)
        assert missing["refresh"] > 0
        assert missing.keys() == {"refresh"}
        monkeypatch.setattr("tests.rehearsal.load.LOOK_SECONDS", 0)
        gone = made.load.look()
        assert gone["family"] > 0


def _cut_until_each_kind_was_written(stage: Stage, outcome: Outcome) -> None:
    """Connections are cut, and visitors go on until each did everything that they do."""
    blows.connections_cut(stage, outcome)
    stage.load.wait_for_kinds(KINDS, 60)


def test_a_missed_bar_is_named() -> None:
    outcome = Outcome("A blow", lost={"refresh": 2}, faults={"code: 500 b''": 1})
    outcome.require("nothing acknowledged is lost", holds=False)
    outcome.require("no request was refused", holds=True)
    assert not outcome.is_met
    assert results.problems([outcome]) == [
        "A blow: not met: nothing acknowledged is lost",
        "A blow: lost: 2 x refresh",
        "A blow: 1 x code: 500 b''",
    ]


def test_every_blow_has_a_name_of_its_own() -> None:
    names = [blow.__doc__ for blow in rehearsal.BLOWS.values()]
    assert len(set(names)) == len(names)
    assert all(names)
