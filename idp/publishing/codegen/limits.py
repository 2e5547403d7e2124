"""Set limits for this process, leave the network, and execute another program.

Run by its path with a bare interpreter, so that no code of ours is loaded between a worker's
threads and the program: `limits.py '{"RLIMIT_CPU": 60}' NETWORK PROGRAM ARGUMENT...`. NETWORK is
`online`, `offline` where the system allows that, or `never-online`: offline or not at all.
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
    """Apply the arguments and execute the program; it does not return."""
    limits, network, program, *arguments = sys.argv[1:]
    os.nice(_NICER)
    _die_with_parent()
    for name, value in json.loads(limits).items():
        _limit(getattr(resource, name), value)
    if network != "online" and not _leave_network():
        sys.stderr.write("The system does not allow isolating this program from the network.\n")
        sys.stderr.flush()
        if network == "never-online":
            sys.exit(_NOT_BEGUN)
    os.execve(program, [program, *arguments], os.environ)  # noqa: S606 - no shell is involved


def _die_with_parent() -> None:
    """Have the kernel end this program when the worker dies, where supported."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(number: int, value: int) -> None:
    """Set a limit; a narrower one stays."""
    _, hard = resource.getrlimit(number)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(number, (value, value))


def _leave_network() -> bool:
    """Move into an empty network namespace: as root, else in a user namespace."""
    if sys.platform != "linux":
        return False
    if ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0:
        return True
    # Some systems allow only the first half, which cannot be undone: a child tries it.
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
        # Without a user id in the namespace the program could create no files.
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
