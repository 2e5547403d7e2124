"""The password policy, and hashes."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest
from argon2 import PasswordHasher

from idp.directory.users import passwords
from idp.platform.errors import BadRequest, Busy

pytestmark = [pytest.mark.no_database, pytest.mark.usefixtures("real_hashes")]


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "1234567",
        "x" * 129,
        "Qwerty123",
        "PassWord123",
        "12345678",
        "abc\x00defgh",
        "aB1!xy",
    ],
)
def test_weak_passwords_are_refused_with_a_reason(password: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        passwords.check_policy(password)
    assert refusal.value.fields["password"]
    assert password not in str(refusal.value)


def test_a_lone_surrogate_is_refused_and_matches_nothing() -> None:
    with pytest.raises(BadRequest):
        passwords.check_policy("abcdefgh\ud800")
    assert not passwords.matches(None, "abcdefgh\ud800")


def test_the_own_name_is_no_password() -> None:
    with pytest.raises(BadRequest):
        passwords.check_policy("Annabella", ["annabella", None])


def test_programs_may_set_short_mixed_passwords_for_others() -> None:
    passwords.check_policy("aB1!xy", chosen_by_person=False)
    for weak in ("aB1!x", "ab1!xy", "AB1!XY", "aBc!xy", "aB1xyz"):
        with pytest.raises(BadRequest):
            passwords.check_policy(weak, chosen_by_person=False)


def test_a_hash_matches_its_password_however_it_is_composed() -> None:
    stored = passwords.make_hash("caf\u00e9 au lait")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.matches(stored, "cafe\u0301 au lait")
    assert not passwords.matches(stored, "cafe au lait")
    assert not passwords.matches("no hash at all", "cafe au lait")


def test_nobody_costs_what_somebody_costs() -> None:
    assert not passwords.is_outdated(passwords._NOBODY)
    assert not passwords.matches(None, "anything")


def test_hashes_of_other_parameters_are_outdated() -> None:
    assert passwords.is_outdated(PasswordHasher(time_cost=1, memory_cost=1024).hash("x"))


def test_few_passwords_are_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()

    class Counting:
        def verify(self, stored: str, password: bytes) -> bool:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return True

    monkeypatch.setattr(passwords, "_hasher", Counting())
    crowd = passwords.CONCURRENT_HASHES + passwords.QUEUED_HASHES
    threads = [threading.Thread(target=passwords.matches, args=("x", "y")) for _ in range(crowd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == passwords.CONCURRENT_HASHES


def test_a_few_wait_and_the_next_is_told_at_once_to_come_back() -> None:
    crowd = passwords.CONCURRENT_HASHES + passwords.QUEUED_HASHES
    with ExitStack() as stack:
        for _ in range(crowd):
            stack.enter_context(passwords._admitted)
        for attempt in (
            lambda: passwords.matches(None, "anything"),
            lambda: passwords.make_hash("anything"),
        ):
            with pytest.raises(Busy) as refusal:
                attempt()
            assert int(refusal.value.headers["Retry-After"]) > 0
    assert not passwords.matches(None, "anything")
