"""Limits and growing delays, in the process and in Valkey."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from idp.platform import throttle as throttling
from idp.platform.errors import TooManyRequests
from idp.platform.throttle import ADDRESS, SUBJECT, TOGETHER, Address, Throttle, local

HERE, ELSEWHERE = Address.of("192.0.2.1"), Address.of("198.51.100.7")


@pytest.fixture(params=["process", "valkey"])
def throttle(request):
    if request.param == "process":
        return Throttle("")
    return Throttle(request.getfixturevalue("valkey_url"))


def wait_of(throttle, *keys):
    try:
        throttle.check_delay("sign-in", *keys)
    except TooManyRequests as refusal:
        return refusal.retry_after
    return 0


def fail(throttle, times, *keys):
    for _ in range(times):
        throttle.failed("sign-in", *keys)


@pytest.mark.no_database
def test_tries_past_the_limit_are_refused_with_the_time_to_wait(throttle):
    for _ in range(3):
        throttle.hit("forgot", "ann@example.com", 3, 60)
    with pytest.raises(TooManyRequests) as refusal:
        throttle.hit("forgot", "ann@example.com", 3, 60)
    assert 1 <= refusal.value.retry_after <= 61
    assert refusal.value.headers["Retry-After"] == str(refusal.value.retry_after)
    throttle.hit("forgot", "bob@example.com", 3, 60)
    throttle.hit("register", "ann@example.com", 3, 60)


@pytest.mark.no_database
def test_the_first_failures_are_free_and_later_ones_wait_twice_as_long(throttle, clock):
    fail(throttle, TOGETHER.free - 1, "ann", HERE)
    assert wait_of(throttle, "ann", HERE) == 0
    waits = []
    for _ in range(12):
        fail(throttle, 1, "ann", HERE)
        waits.append(wait_of(throttle, "ann", HERE))
        clock.shift(timedelta(seconds=waits[-1] + 1))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


@pytest.mark.no_database
def test_a_success_forgets_the_account_but_not_the_address(throttle, clock):
    fail(throttle, TOGETHER.free + 3, "ann", HERE)
    throttle.succeeded("sign-in", "ann", HERE)
    assert wait_of(throttle, "ann", HERE) == 0
    # A person with an account of their own tries others in between.
    for number in range(ADDRESS.free):
        fail(throttle, 1, f"victim{number}", HERE)
        throttle.succeeded("sign-in", "own", HERE)
    assert wait_of(throttle, "another", HERE) > 0
    assert wait_of(throttle, "another", ELSEWHERE) == 0
    clock.shift(timedelta(seconds=ADDRESS.forget + ADDRESS.longest + 1))
    assert wait_of(throttle, "another", HERE) == 0


@pytest.mark.no_database
def test_an_account_guessed_from_many_addresses_waits_everywhere(throttle):
    for number in range(SUBJECT.free + 3):
        fail(throttle, 1, "ann", Address.of(f"203.0.113.{number}"))
    assert 1 <= wait_of(throttle, "ann", ELSEWHERE) <= SUBJECT.longest
    assert wait_of(throttle, "bob", ELSEWHERE) == 0


@pytest.mark.no_database
def test_a_stranger_cannot_lock_the_owner_out(throttle, clock):
    for number in range(SUBJECT.free + 10):
        fail(throttle, 1, "ann", Address.of(f"203.0.113.{number}"))
    wait = wait_of(throttle, "ann", ELSEWHERE)
    assert 1 <= wait <= SUBJECT.longest
    # The stranger goes on all the time; the owner comes back when told to and is let in.
    clock.shift(timedelta(seconds=wait - 1))
    fail(throttle, 5, "ann", Address.of("203.0.113.200"))
    clock.shift(timedelta(seconds=1.5))
    assert wait_of(throttle, "ann", ELSEWHERE) == 0
    # The owner's own mistakes still count.
    fail(throttle, TOGETHER.free, "ann", ELSEWHERE)
    assert wait_of(throttle, "ann", ELSEWHERE) > 0


@pytest.mark.no_database
def test_parallel_guesses_past_the_free_ones_go_one_at_a_time(throttle, clock):
    fail(throttle, TOGETHER.free, "ann", HERE)
    clock.shift(timedelta(seconds=5))
    passed = []

    def guess():
        with contextlib.suppress(TooManyRequests):
            throttle.check_delay("sign-in", "ann", HERE)
            passed.append(1)

    threads = [threading.Thread(target=guess) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 1


@pytest.mark.no_database
def test_failures_survive_a_restart_of_ours_when_valkey_counts(valkey_url):
    fail(Throttle(valkey_url), TOGETHER.free + 4, "ann", HERE)
    assert wait_of(Throttle(valkey_url), "ann", HERE) > 0


@pytest.mark.no_database
def test_two_workers_share_what_valkey_counts(valkey_url):
    one, other = Throttle(valkey_url), Throttle(valkey_url)
    one.hit("forgot", "ann", 2, 60)
    other.hit("forgot", "ann", 2, 60)
    with pytest.raises(TooManyRequests):
        one.hit("forgot", "ann", 2, 60)


@pytest.mark.no_database
def test_counting_goes_on_in_the_process_while_valkey_is_away(own_valkey):
    throttle = Throttle(own_valkey.url)
    assert throttle.is_reachable()
    fail(throttle, TOGETHER.free + 4, "ann", HERE)
    own_valkey.kill()
    assert not throttle.is_reachable()
    assert wait_of(throttle, "ann", HERE) == 0
    fail(throttle, TOGETHER.free + 4, "ann", HERE)
    assert wait_of(throttle, "ann", HERE) > 0
    throttle.hit("forgot", "ann", 1, 60)
    with pytest.raises(TooManyRequests):
        throttle.hit("forgot", "ann", 1, 60)
    own_valkey.start()
    throttle._down_until = 0.0
    assert throttle.is_reachable()
    assert wait_of(throttle, "ann", HERE) == 0
    fail(throttle, TOGETHER.free, "ann", HERE)
    assert wait_of(throttle, "ann", HERE) > 0


@pytest.mark.no_database
def test_nothing_that_names_a_person_is_kept(valkey_url):
    import redis

    throttle = Throttle(valkey_url)
    fail(throttle, 9, "ann@example.com", HERE)
    throttle.hit("forgot", "ann@example.com", 5, 60)
    with redis.Redis.from_url(valkey_url, decode_responses=True) as store:
        keys = store.keys("*")
    assert keys
    assert not [key for key in keys if "ann" in key or HERE.text in key]


def line(number, *, site=0):
    """Return an address in one of the /64 networks of a home of IPv6, or of a site with many."""
    return Address.of(f"2001:db8:{site:x}:{number:x}::1")


@pytest.mark.no_database
def test_an_address_is_counted_by_the_networks_that_its_visitor_can_move_in():
    networks = Address.of("2001:db8:1:2ff:aaaa::1").networks
    assert networks == ("2001:db8:1:2ff::/64", "2001:db8:1:200::/56", "2001:db8:1::/48")
    assert Address.of("::ffff:192.0.2.1").networks == ("192.0.2.1",)
    assert Address.of("192.0.2.1").networks == ("192.0.2.1",)
    assert Address.of(None).networks == ("-",)
    handed = Address.of("192.0.2.1", "shop").networks
    assert handed != Address.of("192.0.2.1").networks
    assert handed != Address.of("192.0.2.1", "other").networks


@pytest.mark.no_database
@pytest.mark.parametrize(("apart", "free"), [(1, 10), (256, 20)], ids=["one /56", "one /48"])
def test_who_moves_within_a_network_is_counted_there(throttle, apart, free):
    for number in range(free):
        throttle.hit("pending", line(number * apart), 5, 60)
    with pytest.raises(TooManyRequests):
        throttle.hit("pending", line(free * apart), 5, 60)
    throttle.hit("pending", line(0, site=1), 5, 60)


@pytest.mark.no_database
def test_what_one_line_is_refused_does_not_count_for_its_neighbours(throttle):
    for _ in range(5):
        throttle.hit("pending", line(0), 5, 60)
    for _ in range(20):
        with pytest.raises(TooManyRequests):
            throttle.hit("pending", line(0), 5, 60)
    throttle.hit("pending", line(1), 5, 60)


@pytest.mark.no_database
@pytest.mark.parametrize("apart", [1, 256], ids=["one /56", "one /48"])
def test_guesses_from_many_lines_of_one_network_are_slowed_down(throttle, apart):
    for number in range(150):
        fail(throttle, 1, f"victim{number}", line(number * apart))
    assert wait_of(throttle, "another", line(200 * apart)) > 0
    assert wait_of(throttle, "another", line(0, site=1)) == 0


@pytest.mark.no_database
def test_several_keys_are_counted_together(throttle):
    throttle.hit("forgot", ("ann", HERE), 1, 60)
    with pytest.raises(TooManyRequests):
        throttle.hit("forgot", ("ann", HERE), 1, 60)
    throttle.hit("forgot", ("ann", ELSEWHERE), 1, 60)
    throttle.hit("forgot", ("bob", HERE), 1, 60)


@pytest.mark.no_database
def test_what_costs_more_counts_for_more_and_looking_counts_for_nothing(throttle):
    for _ in range(3):
        throttle.check("bytes", HERE, 100, 60)
    throttle.hit("bytes", HERE, 100, 60, cost=60)
    throttle.check("bytes", HERE, 100, 60)
    throttle.hit("bytes", HERE, 100, 60, cost=40)
    with pytest.raises(TooManyRequests):
        throttle.check("bytes", HERE, 100, 60)
    with pytest.raises(TooManyRequests):
        throttle.hit("bytes", HERE, 100, 60, cost=1)


@pytest.mark.no_database
def test_a_valkey_that_hangs_is_asked_by_one_request_at_a_time(own_valkey, monkeypatch):
    monkeypatch.setattr(throttling, "RETRY_SECONDS", 60.0)
    throttle = Throttle(own_valkey.url)
    throttle.hit("warm", "up", 10, 60)
    asked = []
    hit = throttle._shared.hit

    def watched(*arguments):
        asked.append(time.monotonic())
        try:
            return hit(*arguments)
        finally:
            asked.append(time.monotonic())

    throttle._shared.hit = watched
    own_valkey.freeze()
    try:
        throttle.hit("try", "ann", 10, 60)
        begun, ended = asked
        assert ended - begun < 0.95  # it was waited for once, not twice
        asked.clear()
        throttle._down_until = time.monotonic() - 1  # it is time to ask again
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: throttle.hit("try", "ann", 100, 60), range(8)))
        assert len(asked) == 2
    finally:
        own_valkey.thaw()
    throttle._down_until = time.monotonic() - 1
    throttle.hit("try", "ann", 100, 60)
    assert throttle._down_until == 0.0


@pytest.mark.no_database
def test_a_try_that_is_withdrawn_keeps_nobody_waiting(throttle, clock):
    fail(throttle, TOGETHER.free, "ann", HERE)
    clock.shift(timedelta(seconds=5))
    assert wait_of(throttle, "ann", HERE) == 0
    assert wait_of(throttle, "ann", HERE) == 1
    throttle.withdraw("sign-in", "ann", HERE)
    assert wait_of(throttle, "ann", HERE) == 0


@pytest.mark.no_database
def test_only_an_account_with_failures_has_something_to_forget(throttle, clock):
    assert not throttle.check_delay("sign-in", "ann", HERE)
    fail(throttle, 1, "ann", HERE)
    assert throttle.check_delay("sign-in", "ann", HERE)
    assert throttle.check_delay("sign-in", "ann", ELSEWHERE)  # of the account, from anywhere
    assert not throttle.check_delay("sign-in", "bob", HERE)
    throttle.succeeded("sign-in", "ann", HERE)
    assert not throttle.check_delay("sign-in", "ann", HERE)


@pytest.mark.no_database
def test_what_the_process_counts_takes_no_thread_and_is_bounded(monkeypatch):
    now = time.time()
    monkeypatch.setattr(local.time, "time", lambda: now)
    store = local.LocalStore()
    before = threading.active_count()
    waits = [store.hit(("pushed", "app"), 2, 60, 1) for _ in range(3)]
    assert waits == [0.0, 0.0, 60.0]
    assert threading.active_count() == before
    now += 61
    assert store.hit(("pushed", "other"), 2, 60, 1) == 0.0
    assert [key[1] for key in store._windows] == ["other"]
    monkeypatch.setattr(local, "MAX_RECORDS", 10)
    for number in range(100):
        store.hit(("pushed", str(number)), 2, 60, 1)
    assert len(store._windows) == 10
