"""`make rehearse`: strike an installation under load; `make rehearse T=primary_killed` a part."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence

from tests.rehearsal import blows, patroni, results
from tests.rehearsal.blows import Blow, Outcome, strike
from tests.rehearsal.load import Changer
from tests.rehearsal.stage import Stage, stage

STANDBY_IS_GONE = (blows.primary_killed, blows.primary_frozen)

BLOWS: dict[str, Blow] = {
    blow.__name__: blow
    for blow in (
        blows.nothing,
        blows.worker_killed,
        blows.connections_cut,
        blows.node_killed,
        blows.node_stopped,
        blows.nodes_rolled,
        blows.valkey_killed,
        blows.valkey_frozen,
        blows.valkey_emptied,
        blows.clock_ahead,
        blows.network_slow_and_silent,
        blows.switched_over,
        blows.primary_killed,
        blows.primary_frozen,
    )
}
UPGRADE = blows.side_by_side.__name__


def main(arguments: Sequence[str]) -> int:
    """Rehearse what is asked for, or everything; 1 when a bar is missed."""
    parser = argparse.ArgumentParser("python -m tests.rehearsal")
    parser.add_argument("blow", nargs="*", choices=[*BLOWS, UPGRADE, []])
    parser.add_argument("--publish", action="store_true", help="write the results into the docs")
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):  # whatever was started is ended then
        signal.signal(number, signal.default_int_handler)
    chosen = options.blow or [*BLOWS, UPGRADE]
    started = time.monotonic()
    outcomes: list[Outcome] = []
    if own := [BLOWS[name] for name in BLOWS if name in chosen]:
        with stage(is_managed=is_full()) as made:
            set_up(made)
            outcomes += [_strike(made, blow) for blow in own]
            outcomes.append(mails(made))
        results.write(outcomes, time.monotonic() - started)
    if UPGRADE in chosen:
        outcomes += upgrade()
    path = results.write(outcomes, time.monotonic() - started)
    if options.publish:
        results.publish(outcomes)
    _say(f"\n{results.table(outcomes)}\n")
    for problem in results.problems(outcomes):
        _say(problem)
    _say(f"{path}, {time.monotonic() - started:.0f} s")
    return 0 if all(outcome.is_met for outcome in outcomes) else 1


def is_full() -> bool:
    """Return whether Patroni changes the primary: `FULL=1`, where it and etcd are found."""
    if not os.environ.get("FULL"):
        return False
    if not patroni.are_found():
        _say("patroni and etcd are not on the path: the primary is changed by hand")
    return patroni.are_found()


def set_up(made: Stage) -> None:
    """Fill the database, have the standby follow, and start the worker and three nodes."""
    done = made.run("setup")
    assert done.returncode == 0, done.stderr
    made.prepare()
    made.standby.start(made.primary)
    made.synchronise()
    made.start_worker()
    for _ in range(3):
        made.node().start()


def _strike(made: Stage, blow: Blow) -> Outcome:
    outcome = strike(made, blow)
    _say(f"{'met' if outcome.is_met else 'MISSED'}: {outcome.name}")
    for problem in results.problems([outcome]):
        _say(f"    {problem.removeprefix(outcome.name)[2:]}")
    if blow in STANDBY_IS_GONE:
        made.renew_standby()
    return outcome


def mails(made: Stage) -> Outcome:
    """Count the mails of acknowledged changes, once the leases of a killed worker are over."""
    outcome = Outcome("Each change that was acknowledged sent its mail, whatever happened")
    (changer,) = (visitor for visitor in made.load.visitors if isinstance(visitor, Changer))
    end = time.monotonic() + blows.MAIL_SECONDS
    while missing := changer.mails - made.mailbox.counts():
        if time.monotonic() > end:
            break
        time.sleep(1)
    outcome.acknowledged = changer.mails.total()
    outcome.lost = {"mail": missing.total()} if missing else {}
    outcome.require("no mail is missing", not missing)
    return outcome


def upgrade() -> list[Outcome]:
    """Rehearse an upgrade from the release before, and the way back."""
    with blows.release_before() as folder, stage(is_alone=True) as made:
        if folder is None:
            _say("left out: the history of this checkout does not have the release before")
            return []
        done = made.run("setup", folder=folder)
        assert done.returncode == 0, done.stderr
        made.prepare(folder)
        made.node(folder=folder).start()
        made.node()
        return [_strike(made, blows.side_by_side)]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
