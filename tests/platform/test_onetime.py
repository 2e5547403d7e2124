"""Keys that work once, also when fifty come at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from idp.directory.users.models import User
from idp.platform import clock as time_of
from idp.platform.onetime import service as onetime
from idp.platform.onetime.models import OneTimeKey
from idp.platform.runtime import Runtime


@pytest.fixture
def user(session: Session) -> User:
    user = User(username="once", username_key="once")
    session.add(user)
    session.commit()
    return user


def issue(session: Session, user: User, purpose: str = "password-reset") -> str:
    value = onetime.issue(
        session, purpose, user_id=user.id, security_stamp=user.security_stamp, seconds=1800
    )
    session.commit()
    return value


def at_once(runtime: Runtime, use: Callable[[Session], bool], times: int = 20) -> int:
    """Start threads with sessions of their own together and count the successes."""
    start = threading.Barrier(times)

    def one(_: int) -> bool:
        start.wait()
        with runtime.sessions() as session:
            won = use(session)
            session.commit()
        return won

    with ThreadPoolExecutor(times) as pool:
        return sum(pool.map(one, range(times)))


def test_a_key_works_once(session: Session, user: User) -> None:
    value = issue(session, user)
    used = onetime.use(session, "password-reset", value)
    assert used is not None
    assert (used.user_id, used.security_stamp) == (user.id, user.security_stamp)
    session.commit()
    assert onetime.use(session, "password-reset", value) is None
    assert onetime.peek(session, "password-reset", value) is None


def test_looking_at_a_key_does_not_use_it(session: Session, user: User) -> None:
    value = issue(session, user)
    for _ in range(3):
        seen = onetime.peek(session, "password-reset", value)
        assert seen is not None
        assert seen.user_id == user.id
    assert onetime.use(session, "password-reset", value) is not None


def test_a_key_is_good_for_its_purpose_only(session: Session, user: User) -> None:
    value = issue(session, user, "verify-email")
    assert onetime.peek(session, "password-reset", value) is None
    assert onetime.use(session, "password-reset", value) is None
    assert onetime.use(session, "verify-email", value[:-1]) is None
    assert onetime.use(session, "verify-email", value) is not None


def test_a_key_expires(session: Session, user: User, clock: time_machine.Traveller) -> None:
    value = issue(session, user)
    clock.shift(1799)
    assert onetime.peek(session, "password-reset", value) is not None
    clock.shift(1)
    assert onetime.peek(session, "password-reset", value) is None
    assert onetime.use(session, "password-reset", value) is None


def test_a_use_that_is_rolled_back_was_none(session: Session, user: User) -> None:
    value = issue(session, user)
    assert onetime.use(session, "password-reset", value) is not None
    session.rollback()
    assert onetime.use(session, "password-reset", value) is not None


def test_the_value_is_not_in_the_database(session: Session, user: User) -> None:
    value = issue(session, user)
    row = session.execute(text("SELECT * FROM one_time_key")).one()
    assert value not in repr(row)
    assert value.encode() not in bytes(row.key_hash)


def test_of_many_at_once_one_uses_the_key(runtime: Runtime, session: Session, user: User) -> None:
    value = issue(session, user)
    winners = at_once(
        runtime, lambda session: onetime.use(session, "password-reset", value) is not None
    )
    assert winners == 1


def test_of_many_at_once_one_claims_the_jti(runtime: Runtime) -> None:
    until = time_of.now() + timedelta(minutes=5)
    winners = at_once(
        runtime, lambda session: onetime.claim(session, "client-assertion", "web jti-1", until)
    )
    assert winners == 1


def test_a_claim_is_kept_per_purpose_and_key(session: Session) -> None:
    until = time_of.now() + timedelta(minutes=5)
    assert onetime.claim(session, "client-assertion", "a 1", until)
    assert onetime.claim(session, "client-assertion", "b 1", until)
    assert onetime.claim(session, "dpop", "a 1", until)
    assert not onetime.claim(session, "client-assertion", "a 1", until)
    # A refused claim leaves the transaction usable.
    session.commit()
    assert len(session.scalars(select(OneTimeKey)).all()) == 3


def test_a_claimed_key_cannot_be_used_as_an_issued_one(session: Session) -> None:
    until = time_of.now() + timedelta(minutes=5)
    assert onetime.claim(session, "password-reset", "chosen by a stranger", until)
    assert onetime.peek(session, "password-reset", "chosen by a stranger") is None
    assert onetime.use(session, "password-reset", "chosen by a stranger") is None
