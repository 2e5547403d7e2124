"""A network that is slow or silent: a proxy between a node and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port

SIZE = 65536


class Network:
    """Hands on what passes, later or not at all."""

    def __init__(self, target: Path) -> None:
        self.port = free_port()
        self.delay_seconds = 0.0
        self.is_silent = False
        """Whether whatever is sent gets lost, as behind a router that drops packets."""
        self._target = target

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Take connections until the end."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        ready.set()
        async with server:
            await stop.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_unix_connection(str(self._target))
            await asyncio.gather(self._hand_on(reader, back), self._hand_on(there, writer))

    async def _hand_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Hand on one direction; an end of it is lost as well while nothing passes."""
        try:
            while data := await source.read(SIZE):
                await asyncio.sleep(self.delay_seconds)
                if not self.is_silent:
                    target.write(data)
                    await target.drain()
        finally:
            target.close()


@contextmanager
def network(target: Path) -> Iterator[Network]:
    """Run a proxy in front of the socket of a PostgreSQL, in a thread of its own."""
    between, ready = Network(target), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(between.serve(ready, stop),), daemon=True
    )
    thread.start()
    assert ready.wait(10)
    try:
        yield between
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
