"""Rows of what happens once, of many requests in one statement.

What has arrived by the time that a statement is sent goes with it, and what comes while it is under
way goes with the next one. So requests that come one by one wait for nothing, and under load a
statement serves several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from idp.platform.db import OnceWrite, RepeatedError

MOST_ROWS = 32
"""With so many rows a statement is sent, whatever else has arrived."""

Row = tuple[Mapping[str, Any], asyncio.Future[bool]]
"""Its values, and whether it was new."""


class Gathered:
    """The rows of one kind that requests of an event loop are about to write.

    `add` writes rows, given as a list for each column, and returns the keys of those that are new.
    """

    def __init__(
        self, change: OnceWrite, add: Callable[[Mapping[str, Any]], Awaitable[Collection[Any]]]
    ) -> None:
        self._key = change.key
        self._columns = change.columns
        self._add = add
        self._waiting: dict[Any, Row] = {}
        self._task: asyncio.Task[None] | None = None

    async def write(self, values: Mapping[str, Any]) -> None:
        """Write a row; RepeatedError when it was there, what `add` raised when it failed."""
        key = values[self._key]
        if key in self._waiting:
            raise RepeatedError
        loop = asyncio.get_running_loop()
        is_new: asyncio.Future[bool] = loop.create_future()
        self._waiting[key] = values, is_new
        if self._task is None:
            self._task = loop.create_task(self._work())
        if not await is_new:
            raise RepeatedError

    async def _work(self) -> None:
        """Write what waits until nothing does."""
        try:
            while self._waiting:
                await self._wait_for_arrived()
                # In one order: two workers that write the same rows do not wait in a circle.
                rows = [row for _, row in sorted(self._waiting.items()) if not row[1].done()]
                self._waiting.clear()
                await self._write(rows)
        finally:
            self._task = None

    async def _wait_for_arrived(self) -> None:
        """Wait while the loop takes requests that have arrived, for as long as they bring rows."""
        number = 0
        while number < len(self._waiting) < MOST_ROWS:
            number = len(self._waiting)
            await asyncio.sleep(0)

    async def _write(self, rows: Collection[Row]) -> None:
        columns = {name: [values[name] for values, _ in rows] for name in self._columns}
        try:
            added = await self._add(columns)
        except Exception as error:  # noqa: BLE001 - it belongs to those that wait
            for _, is_new in rows:
                if not is_new.done():
                    is_new.set_exception(error)
        else:
            for values, is_new in rows:
                if not is_new.done():
                    is_new.set_result(values[self._key] in added)
