"""Schemathesis over our own API: no answer outside the document."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from idp.api.admin.dialect import admin as dialect
from idp.directory.bundles.models import TenantType
from idp.directory.roles import catalogue
from idp.platform import clock
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing.models import SigningKey
from idp.publishing.codegen.models import SdkJob
from tests import protocol
from tests.api import center
from tests.contract import fuzzing


@pytest.fixture
def rows(session):
    """Make a row of each kind, for names and ids that lead somewhere."""
    protocol.add_api(session, "orders")
    catalogue.create_group(session, "sales", "Sales")
    catalogue.create_privilege(session, "orders.read", "Read")
    message_id = jobs.enqueue(session, "mail", {"to": "ann@example.com"})
    session.get_one(OutboxMessage, message_id).failed_at = clock.now()
    session.commit()
    names = {"api": "orders", "group": "sales", "code": "orders.read", "disabled": "false"}
    ann = protocol.add_person(session)
    protocol.start_session(session, "127.0.0.1:8000", ann)
    session_id = session.scalars(select(BrowserSession.id)).one()
    app = protocol.register(session, "row")
    session.add(TenantType(code="shop", name="Shop"))
    job = SdkJob(client_id="web", generator="python", source_url="-")
    session.add(job)
    session.commit()
    kid = session.scalars(select(SigningKey.kid).limit(1)).one()
    return {
        "users": {**names, "tenant": 1, "id": ann.id},
        "sessions": {"tenant": 1, "user": ann.id, "id": session_id},
        "clients": {"tenant": 1, "id": app.row_id, "client": app.row_id},
        "audit": {"tenant": 1},
        "overview": {"tenant": 1},
        "jobs": {"id": job.id},
        "keys": {"kid": kid},
        "settings": {},
        "tenanttypes": {"code": "shop"},
        "branding": {"tenant": 1},
        "policy": {"tenant": 1},
        "privileges": names,
        "messages": {"id": message_id},
    }


@pytest.mark.parametrize(
    "module",
    ["clients", "users", "sessions", "audit", "branding", "policy", "privileges", "messages"],
)
def test_no_answer_is_outside_the_document(app, client, session, rows, module):
    root = center.administrator(client, session)
    session.close()
    known = rows.get(module, {})
    seen: Counter[int] = Counter()

    def aim(case: Any, existing: bool) -> bool:
        for place in (case.path_parameters, case.query, case.body):
            if existing and isinstance(place, dict):
                place.update({name: known[name] for name in known.keys() & place.keys()})
        return True

    def note(answer: Any) -> None:
        seen[answer.status_code] += 1

    document = fuzzing.document(dialect.name, app, client.base_url)
    for found in document.include(tag=module).get_all_operations():
        operation = found.ok()
        for mode in fuzzing.modes(operation):
            fuzzing.explore(
                operation,
                mode,
                base_url=client.base_url,
                headers=protocol.bearer(root.token),
                aim=aim,
                note=note,
            )
    assert seen[200] >= 2, seen
    assert seen[400] >= 2, seen
