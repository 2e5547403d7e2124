"""What answers scrapes: the counts of all processes, and what the database shows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from socket import socket

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp import __version__
from idp.config import Settings, SettingsError
from idp.platform import connections, metrics, steps
from idp.platform.jobs import service as jobs
from idp.platform.metrics import Sample
from idp.platform.metrics.declarations import (
    BUILD,
    DATABASE_UP,
    KEY_AGE,
    KEY_NEXT,
    KEY_ROTATION,
    OUTBOX_FAILED,
    OUTBOX_OLDEST,
    OUTBOX_OLDEST_FORMER,
    OUTBOX_WAITING,
    THROTTLE_UP,
)
from idp.platform.runtime import Runtime
from idp.platform.signing import service as signing
from idp.runtime import create as create_runtime
from idp.server import listeners

EVERY_SECONDS = 10.0
"""How often the database is asked at most, however often it is scraped."""
WAIT_SECONDS = 0.5
"""How long a scrape waits for that; what is not known by then is absent."""
DAY = 24 * 3600


def listen(address: str, *, name: str, overlap: bool = False) -> socket | None:
    """Open a listener at HOST:PORT; None: nothing is named. `name` says what to change."""
    if not address:
        return None
    try:
        host, port = metrics.parse_address(address)
        return listeners.listen(host, port, 1, overlap=overlap, otherwise="name another")[0]
    except (ValueError, listeners.InUseError) as error:
        message = f"{name}: {error}"
        raise SettingsError(message) from None


def observe(settings: Settings, listener: socket, folder: Path) -> None:
    """Answer scrapes until the process ends."""
    seconds = connections.METRICS_SECONDS
    observer = Observer(create_runtime(settings, role="metrics", seconds=seconds))
    metrics.serve(listener, folder, observer.gauges)


class Observer:
    """Remembers what the database showed last; a database that is frozen delays no scrape."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._look: threading.Thread | None = None
        self._looked_at = -math.inf
        self._found: list[Sample] = []
        self._constant = [
            (BUILD, (__version__, str(steps.number())), 1.0),
            (KEY_ROTATION, (), float(runtime.settings.key_rotation_days * DAY)),
        ]

    def gauges(self) -> Iterable[Sample]:
        """Return what is known; what was found too long ago is left out."""
        with self._lock:
            look = self._look
            is_due = time.monotonic() >= self._looked_at + EVERY_SECONDS
            if look is None or (is_due and not look.is_alive()):
                look = self._look = threading.Thread(target=self._read, daemon=True)
                look.start()
        look.join(WAIT_SECONDS)
        is_fresh = time.monotonic() < self._looked_at + 2 * EVERY_SECONDS
        return [*self._constant, *(self._found if is_fresh else [(DATABASE_UP, (), 0.0)])]

    def _read(self) -> None:
        found = [*_of_services(self._runtime)]
        try:
            with self._runtime.sessions() as session:
                found += [(DATABASE_UP, (), 1.0), *_of_outbox(session), *_of_keys(session)]
        except SQLAlchemyError:
            found.append((DATABASE_UP, (), 0.0))
        self._found, self._looked_at = found, time.monotonic()


def _of_services(runtime: Runtime) -> Iterator[Sample]:
    if runtime.settings.redis_url:
        yield THROTTLE_UP, (), float(runtime.throttle.is_reachable())


def _of_outbox(session: Session) -> Iterator[Sample]:
    lanes = jobs.lanes(session)
    for name, lane in lanes.items():
        yield OUTBOX_WAITING, (name,), lane.waiting
        yield OUTBOX_FAILED, (name,), lane.failed
        yield OUTBOX_OLDEST, (name,), lane.oldest_seconds
    oldest = max((lane.oldest_seconds for lane in lanes.values()), default=0.0)
    yield OUTBOX_OLDEST_FORMER, (), oldest


def _of_keys(session: Session) -> Iterator[Sample]:
    for alg, age in signing.ages(session).items():
        yield KEY_AGE, (alg,), age.seconds
        yield KEY_NEXT, (alg,), float(age.next_is_ready)
