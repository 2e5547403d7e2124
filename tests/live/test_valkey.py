"""Tries are counted in Valkey for all workers, and without Valkey nothing is left open."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from idp.directory.users.models import User
from tests.live.site import FREE_TRIES, Line, Site, at_once, sign_in_form

pytestmark = pytest.mark.no_database

WRONG = "not-the-password-1"
UNDER_WAY = 16
"""Requests that the threads of two workers look at together."""
RETURN_SECONDS = 10
SLIPS = 4
"""Waits of 1, 2, 4 and 8 seconds that may run out on a busy machine."""


@pytest.fixture(autouse=True)
def _no_tries_yet(site: Site) -> Iterator[None]:
    site.forget_tries()
    yield
    site.forget_tries()


@contextmanager
def valkey_down(site: Site) -> Iterator[None]:
    site.valkey.kill()
    try:
        yield
    finally:
        site.valkey.start()


@contextmanager
def valkey_frozen(site: Site) -> Iterator[None]:
    site.valkey.freeze()
    try:
        yield
    finally:
        site.valkey.thaw()


def tries_until_refused(line: Line, user: User) -> int:
    """Try wrong passwords on one worker; return how many were looked at."""
    for number in range(FREE_TRIES + SLIPS + 1):
        answer = line.submit("/login", sign_in_form(user, WRONG))
        if answer.status == 429:
            return number
        assert answer.status == 400, answer
    return pytest.fail("passwords can be tried without end")


def test_failed_sign_ins_are_counted_by_both_workers_together(site: Site) -> None:
    user = site.person()
    answers = at_once(50, lambda: site.sign_in(user, WRONG))
    counted = Counter(answer.status for answer in answers)
    assert counted.keys() == {400, 429}
    assert counted[400] <= FREE_TRIES + UNDER_WAY + SLIPS


def test_without_valkey_each_worker_counts_and_revocation_still_works(site: Site) -> None:
    app, user = site.web(), site.person()
    tokens = site.tokens(app, site.person())
    one, other = site.line_per_worker()
    with one, other, valkey_down(site):
        assert site.readiness() == "degraded"
        for line in (one, other):
            assert FREE_TRIES <= tries_until_refused(line, user) <= FREE_TRIES + SLIPS
            # Not even with the right password, now.
            answer = line.submit("/login", sign_in_form(user, WRONG))
            assert answer.status == 429

        form = {"token": tokens["refresh_token"], **app.post}
        assert one.ask("POST", "/connect/revocation", form).status == 200
        form = {"token": tokens["access_token"], **app.post}
        for line in (one, other):
            assert line.ask("POST", "/connect/introspect", form).json() == {"active": False}

    assert site.readiness() == "ready"
    later, end = site.person(), time.monotonic() + RETURN_SECONDS
    with redis.Redis.from_url(site.valkey.url) as connection:
        while not connection.keys("idp:delay:sign-in:*"):
            assert time.monotonic() < end, "Valkey is back and nobody counts there"
            site.sign_in(later, WRONG)


def test_a_valkey_that_hangs_does_not_open_the_door_either(site: Site) -> None:
    user = site.person()
    line, other = site.line_per_worker()
    with line, other, valkey_frozen(site):
        assert site.readiness() == "degraded"
        assert FREE_TRIES <= tries_until_refused(line, user) <= FREE_TRIES + SLIPS
    assert site.readiness() == "ready"
