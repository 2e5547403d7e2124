"""Fields as the user service reads and writes them.

The examples of its contract carry `0` for every id and `""` for every text. So where an id or a
filter is optional, both mean that it is absent: `Words` and `optional_id` treat them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import validate

from idp.platform.wire.shapes import CleanText

LONGEST_PASSWORD = 1024
"""Longer values are never passwords; the policy has further rules."""


class Words(CleanText):
    """A text that may be missing: null and empty mean none, and none is written as empty."""

    null_described = "in requests"

    def __init__(self, maximum: int, **options: Any) -> None:
        super().__init__(
            allow_none=True, load_default=None, validate=validate.Length(max=maximum), **options
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        return super()._deserialize(value, attr, data, **kwargs).strip() or None

    def _validate(self, value: Any) -> None:
        if value is not None:
            super()._validate(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return super()._serialize(value, attr, obj, **kwargs) or ""
