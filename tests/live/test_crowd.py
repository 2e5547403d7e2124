"""Twenty-seven thousand mixed calls, connections reset in between: every answer is its caller's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from tests.conftest import Run
from tests.live import callers
from tests.live.callers import KINDS, Call, Caller, Crowd, LostError, Wire
from tests.live.site import Site, filled_database, running

pytestmark = pytest.mark.no_database

CALLS = 27_000
DRIVERS = 20
CALLERS_EACH = 2
WIRES_EACH = 4
RESETS = 0.03
"""Share of the batches in which the connection is reset."""
PIPELINED = 0.3
LONGEST = 6


@pytest.fixture(scope="module")
def naming(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a server that takes over the request ids of its callers."""
    folder = tmp_path_factory.mktemp("naming")
    with filled_database(run, "crowd") as name:
        url = run.postgres_server().url(name)
        with running(folder, url, trusted_proxies="127.0.0.1") as site:
            yield site


class Driver:
    """Sends the requests of some callers over some connections, several at a time."""

    def __init__(self, crowd: Crowd, callers: list[Caller], chance: random.Random) -> None:
        self._crowd = crowd
        self._callers = callers
        self._random = chance
        self._wires: list[Wire | None] = [None] * WIRES_EACH
        self.resets = 0

    def _batch(self) -> list[Call]:
        if self._random.random() >= PIPELINED:
            return [self._random.choice(self._callers).any()]
        calls = [caller.write() for caller in self._callers if self._random.random() < 0.5]
        calls += [
            self._random.choice(self._callers).read()
            for _ in range(self._random.randint(1, LONGEST - len(calls)))
        ]
        self._random.shuffle(calls)
        return calls

    async def run(self, number: int) -> None:
        """Make so many calls."""
        while number > 0:
            calls = self._batch()
            number -= len(calls)
            place = self._random.randrange(WIRES_EACH)
            wire = self._wires[place] or await Wire.open(self._crowd.site.host)
            self._wires[place] = wire
            if self._random.random() < RESETS:
                await self._reset(wire, calls)
                self._wires[place] = None
                continue
            await wire.send(b"".join(call.data for call in calls))
            for position, call in enumerate(calls):
                try:
                    self._crowd.settle(call, await wire.read())
                except LostError as error:
                    self._crowd.faults.append(f"{call.kind}: {error!r}")
                    self._crowd.drop(calls[position:])
                    self._wires[place] = None
                    break
        for left in filter(None, self._wires):
            left.close()

    async def _reset(self, wire: Wire, calls: list[Call]) -> None:
        """Send a part of some requests or all of it, read some answers or none, and reset."""
        data = b"".join(call.data for call in calls)
        cut = self._random.choice((len(data), self._random.randrange(1, len(data))))
        await wire.send(data[:cut])
        await asyncio.sleep(self._random.choice((0, 0, 0.001, 0.01)))
        answered = 0
        if cut == len(data):
            answered = self._random.randrange(len(calls))
            for call in calls[:answered]:
                self._crowd.settle(call, await wire.read())
        wire.reset()
        self.resets += 1
        self._crowd.drop(calls[answered:])


def test_every_answer_belongs_to_its_caller(naming: Site) -> None:
    chosen = callers.seed()
    crowd = callers.crowd(naming, DRIVERS * CALLERS_EACH, chosen, names_requests=True)
    drivers = [
        Driver(crowd, list(crowd.callers[index::DRIVERS]), random.Random(f"{chosen}-d{index}"))
        for index in range(DRIVERS)
    ]

    async def main() -> None:
        await asyncio.gather(*(driver.run(CALLS // DRIVERS) for driver in drivers))
        await crowd.once_each()

    callers.run(main())
    crowd.check_faults()
    assert {kind for kind, _ in crowd.counts} == KINDS
    assert min(crowd.answers(kind) for kind in KINDS) > 300, crowd.counts
    assert sum(driver.resets for driver in drivers) > 200
    assert sum(crowd.counts.values()) + crowd.lost >= CALLS
