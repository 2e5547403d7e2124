"""Texts of child rows: read from several tables by one statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, bindparam, literal, null, union_all
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Session

Texts = Mapping[tuple[str, int], Sequence[tuple[str, str]]]
"""Pairs of texts in the order of their rows, by kind and id of the parent."""


def select(**kinds: tuple[Any, ...]) -> CompoundSelect[Any]:
    """Return the statement that reads columns of child rows.

    A kind has the column that names the parent, the column of the text, and perhaps that of a
    second text.
    """
    return union_all(*(_part(kind, *columns) for kind, columns in kinds.items())).order_by("id")


def _part(kind: str, parent: Any, text: Any, second: Any = None) -> Any:
    return select_columns(
        literal(kind).label("kind"),
        parent.label("parent"),
        text.label("text"),
        (null() if second is None else second).label("second"),
        parent.class_.id.label("id"),
    ).where(parent.in_(bindparam(parent.key, expanding=True)))


def read(session: Session, statement: CompoundSelect[Any], **parents: Iterable[int]) -> Texts:
    """Return the texts of parents, whose ids are named as the columns that hold them."""
    found: defaultdict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    ids = {name: list(values) for name, values in parents.items()}
    for kind, parent, text, second, _ in session.execute(statement, ids):
        found[kind, parent].append((text, second))
    return found
