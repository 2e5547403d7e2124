"""Running checks side by side, each of them for a limited time."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from idp.config import Settings
from idp.doctor.result import Check, Result, failed, warning

SECONDS = 8.0
"""What all checks may take together; with the start of the command less than ten seconds."""
REACH = "database"
"""The check that decides whether the database is asked any further."""


def run(
    settings: Settings,
    checks: Mapping[str, Check],
    in_database: Collection[str],
    *,
    seconds: float = SECONDS,
) -> dict[str, Result]:
    """Return what each check finds, in the order of the checks.

    Those that ask the database follow each other, so that an examination needs one connection at a
    time; all others have a thread each. What has not ended in time has failed.
    """
    found: dict[str, Result] = {}
    end = time.monotonic() + seconds
    asking = sorted(
        (name for name in checks if name in in_database), key=lambda name: name != REACH
    )
    lanes = [[name] for name in checks if name not in in_database]
    threads = [
        threading.Thread(target=_work, args=(settings, checks, lane, found), daemon=True)
        for lane in ([asking] if asking else []) + lanes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    done = dict(found)  # what comes too late is not looked at
    late = failed(f"no result within {seconds:g} s", "check that what it asks is reachable")
    return {name: done.get(name, late) for name in checks}


def _work(
    settings: Settings, checks: Mapping[str, Check], names: list[str], found: dict[str, Result]
) -> None:
    for name in names:
        if name != names[0] == REACH and found[REACH].state == "failed":
            found[name] = warning(
                "unknown while the database does not respond", "correct that first"
            )
            continue
        try:
            found[name] = checks[name](settings)
        except Exception as error:  # noqa: BLE001 - one check must not end the others
            found[name] = failed(
                f"the check itself failed ({type(error).__name__})", "please report this"
            )
