"""Proofs that were used: how many rows they come to at a steady rate, and whether answers slow.

It takes as long as it says, so it is measured only when it is asked for.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import psycopg

from bench import load
from bench.cases import Steps
from bench.load import Request
from bench.measure import Figure, Result, at_most
from bench.proofs import Key
from bench.servers import Servers

MINUTES = 10
A_SECOND = 1000
"""Proofs that the clients of a busy installation send."""
MOST_ROWS = 200_000
MOST_GROWTH = 1.25
"""The middle answer of the last three minutes ÷ that of the first three."""
MEASURED = 3
"""Minutes at either end."""

_COUNT = "SELECT count(*) FROM seen_proof"


def replays(servers: Servers) -> list[Result]:
    """Send bound requests of a client_credentials grant at a steady rate, minute after minute."""
    ours = servers.ours
    request = ours.by_client("machine-es256", grant_type="client_credentials", scope="fast.read")
    name = servers.small.database.partition("@/")[2].partition("?")[0]
    where = f"host={servers.postgres.folder} user=postgres dbname={name}"
    script = partial(_bound, request, ours.url + ours.token)
    paced, at_once = partial(script, _paced(A_SECOND)), partial(script, itertools.repeat(None))
    rates: list[float] = []
    middles: list[float] = []
    rows: list[float] = []
    with psycopg.connect(where, autocommit=True) as connection:
        for _ in range(servers.plan.count(MINUTES)):
            rates.append(load.drive(ours.url, paced, 60).rate)
            middles.append(load.drive(ours.url, at_once, 1, connections=1).p50)
            rows += connection.execute(_COUNT).fetchone() or ()
    first, last = Figure(middles[:MEASURED]), Figure(middles[-MEASURED:])
    return [
        Result(
            figures={
                "proofs, per second": Figure(rates),
                "answer to a proof, ms": Figure(middles),
                "proofs that are kept, rows": Figure(rows),
            },
            bars=[
                at_most(f"proofs that are kept ÷ {MOST_ROWS}", max(rows) / MOST_ROWS, 1.0),
                at_most("answers, last minutes ÷ first", last.median / first.median, MOST_GROWTH),
            ],
        )
    ]


def _bound(request: Request, address: str, paced: Iterator[None]) -> Steps:
    proofs = Key().proofs("POST", address, ready=1)
    first = next(proofs)
    yield None
    for proof in itertools.chain([first], proofs):
        next(paced)
        (yield replace(request, headers={**request.headers, "DPoP": proof})).expect(200)
        yield None


def _paced(rate: int) -> Iterator[None]:
    """Return when the next request is due; of a delay, a tenth of a second is made up for."""
    due = time.perf_counter()
    while True:
        time.sleep(max(0.0, due - time.perf_counter()))
        yield
        due = max(due + 1 / rate, time.perf_counter() - 0.1)
