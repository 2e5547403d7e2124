"""Stolen passwords: the file that is made of a list, and looking them up."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from idp import cli
from idp.config import Settings
from idp.directory.users import breached, passwords
from idp.platform.errors import BadRequest, Unavailable

pytestmark = pytest.mark.no_database


def sha1(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@pytest.fixture
def prepare(tmp_path: Path):
    def make(lines: list[str], seen: int = 1) -> Path:
        path = tmp_path / "breached"
        with path.open("wb") as target:
            breached.write(lines, target, tmp_path, seen=seen)
        return path

    return make


def test_every_password_of_the_list_is_found_and_no_other(prepare) -> None:
    words = [f"password-{number}" for number in range(3000)]
    lines = [f"{sha1(word)}:{number + 1}\n" for number, word in enumerate(words)]
    random.shuffle(lines)
    path = prepare([*lines, *lines[:100], "\n"])
    assert all(breached.contains(path, word) for word in words)
    assert not any(breached.contains(path, f"{word}x") for word in words)
    assert path.stat().st_size == len(breached.MAGIC) + 3000 * breached.WIDTH


def test_the_file_is_sorted_whatever_the_order_of_the_list(prepare) -> None:
    lines = [sha1(str(number)) for number in range(1000)]
    content = prepare(sorted(lines)).read_bytes()
    random.shuffle(lines)
    assert prepare([line.lower() for line in lines]).read_bytes() == content
    digests = [content[at : at + 8] for at in range(len(breached.MAGIC), len(content), 8)]
    assert digests == sorted(bytes.fromhex(line)[:8] for line in lines)


def test_rare_ones_are_left_out(prepare) -> None:
    path = prepare([f"{sha1('often')}:10", f"{sha1('rarely')}:9", sha1("once")], seen=10)
    assert breached.contains(path, "often")
    assert not breached.contains(path, "rarely")
    assert not breached.contains(path, "once")


def test_an_empty_list_contains_nothing(prepare) -> None:
    assert not breached.contains(prepare([]), "anything")


@pytest.mark.parametrize(
    "line",
    ["password", ":5", "x" * 40, *(sha1("a")[:39] + end for end in ("", "00", "0:x", "0:-1"))],
)
def test_a_line_that_is_no_digest_is_named(prepare, line: str) -> None:
    with pytest.raises(breached.WrongLineError, match="Line 2 "):
        prepare([sha1("a"), line])


def test_a_file_that_is_cut_off_or_gone_refuses_instead_of_letting_pass(prepare) -> None:
    path = prepare([sha1("a"), sha1("b")])
    path.write_bytes(path.read_bytes()[:-3])
    for _ in range(2):
        with pytest.raises(Unavailable):
            breached.contains(path, "a")
        path.unlink(missing_ok=True)


def test_a_replaced_file_counts_at_once(prepare, tmp_path: Path) -> None:
    path = prepare([sha1("old")])
    assert breached.contains(path, "old")
    new = tmp_path / "new"
    new.write_bytes(path.read_bytes()[: len(breached.MAGIC)] + bytes.fromhex(sha1("new"))[:8])
    new.replace(path)
    assert breached.contains(path, "new")
    assert not breached.contains(path, "old")


def test_the_policy_refuses_a_stolen_password_and_does_not_repeat_it(prepare) -> None:
    path = prepare([sha1("correct horse battery")])
    with pytest.raises(BadRequest) as refusal:
        passwords.check_policy("correct horse battery", breached_file=path)
    assert refusal.value.fields == {
        "password": ["This password is in a list of stolen passwords. Choose another one."]
    }
    passwords.check_policy("correct horse staple", breached_file=path)


def run(*arguments: str):
    return CliRunner().invoke(cli.main, ["passwords", "prepare", *arguments])


def test_the_command_writes_the_file_that_the_setting_names(tmp_path: Path, monkeypatch) -> None:
    source, file = tmp_path / "list.txt", tmp_path / "breached"
    source.write_text(f"{sha1('b')}:3\r\n{sha1('a')}:1\r\n")
    answer = run(str(source), str(file), "--seen", "2", "--json")
    assert answer.exit_code == 0, answer.output
    assert '"written": 1' in answer.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["breached", "list.txt"]
    assert breached.contains(file, "b")
    monkeypatch.setenv("IDP_BREACHED_PASSWORDS", str(file))
    assert Settings().breached_passwords == str(file)


def test_a_wrong_list_leaves_the_file_of_before(tmp_path: Path) -> None:
    source, file = tmp_path / "list.txt", tmp_path / "breached"
    file.write_bytes(b"before")
    for content in (b"no digest\n", b"\xff\xfe\n"):
        source.write_bytes(content)
        answer = run(str(source), str(file))
        assert answer.exit_code == 1
        assert file.read_bytes() == b"before"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["breached", "list.txt"]


def test_a_setting_that_names_no_such_file_is_refused(tmp_path: Path, monkeypatch) -> None:
    other = tmp_path / "other"
    other.write_text("no list")
    for path in (other, tmp_path / "missing", tmp_path):
        monkeypatch.setenv("IDP_BREACHED_PASSWORDS", str(path))
        with pytest.raises(ValidationError, match="breached_passwords"):
            Settings()
