"""What `idp setup` would do to the tables, and what it prints about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click
from sqlalchemy import Connection, Integer, func, inspect, literal_column, select, table, text

from idp.commands import output
from idp.config import Settings, SettingsError
from idp.platform import migration_sql, revisions, rollout, steps
from idp.platform.revisions import Standing
from idp.platform.rollout import Plan
from idp.platform.schema import Upgraded
from idp.platform.steps import Step

NOTHING = 0
REFUSED = 1
SOMETHING = 10
"""Exit codes of `--check`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to do in a database."""

    is_sqlite: bool
    after: str
    """Revision that the database is at; empty when it is not set up."""
    plan: Plan
    rows: dict[str, int]
    """Table → its estimated number of rows."""


def check_address(settings: Settings) -> str:
    """Return the address by which migrations are run; SettingsError unless it is our database."""
    if settings.migrate_url:
        if settings.database.startswith("sqlite"):
            raise SettingsError("IDP_MIGRATE_URL is set, but IDP_DATABASE_URL is not PostgreSQL")
        if not revisions.are_same(settings.migrate_url, settings.database):
            raise SettingsError("IDP_MIGRATE_URL and IDP_DATABASE_URL name different databases")
    return settings.migrations


def find(database_url: str, *, contract: bool) -> Found:
    """Find out what `idp setup` would do; Conflict when the database does not fit."""
    is_sqlite = database_url.startswith("sqlite")
    if revisions.is_away(database_url):
        return Found(is_sqlite, "", Plan(steps.chain()), {})
    standing = revisions.standing(database_url)
    if standing is Standing.NEWER:
        revisions.check(database_url)
    if standing is Standing.FITTING:
        return Found(is_sqlite, "", Plan(()), {})
    with revisions.looking(database_url) as connection:
        at = revisions.revision_of(connection) or ""
        pending = steps.chain()[steps.number_of(at) :]
        plan = rollout.plan(connection, pending, contract=contract)
        return Found(is_sqlite, at, plan, _estimated_rows(connection))


def show(found: Found, *, sql: bool, as_json: bool) -> int:
    """Print what would be done and return the exit code."""
    script, by_step = migration_sql.for_postgresql(found.plan.run, found.after)
    if sql:
        print(migration_sql.for_sqlite(found.plan.run, found.after) if found.is_sqlite else script)
        return REFUSED if found.plan.problems else NOTHING
    rows = [_row(found, step, by_step[step.revision]) for step in found.plan.run]
    if as_json:
        waiting = [step.revision for step in found.plan.waiting]
        value = {"run": rows, "waiting": waiting, "problems": list(found.plan.problems)}
        output.show(value, as_json=True)
    else:
        _print(found, rows)
    if found.plan.problems:
        return REFUSED
    return SOMETHING if rows else NOTHING


def print_newer(database_url: str, *, as_json: bool) -> None:
    """Print that a database of a newer release is left as it is."""
    with revisions.looking(database_url) as connection:
        release = revisions.release_of(connection)
    if as_json:
        output.show({"newer_release": release}, as_json=True)
    else:
        said = f"The database is newer ({release}) and fits this release; nothing to do."
        print(output.text(said))


def print_notes(database_url: str, done: Upgraded) -> None:
    """Print, beside the result, where a copy is and what is left to do."""
    if done.copy is not None:
        click.echo(f"Note: the database of before was copied to {done.copy}.", err=True)
    with revisions.looking(database_url) as connection:
        at = steps.number_of(revisions.revision_of(connection))
    waiting = [step.revision for step in steps.chain()[at:]]
    if waiting:
        named = ", ".join(waiting)
        click.echo(
            "Note: once no node of an older release runs, run `idp setup --contract`"
            f" (migrations {named}).",
            err=True,
        )


def _row(found: Found, step: Step, statements: Iterable[str]) -> dict[str, Any]:
    effects = migration_sql.effects(list(statements))
    return {
        "revision": step.revision,
        "kind": step.kind,
        "title": step.title,
        "needs": step.needs or None,
        "older_nodes_may_run": not step.is_contract,
        "tables": [
            {
                "table": name,
                "rows": found.rows.get(name),
                "lock": "whole file" if found.is_sqlite else lock or None,
                "waits": "writers wait" if found.is_sqlite else migration_sql.WAITING[lock],
            }
            for name, lock in migration_sql.strongest(effects).items()
        ],
    }


def _print(found: Found, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(f"{row['revision']}  {row['kind']:<8}  {row['title']}")
        for one in row["tables"]:
            size = "new" if one["rows"] is None else f"about {one['rows']:,} rows"
            lock = f"{one['lock']}: " if one["lock"] else ""
            print(f"      {one['table']} ({size}): {lock}{one['waits']}")
    if not rows:
        print("There is nothing to do.")
    elif not found.after:
        print("The database is not set up yet.")
    elif all(row["older_nodes_may_run"] for row in rows):
        print("Running nodes may go on.")
    else:
        print("Nodes of older releases have to be stopped before.")
    if found.plan.waiting:
        waiting = ", ".join(step.revision for step in found.plan.waiting)
        print(f"Waiting for `idp setup --contract`: {waiting}.")
    for problem in found.plan.problems:
        print(output.text(problem))


def _estimated_rows(connection: Connection) -> dict[str, int]:
    """Return about how many rows the tables have, without counting them."""
    if connection.dialect.name == "postgresql":
        query = text(
            "SELECT relname, greatest(reltuples, 0)::bigint AS rows FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return {row.relname: row.rows for row in connection.execute(query)}
    highest = select(func.max(literal_column("rowid", Integer)))
    names = inspect(connection).get_table_names()
    return {name: connection.scalar(highest.select_from(table(name))) or 0 for name in names}
