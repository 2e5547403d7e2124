"""`idp import`: importing a file that an operator has written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from idp.commands import opening, output
from idp.commands.command import Command
from idp.imports import reader, service
from idp.imports.run import Change, Run
from idp.platform.errors import Problem


@click.command("import", cls=Command, example="idp import company.yaml --dry-run")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@output.json_option
def import_(*, file: Path, dry_run: bool, as_json: bool) -> None:
    """Import a file of YAML or JSON: all of it, or nothing when a part is wrong."""
    with opening.open_session() as session:
        try:
            run = service.import_document(session, reader.read(file))
        except Problem as problem:
            raise click.ClickException(_sentence(problem)) from None
        if not dry_run:
            session.commit()
    if as_json:
        output.show(_as_value(run, dry_run=dry_run), as_json=True)
    else:
        _print(run, dry_run=dry_run)


def _sentence(problem: Problem) -> str:
    wrong = [f"  {path}: {text}" for path, texts in problem.fields.items() for text in texts]
    return "\n".join([problem.detail, *wrong])


def _as_value(run: Run, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "added": [{"section": row.section, "key": row.key} for row in run.added],
        "changed": [
            {"section": row.section, "key": row.key, "fields": [*map(dict, row.fields)]}
            for row in run.changed
        ],
        "unchanged": run.unchanged,
        "without_password": [
            {"username": username, "reason": reason} for username, reason in run.without_password
        ],
    }


def _print(run: Run, *, dry_run: bool) -> None:
    for row in run.added:
        print(f"+ {_place(row)}")
    for row in run.changed:
        print(f"~ {_place(row)}")
        for field in row.fields:
            before, after = (output.text(field[side]) for side in ("before", "after"))
            print(f"    {field['field']}: {before} -> {after}")
    for username, reason in run.without_password:
        print(f"! people {output.text(username)}: comes without a password. {reason}")
    done = "would be" if dry_run else "were"
    if not (run.added or run.changed):
        print("Nothing to change: everything already matches the file.")
        return
    print(
        f"{len(run.added)} {done} added, {len(run.changed)} {done} changed, "
        f"{run.unchanged} already match the file."
    )


def _place(row: Change) -> str:
    return f"{row.section} {output.text(row.key)}"
