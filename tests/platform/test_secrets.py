"""Keys derived from the root secrets."""

from __future__ import annotations

import pytest

from idp.platform import secrets
from idp.platform.secrets import Keyring, UnknownKeyError

pytestmark = pytest.mark.no_database

OLD, NEW = "o" * 40, "n" * 40


def test_what_was_encrypted_is_given_back() -> None:
    keyring = Keyring([NEW])
    stored = keyring.encrypt("purpose", b"clear")
    assert keyring.decrypt("purpose", stored) == b"clear"
    assert b"clear" not in stored.encode()
    assert keyring.encrypt("purpose", b"clear") != stored


def test_each_purpose_has_a_key_of_its_own() -> None:
    keyring = Keyring([NEW])
    assert keyring.key("a") != keyring.key("b")
    assert keyring.key("a") == Keyring([NEW]).key("a")
    with pytest.raises(UnknownKeyError):
        keyring.decrypt("b", keyring.encrypt("a", b"clear"))
    assert not keyring.mac_matches("b", "1234", keyring.mac("a", "1234"))


def test_the_root_secret_can_be_exchanged() -> None:
    before = Keyring([OLD])
    stored, mac = before.encrypt("a", b"clear"), before.mac("a", "1234")
    between = Keyring([NEW, OLD])
    assert between.decrypt("a", stored) == b"clear"
    assert between.mac_matches("a", "1234", mac)
    assert not between.is_current(stored)
    assert between.is_current(between.encrypt("a", b"clear"))
    assert between.roots() == (Keyring([NEW]).current, before.current)
    after = Keyring([NEW])
    with pytest.raises(UnknownKeyError):
        after.decrypt("a", stored)
    assert not after.mac_matches("a", "1234", mac)


def test_the_stored_text_does_not_tell_the_root_secret() -> None:
    keyring = Keyring([NEW])
    for text in (keyring.current, keyring.encrypt("a", b"x"), keyring.mac("a", "x")):
        assert NEW not in text
    assert keyring.current != secrets.digest(NEW).hex()[:8]


@pytest.mark.parametrize("position", [0, 12, -1])
def test_a_changed_ciphertext_is_not_opened(position: int) -> None:
    keyring = Keyring([NEW])
    root, _, text = keyring.encrypt("a", b"clear").partition(".")
    raw = bytearray(secrets.from_b64url(text))
    raw[position] ^= 1
    with pytest.raises(UnknownKeyError):
        keyring.decrypt("a", f"{root}.{secrets.b64url(bytes(raw))}")


def test_a_mac_is_good_for_its_value_only() -> None:
    keyring = Keyring([NEW])
    mac = keyring.mac("code", "123456")
    assert keyring.mac_matches("code", "123456", mac)
    for value in ("123457", "", "123456 ", "12345"):
        assert not keyring.mac_matches("code", value, mac)
    for stored in ("", ".", keyring.current, f"{keyring.current}.", f"00000000.{mac[9:]}"):
        assert not keyring.mac_matches("code", "123456", stored)


def test_base64url_has_no_padding_and_comes_back() -> None:
    for length in range(8):
        value = bytes(range(248, 248 + length))
        text = secrets.b64url(value)
        assert "=" not in text
        assert secrets.from_b64url(text) == value
    for text in ("a", "a b", "a\n", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        with pytest.raises(ValueError):
            secrets.from_b64url(text)


def test_random_tokens_are_long_and_different() -> None:
    tokens = {secrets.random_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(len(secrets.from_b64url(token)) for token in tokens) == 32
