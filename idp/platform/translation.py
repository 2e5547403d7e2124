"""The markers of sentences that pages translate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Filled(str):
    """A sentence with values in it; pages translate the template, then fill the values in.

    A value that is such a sentence itself is translated too.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]


def parts_of(text: str) -> dict[str, object] | None:
    """Return what is stored beside a sentence with values; None: it has none."""
    if not isinstance(text, Filled):
        return None
    values = {
        name: value if isinstance(value, int | float | bool) else str(value)
        for name, value in text.values.items()
    }
    return {"template": text.template, "values": values}


def restored(text: str, parts: Mapping[str, Any] | None) -> str:
    """Return a stored sentence with the values that were stored beside it, if any were.

    What was stored by a release with another sentence, or cut to size, is as it was stored.
    """
    if not parts:
        return text
    again = filled(parts["template"], **parts["values"])
    return again if str(again) == text else text


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools find it
    """Return a sentence unchanged; `make translations` puts it into the catalogues."""
    return text


def filled(template: str, **values: object) -> Filled:
    """Return a marked sentence with values in the places that it names: `%(name)s`."""
    text = Filled(template % values)
    text.template, text.values = template, values
    return text
