"""The compact form of a JWS (RFC 7515 7.1), read strictly."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from typing import Any

import orjson

MAX_SIZE = 16 * 1024
MAX_HEADER_SIZE = 2 * 1024
PARTS = 3


class MalformedError(ValueError):
    """The text is not a well-formed JWT; the message is for the log."""


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A JWT taken apart. Nothing in it is proven before the signature is."""

    header: dict[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes


def encode(value: bytes) -> bytes:
    """Write bytes in base64url without padding (RFC 7515 2)."""
    return binascii.b2a_base64(value, newline=False).translate(_TO_URL).rstrip(b"=")


def decode(segment: bytes) -> bytes:
    """Read base64url, refusing padding, white space and every second spelling of a value."""
    if b"+" in segment or b"/" in segment or b"=" in segment:
        raise MalformedError("not base64url")
    padded = segment.translate(_TO_STANDARD) + b"=" * (-len(segment) % 4)
    try:
        value = binascii.a2b_base64(padded, strict_mode=True)
    except binascii.Error:
        raise MalformedError("not base64url") from None
    # The unused bits of the last character must be zero, or one token has many spellings.
    if encode(value) != segment:
        raise MalformedError("not canonical base64url")
    return value


_TO_URL = bytes.maketrans(b"+/", b"-_")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def segments(unverified_jwt: str) -> tuple[bytes, bytes, bytes]:
    """Return header, payload and signature as they are written, unread.

    MalformedError for anything that is not three of them.
    """
    if len(unverified_jwt) > MAX_SIZE:
        raise MalformedError("too large")
    try:
        raw = unverified_jwt.encode("ascii")
    except UnicodeEncodeError:
        raise MalformedError("not ASCII") from None
    parts = raw.split(b".")
    if len(parts) != PARTS or not all(parts):
        raise MalformedError("not three parts")
    header, payload, signature = parts
    if len(header) > MAX_HEADER_SIZE:
        raise MalformedError("header too large")
    return header, payload, signature


def split(unverified_jwt: str) -> UnverifiedToken:
    """Take a JWT apart; MalformedError for anything that is not exactly one."""
    header_part, payload_part, signature_part = segments(unverified_jwt)
    return UnverifiedToken(
        header=json_object(decode(header_part)),
        payload=decode(payload_part),
        signature=decode(signature_part),
        signing_input=header_part + b"." + payload_part,
    )


def json_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; MalformedError for any other JSON or none."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise MalformedError("not JSON") from None
    if not isinstance(value, dict):
        raise MalformedError("not a JSON object")
    return value
