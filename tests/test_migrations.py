"""The migrations make exactly what the models say, both ways, on both databases."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError

from idp.config import sqlite_url
from idp.platform import online, schema, steps
from idp.platform.db import Base
from idp.platform.errors import Conflict

pytestmark = pytest.mark.no_database  # both databases are named below

EVENT = "INSERT INTO audit_event (at, tag) VALUES ('2026-01-01 00:00:00', 'person:sign_in:done')"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "folder" / "new.sqlite3")
    new_database: Callable[[], str] = request.getfixturevalue("new_database")
    return new_database()


@pytest.fixture
def engine(url: str):
    engine = create_engine(url)
    yield engine
    engine.dispose()


def refused(connection: Connection, statement: str) -> str:
    with pytest.raises(DBAPIError) as caught, connection.begin_nested():
        connection.execute(text(statement))
    return str(caught.value.orig)


def test_up_down_and_up_again_leaves_what_the_models_say(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    assert schema.current(url) == schema.head()
    assert schema.drift(url) == []
    names = set(inspect(engine).get_table_names())
    assert names == {*Base.metadata.tables, "alembic_version"}

    schema.downgrade(url, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}

    schema.upgrade(url)
    assert schema.drift(url) == []


def test_each_migration_can_go_down_and_up(url: str) -> None:
    schema.upgrade(url)
    schema.downgrade(url, "-1")
    schema.upgrade(url)
    assert schema.current(url) == schema.head()
    assert schema.drift(url) == []


def filler(column: Column[Any]) -> Any:
    """Return a value that a row may have in a column that must have one."""
    if column.nullable:
        return None
    if isinstance(column.type, JSON):
        return []
    kind = column.type.python_type
    return datetime(2026, 1, 1) if kind is datetime else kind("x" if kind is str else 1)


def test_memberships_from_before_are_not_bound(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    schema.downgrade(url, "0006")
    with engine.begin() as connection:
        for name in ("tenant", "user", "membership"):
            table = Table(name, MetaData(), autoload_with=connection)
            connection.execute(table.insert(), {c.name: filler(c) for c in table.c})
    schema.upgrade(url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT is_bound FROM membership")).scalars().all() == [
            False
        ]
    schema.downgrade(url, "0006")
    with engine.begin() as connection:
        assert connection.execute(text("SELECT user_id FROM membership")).scalars().all() == [1]


def test_standard_claims_kept_as_rows_become_the_accounts_own(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    schema.downgrade(url, "0006")
    kept = (
        "INSERT INTO user_claim (id, user_id, tenant_id, type, value) VALUES"
        " (1, 1, 1, 'given_name', 'Annie'), (2, 1, NULL, 'given_name', 'Ann'),"
        " (3, 1, NULL, 'family_name', 'Lee'), (4, 1, NULL, 'department', 'Books')"
    )
    with engine.begin() as connection:
        for name in ("tenant", "user"):
            table = Table(name, MetaData(), autoload_with=connection)
            connection.execute(table.insert(), {c.name: filler(c) for c in table.c})
        connection.execute(text(kept))
    schema.upgrade(url)
    with engine.begin() as connection:
        person = connection.execute(text('SELECT given_name, family_name, website FROM "user"'))
        assert person.all() == [("Ann", "Lee", None)]
        assert connection.execute(text("SELECT type FROM user_claim")).all() == [("department",)]
    schema.downgrade(url, "0006")
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT type, value FROM user_claim ORDER BY type"))
        assert rows.all() == [
            ("department", "Books"),
            ("family_name", "Lee"),
            ("given_name", "Ann"),
        ]


def test_refresh_tokens_of_before_stay_where_they_are(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    schema.downgrade(url, "0010")
    with engine.begin() as connection:
        for name in ("tenant", "user", "client", "grant", "refresh_token"):
            table = Table(name, MetaData(), autoload_with=connection)
            connection.execute(table.insert(), {c.name: filler(c) for c in table.c})
    rows = text("SELECT id, grant_id, token_hash, scopes, used_at FROM refresh_token")
    with engine.connect() as connection:
        before = connection.execute(rows).all()
    assert len(before) == 1
    schema.upgrade(url)
    with engine.connect() as connection:
        assert connection.execute(rows).all() == before
        assert connection.execute(text("SELECT * FROM refresh_family")).all() == []
    schema.downgrade(url, "0010")
    with engine.connect() as connection:
        assert connection.execute(rows).all() == before


def test_constraints_are_those_of_the_models(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    seen = inspect(engine)
    for table in Base.metadata.sorted_tables:
        checks = {check["name"] for check in seen.get_check_constraints(table.name)}
        ours = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        assert checks == ours, table.name
        partial = {
            index["name"]
            for index in seen.get_indexes(table.name)
            if any(key.endswith("_where") for key in index.get("dialect_options", {}))
        }
        expected = {
            index.name
            for index in table.indexes
            if index.dialect_options[engine.dialect.name]["where"] is not None
        }
        assert partial == expected, table.name


def test_drift_names_what_differs(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stranger (id integer)"))
        connection.execute(text("DROP INDEX ix_audit_event_at"))
    found = "\n".join(schema.drift(url))
    assert "stranger" in found
    assert "ix_audit_event_at" in found


def test_the_version_row_of_the_configuration_is_there_once(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    schema.upgrade(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, version FROM configuration_version")).all()
    assert [tuple(row) for row in rows] == [(1, 1)]


def test_nodes_that_migrate_at_once_make_everything_once(url: str) -> None:
    errors: list[Exception] = []
    start = threading.Barrier(2)

    def node() -> None:
        start.wait()
        try:
            # Alembic's `context` is global to a process, so nodes are processes here.
            run_in_process(url)
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=node) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert schema.drift(url) == []


def run_in_process(url: str) -> None:
    import subprocess
    import sys

    code = "import sys; from idp.platform import schema; schema.upgrade(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=120)


def test_audit_events_can_be_neither_changed_nor_removed(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    with engine.begin() as connection:
        connection.execute(text(EVENT))
        assert "append-only" in refused(connection, "UPDATE audit_event SET tag = 'other'")
        assert "append-only" in refused(connection, "DELETE FROM audit_event")
        if engine.dialect.name == "postgresql":
            assert "append-only" in refused(connection, "TRUNCATE audit_event")
        else:
            replace = EVENT.replace("INSERT", "INSERT OR REPLACE").replace("(at", "(id, at")
            replace = replace.replace("VALUES (", "VALUES (1, ")
            assert "append-only" in refused(connection, replace)
        assert connection.execute(text("SELECT tag FROM audit_event")).scalars().all() == [
            "person:sign_in:done"
        ]


def test_audit_events_can_be_removed_only_while_retention_is_open(url: str, engine: Engine) -> None:
    schema.upgrade(url)
    with engine.begin() as connection:
        connection.execute(text(EVENT))
        connection.execute(text("INSERT INTO audit_retention (id) VALUES (1)"))
        assert "append-only" in refused(connection, "UPDATE audit_event SET tag = 'other'")
        assert connection.execute(text("DELETE FROM audit_event")).rowcount == 1
        connection.execute(text("DELETE FROM audit_retention"))
        connection.execute(text(EVENT))
        assert "append-only" in refused(connection, "DELETE FROM audit_event")


def test_a_failing_migration_leaves_nothing_behind(
    url: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "migrations"
    shutil.copytree(steps.folder(), copy)
    (copy / "versions" / "2999-01-01_broken.py").write_text(
        "from alembic import op\n"
        f"revision = 'broken'\ndown_revision = {schema.head()!r}\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE half (id integer)')\n"
        "    op.execute('SELECT nonsense')\n"
        "def downgrade():\n    pass\n"
    )
    before = schema.head() if url.startswith("postgresql") else None
    monkeypatch.setattr(steps, "folder", lambda: copy)
    with pytest.raises(DBAPIError):
        schema.upgrade(url)
    assert "half" not in inspect(engine).get_table_names()
    assert schema.current(url) == before  # each migration on PostgreSQL, all of them on SQLite


def test_rebuilding_a_table_keeps_the_rows_that_point_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(tmp_path / "new.sqlite3")
    schema.upgrade(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO privilege_group (id, parent_id, code, name, sort, status)"
                " VALUES (1, NULL, 'a', 'A', 0, 1), (2, 1, 'b', 'B', 0, 1)"
            )
        )
    copy = tmp_path / "migrations"
    shutil.copytree(steps.folder(), copy)
    (copy / "versions" / "2999-01-01_rebuild.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision = 'rebuild'\ndown_revision = {schema.head()!r}\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('privilege_group', recreate='always') as batch:\n"
        "        batch.add_column(sa.Column('colour', sa.Text()))\n"
        "def downgrade():\n    pass\n"
    )
    monkeypatch.setattr(steps, "folder", lambda: copy)
    schema.upgrade(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT id, parent_id FROM privilege_group ORDER BY id"))
        assert [tuple(row) for row in rows] == [(1, None), (2, 1)]
    engine.dispose()


KILLED = 9


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def at_the_end_of_each(call: Callable[[str], object]) -> Callable[..., None]:
    """Make a listener that calls, with its revision, before the commit of a step that is done."""

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("UPDATE alembic", "INSERT INTO alembic")):
            call(statement.split("'")[1])

    return listen


def killed_during(url: str, revision: str) -> int:
    """Upgrade in a process that is killed at the end of a step; return its exit code."""

    def kill(done: str) -> None:
        if done == revision:
            os.kill(os.getpid(), KILLED)

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            event.listen(Engine, "after_cursor_execute", at_the_end_of_each(kill))
            schema.upgrade(url)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_migration_that_was_killed_is_run_again(new_database: Callable[[], str]) -> None:
    url, done = new_database(), None
    for step in steps.chain():
        assert killed_during(url, step.revision) == -KILLED
        assert schema.current(url) == done  # those before are done, this one is not
        done = step.revision
    schema.upgrade(url)
    assert schema.current(url) == schema.head()
    assert schema.drift(url) == []


def test_migrations_of_sqlite_that_were_killed_have_done_nothing(tmp_path: Path) -> None:
    chain = steps.chain()
    folder, name = tmp_path / "folder", "new.sqlite3"
    url = sqlite_url(folder / name)
    assert killed_during(url, chain[-1].revision) == -KILLED
    assert tables_of(url) == []

    # What a kill leaves behind is what the files are at that moment.
    keep = at_the_end_of_each(lambda revision: shutil.copytree(folder, tmp_path / revision))
    event.listen(Engine, "after_cursor_execute", keep)
    try:
        schema.upgrade(url)
    finally:
        event.remove(Engine, "after_cursor_execute", keep)
    assert schema.drift(url) == []
    left = [sqlite_url(tmp_path / step.revision / name) for step in chain]
    assert [each for each in left if tables_of(each)] == []
    schema.upgrade(left[-1])
    assert schema.drift(left[-1]) == []


def tables_of(url: str) -> list[str]:
    """Name the tables of a database."""
    engine = create_engine(url)
    names = inspect(engine).get_table_names()
    engine.dispose()
    return names


def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, upgrade: str) -> None:
    """Add a migration behind all others, in a copy of the folder."""
    copy = tmp_path / "migrations"
    shutil.copytree(steps.folder(), copy)
    (copy / "versions" / f"2999-01-01_{name}.py").write_text(
        "from alembic import op\nfrom idp.platform import online\n"
        f"revision = {name!r}\ndown_revision = {schema.head()!r}\nKIND = 'expand'\n"
        f"def upgrade():\n    {upgrade}\ndef downgrade():\n    pass\n"
    )
    monkeypatch.setattr(steps, "folder", lambda: copy)


ADDED = "op.execute('ALTER TABLE audit_event ADD COLUMN colour text')"


def test_a_migration_that_waits_for_a_table_lets_others_pass(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    schema.upgrade(url)
    versions(tmp_path, monkeypatch, "colours", ADDED)
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0.3)
    monkeypatch.setattr(schema, "TRIES", 1000)
    engine = create_engine(url)
    waiting = text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_event'::regclass"
    )
    read = text("SELECT count(*) FROM audit_event")
    with ThreadPoolExecutor(1) as pool, engine.connect() as reader, engine.connect() as watcher:
        reader.execute(read)  # a long transaction
        upgrading = pool.submit(schema.upgrade, url)
        until(lambda: watcher.scalar(waiting))
        for _ in range(3):  # others queue behind the migration, and are served meanwhile
            watcher.rollback()
            watcher.exec_driver_sql("SET LOCAL lock_timeout = '60s'")
            assert watcher.scalar(read) == 0
        watcher.rollback()
        assert not upgrading.done()
        reader.rollback()
        upgrading.result(60)
    engine.dispose()
    assert schema.current(url) == "colours"


def test_a_table_that_stays_in_use_is_a_sentence(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    schema.upgrade(url)
    versions(tmp_path, monkeypatch, "colours", ADDED)
    for name, value in {"LOCK_SECONDS": 0.01, "PAUSE_SECONDS": 0.0, "TRIES": 3}.items():
        monkeypatch.setattr(schema, name, value)
    engine = create_engine(url)
    with engine.connect() as reader:
        reader.execute(text("SELECT count(*) FROM audit_event"))
        with pytest.raises(Conflict, match="Migration colours waited 3 times"):
            schema.upgrade(url)
    engine.dispose()
    assert schema.current(url) == steps.chain()[-2].revision


def test_what_an_interrupted_index_left_is_removed(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    schema.upgrade(url)
    made = "online.create_index('ix_once', 'audit_event', ['tag'], unique=True)"
    versions(tmp_path, monkeypatch, "once", made)
    engine = create_engine(url)
    valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_once')")
    with engine.begin() as connection:
        for _ in range(2):
            connection.execute(text(EVENT))
    with pytest.raises(DBAPIError):
        schema.upgrade(url)
    with engine.begin() as connection:
        assert connection.scalar(valid) is False  # what an interrupted one leaves
        connection.execute(text("INSERT INTO audit_retention (id) VALUES (1)"))
        connection.execute(text("DELETE FROM audit_event WHERE id = 1"))
    schema.upgrade(url)
    with engine.connect() as connection:
        assert connection.scalar(valid) is True
    engine.dispose()
    assert schema.current(url) == "once"


def test_an_index_on_sqlite_is_made_in_the_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(tmp_path / "new.sqlite3")
    schema.upgrade(url)
    versions(
        tmp_path, monkeypatch, "more", "online.create_index('ix_more', 'audit_event', ['tag'])"
    )
    schema.upgrade(url)
    engine = create_engine(url)
    assert "ix_more" in {row["name"] for row in inspect(engine).get_indexes("audit_event")}
    engine.dispose()


REFERRED = (
    "online.create_foreign_key('fk_ref', 'audit_event', 'user_id', 'user.id', ondelete='SET NULL')"
)


def test_a_foreign_key_binds_new_rows_first_and_looks_at_the_others_later(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    schema.upgrade(url)
    versions(tmp_path, monkeypatch, "referring", REFERRED)
    engine = create_engine(url)
    is_valid = text("SELECT convalidated FROM pg_constraint WHERE conname = 'fk_ref'")
    wrong = EVENT.replace("(at, tag)", "(at, tag, user_id)").replace("done')", "done', 404)")
    with engine.begin() as connection:
        connection.execute(text(wrong))
    with pytest.raises(DBAPIError):
        schema.upgrade(url)
    with engine.begin() as connection:
        assert connection.scalar(is_valid) is False  # what an interrupted one leaves
        assert "fk_ref" in refused(connection, wrong)
        connection.execute(text("INSERT INTO audit_retention (id) VALUES (1)"))
        connection.execute(text("DELETE FROM audit_event WHERE user_id = 404"))
    schema.upgrade(url)
    with engine.connect() as connection:
        assert connection.scalar(is_valid) is True
    engine.dispose()
    assert schema.current(url) == "referring"


def test_a_foreign_key_waits_briefly_for_a_table(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    schema.upgrade(url)
    versions(tmp_path, monkeypatch, "referring", REFERRED)
    monkeypatch.setattr("idp.platform.online.LOCK_MILLISECONDS", 10)
    monkeypatch.setattr(schema, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(schema, "TRIES", 3)
    engine = create_engine(url)
    with engine.connect() as writer:
        writer.execute(text(EVENT))  # a long transaction
        with pytest.raises(Conflict, match="Migration referring waited 3 times"):
            schema.upgrade(url)
    engine.dispose()


def test_a_foreign_key_on_sqlite_is_made_in_the_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_url(tmp_path / "new.sqlite3")
    schema.upgrade(url)
    made = REFERRED.replace("'audit_event', 'user_id'", "'outbox', 'attempts'")
    versions(tmp_path, monkeypatch, "referring", made)
    schema.upgrade(url)
    engine = create_engine(url)
    assert "fk_ref" in {row["name"] for row in inspect(engine).get_foreign_keys("outbox")}
    engine.dispose()


def test_large_tables_are_vacuumed_early_and_have_room_for_changes(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    schema.upgrade(url)
    engine = create_engine(url)
    query = text(
        "SELECT relname, reloptions FROM pg_class WHERE reloptions IS NOT NULL AND relkind = 'r'"
    )
    with engine.connect() as connection:
        found = {name: set(options) for name, options in connection.execute(query)}
    engine.dispose()
    assert found.keys() == online.LARGE
    early = {f"autovacuum_vacuum_{kind}scale_factor=0.02" for kind in ("", "insert_")}
    assert all(options >= early for options in found.values())
    filled = {name for name, options in found.items() if "fillfactor=85" in options}
    assert filled == {"browser_session", "outbox", "refresh_family", "refresh_token"}


def test_a_waiting_node_holds_nothing_that_an_index_waits_for(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    schema.upgrade(url)
    versions(
        tmp_path, monkeypatch, "more", "online.create_index('ix_more', 'audit_event', ['tag'])"
    )
    entered, others = threading.Event(), threading.Event()
    run = schema._run

    def slowly(*arguments: Any) -> None:
        entered.set()
        others.wait(60)
        run(*arguments)

    monkeypatch.setattr(schema, "_run", slowly)
    monkeypatch.setattr(schema, "TURN_SECONDS", 0.01)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(schema.upgrade, url)
        assert entered.wait(60)
        second = pool.submit(schema.upgrade, url)
        until(partial(asking, url))
        others.set()
        assert [step.revision for step in first.result(60).steps] == ["more"]
        assert second.result(60).steps == ()


def asking(url: str) -> bool:
    """Return whether a second session asks for the lock under which one migrates."""
    engine = create_engine(url)
    with engine.connect() as connection:
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'SELECT pg_try_advisory%'"
        )
        found = connection.scalar(query)
    engine.dispose()
    return bool(found)  # the first one has asked something else since
