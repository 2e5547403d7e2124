"""How we connect to PostgreSQL: parameters, limits and names, the same for both drivers."""

from __future__ import annotations

import socket
from typing import Any

import sqlalchemy
from sqlalchemy import URL, Engine, make_url

from idp.platform.connections.hosts import Hosts, known

THREAD_SECONDS = 10.0
"""How long a thread that answers a request waits for the database, or for a free connection."""
WORKER_SECONDS = 60.0
"""The same for jobs, whose statements may have more to do."""
METRICS_SECONDS = 2.0
"""The same for a scrape, which Prometheus gives up after ten seconds."""

CONNECT_SECONDS = 3
CONNECT_SECONDS_IN_ALL = 9
"""What all hosts of an address may take together, as far as two seconds for each allow it."""
LEAST_CONNECT_SECONDS = 2
"""Libpq waits no less."""

_KEEPALIVE = {
    "keepalives_idle": ("TCP_KEEPIDLE", 10),
    "keepalives_interval": ("TCP_KEEPINTVL", 3),
    "keepalives_count": ("TCP_KEEPCNT", 3),
    "tcp_user_timeout": ("TCP_USER_TIMEOUT", 5000),
}
"""Parameter of libpq → the option of a socket that it sets, and our default."""
_LONGEST_NAME = 63


def engine(
    database_url: str | URL,
    *,
    role: str = "command",
    prepare: bool = False,
    seconds: float | None = None,
    **options: Any,
) -> Engine:
    """Return an engine whose connections wait so many seconds for each answer; None: for ever."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return sqlalchemy.create_engine(url, **options)
    # SQLite has no use for the driver.
    from idp.platform.connections import threads  # noqa: PLC0415

    given = arguments(url, role=role)
    if not prepare:
        # Behind a pooler in transaction mode the next statement of a connection may reach another
        # server process.
        given["prepare_threshold"] = None
    made = sqlalchemy.create_engine(url, connect_args=given, **options)
    threads.bound(made, seconds, hosts(url))
    return made


def arguments(url: URL, *, role: str) -> dict[str, Any]:
    """Return our parameters of libpq that an address does not set itself."""
    number = len(hosts(url).in_order)
    limit = max(
        LEAST_CONNECT_SECONDS, min(CONNECT_SECONDS, CONNECT_SECONDS_IN_ALL // (number or 1))
    )
    ours: dict[str, Any] = {"connect_timeout": limit, "application_name": application_name(role)}
    ours |= {name: value for name, (_, value) in _KEEPALIVE.items()}
    if number > 1:
        ours["target_session_attrs"] = "read-write"
    return {name: value for name, value in ours.items() if name not in url.query}


def application_name(role: str) -> str:
    """Return the name that PostgreSQL shows for our sessions: what we do, and on which machine."""
    return f"idp {role} {socket.gethostname()}"[:_LONGEST_NAME]


def hosts(url: URL) -> Hosts:
    """Return the hosts of an address, in the order in which this process tries them."""
    _, parameters = url.get_dialect()().create_connect_args(url)
    return known(str(parameters.get("host", "")), str(parameters.get("port", "")))


def keep_alive(connected: socket.socket, parameters: dict[str, Any]) -> None:
    """Set on a socket what libpq sets on its own."""
    if connected.family == socket.AF_UNIX or str(parameters.get("keepalives", 1)) == "0":
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, (option, _) in _KEEPALIVE.items():
        number = getattr(socket, option, None)
        if number is not None and int(parameters[name]):
            connected.setsockopt(socket.IPPROTO_TCP, number, int(parameters[name]))
