"""Connections of threads: psycopg, with a limit of our own on each wait."""

from __future__ import annotations

import contextlib
import select
import time
from typing import Any

from psycopg import Connection, OperationalError, errors
from psycopg.rows import TupleRow
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError

from idp.platform.connections.budget import current
from idp.platform.connections.hosts import TIMELINE, Hosts

GONE = frozenset({"25006", "57P01", "57P02", "57P03"})
"""The server refuses to write, or goes away or has yet to come: another connection may do better.

A primary that was demoted keeps its connections, and refuses every write of theirs.
"""

ASK_SECONDS = 2
"""How long a host is asked whether it leads; libpq waits no less."""


class NoAnswerError(OperationalError):
    """The server did not answer in time."""

    is_timeout = True


class BoundedConnection(Connection[TupleRow]):
    """A connection that is closed when the server does not answer in time.

    A server that is frozen keeps its side of TCP alive, so no parameter of the driver ends a wait.
    """

    seconds: float | None = None
    troubles: int = 0
    """Troubles of the hosts before it was made."""
    is_used: bool = False
    """Whether it was taken from the pool before; one that was just made is never refused."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer as the driver does, but not for ever."""
        budget, started = current(), time.monotonic()
        limit = self.seconds if budget is None else budget.limit(self.seconds)
        try:
            return super().wait(gen, interval, limit if timeout is None else timeout)
        except errors._WaitTimeout:  # noqa: SLF001 - to be converted, as psycopg says of it
            if timeout is not None:
                raise
            # Not `close`, which would wait for the server again.
            self.pgconn.finish()
            message = f"connection closed: no answer within {limit:g} s"
            raise NoAnswerError(message) from None
        finally:
            if budget is not None:
                budget.spend(started)


def bound(engine: Engine, seconds: float | None, hosts: Hosts) -> None:
    """Make the connections of an engine wait so long at most, and leave servers that are gone."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _given: Any, parameters: dict[str, Any]) -> Any:
        return _connect(parameters, hosts, seconds)

    @event.listens_for(engine, "handle_error")
    def leave(context: ExceptionContext) -> None:
        _leave(context)
        if context.is_disconnect:
            hosts.note_trouble()

    @event.listens_for(engine, "checkout")
    def look(connection: BoundedConnection, _record: Any, _fairy: Any) -> None:
        if not connection.is_used:  # made for this request: if it was lost, its statement says so
            connection.is_used = True
            return
        if len(hosts.in_order) > 1 and connection.troubles != hosts.troubles:
            raise InvalidatePoolError
        _look(connection)


def _connect(parameters: dict[str, Any], hosts: Hosts, seconds: float | None) -> BoundedConnection:
    """Connect, to the host first that another connection reached last."""
    troubles = hosts.troubles
    if hosts.are_paused():
        message = "cannot connect: no host answered a moment ago"
        raise OperationalError(message)
    if hosts.in_order and "hostaddr" not in parameters:  # whose order would be another one
        names, ports = zip(*hosts.in_order, strict=True)
        parameters = parameters | {"host": ",".join(names), "port": ",".join(ports)}
    started = time.monotonic()
    try:
        connection = BoundedConnection.connect(**parameters)
        connection.seconds = seconds
        connection = _leading(connection, parameters, hosts)
    except OperationalError:
        hosts.gave_up(time.monotonic() - started)
        raise
    connection.seconds, connection.troubles = seconds, troubles
    hosts.settle(troubles)
    hosts.prefer(connection.info.host, str(connection.info.port))
    return connection


def _leading(
    connection: BoundedConnection, parameters: dict[str, Any], hosts: Hosts
) -> BoundedConnection:
    """Return a connection to the host on the latest timeline; others are closed."""
    if not hosts.is_in_doubt or "hostaddr" in parameters:
        return connection
    for name, port in hosts.behind(connection.info.host, str(connection.info.port)):
        place = {"host": name, "port": port, "connect_timeout": ASK_SECONDS}
        try:
            other = BoundedConnection.connect(**(parameters | place))
        except OperationalError:
            hosts.note_silence((name, port))
            continue
        other.seconds = ASK_SECONDS
        if _timeline(other) > _timeline(connection):
            connection, other = other, connection
        other.close()
    return connection


def _timeline(connection: BoundedConnection) -> str:
    """Return the timeline that a server writes; empty for one that does not lead."""
    try:
        row = connection.execute(TIMELINE).fetchone()
        return "" if row is None else str(row[0])
    except OperationalError:
        return ""
    finally:
        with contextlib.suppress(OperationalError):
            connection.rollback()


def _leave(context: ExceptionContext) -> None:
    """Close the connection and the idle ones beside it when its server is gone."""
    if getattr(context.original_exception, "sqlstate", None) in GONE:
        context.is_disconnect = True


def _look(connection: Connection[TupleRow]) -> None:
    """Take no connection that the server closed while nobody used it.

    It has nothing to say on an idle one but that, or that its parameters have changed.
    """
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if poll.poll(0):
        raise InvalidatePoolError
