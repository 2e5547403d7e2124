"""What is done to an installation, and the bars that it must meet."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import redis

from tests.rehearsal.proxy import network
from tests.rehearsal.stage import NAME, PYTHON, ROOT, Stage, operator

CALM_SECONDS = 1.0
"""How long visitors are served before and after a blow."""
DOWN_SECONDS = 2.0
"""How long there is no primary."""
NOTICED_SECONDS = 6.0
"""How long it takes until every node has noticed that a server is frozen: a wait, and a little."""
LATEST_SECONDS = 20.0
LONGEST_SECONDS = 20.0
"""No request may take longer."""
CUTS = 50
VALKEY_SECONDS = 1.5
"""How long an answer may take without Valkey; on a slow machine a second more than with it."""
DELAY_SECONDS = 0.1
SILENT_SECONDS = 8.0
MAIL_SECONDS = 180.0
SHIFT_SECONDS = 30
PREVIOUS = Path(__file__).with_name("previous.txt")
SHIFTED = (
    PYTHON[0],
    "-c",
    (
        "import datetime as d; from idp.platform import clock\n"
        f"clock.now = lambda: d.datetime.now(d.UTC) + d.timedelta(seconds={SHIFT_SECONDS})\n"
        "from idp.cli import main; main()"
    ),
)
"""`idp` on a machine whose clock is ahead."""


@dataclass
class Outcome:
    """What a blow did."""

    name: str
    gap: float | None = None
    """Seconds until the first write that was acknowledged; None: there was no gap to measure."""
    bars: list[tuple[str, bool]] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    acknowledged: int = 0
    slowest: float = 0.0
    unanswered: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """What was acknowledged and is gone, by kind."""
    faults: dict[str, int] = field(default_factory=dict)

    def require(self, what: str, holds: object) -> None:
        """Note a bar, and whether it is met."""
        self.bars.append((what, bool(holds)))

    @property
    def is_met(self) -> bool:
        """Whether every bar is met."""
        return all(holds for _, holds in self.bars)


Blow = Callable[[Stage, Outcome], None]


def nothing(stage: Stage, outcome: Outcome) -> None:
    """Nothing happens, to compare with."""
    time.sleep(8)
    stage.calm_seconds = stage.load.slowest
    outcome.require("every request was answered", stage.load.lost == 0)
    outcome.require("no request was refused", stage.load.statuses[503] == 0)


def primary_killed(stage: Stage, outcome: Outcome) -> None:
    """The primary is killed, and its standby promoted after two seconds."""
    stage.primary.kill()
    time.sleep(DOWN_SECONDS)
    first_write(stage, outcome, stage.promote(), 2.0)


def primary_frozen(stage: Stage, outcome: Outcome) -> None:
    """The primary freezes, its standby is promoted after two seconds, and it thaws later."""
    old = stage.primary
    old.freeze()
    time.sleep(DOWN_SECONDS)
    promoted = stage.promote()
    at = datetime.now(UTC)
    first_write(stage, outcome, promoted, 8.0)
    time.sleep(NOTICED_SECONDS)
    old.thaw()
    time.sleep(CALM_SECONDS)
    outcome.require("the old primary took no write", stage.took_none(old, at))
    old.kill()


def switched_over(stage: Stage, outcome: Outcome) -> None:
    """Primary and standby change their places."""
    first_write(stage, outcome, stage.switch_over(), 2.0)


def connections_cut(stage: Stage, outcome: Outcome) -> None:
    """Every connection to the database is cut, fifty times."""
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = %s AND backend_type = 'client backend'"
    )
    with operator(stage.primary) as session:
        for _ in range(CUTS):
            session.execute(cut, [NAME])
            time.sleep(0.1)
    first_write(stage, outcome, time.monotonic(), 2.0)


def node_killed(stage: Stage, outcome: Outcome) -> None:
    """A node is killed, and comes back."""
    node = stage.nodes[0]
    node.kill()
    first_write(stage, outcome, time.monotonic(), 2.0)
    node.start()
    under_way = len(stage.load.visitors)
    outcome.require("only requests under way were lost", stage.load.lost <= under_way)


def node_stopped(stage: Stage, outcome: Outcome) -> None:
    """A node is stopped, and comes back."""
    stage.nodes[1].stop()
    stage.nodes[1].start()
    outcome.require("every request was answered", stage.load.lost == 0)
    outcome.require("no request was refused", stage.load.statuses[503] == 0)


def nodes_rolled(stage: Stage, outcome: Outcome) -> None:
    """Three nodes are restarted one after the other."""
    for node in stage.nodes:
        node.stop()
        node.start()
    outcome.require("every request was answered", stage.load.lost == 0)
    outcome.require("no request was refused", stage.load.statuses[503] == 0)


def valkey_killed(stage: Stage, outcome: Outcome) -> None:
    """Valkey is killed, and an empty one takes its place."""
    stage.valkey.kill()
    time.sleep(3)
    stage.valkey.start()
    without_valkey(stage, outcome)


def valkey_frozen(stage: Stage, outcome: Outcome) -> None:
    """Valkey freezes and thaws."""
    stage.valkey.freeze()
    time.sleep(3)
    stage.valkey.thaw()
    without_valkey(stage, outcome)


def valkey_emptied(stage: Stage, outcome: Outcome) -> None:
    """Valkey forgets everything."""
    with redis.Redis.from_url(stage.valkey.url) as connection:
        connection.flushall()
    time.sleep(1)
    without_valkey(stage, outcome)


def without_valkey(stage: Stage, outcome: Outcome) -> None:
    """No request fails without Valkey, and none waits long."""
    outcome.require("no request was refused", stage.load.statuses[503] == 0)
    seconds = max(VALKEY_SECONDS, stage.calm_seconds + 1)
    outcome.require(f"no answer over {seconds:.1f} s", stage.load.slowest <= seconds)


def network_slow_and_silent(stage: Stage, outcome: Outcome) -> None:
    """The network to the database is slow by 100 ms, then loses everything for eight seconds."""
    with network(stage.primary.folder / ".s.PGSQL.5432") as between:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{between.port}/{NAME}"
        node = stage.node(IDP_DATABASE_URL=url)
        node.start()
        others, stage.fleet.ports = stage.fleet.ports, [node.port]
        try:
            between.delay_seconds = DELAY_SECONDS
            time.sleep(4)
            between.is_silent, between.delay_seconds = True, 0.0
            time.sleep(SILENT_SECONDS)
            between.is_silent = False
            first_write(stage, outcome, time.monotonic(), 10.0)
            time.sleep(CALM_SECONDS)
        finally:
            stage.fleet.ports = others
        node.stop()


def clock_ahead(stage: Stage, outcome: Outcome) -> None:
    """The clock of one node is thirty seconds ahead."""
    node = stage.node()
    node.arguments = SHIFTED
    node.start()
    stage.fleet.ports.append(node.port)
    time.sleep(4)
    stage.fleet.ports.remove(node.port)
    node.stop()
    outcome.require("no request was refused", stage.load.statuses[503] == 0)


def worker_killed(stage: Stage, outcome: Outcome) -> None:
    """The worker is killed in the middle of a mail; the mails are counted at the end."""
    box = stage.mailbox
    box.pause_seconds = 1.0
    box.arriving.clear()
    assert stage.worker is not None
    outcome.require("a mail was under way", box.arriving.wait(10))
    stage.worker.kill()
    stage.worker.wait(10)
    box.pause_seconds = 0.0
    stage.start_worker()


def first_write(stage: Stage, outcome: Outcome, moment: float, seconds: float) -> None:
    """Wait for the first write that is acknowledged after a moment."""
    gap = stage.load.wait_for_write(moment, LATEST_SECONDS)
    outcome.gap = max(outcome.gap or 0.0, LATEST_SECONDS if gap is None else gap)
    outcome.require(f"first write within {seconds:g} s", gap is not None and gap <= seconds)


# The release before, and the way back


def side_by_side(stage: Stage, outcome: Outcome) -> None:
    """The release before and this one share the database of this one; then the way back."""
    before, now = stage.nodes
    found = stage.run("setup")
    assert found.returncode == 0, found.stderr
    now.start()
    time.sleep(3)
    before.stop()
    before.start()
    again = stage.run("setup", folder=before.folder)
    outcome.require("idp setup of the release before fits", again.returncode == 0)
    for command in (
        ("user", "disable", "bystander-0"),
        ("user", "enable", "bystander-0"),
        ("keys", "list"),
    ):
        done = stage.run(*command, folder=before.folder)
        outcome.require(f"idp {command[0]} {command[1]} of the release before", not done.returncode)
    time.sleep(2)
    before.stop()
    time.sleep(2)
    before.start()
    now.stop()
    time.sleep(3)
    outcome.require("every request was answered", stage.load.lost == 0)
    outcome.require("no request was refused", stage.load.statuses[503] == 0)


@contextmanager
def release_before() -> Iterator[Path | None]:
    """Write the files of the release before into a folder; None where history does not have it."""
    commit = PREVIOUS.read_text().strip()
    folder = Path(tempfile.mkdtemp(prefix="idp-previous-"))
    archive = folder / "previous.tar"
    try:
        made = subprocess.run(
            ["git", "-C", ROOT, "archive", "-o", archive, commit], capture_output=True
        )
        if made.returncode:
            yield None
            return
        shutil.unpack_archive(archive, folder)
        archive.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def strike(stage: Stage, blow: Blow) -> Outcome:
    """Do something to an installation under load, then look at what was acknowledged."""
    name = (blow.__doc__ or "").partition("\n")[0].rstrip(".")
    outcome, load = Outcome(name), stage.load
    load.clear()
    failed = stage.log_text().count("request_failed")
    with load.running():
        time.sleep(CALM_SECONDS)
        try:
            blow(stage, outcome)
        except Exception as error:  # noqa: BLE001 - the results of all others are still wanted
            load.faults[f"{type(error).__name__}: {error}"] += 1
        time.sleep(CALM_SECONDS)
    outcome.slowest, outcome.unanswered = load.slowest, load.lost
    outcome.statuses = dict(sorted(load.statuses.items()))
    outcome.acknowledged = load.kinds.total()
    gone = load.look() + load.ledger.missing(stage.where)
    outcome.lost = {kind: number for kind, number in gone.items() if number}
    outcome.faults = dict(load.faults)
    outcome.require("nothing acknowledged is lost", not outcome.lost)
    outcome.require("only good answers and 503", not outcome.faults)
    crashed = stage.log_text().count("request_failed") - failed
    outcome.require("no request failed inside", crashed == 0)
    limit = f"no answer over {LONGEST_SECONDS:g} s"
    outcome.require(limit, outcome.slowest <= LONGEST_SECONDS)
    return outcome
