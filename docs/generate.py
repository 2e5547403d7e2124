"""Write the parts of the documents that come from the code.

    .venv/bin/python docs/generate.py

A part stands between `<!-- begin NAME -->` and `<!-- end -->`, where NAME is `settings`,
`commands`, `metrics`, `user-service-codes` or the path of a file that is shown as it is.
"""  # noqa: INP001 - a program, no package

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import SecretStr

from idp import cli
from idp.api.userservice.codes import Code
from idp.config import Settings, file_variable, secret_fields, variable
from idp.platform.metrics.declarations import METRICS

ROOT = Path(__file__).resolve().parent.parent
PART = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
LANGUAGES = {".py": "python", ".mjs": "js", ".java": "java", ".yaml": "yaml"}


def main() -> None:
    """Write every document that is out of date."""
    for path in documents():
        text = path.read_text(encoding="utf-8")
        if filled(text) != text:
            path.write_text(filled(text), encoding="utf-8")


def documents() -> list[Path]:
    """List the documents for readers."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def filled(text: str) -> str:
    """Return a document with its parts generated again."""
    return PART.sub(lambda part: f"{part[1]}\n{_make(part[2])}\n{part[3]}", text)


def _make(name: str) -> str:
    if name == "settings":
        return _table(("variable", "default", "meaning"), _settings())
    if name == "commands":
        return _table(("command", "does"), _commands())
    if name == "metrics":
        return _table(("metric", "kind", "labels", "meaning"), _metrics())
    if name == "user-service-codes":
        return _table(("code", "name", "说明", "meaning"), _user_service_codes())
    path = ROOT / name
    return f"```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8').strip()}\n```\n"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _settings() -> Iterator[tuple[str, str, str]]:
    for name, field in Settings.model_fields.items():
        value = field.default
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, bool):
            value = str(value).lower()
        default = "" if value == "" else f"`{value}`"
        meaning = field.description or ""
        if name in secret_fields():
            meaning = f"{meaning} Or in the file that `{file_variable(name)}` names."
        yield f"`{variable(name)}`", default, meaning.replace("|", "\\|")


def _commands() -> Iterator[tuple[str, str]]:
    for name in sorted(cli.COMMANDS):
        found = cli.main.get_command(click.Context(cli.main), name)
        for path, command in _leaves(name, found):
            words = (command.help or "").partition("\n\n")[0].split()
            yield f"`idp {path}`", " ".join(words)


def _leaves(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, below in command.commands.items():
        yield from _leaves(f"{path} {name}", below)


def _metrics() -> Iterator[tuple[str, str, str, str]]:
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"`{metric.name}`", metric.kind, labels, metric.sentence


def _user_service_codes() -> Iterator[tuple[str, str, str, str]]:
    for code in Code:
        yield f"{code.number}", f"`{code.name}`", code.message("zh"), code.message("en")


if __name__ == "__main__":
    main()
