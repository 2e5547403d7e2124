"""What the event loop refuses is kept as on a thread, and found by the id of the answer."""

from __future__ import annotations

import time

import pytest

from idp.explain import refusals
from idp.explain.results import RefusedRequest
from idp.platform.errors import NotFound
from tests.live.site import Site

pytestmark = pytest.mark.no_database

A_WINDOW = 70
"""Seconds after which a worker has room for refusals again, whatever others made it refuse."""


def explained(site: Site, request_id: str) -> RefusedRequest | None:
    with site.sessions() as session:
        try:
            return refusals.explain(session, request_id, within=None)
        except NotFound:
            return None


def test_a_request_that_the_loop_refuses_leads_to_the_check(site: Site) -> None:
    app = site.machine()
    end = time.monotonic() + A_WINDOW
    found = None
    while found is None and time.monotonic() < end:
        answer = site.token(app, grant_type="client_credentials", scope="nonsense")
        assert answer.status == 400
        found = explained(site, answer.headers["x-request-id"])
        time.sleep(0 if found else 5)
    assert found is not None
    assert (found.client_id, found.refused.check) == (app.client_id, "Scopes that there are")
