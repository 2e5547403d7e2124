"""Connections of threads: psycopg, with a limit of our own on each wait."""

from __future__ import annotations

import select
import time
from typing import Any

from psycopg import Connection, OperationalError, errors
from psycopg.rows import TupleRow
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError

from idp.platform.connections.hosts import known

GONE = frozenset({"25006", "57P01", "57P02", "57P03"})
"""The server refuses to write, or goes away or has yet to come: another connection may do better.

A primary that was demoted keeps its connections, and refuses every write of theirs.
"""


class NoAnswerError(OperationalError):
    """The server did not answer in time."""

    is_timeout = True


class BoundedConnection(Connection[TupleRow]):
    """A connection that is closed when the server does not answer in time.

    A server that is frozen keeps its side of TCP alive, so no parameter of the driver ends a wait.
    """

    seconds: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer as the driver does, but not for ever."""
        try:
            return super().wait(gen, interval, self.seconds if timeout is None else timeout)
        except errors._WaitTimeout:  # noqa: SLF001 - to be converted, as psycopg says of it
            if timeout is not None:
                raise
            # Not `close`, which would wait for the server again.
            self.pgconn.finish()
            message = f"connection closed: no answer within {self.seconds:g} s"
            raise NoAnswerError(message) from None


def bound(engine: Engine, seconds: float | None) -> None:
    """Make the connections of an engine wait so long at most, and leave servers that are gone."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _given: Any, parameters: dict[str, Any]) -> Any:
        connection = _connect(parameters)
        connection.seconds = seconds
        return connection

    event.listen(engine, "handle_error", _leave)
    event.listen(engine, "checkout", _look)


def _connect(parameters: dict[str, Any]) -> BoundedConnection:
    """Connect, to the host first that another connection reached last."""
    hosts = known(str(parameters.get("host", "")), str(parameters.get("port", "")))
    if hosts.are_paused():
        message = "cannot connect: no host answered a moment ago"
        raise OperationalError(message)
    if hosts.in_order and "hostaddr" not in parameters:  # whose order would be another one
        names, ports = zip(*hosts.in_order, strict=True)
        parameters = parameters | {"host": ",".join(names), "port": ",".join(ports)}
    started = time.monotonic()
    try:
        connection = BoundedConnection.connect(**parameters)
    except OperationalError:
        hosts.gave_up(time.monotonic() - started)
        raise
    hosts.prefer(connection.info.host, str(connection.info.port))
    return connection


def _leave(context: ExceptionContext) -> None:
    """Close the connection and the idle ones beside it when its server is gone."""
    if getattr(context.original_exception, "sqlstate", None) in GONE:
        context.is_disconnect = True


def _look(connection: Connection[TupleRow], _record: Any, _fairy: Any) -> None:
    """Take no connection that the server closed while nobody used it.

    It has nothing to say on an idle one but that, or that its parameters have changed.
    """
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError
