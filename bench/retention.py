"""Old audit events: how many are removed in a second, and what sign-ins lose meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg

from bench.cases import Target, measure, sign_in
from bench.load import Taken
from bench.measure import Figure, Result, at_least
from bench.removing import READY
from bench.servers import Servers
from bench.targets import Server
from idp.platform.audit.tags import Tag
from tests.servers import clean_environment

EVENTS = 150_000
"""More than are removed during a round."""
A_SECOND = 2000
"""Events that a busy installation writes in a second, and that must be removed in one."""

_FILL = """
    INSERT INTO audit_event (at, tag, user_id, client_id, tenant_id, request_id)
    SELECT now() - interval '200 days' + n * interval '1 second', %s, n, 'web', 1, md5(n::text)
    FROM generate_series(1, %s) n
    """
_COUNT = "SELECT count(*) FROM audit_event WHERE at < now() - interval '90 days'"


def retention(servers: Servers) -> list[Result]:
    """Sign in while old events are removed, and while they are not."""
    ours = servers.ours
    rates: list[float] = []
    case, alone, beside = "sign-in page", "alone", "while events are removed"
    result = measure(
        servers.plan,
        case,
        [
            Target(alone, partial(sign_in, ours)),
            Target(beside, partial(_sign_in_beside, servers, ours, rates)),
        ],
    )
    medians = (result.rows[f"{case}, {name}"]["per second"].median for name in (beside, alone))
    slowed = next(medians) / next(medians)
    result.figures = {"audit events removed, per second": Figure(rates)}
    result.bars = [
        at_least(f"audit events removed per second ÷ {A_SECOND}", min(rates) / A_SECOND, 1.0),
        at_least("sign-ins while events are removed ÷ alone", slowed, 0.9),
    ]
    return [result]


def _sign_in_beside(servers: Servers, ours: Server, rates: list[float]) -> Taken:
    name = servers.small.database.partition("@/")[2].partition("?")[0]
    where = f"host={servers.postgres.folder} user=postgres dbname={name}"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute(_FILL, (Tag.TOKEN_REFRESHED.value, EVENTS))
        with _removing(servers):
            before, started = _old(connection), time.monotonic()
            taken = sign_in(ours)
            rates.append((before - _old(connection)) / (time.monotonic() - started))
    return taken


def _old(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute(_COUNT).fetchone()
    return 0 if row is None else row[0]


@contextmanager
def _removing(servers: Servers) -> Iterator[None]:
    """Have another process remove old events, as the worker does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.removing"],
        env={**clean_environment(), **servers.small.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        if process.stdout.readline().strip() != READY:
            raise RuntimeError("the process that removes events did not start")
        yield
    finally:
        process.terminate()
        process.wait(20)
