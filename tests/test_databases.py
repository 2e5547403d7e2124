"""Databases of PostgreSQL that tests use one after the other: each is as the template was."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.conftest import Run
from tests.databases import Lent

pytestmark = pytest.mark.no_database


@pytest.fixture
def lent(run: Run) -> Iterator[Lent]:
    """Return a database of the kind that tests get."""
    lent = Lent(run.postgres_server(), run.postgresql_template())
    yield lent
    lent.drop()


def connected(lent: Lent) -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection as a test would."""
    return psycopg.connect(lent.lend().replace("+psycopg", ""))


def content(lent: Lent) -> dict[str, list[tuple[object, ...]]]:
    """Return every row, and the state of every sequence but how many numbers are logged ahead."""
    found = {}
    with connected(lent) as connection:
        for kind, columns in (("table", "*"), ("sequence", "last_value, is_called")):
            names = sql.SQL("SELECT {}name FROM pg_{}s WHERE schemaname = 'public'").format(
                sql.SQL(kind), sql.SQL(kind)
            )
            for (name,) in connection.execute(names).fetchall():
                rows = sql.SQL("SELECT {} FROM {}").format(
                    sql.SQL(columns), sql.Identifier(str(name))
                )
                found[str(name)] = sorted(connection.execute(rows).fetchall(), key=repr)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        "SELECT 1",
        "UPDATE tenant SET name = 'Another'",
        "DELETE FROM role_privilege; UPDATE privilege SET group_id = NULL",
        (
            "INSERT INTO one_time_key (purpose, key_hash, created_at, expires_at) "
            "VALUES ('test', 'x', now(), now())"
        ),
        "INSERT INTO audit_event (at, tag, details) VALUES (now(), 'test', '{}')",
        "SELECT nextval(pg_get_serial_sequence('\"user\"', 'id'))",
        (
            "BEGIN; UPDATE role SET name = 'x'; SAVEPOINT a; DELETE FROM seed_mark; ROLLBACK TO a;"
            " UPDATE role SET name = 'y' WHERE id = 1"
        ),
    ],
)
def test_rows_and_numbers_are_put_back(lent: Lent, changes: str) -> None:
    before, address = content(lent), lent.lend()
    for _ in range(2):
        with connected(lent) as connection:
            connection.execute(changes.encode())
        lent.take_back()
        assert lent.lend() == address
        assert content(lent) == before


@pytest.mark.parametrize(
    "changes",
    [
        "ALTER TABLE tenant ADD COLUMN colour text",
        "DROP INDEX ix_audit_event_at",
        "CREATE TABLE more (id int)",
        "ALTER TABLE tenant ALTER COLUMN name SET DEFAULT 'x'",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "ANALYZE tenant",
        (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ),
    ],
)
def test_after_changes_of_anything_else_there_is_a_new_one(lent: Lent, changes: str) -> None:
    before, address = content(lent), lent.lend()
    with connected(lent) as connection:
        connection.execute(changes.encode())
    lent.take_back()
    assert lent.lend() != address
    assert content(lent) == before


def test_a_transaction_that_was_left_open_is_cut(lent: Lent) -> None:
    before = content(lent)
    left = connected(lent)
    left.execute("UPDATE tenant SET name = 'Another'")
    lent.take_back()
    assert content(lent) == before
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")
