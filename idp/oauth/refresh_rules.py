"""The content of a refresh token and what may be done with it; nothing here reads a database.

A token is `rt_` and 60 bytes in base64url: a block with family and generation (16), the secret
(32) and the start of an HMAC over both under our key (12). A family is what became of one grant's
first refresh token, so its number is the grant's. Numbers that count up would reveal how
many sign-ins there are, so the block is encrypted with AES. It holds nothing random, because a
retry must get the same text again; no block comes twice, because no family has a generation twice.

The secret of the next generation is an HMAC of the token before it. The database keeps only the
hash of the current secret, so neither the database nor our keys, nor both, are enough to make a
token that is accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from secrets import token_bytes

from idp.directory.clients.snapshot import ClientView
from idp.oauth.holder import Holder
from idp.platform.secrets import Keyring, b64url, block_cipher, from_b64url

PREFIX = "rt_"
CHAIN, BLOCK, MAC = "refresh token", "refresh token block", "refresh token mac"
"""Purposes of keys."""

_FAMILY, _GENERATION, _PADDING = 8, 4, 4
_BLOCK_END = _FAMILY + _GENERATION + _PADDING
_SECRET = 32
_SECRET_END = _BLOCK_END + _SECRET
_MAC = 12
# 60 bytes fill 80 characters completely: no token can be written in two ways.
_FORM = re.compile(PREFIX + r"[A-Za-z0-9_-]{80}")


@dataclass(frozen=True, slots=True)
class Token:
    """A refresh token that was taken apart; one of the former form is its own secret."""

    family: int
    generation: int
    secret: bytes = field(repr=False)
    text: str = field(repr=False)

    @property
    def secret_hash(self) -> bytes:
        """Return what the database keeps of it."""
        return hashlib.sha256(self.secret).digest()


@dataclass(frozen=True, slots=True)
class Family:
    """The state of a family; fields are named as the columns."""

    grant_id: int
    generation: int
    secret_hash: bytes
    scopes: list[str]
    created_at: datetime
    rotated_at: datetime | None
    expires_at: datetime
    absolute_expires_at: datetime
    dpop_jkt: str | None = None
    x5t_s256: str | None = None


class Outcome(Enum):
    """What a refresh token that was presented leads to."""

    ROTATE = auto()
    """It is the current one, and the next one takes its place."""
    KEEP = auto()
    """It is the current one and stays so: the client's tokens are reusable."""
    REPEAT = auto()
    """Its answer may have been lost: the token that followed is given again."""
    REPLAYED = auto()
    """It was spent before: it was stolen, then or now."""
    EXPIRED = auto()
    UNKNOWN = auto()
    """The family does not have it: made with a stolen key, or before a backup was restored."""


USABLE = frozenset({Outcome.ROTATE, Outcome.KEEP})


def decide(token: Token, family: Family, client: ClientView, now: datetime) -> Outcome:
    """Return what a token of a family leads to, for the client that it was issued to."""
    if token.generation > family.generation:
        return Outcome.UNKNOWN
    if token.generation < family.generation:
        return _decide_spent(token, family, client, now)
    if not hmac.compare_digest(token.secret_hash, family.secret_hash):
        return Outcome.UNKNOWN
    if family.expires_at <= now:
        return Outcome.EXPIRED
    # RFC 9700 4.14.2: what nothing binds to a public client is rotated, whatever its setting.
    is_unbound = client.is_public and family.dpop_jkt is None and family.x5t_s256 is None
    is_kept = client.refresh_token_is_reusable and not is_unbound
    return Outcome.KEEP if is_kept else Outcome.ROTATE


def is_held(family: Family, holder: Holder) -> bool:
    """Return whether the sender holds what a family is bound to (RFC 9449 5, RFC 8705 4)."""
    return family.dpop_jkt in {None, holder.jkt} and family.x5t_s256 in {None, holder.x5t_s256}


def _decide_spent(token: Token, family: Family, client: ClientView, now: datetime) -> Outcome:
    # Judged for as long as its family may live: a retry may come after the token's own time, and
    # so may a thief.
    if family.absolute_expires_at <= now:
        return Outcome.EXPIRED
    window = timedelta(seconds=client.refresh_token_reuse_seconds)
    is_previous = token.generation == family.generation - 1
    if is_previous and family.rotated_at is not None and now - family.rotated_at < window:
        return Outcome.REPEAT
    return Outcome.REPLAYED


def begin(keyring: Keyring, family: int) -> Token:
    """Make the first token of a family."""
    return write(keyring, family, 0, token_bytes(_SECRET))


def successor(keyring: Keyring, token: Token, root: str | None = None) -> Token:
    """Compute the token that follows, the same one every time."""
    seed = f"{token.text}\n{token.family}\n{token.generation}"
    secret = hmac.digest(keyring.key(CHAIN, root), seed.encode(), "sha256")
    return write(keyring, token.family, token.generation + 1, secret, root)


def successors(keyring: Keyring, token: Token) -> list[Token]:
    """Compute the tokens that may have followed: one for each root secret."""
    return [successor(keyring, token, root) for root in keyring.roots()]


def write(
    keyring: Keyring, family: int, generation: int, secret: bytes, root: str | None = None
) -> Token:
    """Write a token."""
    numbers = family.to_bytes(_FAMILY, "big") + generation.to_bytes(_GENERATION, "big")
    cipher = block_cipher(keyring.key(BLOCK, root))
    body = cipher.encryptor().update(numbers + bytes(_PADDING)) + secret
    text = PREFIX + b64url(body + _mac(keyring, body, root))
    return Token(family, generation, secret, text)


def read(keyring: Keyring, unverified_text: str) -> Token | None:
    """Return the token that a text is; None for anything that we did not write."""
    if not _FORM.fullmatch(unverified_text):
        return None
    raw = from_b64url(unverified_text.removeprefix(PREFIX))
    body, mac = raw[:_SECRET_END], raw[_SECRET_END:]
    for root in keyring.roots():
        if hmac.compare_digest(_mac(keyring, body, root), mac):
            cipher = block_cipher(keyring.key(BLOCK, root))
            numbers = cipher.decryptor().update(body[:_BLOCK_END])
            family = int.from_bytes(numbers[:_FAMILY], "big")
            generation = int.from_bytes(numbers[_FAMILY : _FAMILY + _GENERATION], "big")
            return Token(family, generation, body[_BLOCK_END:], unverified_text)
    return None


def _mac(keyring: Keyring, body: bytes, root: str | None) -> bytes:
    return hmac.digest(keyring.key(MAC, root), body, "sha256")[:_MAC]
