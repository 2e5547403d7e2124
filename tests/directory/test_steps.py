"""Which step of a sign-in comes next, and which level its proofs reach."""

from __future__ import annotations

import itertools

import pytest

from idp.directory import levels
from idp.directory.authentication.steps import Progress, Proof, Step, amr_of, level_of, next_step

pytestmark = pytest.mark.no_database

PWD, APP, CODE = Proof.PASSWORD, Proof.TOTP, Proof.RECOVERY_CODE
KEY, SYNCED, PIN = Proof.DEVICE_PASSKEY, Proof.SYNCED_PASSKEY, Proof.VERIFICATION


@pytest.mark.parametrize(
    ("proofs", "has_factor", "wanted", "step"),
    [
        ((), False, "pwd", Step.FIRST),
        ((), True, "mfa", Step.FIRST),
        ((APP,), True, "mfa", Step.FIRST),
        ((PWD,), False, "pwd", Step.DONE),
        ((PWD,), True, "pwd", Step.DONE),
        ((PWD,), True, "mfa", Step.SECOND),
        ((PWD,), False, "mfa", Step.ENROL),
        ((PWD, APP), True, "mfa", Step.DONE),
        ((PWD, CODE), True, "mfa", Step.DONE),
        ((PWD, APP), True, "phr", Step.SECOND),
        ((KEY,), True, "pwd", Step.FIRST),
        ((PIN,), True, "pwd", Step.FIRST),
        ((KEY, PIN), True, "mfa", Step.DONE),
        ((SYNCED, PIN), True, "phr", Step.DONE),
        ((PWD, KEY), True, "phr", Step.DONE),
    ],
)
def test_the_first_step_that_is_due_comes_next(proofs, has_factor, wanted, step):
    assert next_step(Progress(proofs, has_factor, wanted)) is step


def test_nothing_is_done_before_the_level_is_reached():
    kinds = [tuple(chosen) for n in range(4) for chosen in itertools.permutations(Proof, n)]
    for proofs, has_factor, wanted in itertools.product(kinds, (True, False), levels.LEVELS):
        if next_step(Progress(proofs, has_factor, wanted)) is Step.DONE:
            assert PWD in proofs or (PIN in proofs and {KEY, SYNCED}.intersection(proofs))
            assert levels.satisfies(level_of(proofs), wanted)


def test_a_new_password_is_chosen_last_and_only_by_who_used_the_old_one():
    for has_factor, wanted in itertools.product((True, False), levels.LEVELS):
        for proofs in ((), (APP,), (PWD,), (PWD, APP)):
            before = next_step(Progress(proofs, has_factor, wanted))
            after = next_step(Progress(proofs, has_factor, wanted, password_due=True))
            assert after is (Step.PASSWORD if before is Step.DONE else before)


def test_two_proofs_of_one_kind_are_one_factor():
    assert level_of((APP, CODE)) == levels.PWD
    assert level_of((PWD,)) == levels.PWD
    assert level_of((PWD, CODE)) == levels.MFA
    assert level_of((PIN, APP)) == level_of((KEY, APP)) == levels.PWD
    assert level_of((PWD, KEY)) == level_of((SYNCED, PIN)) == levels.PHR


@pytest.mark.parametrize(
    ("proofs", "amr"),
    [
        ((PWD,), ["pwd"]),
        ((PWD, APP), ["pwd", "otp", "mfa"]),
        ((PWD, CODE), ["pwd", "otp", "mfa"]),
        ((PWD, APP, CODE), ["pwd", "otp", "mfa"]),
        ((KEY, PIN), ["hwk", "pop", "user", "mfa"]),
        ((SYNCED, PIN), ["swk", "pop", "user", "mfa"]),
        ((PWD, KEY), ["pwd", "hwk", "pop", "user", "mfa"]),
    ],
)
def test_proofs_are_stated_by_their_registered_names(proofs, amr):
    assert amr_of(proofs) == amr


def test_a_higher_level_satisfies_a_lower_one_and_an_unknown_one_is_the_lowest():
    assert [levels.satisfies("mfa", wanted) for wanted in levels.LEVELS] == [True, True, False]
    assert [levels.satisfies("1", wanted) for wanted in levels.LEVELS] == [True, False, False]
