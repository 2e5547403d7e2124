"""The markers of sentences that pages translate."""

from __future__ import annotations

from collections.abc import Mapping


class Filled(str):
    """A sentence with values in it; pages translate the template, then fill the values in.

    A value that is such a sentence itself is translated too.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]


def N_(text: str) -> str:  # noqa: N802 - the name by which gettext's tools find it
    """Return a sentence unchanged; `make translations` puts it into the catalogues."""
    return text


def filled(template: str, **values: object) -> Filled:
    """Return a marked sentence with values in the places that it names: `%(name)s`."""
    text = Filled(template % values)
    text.template, text.values = template, values
    return text
