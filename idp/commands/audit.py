"""`idp audit`: the audit log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from idp.commands import opening, output
from idp.commands.command import Group
from idp.commands.options import ID
from idp.platform import periods
from idp.platform.audit import service as trail
from idp.platform.audit.service import Filters


class Moment(click.ParamType[datetime]):
    """A day or a time in ISO 8601; without a zone it is UTC."""

    name = "time"

    def __init__(self, read: Callable[[str], datetime]) -> None:
        self._read = read

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse the text."""
        if isinstance(value, datetime):
            return value
        try:
            return self._read(value)
        except ValueError:
            self.fail(f"{value!r} is not a date or time like 2030-01-31T12:00", param, ctx)


@click.group(cls=Group)
def audit() -> None:
    """Read the audit log."""


@audit.command("list", example="idp audit list --user 17 --since 2030-01-01")
@click.option("--tag", help="For example user:session:started.")
@click.option("--user", "user_id", type=ID, help="Id of the user who did it.")
@click.option("--client", "client_id", help="Client that did it or was used.")
@click.option("--tenant", "tenant_id", type=ID, help="Tenant in which it happened.")
@click.option(
    "--since", type=Moment(periods.start), help="A day, or a time like 2030-01-31T12:00+08:00."
)
@click.option("--until", type=Moment(periods.end), help="A day, which is included, or a time.")
@click.option("--before", "before_id", type=ID, help="Id of the last event of the previous page.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Maximum number of rows.",
)
@output.json_option
def list_(  # noqa: PLR0913 - one argument for each option
    *,
    tag: str | None,
    user_id: int | None,
    client_id: str | None,
    tenant_id: int | None,
    since: datetime | None,
    until: datetime | None,
    before_id: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """List events, the newest first."""
    with opening.open_session() as session:
        filters = Filters(
            tag=tag,
            user_id=user_id,
            client_id=client_id,
            tenant_id=tenant_id,
            since=since,
            until=until,
        )
        rows = _page(session, filters, limit, before_id)
    output.show_rows(rows, as_json=as_json)


def _page(
    session: Session, filters: Filters, limit: int, before_id: int | None
) -> list[dict[str, Any]]:
    """Read events before the one with an id; none when it is gone."""
    before = None
    if before_id is not None:
        before = trail.position_of(session, before_id)
        if before is None:
            return []
    found = trail.search(session, filters, limit=limit, before=before)
    return [{name: getattr(event, name) for name in trail.COLUMNS} for event in found]
