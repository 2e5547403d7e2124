"""`idp backup`, `idp restore` and `idp recover`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy.orm import Session

from idp.commands import opening, output, starting
from idp.commands.command import Command, confirm, yes_option
from idp.config import Settings, SettingsError
from idp.platform import revisions
from idp.platform.signing import service as signing
from idp.platform.tables import load_models
from idp.recovery import backup as backups
from idp.recovery import hints, service
from idp.recovery import restore as restoring
from idp.recovery.backup import Made
from idp.recovery.hints import Event
from idp.recovery.manifest import Manifest
from idp.recovery.service import IDS, Choices, Recovered

STANDARD_OUTPUT = "-"
_READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
Function = TypeVar("Function", bound=Callable[..., Any])
_RECOVERY = (
    click.option(
        "--keep-sessions",
        is_flag=True,
        help="Leave sessions, grants and tokens valid; some may have been ended since.",
    ),
    click.option(
        "--revoked", multiple=True, metavar="KID", help="Signing key that was revoked since."
    ),
    click.option(
        "--forget",
        type=_READABLE,
        metavar="FILE",
        help="Audit log as exported, or ids of users that were deleted since, one a line.",
    ),
    click.option(
        "--ids",
        type=click.IntRange(1, 1_000_000_000),
        default=IDS,
        show_default=True,
        help="How many ids are left out: more than were assigned since.",
    ),
    click.option(
        "--highest",
        type=_READABLE,
        metavar="FILE",
        help="Highest ids by table as JSON, or a manifest.json: new ids start above.",
    ),
)


@click.command(
    cls=Command,
    example="idp backup --to idp-2030-01-31.tar --files\nidp backup --to - > idp.tar",
)
@click.option(
    "--to", "target", required=True, metavar="FILE", help="New file, or - for standard output."
)
@click.option("--files", "with_files", is_flag=True, help="Include the uploaded files.")
@output.json_option
def backup(*, target: str, with_files: bool, as_json: bool) -> None:
    """Write database, and uploaded files on request, to a file; servers go on meanwhile.

    The root secret is not in it: keep IDP_SECRET_KEY in another place. PostgreSQL is dumped by
    `pg_dump`, which has to be installed.
    """
    settings = opening.load_settings()
    settings.check_secret()
    revisions.check(settings.database)
    is_pipe = target == STANDARD_OUTPUT
    if is_pipe and sys.stdout.isatty():
        raise click.UsageError("Standard output is a terminal: use a pipe, or name a file.")
    with opening.open_runtime(settings) as runtime:
        with runtime.sessions() as session:
            signing.check_readable(session, runtime.keyring)
        if is_pipe:
            made = backups.to_stream(runtime, sys.stdout.buffer, with_files=with_files)
            sys.stdout.flush()
        else:
            made = backups.to_file(runtime, Path(target).absolute(), with_files=with_files)
    if made.missing_files:
        click.echo(f"Warning: {made.missing_files} uploaded files have no content.", err=True)
    if not is_pipe:
        output.show(_made(target, made), as_json=as_json)


def _made(target: str, made: Made) -> dict[str, Any]:
    return {
        "file": target,
        "made_at": made.manifest.made_at,
        "release": made.manifest.release,
        "rows": sum(made.manifest.rows.values()),
        "files": made.files,
        "missing_files": made.missing_files,
    }


def recovery_options(command: Function) -> Function:
    """Add the options of what follows when the past comes back."""
    for option in reversed(_RECOVERY):
        command = option(command)
    return command


@click.command(cls=Command, example="idp restore idp-2030-01-31.tar --forget events.jsonl")
@click.argument("file", type=_READABLE)
@recovery_options
@output.json_option
def restore(*, file: Path, as_json: bool, **options: Any) -> None:
    """Restore a backup into an empty database, then do what `idp recover` does.

    Everything is checked first. The database and IDP_SECRET_KEY are those of the settings.
    """
    settings = opening.load_settings()
    _require_secret(settings)
    choices = _choices(options)
    done: list[Recovered] = []

    def recover_all(session: Session, manifest: Manifest) -> None:
        done.append(service.recover(session, choices, since=manifest.made_at))

    restored = restoring.restore(settings, file, recover_all)
    starting.make_data_dir(settings)
    value = {"rows": sum(restored.manifest.rows.values()), "files": restored.files}
    _show(value | _recovered(done[0], choices), as_json=as_json)


def _require_secret(settings: Settings) -> None:
    """Refuse to generate a secret, which could not be the one of a backup."""
    settings.check_secret()
    if not settings.secret_key.get_secret_value() and not settings.local_secret.is_file():
        raise SettingsError("IDP_SECRET_KEY is not set: the backup needs the secret of its time")


@click.command(cls=Command, example="idp recover --dry-run\nidp recover --yes --revoked 5f2c0d9a")
@recovery_options
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@yes_option
@output.json_option
def recover(*, dry_run: bool, yes: bool, as_json: bool, **options: Any) -> None:
    """Make a database safe that was taken back to an earlier state.

    Run it after a restoration by other means, such as point-in-time recovery, and after a failover
    that lost writes, before servers start again. New ids jump ahead, codes, links, sessions and
    grants end, signing keys are replaced, and keys and users that were ended since end again.
    """
    choices = _choices(options, dry_run=dry_run)
    if not dry_run:
        confirm("Sign everybody out and replace the signing keys?", yes=yes, as_json=as_json)
    with opening.open_session() as session:
        done = service.recover(session, choices)
        if dry_run:
            session.rollback()
        else:
            session.commit()
    _show({"dry_run": dry_run, **_recovered(done, choices)}, as_json=as_json)


def _choices(options: dict[str, Any], *, dry_run: bool = False) -> Choices:
    load_models()
    forget, highest = options["forget"], options["highest"]
    return Choices(
        ids=options["ids"],
        highest=hints.read_highest(highest) if highest else {},
        keep_sessions=options["keep_sessions"],
        revoked=options["revoked"],
        hints=hints.read_trail(forget) if forget else hints.Hints(),
        dry_run=dry_run,
    )


def _recovered(done: Recovered, choices: Choices) -> dict[str, Any]:
    return {
        "since": done.since,
        "ids_left_out": choices.ids,
        "first_ids": dict(done.first_ids),
        **{f"ended_{name}": number for name, number in done.ended.items()},
        "replaced_keys": list(done.replaced_keys),
        "revoked_keys": list(done.revoked_keys),
        "unknown_keys": list(done.unknown_keys),
        "deleted_users": list(done.deleted_users),
        "unknown_users": list(done.unknown_users),
        "review": [_reviewed(event) for event in done.review],
    }


def _reviewed(event: Event) -> dict[str, Any]:
    return {name: value for name, value in asdict(event).items() if value is not None}


def _show(value: dict[str, Any], *, as_json: bool) -> None:
    """Print what was done; people are not shown the first id of every table."""
    if as_json:
        output.show(value, as_json=True)
        return
    review = value["review"]
    output.show({**value, "first_ids": None, "review": None}, as_json=False)
    if value["unknown_keys"]:
        click.echo(
            "Note: keys that are unknown here sign nothing; remove their files from IDP_KEYS_DIR.",
            err=True,
        )
    if review:
        print("These were taken away since, and are back; look at each:")
        output.show_rows(review, as_json=False)
