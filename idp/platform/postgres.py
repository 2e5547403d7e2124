"""Statements of the event loop: asyncpg, without a thread or a transaction of several steps.

Each statement stands for itself and is committed at once, so a request that writes does it by one
statement (see `db.AtomicWrite`). Whatever goes wrong outside of us is answered with 503: a query
that met a lost connection is tried once more on a new one, a change never is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import asyncpg
import orjson
from sqlalchemy import URL, Engine
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.sqltypes import JSON

from idp.platform import connections, statements
from idp.platform.connections.budget import LEAST_SECONDS, Budget
from idp.platform.connections.hosts import TIMELINE, Host
from idp.platform.db import AtomicWrite, OnceWrite, Query, repeated
from idp.platform.errors import BadRequest, Unavailable
from idp.platform.gathered import Gathered
from idp.platform.metrics.counts import Counts
from idp.platform.metrics.declarations import DB_CONNECTIONS, DB_WAIT_SECONDS
from idp.platform.translation import N_

CONNECTIONS = 8
"""Statements that one worker has under way at a time."""
SECONDS = 5.0
"""How long a statement may take before its connection is given up."""
ADD_SECONDS = SECONDS / 2
"""The same for rows of several requests, which wait for the statement before theirs as well."""
WAIT_SECONDS = 5.0
"""How long a statement waits for a free connection and for a new one, together."""
ASK_SECONDS = 1.0
"""How long another host is asked whether it leads."""
RETRY_SECONDS = 1
DEFAULT_PORT = 5432

_CLIENT_ONLY = frozenset(
    {
        *("connect_timeout", "tcp_user_timeout", "keepalives", "keepalives_idle"),
        *("keepalives_interval", "keepalives_count", "gssencmode", "channel_binding"),
        *("fallback_application_name", "client_encoding", "load_balance_hosts"),
        *("host", "port"),
    }
)
"""Parameters of an address that libpq keeps to itself; asyncpg would send them to the server."""

_PASSING = (
    asyncpg.PostgresConnectionError,  # 08
    asyncpg.OperatorInterventionError,  # 57: cancelled, shut down, starting up
    asyncpg.InsufficientResourcesError,  # 53
    asyncpg.TransactionRollbackError,  # 40: deadlock, serialization
    asyncpg.LockNotAvailableError,  # 55P03
    asyncpg.ReadOnlySQLTransactionError,  # 25006: a primary that was demoted
    asyncpg.IntegrityConstraintViolationError,  # 23: a row that is referred to was deleted
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Failures that say nothing about the statement."""

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""Failures after which another connection may do better, but for TimeoutError, an OSError too."""


class _Prepared:
    """A statement in the words of PostgreSQL, and how its values and columns are converted."""

    def __init__(self, statement: Query) -> None:
        dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - only such have binds
        self.text = str(compiled)
        self._names: list[str] = list(compiled.positiontup or ())
        self._constants = {
            name: value
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        }
        self._json = [
            position
            for position, name in enumerate(self._names)
            if isinstance(compiled.binds[name].type, JSON)
        ]
        columns: Any = compiled.statement
        self._json_columns = [
            position
            for position, column in enumerate(columns.selected_columns)
            if isinstance(column.type, JSON)
        ]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """Return the arguments of the statement, in its order."""
        constants = self._constants
        values = [given[name] if name in given else constants[name] for name in self._names]
        for position in self._json:
            values[position] = orjson.dumps(values[position]).decode()
        return values

    def row(self, found: Sequence[Any]) -> Sequence[Any]:
        """Return a row as Python's values."""
        row = list(found)
        for position in self._json_columns:
            text = row[position]
            row[position] = None if text is None else orjson.loads(text)
        return row


