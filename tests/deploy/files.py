"""The files of `deploy/`, and what tests of several of them ask."""

from __future__ import annotations

import re
from pathlib import Path

from idp.config import Settings, file_variable, secret_fields, variable

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "chart"
GUIDE = ROOT / "docs" / "deploy.md"

SETTINGS = {variable(name) for name in Settings.model_fields}
SECRETS = {variable(name) for name in secret_fields()}
VARIABLES = SETTINGS | {file_variable(name) for name in secret_fields()}

_PINNED = re.compile(r"[a-z0-9][-a-z0-9./:]*(:[-\w.]*\d+\.\d[-\w.]*|@sha256:[0-9a-f]{64})")


def is_pinned(image: str) -> bool:
    """Return whether an image is named with its release, or by its digest."""
    return _PINNED.fullmatch(image) is not None


def read(*path: str) -> str:
    return DEPLOY.joinpath(*path).read_text(encoding="utf-8")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments, lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [
        (name, rest.strip())
        for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def stages(text: str) -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage of a Dockerfile."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions(text):
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found
