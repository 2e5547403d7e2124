"""A process that removes old audit events, as the worker does; it imports nothing of the tests."""

from __future__ import annotations

import threading

from idp.config import Settings
from idp.platform.jobs import cleanup
from idp.runtime import create

READY = "ready"


def main() -> None:
    """Report that all is ready, and remove what there is."""
    runtime = create(Settings(), role="worker")
    print(READY, flush=True)
    cleanup.forget_audit(runtime, threading.Event())


if __name__ == "__main__":
    main()
