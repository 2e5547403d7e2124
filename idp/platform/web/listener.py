"""granian with listening sockets that outlive its workers and lose no connection."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
from typing import Any

from granian.net import SocketSpec  # type: ignore[attr-defined]  # not in its stub
from granian.server.mp import MPServer, WorkerProcess

_SO_ATTACH_FILTER = 26  # Linux; Python names it not
# Classic BPF over the TCP header: drop what has SYN set and ACK not, let everything else in.
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # only SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # let in
)


class KeptListeners(MPServer):
    """A server with a listening socket for each worker, all of them kept open by the server.

    The kernel spreads connections over the sockets, so that no worker idles while another has
    taken them all. With sockets that only the workers hold, as granian does it on Linux, the queue
    of a worker that dies or stops is lost with it; here the next worker goes on with it.
    """

    def _init_shared_socket(self) -> None:
        spec = SocketSpec(self.bind_addr, self.bind_port, self.backlog)
        self._ssp = None
        self._sso: socket.socket | None = None
        self._holders: list[Any] = [spec.build() for _ in range(self.workers)]
        self._listeners = [socket.socket(fileno=holder.get_fd()) for holder in self._holders]
        for listener in self._listeners:
            listener.set_inheritable(True)

    def _spawn_worker(self, idx: int, *arguments: Any, **options: Any) -> WorkerProcess:
        self._shd: Any = self._holders[idx]
        return super()._spawn_worker(idx, *arguments, **options)

    def shutdown(self, exit_code: int = 0) -> None:
        """Let nobody new in, then let the workers finish."""
        for listener in self._listeners:
            refuse_connections(listener)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def refuse_connections(listener: socket.socket) -> None:
    """Drop new connections, while those that wait in the queue are still taken.

    Closing the socket would cut the queue off. A caller that is dropped asks again within a second
    and meets a closed port, or the next server.
    """
    if sys.platform != "linux":
        return
    program = b"".join(struct.pack("HBBI", *step) for step in _NO_NEW_CONNECTIONS)
    buffer = ctypes.create_string_buffer(program)
    descriptor = struct.pack("HL", len(_NO_NEW_CONNECTIONS), ctypes.addressof(buffer))
    # Some kernels keep filters from ordinary users: then a connection that comes in the very moment
    # of the end may be lost, but the end comes.
    with contextlib.suppress(PermissionError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, descriptor)
