"""What a shape found wrong, as messages by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

MOST_MESSAGES = 100
"""Wrong members that a refusal names."""
LONGEST_SHOWN = 100
"""Characters of a name that a refusal repeats."""


def flatten(messages: Mapping[Any, Any]) -> dict[str, Sequence[str]]:
    """Return nested messages by path, such as `clientSecrets[0].value`; the first hundred."""
    return dict(islice(_flat(messages, ""), MOST_MESSAGES))


def _flat(messages: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Sequence[str]]]:
    for name, value in messages.items():
        if isinstance(name, int):
            path = f"{prefix}[{name}]"
        elif name == "_schema":
            path = prefix or "body"
        else:
            # Names of a map are the caller's, and each stands before all that is wrong below it.
            shown = str(name)[:LONGEST_SHOWN]
            path = f"{prefix}.{shown}" if prefix else shown
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        else:
            yield path, [str(text) for text in value]
