"""Statements of hot paths on the event loop: psycopg without a thread, pool or transaction between.

Each statement stands for itself and is committed at once, so a request that writes does it by one
statement (see `db.Together`). Queries that fail are left to a thread, whose own connection tells
what is wrong; only a write whose end is not known is answered with 503.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready, Wait
from sqlalchemy import Engine, Executable
from sqlalchemy.sql.compiler import SQLCompiler

from idp.platform.at_once import NeedsThreadError
from idp.platform.cooperative import wait
from idp.platform.errors import Unavailable

T = TypeVar("T")

CONNECTIONS = 8
"""Statements that one worker has under way at a time."""
SECONDS = 10.0
"""How long a statement may take before its connection is given up."""
LOOK_SECONDS = 0.2
"""How often a socket is looked at that the loop says nothing about."""

Processor = Callable[[Any], Any]


class _Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose answers are waited for on the event loop."""

    _loop: asyncio.AbstractEventLoop | None = None
    """The loop that watches the socket."""
    _descriptor = -1
    _waiter: asyncio.Future[Ready] | None = None
    _look: asyncio.TimerHandle

    def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:  # noqa: ARG002 - psycopg's own arguments
        """Drive what psycopg does between two waits."""
        try:
            state = next(gen)
            while True:
                state = gen.send(self._ready(state))
        except StopIteration as end:
            found: T = end.value
            return found
        except BaseException:
            # Lost, or left by somebody in the middle of an answer: nobody can use it any more.
            if self.closed or self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise

    def close(self) -> None:
        """Close it; the loop lets the socket go first, before its number may be another's."""
        self._unwatch()
        super().close()

    def _ready(self, state: Wait) -> Ready:
        """Wait until the socket can be read or written, as psycopg asks."""
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        if self._loop is not loop:
            # It stays: watching a socket anew for every answer costs more than the answer.
            self._unwatch()
            self._loop, self._descriptor = loop, self.pgconn.socket
            loop.add_reader(self._descriptor, self._settle, Ready.R)
        if state & Wait.W:
            loop.add_writer(self._descriptor, self._settle, Ready.W)
        self._look = loop.call_later(LOOK_SECONDS, self._look_at, waiter, loop.time() + SECONDS)
        try:
            ready: Ready = wait(waiter)
        finally:
            self._look.cancel()
            self._waiter = None
            if state & Wait.W:
                loop.remove_writer(self._descriptor)
        return ready

    def _settle(self, value: Ready) -> None:
        if self._waiter is None:
            # Nobody asked: an event that comes late, or the server hangs up.
            if self._is_readable():
                self.close()
        elif not self._waiter.done():
            self._waiter.set_result(value)

    def _look_at(self, waiter: asyncio.Future[Ready], end: float) -> None:
        """Find out what the loop does not tell: uvloop calls nobody for a socket that failed."""
        if waiter.done() or self._loop is None:
            return
        if self._is_readable():
            self._unwatch()
            waiter.set_result(Ready.R)
        elif self._loop.time() >= end:
            waiter.set_exception(TimeoutError())
        else:
            self._look = self._loop.call_later(LOOK_SECONDS, self._look_at, waiter, end)

    def _is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def _unwatch(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)
        self._loop = None


class _Prepared:
    """A statement in the words of PostgreSQL, and how its values and columns are converted."""

    def __init__(self, statement: Executable, engine: Engine) -> None:
        dialect = engine.dialect
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - only such have binds
        self.text = str(compiled)
        self.constants = {
            name: value
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        }
        self.binds: list[tuple[str, Processor]] = []
        for name in compiled.params:
            processor = compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)
            if processor is not None:
                self.binds.append((name, processor))
        columns: Any = compiled.statement
        self.columns: list[tuple[int, Processor]] = []
        for position, column in enumerate(columns.selected_columns):
            processor = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if processor is not None:
                self.columns.append((position, processor))

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Convert what is handed to the database."""
        values = {**self.constants, **given}
        for name, processor in self.binds:
            values[name] = processor(values[name])
        return values

    def row(self, found: tuple[Any, ...]) -> Sequence[Any]:
        """Convert what came from the database."""
        if not self.columns:
            return found
        row = list(found)
        for position, processor in self.columns:
            row[position] = processor(row[position])
        return row


class Direct:
    """The connections that one event loop has to PostgreSQL."""

    def __init__(self, engine: Engine, *, prepare: bool) -> None:
        self._engine = engine
        self._prepare = prepare
        self._idle: list[_Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._prepared: dict[Executable, _Prepared] = {}

    def rows(self, statement: Executable, given: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Execute a query; NeedsThreadError when it cannot be answered here."""
        try:
            return self._execute(statement, given)
        except psycopg.ProgrammingError:  # a mistake of ours
            raise
        except (psycopg.Error, TimeoutError) as error:
            raise NeedsThreadError from error

    def write(self, statement: Executable, given: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Execute a change that commits itself, and give what it returns.

        NeedsThreadError when surely nothing was changed, Unavailable when that is not known.
        """
        try:
            return self._execute(statement, given)
        except psycopg.ProgrammingError:
            raise
        except (psycopg.IntegrityError, psycopg.DataError) as error:
            raise NeedsThreadError from error
        except (psycopg.Error, TimeoutError) as error:
            raise Unavailable(debug=str(error)) from error

    def close(self) -> None:
        """Close what is open and not in use."""
        for connection in self._idle:
            connection.close()
        self._open -= len(self._idle)
        self._idle.clear()

    def _execute(self, statement: Executable, given: Mapping[str, Any]) -> list[Sequence[Any]]:
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = _Prepared(statement, self._engine)
        values = prepared.values(given)
        connection = self._take()
        try:
            found = connection.execute(prepared.text, values, prepare=self._prepare).fetchall()
        finally:
            self._give_back(connection)
        return [prepared.row(row) for row in found]

    def _take(self) -> _Connection:
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed:
                    return connection
                self._open -= 1
            loop = asyncio.get_running_loop()
            if self._open < CONNECTIONS:
                self._open += 1
                try:
                    return wait(loop.run_in_executor(None, self._connect))
                except BaseException:
                    self._lost()
                    raise
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            wait(turn)

    def _give_back(self, connection: _Connection) -> None:
        if connection.closed:
            self.close()  # the others went away with it, most likely
            self._lost()
            return
        self._idle.append(connection)
        self._next()

    def _lost(self) -> None:
        self._open -= 1
        self._next()

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _connect(self) -> _Connection:
        """Connect, on a thread."""
        dialect = self._engine.dialect
        arguments, named = dialect.create_connect_args(self._engine.url)
        named = {**named, "autocommit": True}
        return _Connection.connect(*arguments, **named)