class Pool:
    """The connections that one event loop has to PostgreSQL."""

    def __init__(
        self,
        engine: Engine,
        *,
        prepare: bool = True,
        counts: Counts | None = None,
        slow_seconds: float = statements.SLOW_SECONDS,
    ) -> None:
        self._counts = counts or Counts()
        self._counts.sources.append(self._report)
        self._slow_seconds = slow_seconds
        self._parameters = parameters(engine.url)
        self._hosts = connections.hosts(engine.url)
        self._arguments = connect_arguments(engine.url, self._parameters)
        self._prepare = prepare
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[asyncpg.Connection[asyncpg.Record] | None]] = deque()
        """The one that waits longest is handed the next connection, or None: may open one."""
        self._prepared: dict[Query, _Prepared] = {}
        self._gathered: dict[OnceWrite, Gathered] = {}
        self._troubles = 0

    async def rows(
        self, query: Query, given: Mapping[str, Any], budget: Budget | None = None
    ) -> list[Sequence[Any]]:
        """Execute a query; Unavailable when the database does not answer.

        Without the budget of a request the query has one of its own.
        """
        budget = budget or Budget()
        prepared = self._prepare_once(query)
        values = prepared.values(given)
        try:
            try:
                found = await self._execute(prepared, values, budget)
            except TimeoutError:  # another connection would only wait as long
                raise
            except _LOST as error:
                statements.count_failure(self._counts, error)
                found = await self._execute(prepared, values, budget)
        except _PASSING as error:
            raise self._failed(error) from error
        except asyncpg.DataError as error:
            raise _out_of_range(error) from error
        return [prepared.row(row) for row in found]

    async def write(
        self, change: AtomicWrite, given: Mapping[str, Any], budget: Budget | None = None
    ) -> Sequence[Any] | None:
        """Execute a change that commits itself, and return its row: the id and what was found.

        Unavailable when it was not done, and also when that is not known. RepeatedError when what
        happens once was there already.
        """
        prepared = self._prepare_once(change.statement)
        try:
            values = prepared.values(change.complete(given))
            found = await self._execute(prepared, values, budget or Budget())
        except asyncpg.UniqueViolationError as error:
            raise repeated(error.table_name) or self._failed(error) from error
        except _PASSING as error:
            raise self._failed(error) from error
        except asyncpg.DataError as error:
            raise _out_of_range(error) from error
        return prepared.row(found[0]) if found else None

    async def write_once(
        self, change: OnceWrite, given: Mapping[str, Any], budget: Budget | None = None
    ) -> None:
        """Write a row of what happens once, by one statement with those of other requests.

        RepeatedError when it was there already; Unavailable as in `write`.
        """
        gathered = self._gathered.get(change)
        if gathered is None:
            gathered = self._gathered[change] = Gathered(change, partial(self._add, change))
        budget = budget or Budget()
        started = time.monotonic()
        try:
            await gathered.write(given)
        except _PASSING as error:
            raise unavailable(error) from error
        finally:
            budget.spend(started)

    async def _add(self, change: OnceWrite, columns: Mapping[str, Any]) -> Collection[Any]:
        """Write rows; return the keys of those that were not there."""
        prepared = self._prepare_once(change.together)
        try:
            found = await self._execute(prepared, prepared.values(columns), Budget(ADD_SECONDS))
        except _PASSING as error:
            statements.count_failure(self._counts, error)
            raise
        return {row[0] for row in found}

    def text_of(self, statement: Query) -> str:
        """Return a statement in the words of PostgreSQL, without its values."""
        return self._prepare_once(statement).text

    def close(self) -> None:
        """Close what is open and not in use, at once."""
        for connection in self._idle:
            connection.terminate()
        self._open -= len(self._idle)
        self._idle.clear()

    def _failed(self, error: BaseException) -> Unavailable:
        statements.count_failure(self._counts, error)
        return unavailable(error)

    def _report(self, counts: Counts) -> None:
        idle = len(self._idle)
        counts.set(DB_CONNECTIONS, idle, "loop", "idle")
        counts.set(DB_CONNECTIONS, self._open - idle, "loop", "busy")

    def _prepare_once(self, statement: Query) -> _Prepared:
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = _Prepared(statement)
        return prepared

    async def _execute(
        self, prepared: _Prepared, values: list[Any], budget: Budget
    ) -> list[asyncpg.Record]:
        started = time.monotonic()
        try:
            connection = await self._take(budget.limit(WAIT_SECONDS))
        finally:
            budget.spend(started)
        started = time.monotonic()
        try:
            limit = budget.limit(SECONDS)
            found: list[asyncpg.Record]
            if self._prepare:
                found = await connection.fetch(prepared.text, *values, timeout=limit)
                return found
            return await _fetch_in_transaction(connection, prepared.text, values, limit)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if isinstance(error, _LOST):
                self._hosts.note_trouble()
                connection.terminate()
            raise
        except BaseException as error:
            # Timed out, cancelled or cut: what it would answer to the next one is unknown.
            if isinstance(error, OSError):
                self._hosts.note_trouble()
            connection.terminate()
            raise
        finally:
            seconds = time.monotonic() - started
            if seconds >= self._slow_seconds:
                statements.log_slow("loop", prepared.text, seconds)
            budget.spend(started)
            self._put_back(connection)

    async def _take(self, seconds: float) -> asyncpg.Connection[asyncpg.Record]:
        """Return a free connection, or a new one, within so many seconds."""
        ends_at = time.monotonic() + seconds
        if self._troubles != self._hosts.troubles and len(self._hosts.in_order) > 1:
            self.close()  # they may lead to a primary that was replaced
            self._troubles = self._hosts.troubles
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        started = time.perf_counter()
        try:
            return await self._wait_for_one(ends_at)
        finally:
            self._counts.observe(DB_WAIT_SECONDS, time.perf_counter() - started, "loop")

    async def _wait_for_one(self, ends_at: float) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection, or wait for one that others return, until a moment of the clock."""
        seconds = max(LEAST_SECONDS, ends_at - time.monotonic())
        if self._open < CONNECTIONS:
            self._open += 1
            return await self._connect(seconds)
        handed = await self._turn(seconds)
        if handed is None or handed.is_closed():
            return await self._connect(max(LEAST_SECONDS, ends_at - time.monotonic()))
        return handed

    async def _connect(self, seconds: float) -> asyncpg.Connection[asyncpg.Record]:
        """Open a connection, which is counted already."""
        try:
            # Its time limits work in a task only, and requests begin outside of one.
            return await asyncio.get_running_loop().create_task(self._reach(seconds))
        except BaseException:
            self._hand_on(None)
            raise

    async def _reach(self, seconds: float) -> asyncpg.Connection[asyncpg.Record]:
        """Connect to the first host that answers and may be used."""
        if self._hosts.are_paused():
            message = "no host answered a moment ago"
            raise ConnectionError(message)
        started = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                return await self._reach_leading(list(self._hosts.in_order))
        except _PASSING:
            self._hosts.gave_up(time.monotonic() - started)
            raise

    async def _reach_leading(self, hosts: list[Host]) -> asyncpg.Connection[asyncpg.Record]:
        """Connect to the host that leads; in doubt, to the one on the latest timeline."""
        troubles = self._hosts.troubles
        if not hosts:
            return await self._connect_to(None)
        if self._hosts.is_in_doubt and len(hosts) > 1:
            connection, host = await self._latest(hosts)
        else:
            connection, host = await self._first(hosts)
        self._hosts.settle(troubles)
        self._hosts.prefer(*host)
        return connection

    async def _first(self, hosts: list[Host]) -> tuple[asyncpg.Connection[asyncpg.Record], Host]:
        for host in hosts[:-1]:
            try:
                return await self._connect_to(host), host
            except _PASSING:
                self._hosts.note_silence(host)
        return await self._connect_to(hosts[-1]), hosts[-1]

    async def _latest(self, hosts: list[Host]) -> tuple[asyncpg.Connection[asyncpg.Record], Host]:
        connection, host = await self._first(hosts)
        timeline = await _timeline(connection)
        for other in self._hosts.worth_asking(hosts[hosts.index(host) + 1 :]):
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    asked = await self._connect_to(other)
                    found = await _timeline(asked)
            except (asyncpg.PostgresError, *_PASSING):
                self._hosts.note_silence(other)
                continue
            if found > timeline:
                asked, connection, host, timeline = connection, asked, other, found
            asked.terminate()
        return connection, host

    async def _connect_to(self, host: Host | None) -> asyncpg.Connection[asyncpg.Record]:
        place = {} if host is None else {"host": host[0], "port": int(host[1] or DEFAULT_PORT)}
        limit = int(self._parameters["connect_timeout"])
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            **self._arguments,
            **place,
            timeout=limit if limit > 0 else None,
            command_timeout=SECONDS,
            statement_cache_size=100 if self._prepare else 0,
        )
        connected = connection._transport.get_extra_info("socket")  # noqa: SLF001 - no public way
        connections.keep_alive(connected, self._parameters)
        return connection

    async def _turn(self, seconds: float) -> asyncpg.Connection[asyncpg.Record] | None:
        """Wait for a connection that others return; None: one may be opened."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[asyncpg.Connection[asyncpg.Record] | None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(seconds, _expire, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on(turn.result())
            raise
        finally:
            timer.cancel()

    def _put_back(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        if connection.is_closed():
            self.close()  # the others went away with it, most likely
            self._hand_on(None)
        else:
            self._hand_on(connection)

    def _hand_on(self, connection: asyncpg.Connection[asyncpg.Record] | None) -> None:
        """Hand a connection, or the right to open one, to the one that waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return
        if connection is None:
            self._open -= 1
        else:
            self._idle.append(connection)


async def _timeline(connection: asyncpg.Connection[asyncpg.Record]) -> str:
    """Return the timeline that a server writes; one that does not answer is left."""
    try:
        async with connection.transaction():  # behind a pooler, both belong together
            return str(await connection.fetchval(TIMELINE))
    except asyncpg.PostgresError:  # a standby, where the address allows that
        return ""
    except BaseException:
        connection.terminate()
        raise


def _expire(turn: asyncio.Future[Any]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError("no connection to the database is free"))


async def _fetch_in_transaction(
    connection: asyncpg.Connection[asyncpg.Record], text: str, values: list[Any], seconds: float
) -> list[asyncpg.Record]:
    """Execute a statement that is not prepared.

    A pooler may change the server between two messages that belong together, unless they stand in
    a transaction. The way out of it waits for the server again: the limit is for all of it.
    """
    loop = asyncio.get_running_loop()
    timer = loop.call_later(seconds, connection.terminate)
    try:
        async with connection.transaction():
            found: list[asyncpg.Record] = await connection.fetch(text, *values)
            return found
    except _LOST as error:
        if loop.time() >= timer.when():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


def parameters(url: URL) -> dict[str, Any]:
    """Return the parameters of an address, and ours where it has none."""
    return {**url.query, **connections.arguments(url, role="serve")}


def connect_arguments(url: URL, given: Mapping[str, Any]) -> dict[str, Any]:
    """Translate an address and its parameters for asyncpg; hosts are named one by one."""
    kept = {name: value for name, value in given.items() if name not in _CLIENT_ONLY}
    dsn = url.set(drivername="postgresql", query=kept)
    return {"dsn": dsn.render_as_string(hide_password=False)}


def unavailable(error: BaseException) -> Unavailable:
    """Return the refusal of what the database did not do."""
    return Unavailable(
        N_("The database does not answer; try again"),
        debug=f"{type(error).__name__}: {error}",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _out_of_range(error: Exception) -> BadRequest:
    return BadRequest(N_("A value is out of range"), debug=type(error).__name__)
