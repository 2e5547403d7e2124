"""What a migration may do that says `expand`: the code of the release before goes on with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

import pytest

from idp import __version__, jobs
from idp.platform import migration_sql, online, steps
from idp.platform.steps import Step

pytestmark = pytest.mark.no_database

EXCEPTIONS = {
    "0008": {"client: changes rows"},  # a setting that servers of before read as they always did
}
"""What steps did before there was this rule, and why code of before went on."""

INDEXED_BEFORE = {"0013", "0017"}
"""Steps before the first release, which made indexes on large tables in their transactions."""

KINDS = {"expand", "contract"}


@cache
def statements() -> dict[str, Sequence[str]]:
    _, by_step = migration_sql.for_postgresql(steps.chain(), "")
    return dict(by_step)


def breaks(texts: Sequence[str]) -> set[str]:
    found = migration_sql.effects(texts)
    return {f"{one.table}: {one.breaks}" for one in found if one.breaks}


def expanding() -> Iterator[Step]:
    return (step for step in steps.chain() if not step.is_contract)


def test_every_migration_says_its_kind() -> None:
    assert {step.revision: step.kind for step in steps.chain() if step.kind not in KINDS} == {}


def test_an_expand_step_breaks_no_code_of_before() -> None:
    found = {step.revision: breaks(statements()[step.revision]) for step in expanding()}
    assert {revision: texts for revision, texts in found.items() if texts} == EXCEPTIONS


def test_a_contract_step_names_its_release_and_a_known_backfill() -> None:
    known = {backfill.name for backfill in jobs.BACKFILLS}
    for step in steps.chain():
        assert bool(step.release) == step.is_contract, step
        assert step.needs in {"", *known}, step
        assert step.is_contract or not step.needs, step


def test_the_contract_steps_of_a_release_come_last() -> None:
    # Else its expand steps could not be run while nodes of the release before are running.
    chain = [step for step in steps.chain() if step.number >= steps.number_of(online.FIRST)]
    for step, following in pairwise(chain):
        if step.release == __version__:
            assert following.is_contract, following


def test_indexes_of_large_tables_keep_no_one_waiting() -> None:
    found = {
        step.revision
        for step in expanding()
        for effect in migration_sql.effects(statements()[step.revision])
        if effect.table in online.LARGE and effect.lock == migration_sql.SHARE
    }
    assert found == INDEXED_BEFORE


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ALTER TABLE client DROP COLUMN name;", "client: drops"),
        ('ALTER TABLE "user" DROP COLUMN name;', "user: drops"),
        ("ALTER TABLE client DROP CONSTRAINT uq_client;", "client: drops"),
        ("DROP TABLE client;", "client: drops"),
        ("DROP TABLE IF EXISTS client;", "client: drops"),
        ("DROP INDEX ix_client;", "ix_client: drops"),
        ("ALTER TABLE client RENAME name TO title;", "client: renames"),
        ("ALTER TABLE client RENAME TO application;", "client: renames"),
        ("ALTER TABLE client ALTER COLUMN name TYPE VARCHAR(10);", "client: another type"),
        ("ALTER TABLE client ALTER COLUMN n SET NOT NULL;", "client: a column that must be filled"),
        (
            "ALTER TABLE client ADD COLUMN n INTEGER NOT NULL;",
            "client: a column that must be filled",
        ),
        (
            "ALTER TABLE client ADD COLUMN at TIMESTAMP DEFAULT now() NOT NULL;",
            "client: a column that must be filled",
        ),
        (
            "ALTER TABLE client ALTER COLUMN n DROP DEFAULT;",
            "client: a column that must be filled",
        ),
        ("ALTER TABLE client ADD CONSTRAINT ck_n CHECK (n > 0);", "client: a new constraint"),
        ("CREATE UNIQUE INDEX ix_n ON client (n);", "client: a new constraint"),
        ("CREATE UNIQUE INDEX CONCURRENTLY ix_n ON client (n);", "client: a new constraint"),
        ("UPDATE client SET n = 1;", "client: changes rows"),
        ("DELETE FROM client;", "client: changes rows"),
        ("CREATE TRIGGER t BEFORE INSERT ON client EXECUTE FUNCTION f();", "client: a trigger"),
        ("TRUNCATE client;", ": unknown: TRUNCATE client"),
        ("drop table client;", ": unknown: drop table client"),
        ("ALTER TABLE client DISABLE TRIGGER ALL;", "client: unknown: DISABLE TRIGGER ALL"),
    ],
)
def test_what_an_expand_step_must_not_do_is_found(statement: str, reason: str) -> None:
    assert breaks([statement]) == {reason}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE thing (id BIGINT NOT NULL);",
        "CREATE INDEX ix_n ON client (n);",
        "ALTER TABLE client ADD COLUMN n INTEGER;",
        "ALTER TABLE client ADD COLUMN n INTEGER DEFAULT '60' NOT NULL;",
        "ALTER TABLE client ADD COLUMN n BOOLEAN DEFAULT false NOT NULL;",
        "ALTER TABLE client ALTER COLUMN n TYPE BIGINT;",
        "ALTER TABLE client ALTER COLUMN n DROP NOT NULL;",
        "ALTER TABLE client ALTER COLUMN n SET DEFAULT '1';",
        "ALTER TABLE client VALIDATE CONSTRAINT fk;",
        "INSERT INTO client (n) VALUES (1);",
    ],
)
def test_what_an_expand_step_may_do_is_let_through(statement: str) -> None:
    assert breaks([statement]) == set()


def test_a_table_that_the_step_itself_makes_may_be_changed() -> None:
    made = ["CREATE TABLE thing (id BIGINT NOT NULL);", "CREATE UNIQUE INDEX ix ON thing (id);"]
    assert breaks(made) == set()
    assert breaks(made[1:]) == {"thing: a new constraint"}


def test_a_foreign_key_keeps_writers_of_the_other_table_waiting() -> None:
    made = 'CREATE TABLE thing (id BIGINT, FOREIGN KEY(id) REFERENCES "user" (id));'
    locks = migration_sql.strongest(migration_sql.effects([made]))
    assert locks == {"thing": "", "user": migration_sql.SHARE_ROW_EXCLUSIVE}
