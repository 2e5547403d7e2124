"""Each node records that it runs, and with which code."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp import __version__
from idp.platform import clock, steps
from idp.platform.db import insert
from idp.platform.releases.models import Node
from idp.platform.runtime import Runtime
from idp.platform.secrets import random_token

log = structlog.get_logger()

EVERY_SECONDS = 30
SEEN_SECONDS = 120
"""A node that was not seen for so long has stopped."""


def node_name() -> str:
    """Return a name for this process that no other process has, on any host."""
    return f"{socket.gethostname()[:30]}:{os.getpid()}:{random_token(6)}"


def keep_noted(runtime: Runtime, stop: threading.Event, name: str) -> None:
    """Record every half minute that a node runs, until `stop` is set."""
    while not stop.is_set():
        try:
            with runtime.sessions() as session:
                note(session, name)
                session.commit()
        except SQLAlchemyError as error:
            log.warning("node_not_noted", error=type(error).__name__)
        stop.wait(EVERY_SECONDS)


def start_noting(runtime: Runtime, stop: threading.Event, name: str) -> None:
    """Record beside everything else that a node runs."""
    threading.Thread(
        target=keep_noted, args=(runtime, stop, name), name="node", daemon=True
    ).start()


def note(session: Session, name: str) -> None:
    """Record that a node runs the code of this release."""
    values = {
        "release": __version__,
        "schema_number": steps.number(),
        "seen_at": clock.now(),
    }
    statement = insert(session, Node).values(name=name, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def running(session: Session, *, below: int | None = None) -> Sequence[Node]:
    """Return the nodes that were seen lately, or only those whose code has a lower number."""
    since = clock.now() - timedelta(seconds=SEEN_SECONDS)
    query = select(Node).where(Node.seen_at > since).order_by(Node.schema_number, Node.name)
    if below is not None:
        query = query.where(Node.schema_number < below)
    return session.scalars(query).all()
