"""The state of an import: what it has added and changed, and the place in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.roles.models import Role
from idp.platform.db import Base
from idp.platform.errors import BadRequest, Problem

Row = TypeVar("Row", bound=Base)
Entry = Mapping[str, Any]
"""One entry of the file; members that it leaves out are missing here too."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry that was added or changed."""

    section: str
    key: str
    fields: tuple[Mapping[str, Any], ...] = ()
    """Each with `field`, `before` and `after`; empty: the entry is new."""


@dataclass(slots=True)
class Run:
    """The state of an import."""

    session: Session
    tenants: dict[str, int] = field(default_factory=dict)
    """Tenants by their name in the file."""
    added: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: int = 0
    hashes: Sequence[Any] = ()
    """Of people, in the order of the file, prepared before the transaction began."""
    without_password: list[tuple[str, str]] = field(default_factory=list)
    """User names of people whose hash was not taken over, with the reason."""
    roles: dict[tuple[int | None, str], Role] = field(default_factory=dict)
    """Roles that were found, by tenant and code."""

    def update(
        self,
        section: str,
        key: str,
        row: Base,
        values: Mapping[str, Any],
        *,
        is_new: bool,
        show: Callable[[str, Any], Any] = lambda _, value: value,
    ) -> None:
        """Bring a row in line with the file; `show` returns how a value is reported."""
        fields = []
        for name, value in values.items():
            before = getattr(row, name)
            if before != value:
                setattr(row, name, value)
                sides = {"before": show(name, before), "after": show(name, value)}
                fields.append({"field": name, **sides})
        self.session.flush()
        self.note(section, key, fields, is_new=is_new)

    def note(
        self, section: str, key: str, fields: list[dict[str, Any]], *, is_new: bool = False
    ) -> None:
        """Record the result of an entry."""
        if is_new:
            self.added.append(Change(section, key))
        elif fields:
            self.changed.append(Change(section, key, tuple(fields)))
        else:
            self.unchanged += 1


@contextmanager
def at(path: str) -> Iterator[None]:
    """Prefix the fields of a problem with their place in the file."""
    try:
        yield
    except Problem as problem:
        named = problem.fields or {"": [problem.detail]}
        raise wrong({_joined(path, name): texts for name, texts in named.items()}) from None
    except IntegrityError:
        raise wrong({path: ["This conflicts with existing data."]}) from None


def wrong(fields: Mapping[str, Sequence[str]]) -> BadRequest:
    """Return the refusal of a file, with messages by place."""
    return BadRequest("The file cannot be imported.", fields=fields)


def _joined(path: str, name: str) -> str:
    # A file has names where columns have ids.
    return f"{path}.{name.removesuffix('_id')}" if name else path
