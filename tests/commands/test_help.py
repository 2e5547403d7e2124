"""What every command promises: help with an example, `--json`, and a hint after a typing error."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from idp import cli
from idp.commands.command import Command

pytestmark = pytest.mark.no_database

NOT_JSON = {"serve", "worker", "openapi", "completion", "api metadata"}
"""They run until they are stopped, or print a document of their own."""


def leaves() -> Iterator[tuple[str, click.Command]]:
    """Find every command by its path."""

    def below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from below(f"{path} {name}", child)
        else:
            yield path, command

    for name in cli.COMMANDS:
        found = cli.main.get_command(click.Context(cli.main), name)
        assert found is not None
        yield from below(name, found)


COMMANDS = dict(leaves())


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_an_example_that_can_be_typed(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("company.yaml", "pwned-passwords-sha1.txt", "idp-2030-01-31.tar", "events.jsonl"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    command = COMMANDS[path]
    assert isinstance(command, Command)
    assert command.example
    for line in command.example.replace("\\\n", " ").splitlines():
        words = shlex.split(line.partition(" > ")[0])
        assert words[: len(path.split()) + 1] == ["idp", *path.split()]
        command.make_context("idp", words[len(path.split()) + 1 :])
    shown = CliRunner().invoke(cli.main, [*path.split(), "--help"])
    assert shown.exit_code == 0
    assert command.example.splitlines()[0] in shown.output


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_explained_and_says_whether_it_repeats(path: str) -> None:
    for option in COMMANDS[path].params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"idp {path} {option.opts[0]}"
            assert ("May be repeated." in option.help) == option.multiple


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() - NOT_JSON))
def test_every_command_prints_json(path: str) -> None:
    assert "--json" in {name for option in COMMANDS[path].params for name in option.opts}


def test_the_verbs_are_one_vocabulary() -> None:
    common = {"add", "list", "show", "change", "remove"}
    own = {
        *("disable", "enable", "unlock", "password", "secret", "scope", "retry"),
        *("rotate", "revoke", "rewrap", "reset", "copy", "factors", "prepare", "recover"),
        "metadata",
    }
    assert {path.split()[-1] for path in COMMANDS if " " in path} <= common | own


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (("clint", "list"), "Did you mean 'client'?"),
        (("user", "shw", "ann"), "Did you mean 'show'?"),
        (("client", "list", "--tenat", "2"), "--tenant"),
        (("gateway", "prodct", "list"), "'product'"),
    ],
)
def test_a_typing_error_names_what_was_meant(typed: tuple[str, ...], hint: str) -> None:
    result = CliRunner().invoke(cli.main, typed)
    assert result.exit_code == 2
    assert hint in result.output


def test_a_setting_with_a_typing_error_names_what_was_meant(idp: Callable[..., Result]) -> None:
    refused = idp(
        *("client", "add", "--id", "a", "--kind", "service", "--set", "acess_token_lifetime=60"),
        code=1,
    )
    assert "Did you mean access_token_lifetime?" in refused.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash is installed")
def test_bash_completes_commands_and_options() -> None:
    script = CliRunner().invoke(cli.main, ["completion", "bash"]).output
    asked = [("idp cli", 1, "client"), ("idp client ch", 2, "change"), ("idp keys li", 2, "list")]
    for words, position, wanted in asked:
        code = "import sys; sys.argv[0] = 'idp'; from idp.cli import main; main(prog_name='idp')"
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "_IDP_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(position),
            },
            capture_output=True,
            text=True,
        )
        assert wanted in answer.stdout, answer.stderr
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "_IDP_COMPLETE=bash_complete" in script


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_too(shell: str) -> None:
    assert f"_IDP_COMPLETE={shell}_complete" in (
        CliRunner().invoke(cli.main, ["completion", shell]).output
    )
