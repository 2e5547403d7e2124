"""The cache of configuration: bounded, and never older than it may be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.platform import cache as cache_module
from idp.platform.cache import ConfigurationCache
from idp.platform.changes import note_configuration
from idp.platform.db import (
    ConfigurationVersion,
    bump_configuration,
    has_changed_configuration,
)
from idp.platform.errors import Unavailable
from idp.platform.runtime import Runtime
from idp.platform.signing import service, signer
from idp.platform.signing.models import SigningKey
from idp.platform.storage import SessionStorage, complete
from tests import coroutines


@pytest.fixture
def other(runtime: Runtime) -> Iterator[Session]:
    """Return the session of another worker, whose changes this one hears of by polling only."""
    with runtime.sessions() as session:
        session.info["runtime"] = None
        yield session


def refresh(cache: ConfigurationCache, session: Session) -> None:
    if cache.is_due():
        complete(cache.refresh(SessionStorage(session).one))


def version(session: Session) -> int:
    return session.scalars(select(ConfigurationVersion.version)).one()


@pytest.mark.no_database
def test_a_value_is_computed_once() -> None:
    cache, computed = ConfigurationCache(), []
    for _ in range(3):
        assert cache.get("a", lambda: computed.append(1) or "value") == "value"
    assert computed == [1]
    assert cache.get("b", lambda: None) is None
    assert cache.get("b", lambda: pytest.fail("None is a value too")) is None


@pytest.mark.no_database
def test_the_value_used_longest_ago_goes_first() -> None:
    cache = ConfigurationCache(size=2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: key)
    assert cache.get("a", lambda: "again") == "a"
    assert cache.get("b", lambda: "again") == "again"
    assert len(cache._entries) == 2


@pytest.mark.no_database
def test_invented_names_push_nothing_useful_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.platform.cache.ABSENT", 3)
    cache = ConfigurationCache(size=2)
    assert cache.get("real", lambda: "value") == "value"
    for number in range(10):
        assert cache.get(f"invented {number}", lambda: None) is None
    assert len(cache._absent) == 3
    assert cache.get("real", lambda: pytest.fail("still there")) == "value"
    assert cache.get("invented 9", lambda: pytest.fail("known to be absent")) is None
    cache.clear()
    assert cache.get("invented 9", lambda: "made since") == "made since"


@pytest.mark.no_database
@pytest.mark.parametrize("value", ["old", None])
def test_what_was_found_before_a_change_is_not_kept_after_it(value: str | None) -> None:
    cache = ConfigurationCache()

    def compute() -> str | None:
        cache.clear()  # as another thread does meanwhile
        return value

    assert cache.get("a", compute) == value
    assert cache.get("a", lambda: "new") == "new"


@pytest.mark.no_database
def test_a_failure_is_not_kept() -> None:
    cache = ConfigurationCache()
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: "value") == "value"


@pytest.mark.no_database
def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    cache = ConfigurationCache()
    read, changed = threading.Event(), threading.Event()
    got: list[str] = []

    def compute() -> str:
        read.set()
        assert changed.wait(5)
        return "old"

    thread = threading.Thread(target=lambda: got.append(cache.get("a", compute)))
    thread.start()
    assert read.wait(5)
    cache.clear()
    changed.set()
    thread.join()
    assert got == ["old"]
    assert cache.get("a", lambda: "new") == "new"


@pytest.mark.no_database
def test_what_many_miss_at_once_is_computed_once() -> None:
    cache, computed = ConfigurationCache(), 0

    async def compute() -> int:
        nonlocal computed
        computed += 1
        number = computed
        await asyncio.sleep(0)
        return number

    async def main() -> None:
        first = [asyncio.ensure_future(cache.once("key", compute)) for _ in range(50)]
        given_up = first.pop(0)
        for _ in range(2):
            await asyncio.sleep(0)
        given_up.cancel()
        cache.clear()  # a change: those that come now must not be given what was read before it
        later = [cache.once("key", compute) for _ in range(50)]
        assert set(await asyncio.gather(*first)) == {1}
        assert set(await asyncio.gather(*later)) == {2}
        assert cache._computing == {}

    coroutines.run(main())


@pytest.mark.no_database
def test_all_who_wait_hear_of_a_failure_and_the_next_one_tries_again() -> None:
    cache, tries = ConfigurationCache(), 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise Unavailable

    async def main() -> None:
        for _ in range(2):
            calls = [cache.once("key", fail) for _ in range(3)]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(each) for each in found] == [Unavailable] * 3

    coroutines.run(main())
    assert tries == 2


def test_a_change_of_another_worker_is_seen_at_the_next_poll(
    runtime: Runtime, session: Session, other: Session
) -> None:
    cache = ConfigurationCache(poll_seconds=0)
    refresh(cache, session)
    cache.get("a", lambda: "old")
    session.commit()
    refresh(cache, session)
    assert cache.get("a", lambda: "new") == "old"
    session.commit()
    bump_configuration(other)
    other.commit()
    refresh(cache, session)
    assert cache.get("a", lambda: "new") == "new"


@pytest.mark.no_database
def test_the_version_is_read_when_it_is_time_to(session: Session) -> None:
    cache = ConfigurationCache(poll_seconds=60)
    assert cache.is_due()
    refresh(cache, session)
    assert not cache.is_due()
    session.close()
    refresh(cache, session)
    assert not session.in_transaction()


def test_a_transaction_raises_the_version_once(session: Session) -> None:
    before = version(session)
    bump_configuration(session)
    bump_configuration(session)
    session.commit()
    assert version(session) == before + 1


def test_a_change_of_a_cached_table_raises_the_version(session: Session) -> None:
    service.ensure(session)
    session.commit()
    before = version(session)
    key = session.scalars(select(SigningKey).limit(1)).one()
    key.publish_until = key.created_at
    session.flush()
    assert has_changed_configuration(session)
    session.commit()
    assert not has_changed_configuration(session)
    assert version(session) == before + 1


def test_a_worker_sees_its_own_change_at_once(runtime: Runtime, session: Session) -> None:
    runtime.cache.get("a", lambda: "old")
    bump_configuration(session)
    assert runtime.cache.get("a", lambda: "new") == "old"
    session.commit()
    assert runtime.cache.get("a", lambda: "new") == "new"


@pytest.mark.parametrize("how", ["rollback", "close"])
def test_what_was_read_from_a_change_goes_with_it(
    runtime: Runtime, session: Session, how: str
) -> None:
    bump_configuration(session)
    runtime.cache.get("a", lambda: "never committed")
    getattr(session, how)()
    assert runtime.cache.get("a", lambda: "real") == "real"


def test_a_rolled_back_savepoint_does_not_hide_a_later_change(session: Session) -> None:
    before = version(session)
    savepoint = session.begin_nested()
    bump_configuration(session)
    savepoint.rollback()
    assert version(session) == before
    bump_configuration(session)
    session.commit()
    assert version(session) == before + 1


def test_keys_of_an_open_transaction_are_not_cached(session: Session) -> None:
    service.ensure(session)
    session.commit()
    before = signer.keys(session).jwks
    service.rotate(session, "ES256")
    assert signer.keys(session).jwks != before
    session.rollback()
    assert signer.keys(session).jwks == before


# A database that cannot be looked at


class Database:
    """A database that may be away."""

    def __init__(self) -> None:
        self.is_away = False
        self.looks = 0

    async def one(self, _query: Any, _values: Any) -> tuple[int]:
        self.looks += 1
        if self.is_away:
            raise Unavailable
        return (1,)


def test_configuration_is_served_for_a_minute_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(cache_module.time, "monotonic", lambda: now[0])
    cache, database = ConfigurationCache(), Database()
    coroutines.run(cache.refresh(database.one))
    assert cache.age() == 0
    database.is_away = True
    for _ in range(58):
        now[0] += 1
        assert cache.is_due()
        coroutines.run(cache.refresh(database.one))
        assert not cache.is_due()
    assert cache.age() == 58
    now[0] += 2
    looks = database.looks
    for _ in range(3):  # each request is refused, and one of them looks
        assert cache.is_due()
        with pytest.raises(Unavailable):
            coroutines.run(cache.refresh(database.one))
    assert database.looks == looks + 1
    database.is_away = False
    now[0] += 1
    coroutines.run(cache.refresh(database.one))
    assert cache.age() == 0
    assert not cache.is_due()


def test_configuration_that_is_known_to_be_outdated_is_not_served() -> None:
    cache, database = ConfigurationCache(), Database()
    coroutines.run(cache.refresh(database.one))
    database.is_away = True
    note_configuration()
    assert cache.is_due()
    with pytest.raises(Unavailable):
        coroutines.run(cache.refresh(database.one))
