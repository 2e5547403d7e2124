"""`pg_dump` and `pg_restore`: found, and run with a password that no list of processes shows."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, Engine

from idp.config import PREFIX
from idp.platform import connections
from idp.platform.errors import Conflict, Unavailable

_SECRET = frozenset({"password", "sslpassword"})
_LONGEST = 500


def dump(engine: Engine, snapshot: str, target: Path) -> None:
    """Write what a snapshot of a database shows, in the format of `pg_restore`."""
    options = ["--format=custom", "--no-owner", "--no-privileges", "--no-password"]
    own = f"pg_dump {shlex.join(options[:3])} --file=FILE"
    _run("pg_dump", engine.url, [*options, f"--snapshot={snapshot}", f"--file={target}"], own)


def contents(dumped: Path) -> list[str]:
    """Return the lines of a dump's table of contents."""
    own = f"pg_restore --list {shlex.quote(str(dumped))}"
    return _run("pg_restore", None, ["--list", str(dumped)], own).splitlines(keepends=True)


def load(engine: Engine, dumped: Path, listed: Path) -> None:
    """Load the listed entries of a dump into a database, all of them or none."""
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    options += ["--no-password", f"--use-list={listed}", str(dumped)]
    _run("pg_restore", engine.url, options, "pg_restore --single-transaction --no-owner FILE")


def _run(name: str, url: URL | None, options: list[str], own: str) -> str:
    program = shutil.which(name)
    if program is None:
        place = "" if url is None else f" --dbname={shlex.quote(_address(url))}"
        raise Conflict(
            f"{name} is not installed here. Install the client programs of PostgreSQL, or run"
            f" where they are:\n  {own}{place}"
        )
    arguments = [program, *options]
    if url is not None:
        arguments.append(f"--dbname={_address(url)}")
    done = subprocess.run(  # noqa: S603 - a program of the operator's, without a shell
        arguments,
        env=_environment(url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"{name} failed: {_reason(done)}")
    return done.stdout


def _address(url: URL) -> str:
    """Return an address as libpq reads it, without what is secret."""
    _, found = url.get_dialect()().create_connect_args(url)
    given = {**found, **connections.arguments(url, role="backup")}
    return make_conninfo(**{name: value for name, value in given.items() if name not in _SECRET})


def _environment(url: URL | None) -> dict[str, str]:
    """Return our environment without our settings, and with the password of an address."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    password = None if url is None else url.password or url.query.get("password")
    return kept | {"LC_ALL": "C"} | ({"PGPASSWORD": str(password)} if password else {})


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"it was ended by signal {-done.returncode}; is the disk full?"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return " ".join(lines)[:_LONGEST] or f"exit code {done.returncode}"
