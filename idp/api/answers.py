"""Functions for the responses of every contract: JSON by shapes, wire names, language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from flask import Response, request
from marshmallow import fields

from idp.api.dialect import LANGUAGE, Operation
from idp.platform.wire.shapes import Shape

LANGUAGE_COOKIES = ("culture", ".AspNetCore.Culture")


def wire_names(
    operation: Operation, messages: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """Translate the field names of a service into those of the request."""
    shape = operation.body
    if not isinstance(shape, Shape):
        return dict(messages)
    return {shape.wire_name(name): texts for name, texts in messages.items()}


def dump(shape: Any, value: Any) -> Any:
    """Serialise a value by its shape; a value without a shape is returned as it is."""
    if value is None or shape is None:
        return value
    if isinstance(shape, Shape):
        return shape.dump(value, many=isinstance(value, list | tuple))
    if isinstance(shape, fields.Field):
        return shape._serialize(value, None, None)  # noqa: SLF001 - a field by itself
    return value


def as_json(content: Any, status: int = 200) -> Response:
    """Return a JSON response that must not be cached."""
    response = Response(orjson.dumps(content), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def current_language() -> str:
    """Return the language: `culture` in the query, its cookie, Accept-Language, else Chinese."""
    requested = request.args.get(LANGUAGE) or ""
    for name in LANGUAGE_COOKIES:
        # The old cookie reads `c=en-US|uic=en-US`.
        requested = requested or request.cookies.get(name, "").partition("|")[0].removeprefix("c=")
    if requested:
        return "en" if requested.lower().startswith("en") else "zh"
    return request.accept_languages.best_match(["zh", "zh-CN", "en", "en-US"], "zh")[:2]
