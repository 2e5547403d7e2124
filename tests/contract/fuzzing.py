"""Schemathesis over a served document: what every contract's fuzzing does alike.

Every run asks the same; FUZZ_EXAMPLES=300 asks more, and something else each time.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python._constants import orchestrator
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

# What the modules of the application import is read once, not for each document.
orchestrator.local_imports_of = functools.cache(orchestrator.local_imports_of)

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def document(name: str, app: Flask, base_url: str) -> Any:
    """Read a document as the application serves it."""
    return schemathesis.openapi.from_wsgi(f"/openapi/{name}.json", app, base_url=base_url)


def modes(operation: Any) -> list[GenerationMode]:
    """List how an operation can be asked: by what its description allows, and by what not."""
    # Whatever stands in a path is a text, so only numbers there can be wrong.
    numbered = any(
        one.definition["schema"]["type"] == "integer" for one in operation.path_parameters
    )
    takes_input = operation.body or operation.query or numbered
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes_input else [])]


def explore(
    operation: Any,
    mode: GenerationMode,
    *,
    base_url: str,
    headers: dict[str, str],
    aim: Callable[[Any, bool], bool],
    note: Callable[[Any], None],
    examples: int = 8,
) -> None:
    """Call one operation many times.

    `aim` may let a call lead to rows that exist, or leave it out; `note` looks at the answer.
    """

    @settings(
        max_examples=int(EXAMPLES or examples),
        derandomize=EXAMPLES is None,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), existing=st.booleans())
    def call(case: Any, existing: bool) -> None:
        assume(aim(case, existing))
        answer = case.call(base_url=base_url, headers=headers)
        case.validate_response(answer, checks=CHECKS)
        note(answer)

    call()
