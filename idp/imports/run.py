"""One import under way: what it added and changed so far, and where in the file it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.platform.db import Base
from idp.platform.errors import BadRequest, Problem

Row = TypeVar("Row", bound=Base)
Entry = Mapping[str, Any]
"""What the file says about one thing; what it leaves out is not in there."""


@dataclass(frozen=True, slots=True)
class Change:
    """A thing that is new, or of which something is different now."""

    section: str
    key: str
    fields: tuple[Mapping[str, Any], ...] = ()
    """Each with `field`, `before` and `after`; empty: the thing is new."""


@dataclass(slots=True)
class Run:
    """An import under way."""

    session: Session
    tenants: dict[str, int] = field(default_factory=dict)
    """Tenants by the name that the file gives them."""
    added: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    unchanged: int = 0

    def keep(
        self,
        section: str,
        key: str,
        row: Base,
        wanted: Mapping[str, Any],
        *,
        is_new: bool,
        told: Callable[[str, Any], Any] = lambda _, value: value,
    ) -> None:
        """Make a row what the file says; `told` says how a value is shown."""
        fields = []
        for name, value in wanted.items():
            before = getattr(row, name)
            if before != value:
                setattr(row, name, value)
                shown = {"before": told(name, before), "after": told(name, value)}
                fields.append({"field": name, **shown})
        self.session.flush()
        self.note(section, key, fields, is_new=is_new)

    def note(
        self, section: str, key: str, fields: list[dict[str, Any]], *, is_new: bool = False
    ) -> None:
        """Remember what became of a thing."""
        if is_new:
            self.added.append(Change(section, key))
        elif fields:
            self.changed.append(Change(section, key, tuple(fields)))
        else:
            self.unchanged += 1


@contextmanager
def at(path: str) -> Iterator[None]:
    """Say of a refusal in which place of the file its reason is."""
    try:
        yield
    except Problem as problem:
        named = problem.fields or {"": [problem.detail]}
        raise wrong({_joined(path, name): texts for name, texts in named.items()}) from None
    except IntegrityError:
        raise wrong({path: ["This conflicts with existing data."]}) from None


def wrong(fields: Mapping[str, Sequence[str]]) -> BadRequest:
    """Refuse a file for what stands in these places."""
    return BadRequest("The file cannot be imported.", fields=fields)


def _joined(path: str, name: str) -> str:
    # A file names things where columns hold their ids.
    return f"{path}.{name.removesuffix('_id')}" if name else path
