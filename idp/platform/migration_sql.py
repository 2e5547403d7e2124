"""The statements of migrations, which are not run, and what they do to those who use the tables."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import create_engine, make_url

from idp.platform import schema
from idp.platform.steps import Step
from idp.platform.tables import load_models

ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"
SHARE_ROW_EXCLUSIVE = "SHARE ROW EXCLUSIVE"
SHARE = "SHARE"
SHARE_UPDATE_EXCLUSIVE = "SHARE UPDATE EXCLUSIVE"
ROW_EXCLUSIVE = "ROW EXCLUSIVE"

WAITING = {
    "": "no lock",
    ROW_EXCLUSIVE: "only writers of the same rows wait",
    SHARE_UPDATE_EXCLUSIVE: "neither readers nor writers wait",
    SHARE: "writers wait",
    SHARE_ROW_EXCLUSIVE: "writers wait",
    ACCESS_EXCLUSIVE: "readers and writers wait",
}
"""Locks of PostgreSQL, the weakest first, and who waits while one is held."""
_STRENGTH = list(WAITING)

_NEW = re.compile(r"ADD COLUMN (\S+) ")
_CONSTANT = re.compile(r"DEFAULT ('[^']*'|-?[0-9.]+|true|false)(?: |$)", re.IGNORECASE)
_REFERENCED = re.compile(r"REFERENCES (\w+)")
_WIDE = re.compile(r"TYPE (?:TEXT|BIGINT)$")
_CHANGES = ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT")


@dataclass(frozen=True, slots=True)
class Effect:
    """What one statement does to a table."""

    table: str
    lock: str = ""
    breaks: str = ""
    """Why code of before may fail afterwards."""


class _Recorder(io.StringIO):
    """Takes the statements that Alembic writes, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.by_step: list[list[str]] = [[]]

    def write(self, text: str) -> int:
        """Take one statement."""
        self.written.append(text.strip())
        if not text.startswith(("--", "BEGIN", "COMMIT")):
            self.by_step[-1].append(text.strip())
        return len(text)

    def end_step(self, **_: Any) -> None:
        """Begin with the statements of the next step."""
        self.by_step.append([])


def for_postgresql(steps: Sequence[Step], after: str) -> tuple[str, Mapping[str, Sequence[str]]]:
    """Return the script of successive steps, and the statements of each, by its revision."""
    if not steps:
        return "", {}
    load_models()
    recorder = _Recorder()
    config = schema.configuration()
    config.output_buffer = recorder
    config.attributes["on_version_apply"] = [recorder.end_step]
    command.upgrade(config, f"{after or 'base'}:{steps[-1].revision}", sql=True)
    by_step = (
        [text for text in texts if "alembic_version" not in text and "installation SET" not in text]
        for texts in recorder.by_step
    )
    script = "\n".join(recorder.written) + "\n"
    return script, {step.revision: texts for step, texts in zip(steps, by_step, strict=False)}


def for_sqlite(steps: Sequence[Step], after: str) -> str:
    """Return the script of steps; SQLite rebuilds tables, so it is taken down from a trial run."""
    if not steps:
        return ""
    load_models()
    taken: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(make_url(f"sqlite:///{Path(folder) / 'trial.sqlite3'}"))
        config = schema.configuration()
        for target, is_wanted in ((after, False), (steps[-1].revision, True)):
            with engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                driver.set_trace_callback(taken.append if is_wanted else None)
                config.attributes["connection"] = connection
                if target:
                    command.upgrade(config, target)
        engine.dispose()
    kept = [text.strip() for text in taken if text.lstrip().startswith(_CHANGES)]
    return "PRAGMA foreign_keys=OFF;\n" + "".join(f"{text};\n" for text in kept)


def effects(statements: Sequence[str]) -> list[Effect]:
    """Return what the statements of one step do to each table, in the words of PostgreSQL."""
    made: set[str] = set()
    found: list[Effect] = []
    for statement in statements:
        words = statement.replace('"', "").rstrip(";").split()
        if words[1:2] == ["UNLOGGED"]:
            del words[1]
        for effect in _effects(words):
            if effect.table in made:
                continue
            if words[:2] == ["CREATE", "TABLE"] and effect.table == words[2]:
                made.add(effect.table)
            found.append(effect)
    return found


def strongest(found: Sequence[Effect]) -> dict[str, str]:
    """Return the strongest lock of each table."""
    locks: dict[str, str] = {}
    for effect in found:
        before = locks.get(effect.table, "")
        locks[effect.table] = max(before, effect.lock, key=_STRENGTH.index)
    return locks


def _effects(words: Sequence[str]) -> Iterator[Effect]:
    match words:
        case ["CREATE", "TABLE", table, *_]:
            yield Effect(table)
            for other in _REFERENCED.findall(" ".join(words)):
                yield Effect(other, SHARE_ROW_EXCLUSIVE)
        case ["CREATE", "INDEX" | "UNIQUE", *_]:
            yield _index(words)
        case ["CREATE", "TRIGGER", *_]:
            yield Effect(words[words.index("ON") + 1], SHARE_ROW_EXCLUSIVE, "a trigger")
        case ["CREATE", "FUNCTION", *_]:
            return
        case ["ALTER", "TABLE", table, *change]:
            yield _alteration(table, " ".join(change))
        case ["INSERT", "INTO", table, *_]:
            yield Effect(table, ROW_EXCLUSIVE)
        case ["UPDATE", table, *_] | ["DELETE", "FROM", table, *_]:
            yield Effect(table, ROW_EXCLUSIVE, "changes rows")
        case ["DROP", "TABLE" | "INDEX", *_]:
            yield Effect(words[-1], ACCESS_EXCLUSIVE, "drops")
        case _:
            yield Effect("", ACCESS_EXCLUSIVE, f"unknown: {' '.join(words[:3])}")


def _index(words: Sequence[str]) -> Effect:
    lock = SHARE_UPDATE_EXCLUSIVE if "CONCURRENTLY" in words else SHARE
    unique = "a new constraint" if words[1] == "UNIQUE" else ""
    return Effect(words[words.index("ON") + 1], lock, unique)


def _alteration(table: str, change: str) -> Effect:
    if change.startswith("VALIDATE"):
        return Effect(table, SHARE_UPDATE_EXCLUSIVE)
    if change.startswith("SET ("):
        return Effect(table, SHARE_UPDATE_EXCLUSIVE)
    return Effect(table, ACCESS_EXCLUSIVE, _breaks(change))


def _breaks(change: str) -> str:
    """Return why code of before may fail after an ALTER TABLE."""
    if _NEW.match(change):
        needs_value = "NOT NULL" in change and _CONSTANT.search(change) is None
        return "a column that must be filled" if needs_value else ""
    if change.startswith("ADD "):
        return "a new constraint"
    if change.endswith(("DROP NOT NULL",)) or " SET DEFAULT " in change or _WIDE.search(change):
        return ""
    for word, reason in (
        ("DROP DEFAULT", "a column that must be filled"),
        ("DROP", "drops"),
        ("RENAME", "renames"),
        ("SET NOT NULL", "a column that must be filled"),
        ("TYPE", "another type"),
    ):
        if word in change:
            return reason
    return f"unknown: {change[:40]}"
