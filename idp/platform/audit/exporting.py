"""The audit log as a file: read in short transactions, a page at a time, and written on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import COLUMNS, Filters, Position
from idp.platform.runtime import Runtime
from idp.platform.wire import csv_lines


def read(
    process: Runtime, filters: Filters, *, before: Position | None, last: Position | None
) -> Iterator[AuditEvent]:
    """Return events, the newest first, up to the one that stands at `last`."""
    while True:
        with process.sessions() as session:
            events = audit.search(session, filters, limit=audit.MAX_PAGE, before=before)
        for event in events:
            yield event
            if audit.position(event) == last:
                return
        if len(events) < audit.MAX_PAGE:
            return
        before = audit.position(events[-1])


def as_csv(events: Iterable[AuditEvent]) -> Iterable[str]:
    """Return lines of CSV, with the names of the columns first."""
    return csv_lines.lines(COLUMNS, ([getattr(row, name) for name in COLUMNS] for row in events))


def as_json_lines(events: Iterable[AuditEvent]) -> Iterable[str]:
    """Return a JSON object for each event, one on a line."""
    for event in events:
        row = {name: getattr(event, name) for name in COLUMNS}
        yield orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE).decode()
