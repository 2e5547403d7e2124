"""Schemathesis over the served document: no answer outside it, and nothing that failed in us."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from idp.api.center.dialect import center as dialect
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.resources.service import NewScope
from idp.directory.roles.models import Role
from idp.publishing.codegen import generators
from tests import protocol, samples
from tests.api import center
from tests.contract import fuzzing

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
    api = protocol.add_api(session, "row-api")
    return {
        "apiresource": api.id,
        "client": app.row_id,
        "codegen": api.id,
        "identityresource": identity.id,
        "role": role.id,
        "tenant": protocol.add_tenant(session, "Row"),
        "user": protocol.add_person(session, "row").id,
    }


@pytest.fixture
def protected(session, root):
    """Name the rows without which no caller could go on."""
    api = session.scalar(select(ApiResource.id).where(ApiResource.name == "ids4.ms"))
    administrators = select(Role.id).where(Role.code == "administrators")
    return {
        "apiresource": {api},
        "client": {clients.get(session, center.TOOL).id},
        "role": {session.scalar(administrators)},
        "tenant": {1},
        "user": {root.user.id},
    }


@pytest.fixture(autouse=True)
def _quiet_generator(listed_generators, monkeypatch):
    """Start no Java for each question whether there is anything new."""
    monkeypatch.setattr(generators, "_ask", lambda found, kept: None)


@pytest.mark.parametrize("module", MODULES)
def test_no_answer_is_outside_the_document(app, root, rows, protected, module):
    session = root.browser._database
    session.commit()
    session.close()
    document = fuzzing.document(dialect.name, app, root.browser.base_url)
    seen: Counter[Any] = Counter()
    for found in document.include(tag=module).get_all_operations():
        operation = found.ok()
        for mode in fuzzing.modes(operation):
            explore(operation, mode, root, rows.get(module, 0), protected.get(module, set()), seen)
    assert root.data("GET", "/Client") is not None, "the caller is gone"
    # Some calls must get far enough to do what they ask for, and some must be refused.
    assert seen[200] >= 10, seen
    assert seen[404] >= 2 or module not in rows, seen


def explore(
    operation: Any,
    mode: Any,
    root: center.Caller,
    row: int,
    protected: set[int],
    seen: Counter[Any],
) -> None:
    """Call one operation with what its description allows, or with what it does not."""
    changes = operation.method.upper() != "GET"
    takes_file = operation.body and operation.body[0].media_type == "multipart/form-data"

    def aim(case: Any, existing: bool) -> bool:
        for place in (case.path_parameters, case.body):
            if isinstance(place, dict) and "id" in place:
                if existing:
                    place["id"] = row
                if changes and place["id"] in list(protected):  # it may be anything
                    return False
        if existing and takes_file:
            case.body = {"value": samples.png() if "Image" in operation.path else samples.PDF}
        return True

    def note(answer: Any) -> None:
        content = answer.json() if answer.content else None
        code = content.get("code") if isinstance(content, dict) else None
        assert code != 417, content
        seen[code if answer.status_code == 200 else f"HTTP {answer.status_code}"] += 1

    fuzzing.explore(
        operation,
        mode,
        base_url=root.browser.base_url,
        headers={**protocol.bearer(root.token), "Accept": "application/json"},
        aim=aim,
        note=note,
    )
