"""Listening sockets: one for each worker, all of them kept by the server, and who may have them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

from sqlalchemy import make_url

from idp.config import Settings

BACKLOG = 1024

_SO_ATTACH_FILTER = 26  # Linux; Python names it not
# Classic BPF over the TCP header: drop what has SYN set and ACK not, let everything else in.
_NO_NEW_CONNECTIONS = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # only SYN?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # let in
)


class InUseError(Exception):
    """An address or a database is in use by another process; the message says what to do."""


def listen(
    host: str, port: int, count: int, *, overlap: bool, otherwise: str
) -> list[socket.socket]:
    """Open so many sockets on one address, between which the kernel spreads connections.

    Without `overlap` no other server may listen there; `otherwise` says how to choose
    another address.
    """
    try:
        if not overlap:
            # Sockets that share a port let any process of the same user join: ask without sharing.
            with _bound(host, port, shared=False) as probe:
                probe.listen()
        listeners = [_bound(host, port, shared=True) for _ in range(count)]
        for listener in listeners:
            listener.listen(BACKLOG)
    except OSError as error:
        reason = (
            "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        )
        message = f"{host}:{port} {reason}; {otherwise}"
        raise InUseError(message) from None
    return listeners


def claim_database(settings: Settings, *, overlap: bool) -> int | None:
    """Keep other servers off an embedded database for as long as the descriptor stays open.

    PostgreSQL is made for several servers, and counts and caches of theirs are shared.
    """
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    path = Path(f"{url.database}.lock").absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not overlap:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Shared from here on, so that a successor may overlap with us.
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        message = (
            f"another server uses {url.database}; stop it, set IDP_DATA_DIR to another folder, "
            "or take over from it with --overlap"
        )
        raise InUseError(message) from None
    return lock


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


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener
