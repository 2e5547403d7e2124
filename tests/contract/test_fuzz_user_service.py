"""Schemathesis over both versions of the user service: no answer outside the document."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from idp.api.userservice.dialect import userservice as dialect
from idp.directory.actor import OPERATOR
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles import service as bundles
from idp.directory.bundles.service import BundleSpec
from idp.directory.roles import catalogue
from tests import protocol
from tests.api import userservice
from tests.contract import fuzzing

MODULES = sorted({operation.module for operation in dialect.operations})
VERSIONS = ("", "-v2")


@pytest.fixture
def rows(session):
    """Make a row of each kind, for names and ids that lead somewhere."""
    home = protocol.add_tenant(session, "Home")
    mary = protocol.add_person(session, "mary", tenant_ids=[home], mobile="+8613800138000")
    catalogue.create_role(session, "clerk", "Clerk", tenant_id=home)
    group = catalogue.create_group(session, "things", "Things")
    catalogue.create_privilege(session, "things.read", "Read", group_id=group.id)
    bundles.create(session, OPERATOR, BundleSpec("basic", "Basic", "company", '{"roles": []}'))
    application = Application(tenant_id=home, code="desk", name="Desk")
    session.add(application)
    session.flush()
    menu = Menu(application_id=application.id, code="home", title="Home")
    session.add(menu)
    session.commit()
    return {
        "tenantId": home,
        "tenantIds": [home],
        "username": mary.username,
        "mobile": "13800138000",
        "roleCode": "clerk",
        "roleCodes": ["clerk"],
        "privilegeCodes": ["things.read"],
        "privileges": ["things.read"],
        "privileageCodes": ["things.read"],
        "privilegeGroupId": group.id,
        "bundleCode": "basic",
        "tenantType": "company",
        "tenantTypeCode": "company",
        "applicationCode": "desk",
        "order": "asc",
        "sortBy": "id",
        "pageNo": 1,
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("module", MODULES)
def test_no_answer_is_outside_the_document(app, client, session, rows, module, version):
    root = userservice.administrator(client, session)
    robot = userservice.machine(client, session)
    session.commit()
    session.close()
    seen: Counter[int] = Counter()
    document = fuzzing.document(dialect.name, app, client.base_url)
    for found in document.include(tag=f"{module}{version}").get_all_operations():
        operation = found.ok()
        # What comes before there is a person is for machines.
        caller = root if persons_may_call(operation) else robot
        for mode in fuzzing.modes(operation):
            explore(operation, mode, caller, rows, seen)
    assert root.data("GET", "/bundles/bundle-list"), "the caller is gone"
    # Some calls must get far enough to do what they ask for, and some must be refused.
    assert seen[0 if version else 200] >= 10, seen
    assert seen[404] >= 2, seen


def persons_may_call(operation: Any) -> bool:
    name = operation.definition.raw["operationId"].removesuffix("V2")
    return next(known for known in dialect.operations if known.id == name).person


def explore(
    operation: Any, mode: Any, caller: userservice.Service, rows: dict[str, Any], seen: Counter[int]
) -> None:
    """Call one operation, now and then about rows that exist."""

    def aim(case: Any, existing: bool) -> bool:
        for place in (case.path_parameters, case.query, case.body):
            if existing and isinstance(place, dict):
                place.update({name: rows[name] for name in rows.keys() & place.keys()})
        return True

    def note(answer: Any) -> None:
        content = answer.json()
        in_envelope = isinstance(content, dict) and "isSuccess" in content
        code = content["code"] if in_envelope else answer.status_code
        assert code != 500, content
        seen[code] += 1

    fuzzing.explore(
        operation,
        mode,
        base_url=caller.browser.base_url,
        headers=protocol.bearer(caller.token),
        aim=aim,
        note=note,
        examples=5,
    )
