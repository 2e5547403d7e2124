"""Nodes that record that they run."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from idp import __version__, jobs
from idp.platform import clock, steps
from idp.platform.jobs import cleanup
from idp.platform.releases import service as releases
from idp.platform.releases.models import Node
from idp.platform.runtime import Runtime


def test_a_node_is_recorded_once_and_anew(session: Session) -> None:
    name = releases.node_name()
    assert name != releases.node_name()
    for _ in range(2):
        releases.note(session, name)
        session.commit()
    (node,) = releases.running(session)
    assert (node.name, node.release) == (name, __version__)
    assert node.schema_number == steps.number()


def test_a_node_goes_on_after_the_database_was_away(
    runtime: Runtime, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, note, tries = threading.Event(), releases.note, []

    def sometimes(session: Session, name: str) -> None:
        tries.append(name)
        if len(tries) == 1:
            raise OperationalError("", {}, Exception())
        note(session, name)
        stop.set()

    monkeypatch.setattr(releases, "note", sometimes)
    monkeypatch.setattr(releases, "EVERY_SECONDS", 0)
    releases.keep_noted(runtime, stop, "a:1:x")
    assert tries == ["a:1:x", "a:1:x"]
    assert [node.name for node in releases.running(session)] == ["a:1:x"]


def test_nodes_that_stopped_are_forgotten(runtime: Runtime, session: Session) -> None:
    moments = {"now": timedelta(), "stopped": timedelta(seconds=121), "gone": timedelta(days=2)}
    for name, ago in moments.items():
        row = {"release": "0.0.9", "schema_number": 1, "seen_at": clock.now() - ago}
        session.add(Node(name=name, **row))
    session.commit()
    assert [node.name for node in releases.running(session)] == ["now"]
    assert releases.running(session, below=1) == []
    session.commit()
    expiries = [expiry for expiry in jobs.EXPIRIES if expiry.column.class_ is Node]
    assert cleanup.run(runtime, threading.Event(), expiries) == 1
    assert session.get(Node, "gone") is None
