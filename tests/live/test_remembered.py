"""What one worker remembers of a token, a change by the other one makes it forget."""

from __future__ import annotations

import json
import time

import pytest
from sqlalchemy import update

from idp.directory.users.models import User
from tests import protocol
from tests.api.center import token_for
from tests.live.site import Line, Site
from tests.live.test_caches import STALE_SECONDS

pytestmark = pytest.mark.no_database


def revoke(line: Line, form: dict[str, str], token: str) -> None:
    """Revoke a token."""
    assert line.ask("POST", "/connect/revocation", {"token": token, **form}).status == 200


@pytest.mark.parametrize("end", ["access_token", "refresh_token"])
def test_a_revoked_token_is_refused_by_the_worker_that_remembers_it(site: Site, end: str) -> None:
    app, user = site.web(), site.person()
    here, there = site.line_per_worker()
    with here, there:
        for _ in range(20):
            tokens = site.tokens(app, user)
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            asked = {"token": tokens["access_token"], **app.post}
            for _ in range(3):
                assert there.ask("POST", "/connect/introspect", asked).json()["active"]
                assert there.ask("GET", "/connect/userinfo", headers=bearer).status == 200
            revoke(here, app.post, tokens[end])
            assert not there.ask("POST", "/connect/introspect", asked).json()["active"]
            assert there.ask("GET", "/connect/userinfo", headers=bearer).status == 401


def test_what_another_process_changes_is_seen_within_two_seconds(site: Site) -> None:
    app, user = site.web(), site.person()
    with site.line() as line:
        asked = {"token": site.tokens(app, user)["access_token"], **app.post}

        def is_active() -> bool:
            return bool(line.ask("POST", "/connect/introspect", asked).json()["active"])

        assert is_active()
        with site.sessions() as session:
            session.execute(update(User).where(User.id == user.id).values(is_disabled=True))
            session.commit()
        end = time.monotonic() + STALE_SECONDS
        while is_active():
            assert time.monotonic() < end


def administration(site: Site) -> dict[str, str]:
    """Return the headers by which an administrator calls operations."""
    user = site.person()
    with site.sessions() as session:
        protocol.add_role(session, user, "administrators", tenant_id=None)
        token = token_for(session, user)
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def change(line: Line, headers: dict[str, str], path: str, row_id: int, **members: object) -> None:
    """Change members of a client or an API by an operation."""
    found = line.ask("GET", f"{path}/{row_id}", headers=headers).json()["data"]
    answer = line.send("PUT", path, json.dumps({**found, **members}), headers)
    assert answer.json()["code"] == 200, answer


def test_a_client_that_one_worker_disabled_is_refused_by_the_other_one(site: Site) -> None:
    app, headers = site.machine(), administration(site)
    form = {"grant_type": "client_credentials", **app.post}
    here, there = site.line_per_worker()
    with here, there:
        for _ in range(10):
            for enabled, status in ((False, 401), (True, 200)):
                change(here, headers, "/api/Client", app.row_id, enabled=enabled)
                assert there.ask("POST", "/connect/token", form).status == status
                assert here.ask("POST", "/connect/token", form).status == status


def test_an_api_that_one_worker_disabled_is_refused_by_the_other_one(site: Site) -> None:
    app, headers = site.machine(), administration(site)
    with site.sessions() as session:
        api = protocol.add_api(session, site.name("api"), (site.name("scope"),))
        (scope,) = protocol.scope_names(session, api.name)
        app = protocol.register_machine(session, site.name("of-api"), [scope])
    form = {"grant_type": "client_credentials", "scope": scope, **app.post}
    here, there = site.line_per_worker()
    with here, there:
        for _ in range(10):
            for enabled, status in ((True, 200), (False, 400)):
                change(here, headers, "/api/ApiResource", api.id, enabled=enabled)
                assert there.ask("POST", "/connect/token", form).status == status
