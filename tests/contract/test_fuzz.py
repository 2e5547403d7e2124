"""Schemathesis over the served document: no answer outside it, and nothing that failed in us.

Every run asks the same; FUZZ_EXAMPLES=300 asks more, and something else each time.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select

from idp.api import docs
from idp.api.center.dialect import center as dialect
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.resources.service import NewScope
from idp.directory.roles.models import Role
from tests import protocol, samples
from tests.api import center

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODULES = sorted({operation.module for operation in dialect.operations})


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def rows(session, root):
    """Make a row of each kind, for ids that lead somewhere."""
    app = protocol.register(session, "row")
    role = Role(code="row", name="Row", tenant_id=1)
    session.add(role)
    identity = resources.create_identity(session, NewScope("row"))
    session.commit()
    return {
        "apiresource": protocol.add_api(session, "row-api").id,
        "client": app.row_id,
        "identityresource": identity.id,
        "role": role.id,
        "tenant": protocol.add_tenant(session, "Row"),
        "user": protocol.add_person(session, "row").id,
    }


@pytest.fixture
def protected(session, root):
    """Name the rows without which nobody could call any more."""
    api = session.scalar(select(ApiResource.id).where(ApiResource.name == "ids4.ms"))
    administrators = select(Role.id).where(Role.code == "administrators")
    return {
        "apiresource": {api},
        "client": {clients.get(session, center.TOOL).id},
        "role": {session.scalar(administrators)},
        "tenant": {1},
        "user": {root.user.id},
    }


@pytest.mark.parametrize("module", MODULES)
def test_no_answer_is_outside_the_document(app, root, rows, protected, module):
    session = root.browser._database
    session.commit()
    session.close()
    document = schemathesis.openapi.from_wsgi(
        f"/openapi/{next(iter(docs.CONTRACTS))}.json", app, base_url=root.browser.base_url
    )
    seen: Counter[Any] = Counter()
    for found in document.include(tag=module).get_all_operations():
        operation = found.ok()
        takes_input = operation.body or operation.query or operation.path_parameters
        modes = [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes_input else [])]
        for mode in modes:
            explore(operation, mode, root, rows.get(module, 0), protected.get(module, set()), seen)
    assert root.data("GET", "/User") is not None, "the caller is gone"
    # Some calls must get far enough to do what they ask for, and some must be refused.
    assert seen[200] >= 10, seen
    assert seen[404] >= 2 or module not in rows, seen


def explore(
    operation: Any,
    mode: GenerationMode,
    root: center.Caller,
    row: int,
    protected: set[int],
    seen: Counter[Any],
) -> None:
    """Call one operation with what its description allows, or with what it does not."""
    changes = operation.method.upper() != "GET"
    takes_file = operation.body and operation.body[0].media_type == "multipart/form-data"

    @settings(
        max_examples=int(EXAMPLES or 8),
        derandomize=EXAMPLES is None,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), existing=st.booleans())
    def call(case: Any, existing: bool) -> None:
        headers = {**protocol.bearer(root.token), "Accept": "application/json"}
        for place in (case.path_parameters, case.body):
            if isinstance(place, dict) and "id" in place:
                if existing:
                    place["id"] = row
                assume(not (changes and place["id"] in protected))
        if existing and takes_file:
            case.body = {"value": samples.png() if "Image" in operation.path else samples.PDF}
        answer = case.call(base_url=root.browser.base_url, headers=headers)
        case.validate_response(answer, checks=CHECKS)
        content = answer.json() if answer.content else None
        code = content.get("code") if isinstance(content, dict) else None
        assert code != 417, content
        seen[code if answer.status_code == 200 else f"HTTP {answer.status_code}"] += 1

    call()
