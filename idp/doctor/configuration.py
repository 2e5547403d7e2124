"""Settings and the data folder."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from sqlalchemy import make_url

from idp import private_files, setting_values
from idp.config import Settings, file_variable, named_files, unknown_variables
from idp.doctor.result import Result, failed, ok, warning

LITTLE_ROOM = 1024**3
NO_ROOM = 64 * 1024**2
MOST_NAMED = 5


def names(_settings: Settings) -> Result:
    """Find variables that look like settings but are not."""
    unknown = unknown_variables()
    if not unknown:
        return ok("every IDP_ variable is a setting")
    guesses = [f"{name} (did you mean {near}?)" if near else name for name, near in unknown.items()]
    return warning(
        f"not a setting: {', '.join(guesses)}", "correct the name or remove the variable"
    )


def secret(settings: Settings) -> Result:
    """Check the root secrets; refused ones have ended the checks before."""
    if settings.environment == "development":
        return ok(f"the root secret is in {_place_of_secret(settings)}")
    older = settings.secret_keys[1:]
    if any(map(setting_values.can_be_guessed, older)):
        return warning(
            "an older secret in IDP_SECRET_KEY can be guessed",
            "run `idp keys rewrap`, give the clients that it lists new secrets, then remove it",
        )
    return ok(f"the root secret is strong, {len(older)} older ones")


def _place_of_secret(settings: Settings) -> str:
    if "secret_key" in named_files():
        return f"the file that {file_variable('secret_key')} names"
    return "the environment" if settings.secret_key else str(settings.local_secret.absolute())


def private(settings: Settings) -> Result:
    """Find files with secrets that other users of this machine can read."""
    places = [settings.local_secret, *named_files().values()]
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        places.append(Path(url.database))
    if settings.keys_dir.is_dir():
        places += sorted(settings.keys_dir.glob("*.pem"))
    exposed = [
        str(path)
        for path in places
        if path.is_file() and private_files.is_open_to_others(path) and not _is_mounted(path)
    ]
    if exposed:
        return warning(
            f"other users can use {', '.join(exposed[:MOST_NAMED])}",
            "chmod 600 each of them, or 640 with the group of the service",
        )
    return ok("files with secrets are closed to other users")


def _is_mounted(path: Path) -> bool:
    """Return whether a container platform gave the file its mode, or its group may read it."""
    found = path.stat().st_mode
    is_for_group = not found & (stat.S_IRWXO | stat.S_IWGRP)
    return is_for_group or bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def data_folder(settings: Settings) -> Result:
    """Check that the data folder exists, is private, writable and not full."""
    folder = settings.data_dir.absolute()
    if not folder.is_dir():
        missing = warning if settings.database_url else failed
        return missing(
            f"the data folder {folder} does not exist",
            "run `idp setup`, or set IDP_DATA_DIR to the folder of the installation",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        return failed(
            f"{folder} cannot be written to",
            "run as the user of the service, or make this user the owner of the folder",
        )
    free = shutil.disk_usage(folder).free
    seen = f"{folder} has {free / 1024**3:.1f} GiB free"
    if free < NO_ROOM:
        return failed(seen, "free some disk space")
    if private_files.is_open_to_others(folder):
        return warning(
            f"other users can read {folder}",
            f"chmod 700 '{folder}' if nothing else is kept there, else name another IDP_DATA_DIR",
        )
    return warning(seen, "free some disk space") if free < LITTLE_ROOM else ok(seen)
