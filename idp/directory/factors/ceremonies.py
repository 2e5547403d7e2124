"""Checks of what browsers answer in the ceremonies of Web Authentication.

The only module that knows the library for it, which takes half a second to import: it is imported
by the request that has an answer to check.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    parse_attestation_object,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AttestationFormat, CredentialDeviceType

from idp.directory.factors.passkey_answers import ALGORITHMS, Answer, RefusedAnswerError

LONGEST_ID = 1023
"""Web Authentication 7.1, step 25."""
LONGEST_KEY = 1024
"""Bytes, enough for RSA of 4096 bits; larger ones would take long to check at every sign-in."""
_MALFORMED = (
    *(WebAuthnException, InvalidSignature, UnsupportedAlgorithm),
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct.error),
    RecursionError,
)
"""What the library raises for bytes that a stranger made up."""


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What an answer must have been made for."""

    challenge: bytes
    rp_id: str
    origin: str
    must_verify: bool
    """Whether the authenticator must have verified the person, by PIN or fingerprint."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential that an authenticator made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    backup_eligible: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator signed."""

    sign_count: int
    is_verified: bool
    backup_eligible: bool
    backed_up: bool


def check_registration(answer: Answer, ceremony: Ceremony) -> NewCredential:
    """Check the answer of a registration (Web Authentication 7.1); raise RefusedAnswerError."""
    try:
        return _check_registration(answer, ceremony)
    except _MALFORMED as error:
        raise RefusedAnswerError(_reason(error)) from error


def check_assertion(answer: Answer, ceremony: Ceremony, public_key: bytes) -> Assertion:
    """Check the answer of a sign-in (Web Authentication 7.2); raise RefusedAnswerError.

    The caller compares user handle, counter and backup eligibility with what is stored.
    """
    try:
        return _check_assertion(answer, ceremony, public_key)
    except _MALFORMED as error:
        raise RefusedAnswerError(_reason(error)) from error


def _check_registration(answer: Answer, ceremony: Ceremony) -> NewCredential:
    _check_frame(answer)
    _check_attestation(answer)
    verified = verify_registration_response(
        credential=answer.content,
        expected_challenge=ceremony.challenge,
        expected_rp_id=ceremony.rp_id,
        expected_origin=ceremony.origin,
        require_user_verification=ceremony.must_verify,
        supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
    )
    if verified.credential_id != answer.credential_id:
        reason = "other credential id"
        raise RefusedAnswerError(reason)
    if (
        len(verified.credential_id) > LONGEST_ID
        or len(verified.credential_public_key) > LONGEST_KEY
    ):
        reason = "credential id or key too long"
        raise RefusedAnswerError(reason)
    decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
    return NewCredential(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        aaguid=verified.aaguid,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
    )


def _check_assertion(answer: Answer, ceremony: Ceremony, public_key: bytes) -> Assertion:
    _check_frame(answer)
    if decode_credential_public_key(public_key).alg not in ALGORITHMS:
        reason = "algorithm"
        raise RefusedAnswerError(reason)
    verified = verify_authentication_response(
        credential=answer.content,
        expected_challenge=ceremony.challenge,
        expected_rp_id=ceremony.rp_id,
        expected_origin=ceremony.origin,
        credential_public_key=public_key,
        credential_current_sign_count=0,  # compared by the caller, in one statement
        require_user_verification=ceremony.must_verify,
    )
    return Assertion(
        sign_count=verified.new_sign_count,
        is_verified=verified.user_verified,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
    )


def _check_frame(answer: Answer) -> None:
    """Refuse an answer made in a frame of another site, which the library does not look at."""
    data: Any = answer.client_data
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        reason = "cross-origin"
        raise RefusedAnswerError(reason)


def _check_attestation(answer: Answer) -> None:
    """Refuse attestations but those that the credential itself signed: less to be parsed."""
    found = parse_attestation_object(answer.bytes_of("attestationObject"))
    is_own = found.fmt == AttestationFormat.PACKED and found.att_stmt.x5c is None
    if found.fmt != AttestationFormat.NONE and not is_own:
        reason = "attestation"
        raise RefusedAnswerError(reason)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]
