"""`idp outbox`: messages and jobs that wait for the worker, or that failed."""

from __future__ import annotations

import dataclasses

import click

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID
from idp.platform.errors import BadRequest, NotFound
from idp.platform.jobs import service as jobs


@click.group(cls=Group)
def outbox() -> None:
    """List and retry messages and jobs."""


@outbox.command("list", example="idp outbox list --failed")
@click.option("--failed", "only_failed", is_flag=True, help="Only those that failed.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Maximum number of rows.",
)
@output.json_option
def list_(*, only_failed: bool, limit: int, as_json: bool) -> None:
    """List what is pending or failed, the oldest first, without the content of messages."""
    with opening.open_session() as session:
        found = jobs.list_open(session, failed=only_failed or None, limit=limit)
    output.show_rows([dataclasses.asdict(row) for row in found], as_json=as_json)


@outbox.command(example="idp outbox retry 17 18\nidp outbox retry --all")
@click.argument("ids", nargs=-1, type=ID)
@click.option("--all", "everything", is_flag=True, help="Everything that failed.")
@output.json_option
def retry(*, ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Retry what failed; the worker picks it up within a second."""
    if everything == bool(ids):
        raise BadRequest("Name messages by their ids, or use --all.")
    with opening.open_session() as session:
        revived = jobs.retry_failed(session, None if everything else ids)
        missing = sorted(set(ids) - set(revived))
        if missing:
            names = ", ".join(map(str, missing))
            raise NotFound(f"No failed message has this id: {names}.")
        session.commit()
    output.show({"retried": revived}, as_json=as_json)
