"""What this wing hands to the application: its routes and its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint

from idp.platform.runtime import Runtime
from idp.publishing.files import views as files
from idp.publishing.subscribers import mails

JOBS: dict[str, Callable[[Runtime, Mapping[str, Any]], None]] = {mails.JOB: mails.tell}
"""What this wing leaves to the worker, by the name that the outbox keeps."""


def blueprints() -> list[Blueprint]:
    """List everything that answers outside the management contracts."""
    return [files.blueprint]
