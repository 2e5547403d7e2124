"""What was used lately: noted in memory, taken once a minute to be written.

Noting costs no statement, so that it may happen in requests that are answered without any.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime

from idp.platform import clock

EVERY_SECONDS = 60.0

Use = tuple[str, int]
"""Kind and id of a row."""


class RecentUses:
    """Rows that were used since the last time, each with the moment of its last use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Use, datetime] = {}
        self._due = time.monotonic() + EVERY_SECONDS

    def note(self, kind: str, row_id: int) -> None:
        """Note that a row was used now."""
        with self._lock:
            self._seen[kind, row_id] = clock.now()

    def is_due(self) -> bool:
        """Return whether uses wait that are a minute old."""
        return bool(self._seen) and time.monotonic() >= self._due

    def take(self) -> Mapping[Use, datetime]:
        """Return what was noted, which is then forgotten here."""
        with self._lock:
            taken, self._seen = self._seen, {}
            self._due = time.monotonic() + EVERY_SECONDS
        return taken
