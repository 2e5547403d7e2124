"""The steps of a sign-in in their order, and which one comes next."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from idp.directory import levels


class Proof(StrEnum):
    """What a person proved."""

    PASSWORD = "password"  # noqa: S105 - names a proof
    TOTP = "totp"
    RECOVERY_CODE = "recovery code"
    ENROLMENT_CODE = "enrolment code"
    """Opens the enrolment and reaches no level."""
    DEVICE_PASSKEY = "device passkey"
    """A passkey that stays on its device."""
    SYNCED_PASSKEY = "synced passkey"
    """A passkey that may be copied to other devices."""
    MAIL_CODE = "mail code"
    """A code that was sent by mail."""
    SMS_CODE = "text message code"
    """A code that was sent by text message."""
    VERIFICATION = "user verification"
    """PIN or fingerprint, checked by the authenticator of a passkey."""
    PUT_OFF = "put off"
    """Not a proof: the wish to set up a second factor later."""
    STOLEN = "stolen password"
    """Not a proof: the password is known from a theft, and a policy wants another one."""


class Step(StrEnum):
    """A step of a sign-in."""

    FIRST = "first"
    """Name and first factor."""
    SECOND = "second"
    """One of the second factors that the person has."""
    CODE = "code"
    """An enrolment code, without which no second factor is set up."""
    ENROL = "enrol"
    """Setting up a second factor, because one is required that the person does not have."""
    PASSWORD = "password"  # noqa: S105 - names a step
    """Choosing a new password, because it has expired or was set by somebody else."""
    VERIFY = "verify"
    """Confirming an address that is new or was never confirmed."""
    DONE = "done"
    """The session starts."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What decides the next step."""

    proofs: tuple[Proof, ...]
    reach: str
    """The highest level that the person can reach with the factors that they have."""
    wanted: str
    """The level that the sign-in must reach."""
    password_due: bool = False
    """Whether the person must choose a new password."""
    needs_code: bool = False
    """Whether the person sets up a second factor with an enrolment code only."""
    may_put_off: bool = False
    """Whether the person may set up the second factor later."""
    unconfirmed: tuple[str, ...] = ()
    """Addresses that the person must confirm: see `policies.rules.ADDRESSES`."""


_AMR: Mapping[Proof, tuple[str, ...]] = {
    Proof.PASSWORD: ("pwd",),
    Proof.TOTP: ("otp",),
    Proof.RECOVERY_CODE: ("otp",),
    Proof.ENROLMENT_CODE: ("otp",),
    Proof.MAIL_CODE: ("email",),  # our own; RFC 8176 has none
    Proof.SMS_CODE: ("sms",),
    Proof.DEVICE_PASSKEY: ("hwk", "pop", "user"),
    Proof.SYNCED_PASSKEY: ("swk", "pop", "user"),
    Proof.VERIFICATION: (),  # the two kinds together are stated
    Proof.PUT_OFF: (),
    Proof.STOLEN: (),
}
"""RFC 8176 2."""
_PASSKEYS = frozenset({Proof.DEVICE_PASSKEY, Proof.SYNCED_PASSKEY})
_SECOND = frozenset({Proof.TOTP, Proof.RECOVERY_CODE, Proof.MAIL_CODE, Proof.SMS_CODE})
_SEVERAL = "mfa"
"""In `amr`: factors of two kinds (RFC 8176 2)."""


def level_of(proofs: Collection[Proof]) -> str:
    """Return the level that proofs reach; two of one kind are one factor."""
    if _lacks_first(proofs):
        return levels.PWD
    if not _PASSKEYS.isdisjoint(proofs):
        return levels.PHR
    return levels.PWD if _SECOND.isdisjoint(proofs) else levels.MFA


def amr_of(proofs: Collection[Proof], known: Collection[str] = ()) -> list[str]:
    """Return proofs as the claim `amr` states them, after what a session states already."""
    is_several = bool(known) or level_of(proofs) != levels.PWD
    values = [value for proof in proofs for value in _AMR[proof]]
    return list(dict.fromkeys([*known, *values, *([_SEVERAL] if is_several else [])]))


def next_step(progress: Progress) -> Step:
    """Return the step whose turn it is: the first one that is still due."""
    return next((step for step, is_due in STEPS if is_due(progress)), Step.DONE)


def _lacks_first(proofs: Collection[Proof]) -> bool:
    """Return whether nothing is proven that may come first: a password, or a verified passkey."""
    is_verified = Proof.VERIFICATION in proofs and not _PASSKEYS.isdisjoint(proofs)
    return Proof.PASSWORD not in proofs and not is_verified


def _lacks_level(progress: Progress) -> bool:
    return not levels.satisfies(level_of(progress.proofs), progress.wanted)


def _lacks_proof(progress: Progress) -> bool:
    """Return whether a factor that the person has is to be proven."""
    due = min(progress.wanted, progress.reach, key=levels.rank)
    return not levels.satisfies(level_of(progress.proofs), due)


def _lacks_factor(progress: Progress) -> bool:
    """Return whether a factor is to be set up: none that the person has is enough."""
    is_put_off = progress.may_put_off and Proof.PUT_OFF in progress.proofs
    has_enough = levels.satisfies(progress.reach, progress.wanted)
    return _lacks_level(progress) and not has_enough and not is_put_off


STEPS: Sequence[tuple[Step, Callable[[Progress], bool]]] = (
    (Step.FIRST, lambda progress: _lacks_first(progress.proofs)),
    (
        Step.CODE,
        lambda progress: (
            _lacks_level(progress)
            and progress.needs_code
            and Proof.ENROLMENT_CODE not in progress.proofs
        ),
    ),
    (Step.SECOND, _lacks_proof),
    (Step.ENROL, _lacks_factor),
    (Step.PASSWORD, lambda progress: progress.password_due and Proof.PASSWORD in progress.proofs),
    (Step.VERIFY, lambda progress: bool(progress.unconfirmed)),
    # Terms of use and required parts of the profile come here, before the session.
)
"""Each step with whether it is due. Conditions of a new step go where its page shall come."""
