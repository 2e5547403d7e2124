"""What one worker remembers of a token, a change by the other one makes it forget."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from idp.directory.users.models import User
from tests.live.site import Line, Site
from tests.live.test_caches import STALE_SECONDS

pytestmark = pytest.mark.no_database


def revoke(line: Line, form: dict[str, str], token: str) -> None:
    """Give a token up."""
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
