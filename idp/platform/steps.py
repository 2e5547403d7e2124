"""The migrations in their order, read from their files; Alembic takes longer to load than a start.

Each file says what kind of step it is. `expand` leaves a schema that the code of before still
fits. `contract` takes away what this code no longer needs; it also names the first `RELEASE` that
does without it and, where rows are to be converted first, the backfill that it `NEEDS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from idp import __version__
from idp.platform.files import migrations_dir

_LINE = re.compile(
    r'^(revision|down_revision|KIND|RELEASE|NEEDS)\b[^=\n]*= *["\']([^"\']*)', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Step:
    """One migration."""

    number: int
    """Its place in the chain; the first one is 1."""
    revision: str
    title: str
    kind: str
    release: str
    """First release whose code fits what a contract step leaves; empty for an expand step."""
    needs: str
    """Name of the backfill that has to be done before; empty for none."""

    @property
    def is_contract(self) -> bool:
        """Whether older code may not fit what it leaves; so is a file that does not say."""
        return self.kind != "expand"

    @property
    def is_due(self) -> bool:
        """Whether the code of this release does without what it takes away."""
        return _parts(self.release) <= _parts(__version__)


def folder() -> Path:
    """Find the folder of the migrations."""
    return migrations_dir()


def chain() -> tuple[Step, ...]:
    """Return the steps that this release can run, in their order.

    They end before a contract step of a later release: this code still needs what it takes away.
    """
    return tuple(takewhile(lambda step: step.is_due, _read(folder())))


def number() -> int:
    """Return the number of the code: that of the last step it can run."""
    return len(chain())


def number_of(revision: str | None) -> int:
    """Return the number of a revision; 0 for none, and for one that this release does not know."""
    found = (step.number for step in _read(folder()) if step.revision == revision)
    return next(found, 0)


def oldest_code(at: int) -> int:
    """Return the lowest number of code that fits a schema: that of its last contract step."""
    return max((step.number for step in chain()[:at] if step.is_contract), default=0)


@cache
def _read(source: Path) -> tuple[Step, ...]:
    following: dict[str, tuple[dict[str, str], str]] = {}
    for path in sorted((source / "versions").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        fields = dict(_LINE.findall(text))
        before = fields.get("down_revision", "")
        if before in following:
            raise RuntimeError(f"{path.name}: another migration follows {before!r} already")
        following[before] = fields, text.lstrip('"').partition("\n")[0].rstrip('"')
    found: list[Step] = []
    while (entry := following.pop(found[-1].revision if found else "", None)) is not None:
        fields, title = entry
        optional = (fields.get(name, "") for name in ("KIND", "RELEASE", "NEEDS"))
        found.append(Step(len(found) + 1, fields["revision"], title, *optional))
    if following:
        raise RuntimeError(f"migrations that follow none: {sorted(following)}")
    return tuple(found)


def _parts(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdecimal())
