"""The base of all shapes and their fields: camelCase names, strict types, bounded numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from idp.platform import periods
from idp.platform.integers import INT32_MAX, INT64_MAX


class Shape(Schema):
    """A JSON object of a contract; members that it does not name are ignored.

    A field `client_name` is `clientName` on the wire unless it says `data_key` itself.
    """

    class Meta:
        """Members that are not named are ignored."""

        unknown = EXCLUDE

    schema_name: ClassVar[str | None] = None
    """What OpenAPI calls it, where that is not made from the name of the class."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Set the name of the field on the wire."""
        if field_obj.data_key is None:
            field_obj.data_key = camel_case(field_name)

    def query_fields(self) -> Iterator[tuple[str, fields.Field[Any]]]:
        """List what may stand in a query, by the names that the wire uses."""
        for name, field_obj in self.load_fields.items():
            yield field_obj.data_key or name, field_obj

    def wire_name(self, path: str) -> str:
        """Return the name on the wire of a field that a service names, such as `secrets[0].value`.

        What is not a field stays as it is; it may be a name of the wire already.
        """
        name, index, rest = _STEP.fullmatch(path).groups()  # type: ignore[union-attr]
        field_obj = self.load_fields.get(name)
        if field_obj is None:
            return path
        inner = field_obj.inner if isinstance(field_obj, fields.List) else field_obj
        if rest and isinstance(inner, fields.Nested) and isinstance(inner.schema, Shape):
            rest = "." + inner.schema.wire_name(rest[1:])
        return f"{field_obj.data_key or name}{index}{rest}"


_STEP = re.compile(r"([^.\[]*)((?:\[\d+\])*)(.*)", re.DOTALL)


def describes_null(field_obj: fields.Field[Any], *, in_request: bool) -> bool:
    """Return whether the document says of a field that it may be null.

    `null_described` of a field says it otherwise: "in requests", where answers never have it; or
    "never", where null is taken too but need not be sent, so that one schema serves both.
    """
    described = getattr(field_obj, "null_described", "")
    return field_obj.allow_none and (not described or (in_request and described == "in requests"))


def camel_case(name: str) -> str:
    """Return a snake_case name in camelCase."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def int32(
    *, minimum: int = -INT32_MAX - 1, maximum: int = INT32_MAX, **options: Any
) -> fields.Integer:
    """Return a field for a whole number of 32 bits."""
    return _integer(minimum, maximum, "int32", options)


def int64(
    *, minimum: int = -INT64_MAX - 1, maximum: int = INT64_MAX, **options: Any
) -> fields.Integer:
    """Return a field for a whole number of 64 bits."""
    return _integer(minimum, maximum, "int64", options)


def _integer(minimum: int, maximum: int, kind: str, options: dict[str, Any]) -> fields.Integer:
    return fields.Integer(
        strict=True,
        validate=validate.Range(minimum, maximum),
        metadata={"format": kind, **options.pop("metadata", {})},
        **options,
    )


class OptionalNumber(fields.Integer):
    """A whole number that may be missing: null and 0 mean none."""

    def __init__(
        self, kind: str, largest: int, *, null_in_answers: bool = False, **options: Any
    ) -> None:
        self.null_described = "" if null_in_answers else "in requests"
        super().__init__(
            strict=True,
            allow_none=True,
            load_default=None,
            validate=validate.Range(0, largest),
            metadata={"format": kind, **options.pop("metadata", {})},
            **options,
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        return super()._deserialize(value, attr, data, **kwargs) or None

    def _validate(self, value: Any) -> None:
        if value is not None:
            super()._validate(value)


def optional_id(**options: Any) -> OptionalNumber:
    """Return a field for an id of 64 bits that may be missing."""
    return OptionalNumber("int64", INT64_MAX, **options)


def number_in_query(*, minimum: int, maximum: int, **options: Any) -> fields.Integer:
    """Return a field for a whole number that comes as text in the query."""
    return fields.Integer(
        validate=validate.Range(minimum, maximum), metadata={"format": "int32"}, **options
    )


def boolean(**options: Any) -> fields.Boolean:
    """Return a field for JSON's true and false, and nothing that only looks like them."""
    # 1 == True in Python, so the sets alone would let 0 and 1 through.
    return _Boolean(truthy={True}, falsy={False}, **options)


class _Boolean(fields.Boolean):
    """Booleans that refuse numbers."""

    def deserialize(
        self,
        value: Any,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super().deserialize(value, attr, data, **kwargs)


def text(maximum: int | None = None, *, minimum: int = 0, **options: Any) -> fields.String:
    """Return a field for a text of bounded length."""
    checks = [*options.pop("checks", ())]
    if maximum is not None or minimum:
        checks.append(validate.Length(min=minimum or None, max=maximum))
    return CleanText(validate=checks, **options)


def decimal(*, minimum: float, maximum: float, **options: Any) -> fields.Float:
    """Return a field for a number in bounds; a text that reads like a number is refused."""
    return _Number(
        validate=validate.Range(minimum, maximum),
        metadata={"format": "decimal", **options.pop("metadata", {})},
        **options,
    )


class _Number(fields.Float):
    """Numbers that refuse truth values and texts."""

    def _validated(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class CleanText(fields.String):
    """A text that every database can hold: no NUL, no lone surrogates."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        found = super()._deserialize(value, attr, data, **kwargs)
        if "\0" in found:
            message = "Must not contain NUL."
            raise ValidationError(message)
        return found


class KeptList(fields.List[Any]):
    """Rows of a list: absent and null keep what is stored, an empty list clears it."""

    null_described = "never"

    def __init__(self, shape: Shape | type[Shape], most: int, **options: Any) -> None:
        super().__init__(
            fields.Nested(shape),
            allow_none=True,
            load_default=None,
            validate=validate.Length(max=most),
            **options,
        )


class MaskedText(CleanText):
    """A secret that is stored: it reads as a mask, and absent, null and the mask keep it."""

    null_described = "never"

    def __init__(self, most: int, mask: str) -> None:
        super().__init__(
            allow_none=True,
            load_default=None,
            dump_default=mask,
            validate=validate.Length(max=most),
        )


class Stamp(CleanText):
    """The stamp of a row: sent back with a change, it refuses one that has been overtaken."""

    null_described = "never"

    def __init__(self) -> None:
        super().__init__(allow_none=True, load_default=None, validate=validate.Length(max=64))


class Moment(fields.DateTime):
    """A point in time; one without a zone is taken as UTC, as the old clients send it."""

    def __init__(self, *, ends: bool = False, whole_days: bool = False, **options: Any) -> None:
        super().__init__(format="iso", **options)
        self._read = partial(periods.end if ends else periods.start, whole_day=whole_days)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            if isinstance(value, str):
                return self._read(value)
        except ValueError:
            pass
        raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        written = super()._serialize(value, attr, obj, **kwargs)
        return written.replace("+00:00", "Z") if isinstance(written, str) else None


class Day(fields.Field[date]):
    """A day, written as its first midnight; hour and zone of the input are ignored."""

    default_error_messages = {"invalid": "Not a valid date."}  # noqa: RUF012 - marshmallow's own

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"format": "date-time", **options.pop("metadata", {})}, **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            return datetime.fromisoformat(value).date()
        except ValueError:
            raise self.make_error("invalid") from None

    def _serialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        return None if value is None else f"{value.isoformat()}T00:00:00Z"
