"""Checks of what the worker does, and of uploaded files."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from secrets import token_hex

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp.config import Settings, SettingsError
from idp.doctor.result import Result, failed, ok, warning
from idp.doctor.storage import unknown
from idp.platform import clock, revisions
from idp.platform.audit import figures
from idp.platform.errors import Problem
from idp.platform.jobs import service as jobs
from idp.platform.releases import service as releases
from idp.platform.tables import load_models
from idp.publishing.files import scanner, storage

LATE_SECONDS = 900
SILENT = timedelta(minutes=15)
"""Three times as long as the worker takes to count again."""


def outbox(settings: Settings) -> Result:
    """Check how long the oldest message has waited, and whether any was given up."""
    load_models()
    try:
        if revisions.standing(settings.database) not in revisions.USABLE:
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            lanes = jobs.lanes(session).values()
    except SQLAlchemyError:
        return unknown()
    seconds = max(lane.oldest_seconds for lane in lanes)
    if seconds > LATE_SECONDS:
        return warning(
            f"the oldest message has waited for {seconds / 60:.0f} minutes",
            "check that `idp worker` runs, and what its log says about deliveries",
        )
    given_up = sum(lane.failed for lane in lanes)
    if given_up:
        return warning(
            f"{given_up} messages or jobs were given up",
            "see `idp outbox list --failed`; `idp outbox retry` tries again",
        )
    return ok("no message is late")


def chores(settings: Settings) -> Result:
    """Check that a worker does its chores while nodes run."""
    load_models()
    try:
        if revisions.standing(settings.database) not in revisions.USABLE:
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            if not releases.running(session):
                return ok("no node runs")
            counted_at = figures.last_counted_at(session)
    except SQLAlchemyError:
        return unknown()
    if counted_at is None or counted_at < clock.now() - SILENT:
        return warning(
            "nodes run, but no worker has done its chores for 15 minutes",
            "start `idp worker`, or `idp serve` without --no-worker",
        )
    return ok("a worker does its chores")


def files(settings: Settings) -> Result:
    """Store a file, read it and delete it, and ask the scanner about an empty one."""
    if not settings.files_url and not settings.data_dir.is_dir():
        return ok("no file was stored yet")
    name, content = f"{token_hex(16)}.txt", b"idp doctor"
    try:
        store = storage.open_store(settings)
        store.put(name, BytesIO(content), {})
        try:
            is_same = store.read(name) == content
        finally:
            store.delete(name)
        if not is_same:
            return failed(
                "a file that was stored is read with another content", "see IDP_FILES_URL"
            )
        scanner.is_clean(settings.files_scanner, BytesIO())
    except SettingsError as error:
        return failed(str(error), "correct IDP_FILES_URL")
    except (Problem, OSError) as error:
        reason = getattr(error, "debug", None) or type(error).__name__
        return failed(
            f"files cannot be stored, read or scanned ({reason})",
            "correct IDP_FILES_URL or IDP_FILES_SCANNER, or free some space",
        )
    return ok("a file was stored, read and deleted")
