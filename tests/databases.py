"""Databases for tests: copies of a SQLite file, and databases of PostgreSQL that are put back."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from idp.config import sqlite_url
from tests.servers import Postgres

_CATALOGUES = (
    *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_trigger", "pg_proc"),
    *("pg_type", "pg_namespace", "pg_statistic", "pg_db_role_setting"),
)
"""Where a change of anything but rows shows."""
_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_END_SECONDS = 1
"""How long connections that a test closed may take to end."""


def create_database(server: Postgres, name: str, template: str = "template0") -> None:
    """Make a database, in the way that is fastest for a small template."""
    with psycopg.connect(server.maintenance, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )


def drop_database(server: Postgres, name: str) -> None:
    """Drop a database and cut its connections."""
    with psycopg.connect(server.maintenance, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def copied(database: Path, folder: Path) -> str:
    """Copy a SQLite file to where a test in a folder has its data; return the address."""
    path = folder / "data" / "idp.sqlite3"
    path.parent.mkdir()
    shutil.copyfile(database, path)
    return sqlite_url(path)


@dataclass
class Lent:
    """A database that tests use one after the other, each as it came from the template.

    To put rows back takes a tenth of the time of a new database, in which PostgreSQL has to read
    its catalogues anew. Where a test changed more than rows, there is a new one.
    """

    server: Postgres
    template: str
    _name: str | None = None

    def lend(self) -> str:
        """Return the address of the database for a test."""
        if self._name is None:
            self._make()
        assert self._name is not None
        return self.server.url(self._name)

    def take_back(self) -> None:
        """Put back what the test changed."""
        try:
            is_as_before = self._put_back()
        except psycopg.OperationalError:  # the test cut all connections
            is_as_before = False
        if not is_as_before:
            self.drop()

    def drop(self) -> None:
        """Remove the database; the next test gets a new one."""
        if self._name is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            drop_database(self.server, self._name)
            self._name = None

    def _make(self) -> None:
        self._name = f"test_{secrets.token_hex(6)}"
        create_database(self.server, self._name, self.template)
        self._connection = psycopg.connect(
            f"host={self.server.folder} user=postgres dbname={self._name}",
            autocommit=True,
            prepare_threshold=0,
            # Rows are put back in any order, and the long queries below are planned once.
            options="-c session_replication_role=replica -c plan_cache_mode=force_generic_plan",
        )
        tables = self._names(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        )
        self._kept = {table: self._keep(table) for table in tables}
        self._changed = " UNION ALL ".join(
            f"SELECT '{table}' WHERE {_differs(table, count)}"
            for table, (count, _) in self._kept.items()
        )
        sequences = self._names("SELECT sequencename FROM pg_sequences")
        self._sequences = "SELECT " + ", ".join(
            f"setval('{name}', {last}, {str(is_called).lower()})"
            for name in sequences
            for last, is_called in self._rows(f'SELECT last_value, is_called FROM "{name}"')
        )
        counts = [self._rows(f"SELECT count(*) FROM {name}")[0][0] for name in _CATALOGUES]
        self._altered = "SELECT " + " OR ".join(
            _differs(name, count) for name, count in zip(_CATALOGUES, counts, strict=True)
        )
        self._now()

    def _keep(self, table: str) -> tuple[int, str]:
        """Return how many rows a table has, and what puts them back."""
        columns = ", ".join(
            f'"{name}"'
            for name in self._names(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
                table,
            )
        )
        count = self._rows(f'SELECT count(*) FROM "{table}"')[0][0]
        delete = f'DELETE FROM "{table}"'
        if not count:
            return 0, delete
        self._connection.execute(f'CREATE TEMPORARY TABLE "kept_{table}" AS TABLE "{table}"')
        return count, (
            f'{delete}; INSERT INTO "{table}" ({columns}) OVERRIDING SYSTEM VALUE'
            f' SELECT {columns} FROM "kept_{table}"'
        )

    def _put_back(self) -> bool:
        """Return whether the database is as it came from the template."""
        self._wait_for_others()
        [[is_altered]] = self._rows(self._altered, since=self._since)
        if is_altered:
            return False
        changed = [name for (name,) in self._rows(self._changed, since=self._since)]
        steps = [self._kept[table][1] for table in changed]
        self._connection.execute("; ".join([*steps, self._sequences]), prepare=False)
        self._now()
        return True

    def _wait_for_others(self) -> None:
        """Wait until the connections of the test have ended, and cut those that stay."""
        end = time.monotonic() + _END_SECONDS
        while self._rows(f"SELECT pid {_OTHERS}"):
            if time.monotonic() > end:
                self._rows(f"SELECT pg_terminate_backend(pid, 5000) {_OTHERS}")
            time.sleep(0.001)

    def _now(self) -> None:
        """Remember from when on a row was written by a test."""
        [[self._since]] = self._rows("SELECT pg_current_xact_id()::xid::text")

    def _rows(self, query: str, *values: str, **named: str) -> list[Sequence[Any]]:
        return self._connection.execute(query, named or values).fetchall()

    def _names(self, query: str, *values: str) -> list[str]:
        return [name for (name,) in self._rows(query, *values)]


def _differs(table: str, count: int) -> str:
    """Write the condition that a table has other rows than at first."""
    if not count:
        return f'EXISTS (SELECT FROM "{table}")'
    added = "count(*) FILTER (WHERE age(xmin) < age(%(since)s::xid))"
    return f'(SELECT count(*) <> {count} OR {added} > 0 FROM "{table}")'
