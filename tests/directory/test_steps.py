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
    ("proofs", "reach", "wanted", "step"),
    [
        ((), "pwd", "pwd", Step.FIRST),
        ((), "mfa", "mfa", Step.FIRST),
        ((APP,), "mfa", "mfa", Step.FIRST),
        ((PWD,), "pwd", "pwd", Step.DONE),
        ((PWD,), "mfa", "mfa", Step.SECOND),
        ((PWD,), "pwd", "mfa", Step.ENROL),
        ((PWD, APP), "mfa", "mfa", Step.DONE),
        ((PWD, CODE), "mfa", "mfa", Step.DONE),
        ((PWD, APP), "phr", "phr", Step.SECOND),
        ((PWD, APP), "phr", "mfa", Step.DONE),
        # What the person has is proven first: else a password alone would add a passkey.
        ((PWD,), "mfa", "phr", Step.SECOND),
        ((PWD, APP), "mfa", "phr", Step.ENROL),
        ((PWD, APP, KEY, PIN), "phr", "phr", Step.DONE),
        ((KEY,), "mfa", "pwd", Step.FIRST),
        ((PIN,), "mfa", "pwd", Step.FIRST),
        ((KEY, PIN), "mfa", "mfa", Step.DONE),
        ((SYNCED, PIN), "phr", "phr", Step.DONE),
        ((PWD, KEY), "phr", "phr", Step.DONE),
    ],
)
def test_the_first_step_that_is_due_comes_next(proofs, reach, wanted, step):
    assert next_step(Progress(proofs, reach, wanted)) is step


HANDED = Proof.ENROLMENT_CODE


@pytest.mark.parametrize(
    ("proofs", "has_factor", "step"),
    [
        ((), False, Step.FIRST),
        ((HANDED,), False, Step.FIRST),
        ((PWD,), False, Step.CODE),
        ((PWD, HANDED), False, Step.ENROL),
        ((PWD, HANDED), True, Step.SECOND),
        ((PWD, HANDED, APP), True, Step.DONE),
    ],
)
def test_an_enrolment_code_opens_the_enrolment_and_nothing_else(proofs, has_factor, step):
    needs_code = not has_factor
    reach = "mfa" if has_factor else "pwd"
    assert next_step(Progress(proofs, reach, "mfa", needs_code=needs_code)) is step
    assert level_of((PWD, HANDED)) == levels.PWD


def test_nothing_is_done_before_the_level_is_reached():
    kinds = [tuple(chosen) for n in range(4) for chosen in itertools.permutations(Proof, n)]
    for proofs, reach, wanted in itertools.product(kinds, levels.LEVELS, levels.LEVELS):
        if next_step(Progress(proofs, reach, wanted)) is Step.DONE:
            assert PWD in proofs or (PIN in proofs and {KEY, SYNCED}.intersection(proofs))
            assert levels.satisfies(level_of(proofs), wanted)


def test_a_new_password_is_chosen_last_and_only_by_who_used_the_old_one():
    for reach, wanted in itertools.product(levels.LEVELS, levels.LEVELS):
        for proofs in ((), (APP,), (PWD,), (PWD, APP)):
            before = next_step(Progress(proofs, reach, wanted))
            after = next_step(Progress(proofs, reach, wanted, password_due=True))
            assert after is (Step.PASSWORD if before is Step.DONE else before)


def test_an_address_is_confirmed_last_of_all():
    for reach, wanted in itertools.product(levels.LEVELS, levels.LEVELS):
        for proofs in ((), (APP,), (PWD,), (PWD, APP), (KEY, PIN)):
            for is_due in (False, True):
                before = next_step(Progress(proofs, reach, wanted, password_due=is_due))
                after = next_step(
                    Progress(proofs, reach, wanted, password_due=is_due, unconfirmed=("email",))
                )
                assert after is (Step.VERIFY if before is Step.DONE else before)


def test_only_the_setting_up_can_be_put_off_and_only_where_that_is_allowed():
    later = (PWD, Proof.PUT_OFF)
    assert next_step(Progress(later, "pwd", "mfa", may_put_off=True)) is Step.DONE
    assert next_step(Progress((PWD,), "pwd", "mfa", may_put_off=True)) is Step.ENROL
    assert next_step(Progress(later, "pwd", "mfa")) is Step.ENROL
    assert next_step(Progress(later, "mfa", "mfa", may_put_off=True)) is Step.SECOND
    assert next_step(Progress(later, "mfa", "phr", may_put_off=True)) is Step.SECOND
    assert next_step(Progress((Proof.PUT_OFF,), "pwd", "mfa", may_put_off=True)) is Step.FIRST
    assert (level_of(later), amr_of(later)) == (levels.PWD, ["pwd"])


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
