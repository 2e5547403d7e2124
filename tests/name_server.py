"""A small name server on loopback, which answers questions for TXT records."""

from __future__ import annotations

import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class NameServer:
    """Answers with its `records`, else with what `find` knows; a name of neither does not exist."""

    def __init__(self) -> None:
        self.records: defaultdict[str, list[str]] = defaultdict(list)
        self.find: Callable[[str], list[str]] = lambda _name: []
        self.queries: list[str] = []
        self.before: Callable[[], None] = lambda: None
        """Done before each answer."""
        self.is_silent = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(4096)
            if not wire:
                return
            query = dns.message.from_wire(wire)
            (question,) = query.question
            name = question.name.to_text().removesuffix(".")
            self.queries.append(name)
            self.before()
            if self.is_silent:
                continue
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AA
            texts = self.records.get(name) or self.find(name)
            if texts:
                quoted = [f'"{text}"' for text in texts]
                response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", *quoted))
            else:
                response.set_rcode(dns.rcode.NXDOMAIN)
            self._socket.sendto(response.to_wire(max_size=65535), client)
