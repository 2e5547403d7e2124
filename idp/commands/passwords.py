"""`idp passwords`: the list of stolen passwords."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from idp.commands import output
from idp.commands.command import Group
from idp.directory.users import breached


@click.group(cls=Group)
def passwords() -> None:
    """Prepare the list of stolen passwords, none of which can be set."""


@passwords.command(
    example="idp passwords prepare pwned-passwords-sha1.txt /var/lib/idp/breached --seen 10"
)
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--seen",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Leave out passwords that were stolen less often.",
)
@output.json_option
def prepare(*, source: Path, file: Path, seen: int, as_json: bool) -> None:
    """Write the file that the setting IDP_BREACHED_PASSWORDS names.

    SOURCE has a SHA-1 digest in each line, with or without a colon and a count, in any order: the
    form in which Have I Been Pwned publishes stolen passwords. FILE is replaced when it is
    complete; it has 8 bytes for each password. As much is needed once more meanwhile.
    """
    folder = file.resolve().parent
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{file.name}-")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target, source.open(encoding="ascii") as lines:
            counts = breached.write(lines, target, folder, seen=seen)
        new.chmod(0o644)  # nothing in it is secret, and the server may be another user
        new.replace(file)
    except (breached.WrongLineError, UnicodeDecodeError) as problem:
        message = "The source is not a text." if isinstance(problem, UnicodeError) else str(problem)
        raise click.ClickException(message) from None
    finally:
        new.unlink(missing_ok=True)
    output.show(
        {"file": str(file), "read": counts.read, "written": counts.written}, as_json=as_json
    )
