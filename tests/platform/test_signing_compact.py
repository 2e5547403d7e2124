"""Key identifiers, and the strict reading of compact JWS."""

from __future__ import annotations

import base64

import pytest

from idp.platform.signing import algorithms, compact

pytestmark = pytest.mark.no_database


def encoded(*parts: bytes) -> str:
    return ".".join(compact.encode(part).decode() for part in parts)


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    # The example of RFC 7638 3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJ"
        "ECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW"
        "2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQ"
        "Fh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    assert algorithms.thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == (
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


@pytest.mark.parametrize("length", range(10))
def test_base64url_comes_back_as_it_went(length: int) -> None:
    value = bytes(range(250, 250 + length % 6)) * 3
    assert compact.decode(compact.encode(value)) == value


@pytest.mark.parametrize(
    "segment",
    [
        b"QQ==",  # padding
        b"Q",  # no whole byte
        b"QR",  # bits that nothing uses, and that are not zero
        b"QUJ",
        b"QU\nI",
        b" QUI",
        b"+_8",  # the other alphabet
        b"/_8",
        b"QU=I",
        b"\xff\xff",
    ],
)
def test_a_second_spelling_of_base64url_is_refused(segment: bytes) -> None:
    with pytest.raises(compact.MalformedError):
        compact.decode(segment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        encoded(b"{}", b"{}"),
        encoded(b"{}", b"{}", b"s", b"t"),
        encoded(b"{}", b"{}", b"a", b"b", b"c"),  # the five parts of an encrypted token
        encoded(b"{}", b"{}", b""),
        encoded(b"{}", b"", b"s"),
        encoded(b"[]", b"{}", b"s"),
        encoded(b"null", b"{}", b"s"),
        encoded(b"{", b"{}", b"s"),
        encoded(b'{"a":"\xff"}', b"{}", b"s"),
        encoded(b"[" * 1000 + b"]" * 1000, b"{}", b"s"),
        encoded(b"{}", b"{}", b"s") + "\n",
        " " + encoded(b"{}", b"{}", b"s"),
        encoded(b"{}", b"{}", b"s") + "\N{CYRILLIC SMALL LETTER A}",
        encoded(b"{}", b"{}", b"s") + "\ud800",
        encoded(b'{"a":"%s"}' % (b"a" * 2048), b"{}", b"s"),
    ],
)
def test_what_is_not_exactly_one_token_is_refused(text: str) -> None:
    with pytest.raises(compact.MalformedError):
        compact.split(text)


def test_a_token_over_the_size_cap_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base64, "urlsafe_b64encode", None)
    with pytest.raises(compact.MalformedError, match="too large"):
        compact.split("a" * (compact.MAX_SIZE + 1))


def test_a_token_is_taken_apart() -> None:
    token = compact.split(encoded(b'{"alg":"x"}', b"payload", b"signature"))
    assert token.header == {"alg": "x"}
    assert (token.payload, token.signature) == (b"payload", b"signature")
    assert token.signing_input == encoded(b'{"alg":"x"}', b"payload").encode()
