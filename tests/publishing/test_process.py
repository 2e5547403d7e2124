"""Programs of others within limits: each attack ends, is told, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from idp.platform.errors import Unavailable
from idp.publishing.codegen import process
from idp.publishing.codegen.process import Limits, Outcome

pytestmark = pytest.mark.no_database

LIMITS = Limits(seconds=10, output_bytes=4 * 1024**2, memory_bytes=512 * 1024**2)


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def run(work: Path, program: str, limits: Limits = LIMITS, **more) -> Outcome:
    """Run a program in Python."""
    return process.run([sys.executable, "-I", "-c", textwrap.dedent(program)], work, limits, **more)


def test_a_program_that_ends_well_is_told_with_what_it_wrote(tmp_path):
    outcome = run(tmp_path, "print('hello'); open('made', 'w').write('x')")
    assert outcome == Outcome(0, "hello\n")
    assert outcome.is_fine
    assert (tmp_path / "made").read_text() == "x"
    assert run(tmp_path, "raise SystemExit(3)").code == 3


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    program = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(child.pid, flush=True)
        time.sleep(600)
    """
    begun = time.monotonic()
    outcome = run(tmp_path, program, Limits(seconds=1, output_bytes=10**6))
    assert time.monotonic() - begun < 10
    assert outcome.stopped == "It was stopped after 1 seconds."
    assert not outcome.is_fine
    child = int(outcome.log)
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child lives on")


def test_a_program_that_only_computes_is_ended(tmp_path):
    assert not run(tmp_path, "while True: pass", Limits(seconds=1, output_bytes=10**6)).is_fine


def test_one_large_file_is_not_written(tmp_path):
    outcome = run(tmp_path, "open('large', 'wb').write(b'x' * 64 * 1024**2)")
    assert not outcome.is_fine
    assert (tmp_path / "large").stat().st_size <= LIMITS.output_bytes


def test_many_files_together_are_too_much(tmp_path):
    program = """
        import time
        for number in range(8):
            open(str(number), "wb").write(b"x" * 1024**2)
        time.sleep(60)
    """
    outcome = run(tmp_path, program)
    assert outcome.stopped == "It wrote more than 4 MiB or 20000 files."
    # Who is quick is found out at the end.
    assert run(tmp_path, program.replace("60", "0")).stopped == outcome.stopped


def test_words_without_end_are_output_too(tmp_path):
    outcome = run(tmp_path, "while True: print('x' * 1000)")
    assert not outcome.is_fine
    assert len(outcome.log) <= process.LOG_TAIL


def test_memory_is_bounded(tmp_path):
    outcome = run(tmp_path, "x = b'x' * 2 * 1024**3")
    assert "MemoryError" in outcome.log
    assert not outcome.is_fine


def test_the_environment_of_the_worker_is_not_handed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("IDP_SECRET_KEY", "a secret of the worker")
    outcome = run(tmp_path, "import os; print(sorted(os.environ), os.environ.get('HOME'))")
    assert "IDP_SECRET_KEY" not in outcome.log
    assert str(tmp_path) in outcome.log
    assert run(tmp_path, "print(input())").log.endswith("EOFError: EOF when reading a line\n")


def test_a_program_has_no_network_where_the_system_allows(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"""
            import socket
            socket.create_connection(("127.0.0.1", {port}), 2)
            print("connected")
        """
        offline = run(tmp_path, program)
        online = run(tmp_path, program, Limits(seconds=10, output_bytes=10**6, network=True))
    assert online.log == "connected\n"
    if "does not allow isolating this program" in offline.log:
        pytest.skip("this system lets nobody leave its network; generators get dead proxies only")
    assert "connected" not in offline.log


def test_what_was_written_is_told_while_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "PROGRESS_SECONDS", 0)
    told = []
    run(tmp_path, "import time; print('one', flush=True); time.sleep(1)", on_progress=told.append)
    assert "one\n" in told


def test_a_folder_is_gone_afterwards_whatever_happened(tmp_path):
    parent = tmp_path / "codegen"
    with process.folder(parent) as work:
        (work / "file").write_text("x")
    with pytest.raises(FileExistsError), process.folder(parent) as work:
        work.mkdir()
    assert list(parent.iterdir()) == []
    stale = parent / "work-stale"
    stale.mkdir()
    os.utime(stale, (0, 0))
    fresh = parent / "work-fresh"
    fresh.mkdir()
    with process.folder(parent):
        assert not stale.exists()
        assert fresh.exists()


def test_nothing_is_begun_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 1000))
    with pytest.raises(Unavailable, match="too full"), process.folder(tmp_path / "codegen"):
        pytest.fail("was begun")
    assert list((tmp_path / "codegen").iterdir()) == []


def test_a_program_that_fills_the_disk_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 1000))
    assert run(tmp_path, "import time; time.sleep(60)").stopped == process.DISK_FULL
