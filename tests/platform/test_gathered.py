"""Rows that several requests write together."""

from __future__ import annotations

import asyncio

import pytest

from idp.oauth.dpop.once import _SEE
from idp.platform.db import RepeatedError
from idp.platform.gathered import MOST_ROWS, Gathered
from tests.flows.test_loop import on_a_loop

pytestmark = pytest.mark.no_database


class Table:
    """Stands for the database: knows what was written, and answers when it is let."""

    def __init__(self):
        self.statements, self.known = [], set()
        self.may_answer = asyncio.Event()
        self.failure = None

    async def add(self, columns):
        keys = columns["key_hash"]
        self.statements.append(keys)
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        added = set(keys) - self.known
        self.known |= added
        return added


def written(gathered, *keys):
    writes = (gathered.write({"key_hash": key, "expires_at": None}) for key in keys)
    return asyncio.gather(*writes, return_exceptions=True)


def kinds(results):
    return [None if result is None else type(result) for result in results]


def test_what_comes_during_a_statement_goes_with_the_next_one():
    async def run():
        table = Table()
        gathered = Gathered(_SEE, table.add)
        first = written(gathered, b"c", b"a", b"b")
        await asyncio.sleep(0.01)
        second = written(gathered, b"f", b"a", b"e")
        await asyncio.sleep(0.01)
        table.may_answer.set()
        assert kinds(await first) == [None, None, None]
        assert kinds(await second) == [None, RepeatedError, None]
        # In one order, so that two workers never wait for each other.
        assert table.statements == [[b"a", b"b", b"c"], [b"a", b"e", b"f"]]
        assert kinds(await written(gathered, b"g", b"g")) == [None, RepeatedError]

    on_a_loop(run())


def test_what_has_arrived_when_a_statement_is_sent_goes_with_it():
    async def run():
        table = Table()
        table.may_answer.set()
        gathered = Gathered(_SEE, table.add)
        # Each is found by the loop when it has taken the one before.
        writes = [written(gathered, b"a")]
        for key in (b"b", b"c"):
            await asyncio.sleep(0)
            writes.append(written(gathered, key))
        assert [kinds(await each) for each in writes] == [[None]] * 3
        assert table.statements == [[b"a", b"b", b"c"]]

    on_a_loop(run())


def test_a_statement_does_not_wait_for_ever_for_what_arrives():
    async def run():
        table = Table()
        table.may_answer.set()
        gathered = Gathered(_SEE, table.add)
        writes = []
        for number in range(MOST_ROWS * 2):
            writes.append(written(gathered, number.to_bytes(2, "big")))
            await asyncio.sleep(0)
        await asyncio.gather(*writes)
        assert len(table.statements) > 1
        assert all(len(keys) <= MOST_ROWS + 1 for keys in table.statements)

    on_a_loop(run())


def test_a_failed_statement_fails_for_those_alone_whose_rows_it_has():
    async def run():
        table = Table()
        gathered = Gathered(_SEE, table.add)
        table.failure = ConnectionError("gone")
        first = written(gathered, b"a", b"b")
        await asyncio.sleep(0.01)
        table.may_answer.set()
        assert kinds(await first) == [ConnectionError, ConnectionError]
        table.failure = None
        assert kinds(await written(gathered, b"a", b"b")) == [None, None]

    on_a_loop(run())


def test_a_request_that_went_away_leaves_the_others_alone():
    async def run():
        table = Table()
        gathered = Gathered(_SEE, table.add)
        first = written(gathered, b"a")
        await asyncio.sleep(0.01)
        gone, other = written(gathered, b"b"), written(gathered, b"c")
        await asyncio.sleep(0.01)
        gone.cancel()
        table.may_answer.set()
        assert kinds(await first) == kinds(await other) == [None]
        assert table.statements == [[b"a"], [b"c"]]

    on_a_loop(run())
