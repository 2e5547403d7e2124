"""Take limits upon itself, leave the network, and become another program.

Run by its path with a bare interpreter, so that no code of ours is loaded between a worker's
threads and the program: `limits.py '{"RLIMIT_CPU": 60}' NETWORK PROGRAM ARGUMENT...`. NETWORK is
`online`, `offline` where the system allows that, or `never-online`, which else begins nothing.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_NICER = 10
_NOT_BEGUN = 97


def main() -> None:
    """Do what the arguments say; it does not come back."""
    limits, network, program, *arguments = sys.argv[1:]
    os.nice(_NICER)
    _die_with_parent()
    for name, value in json.loads(limits).items():
        _limit(getattr(resource, name), value)
    if network != "online" and not _leave_network():
        sys.stderr.write("The system does not let this program be cut off from the network.\n")
        sys.stderr.flush()
        if network == "never-online":
            sys.exit(_NOT_BEGUN)
    os.execve(program, [program, *arguments], os.environ)  # noqa: S606 - no shell is wanted


def _die_with_parent() -> None:
    """Let the kernel end this program when the worker dies, where it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(number: int, value: int) -> None:
    """Set a limit; one that is narrower already stays."""
    _, hard = resource.getrlimit(number)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(number, (value, value))


def _leave_network() -> bool:
    """Move into a network of its own that leads nowhere: as root, else in a user namespace."""
    if sys.platform != "linux":
        return False
    if ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0:
        return True
    # Some systems allow the first half of it only, and there is no way back: a child tries.
    child = os.fork()
    if child == 0:
        os._exit(0 if _enter_namespace() else 1)
    _, status = os.waitpid(child, 0)
    return status == 0 and _enter_namespace()


def _enter_namespace() -> bool:
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    try:
        # Without a name for itself in there the program could make no files.
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
