"""Messages as files, for a developer who has no mail server."""

from __future__ import annotations

import os

import structlog

from idp import private_files
from idp.config import Settings
from idp.platform import clock
from idp.platform.secrets import random_token

log = structlog.get_logger()


def keep(settings: Settings, content: bytes, suffix: str) -> None:
    """Write a message to a file of its own that only this user can read."""
    folder = settings.outbox_dir
    private_files.make_folder(folder)
    path = folder / f"{clock.now():%Y%m%dT%H%M%S.%f}-{random_token(6)}.{suffix}"
    draft = path.with_suffix(".part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)  # a reader of the folder never sees half a message
    log.info("message_written", file=str(path))
