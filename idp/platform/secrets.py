"""Random values, digests, and encryption of what must be read again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MASK = "***"
"""What stands in place of a secret that is there."""

# SHA-256 and SHA-512 in base64: 32 and 64 bytes with their padding.
_DIGEST = re.compile(r"[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==")


def random_token(size: int = 32) -> str:
    """Make `size` random bytes, written in base64url."""
    return secrets.token_urlsafe(size)


def digest(value: str) -> bytes:
    """Hash a random value of ours for storage; never for passwords or chosen secrets."""
    return hashlib.sha256(value.encode()).digest()


def looks_like_digest(text: str) -> bool:
    """Whether a text could be the digest of a secret, sent in place of the secret itself."""
    return _DIGEST.fullmatch(text) is not None


def b64url(value: bytes) -> str:
    """Write bytes in base64url without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_b64url(text: str) -> bytes:
    """Read base64url without padding; ValueError for anything else."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


@lru_cache(maxsize=16)
def block_cipher(key: bytes) -> Cipher[ECB]:
    """Return AES for single blocks, of which no two hold the same."""
    return Cipher(AES(key), ECB())  # noqa: S305 - see above


class UnknownKeyError(Exception):
    """A stored value names a root secret that `IDP_SECRET_KEY` no longer holds."""


class Keyring:
    """Keys derived from the root secrets, one per purpose; the first root is the current one."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = {self._root_id(root): root.encode() for root in roots}
        self.current = next(iter(self._roots))
        self._derived: dict[tuple[str, str], bytes] = {}

    @staticmethod
    def _root_id(root: str) -> str:
        return hashlib.sha256(b"idp root id" + root.encode()).hexdigest()[:8]

    def key(self, purpose: str, root: str | None = None) -> bytes:
        """Derive the 32-byte key of a purpose from a root (the current one by default)."""
        root = root or self.current
        found = self._derived.get((root, purpose))
        if found is None:
            if root not in self._roots:
                raise UnknownKeyError(root)
            kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"idp {purpose}".encode())
            found = self._derived[root, purpose] = kdf.derive(self._roots[root])
        return found

    def roots(self) -> tuple[str, ...]:
        """List the ids of the root secrets, the current one first."""
        return tuple(self._roots)

    def mac(self, purpose: str, value: str) -> str:
        """Hash a low-entropy secret for storage; the text names its root secret."""
        return f"{self.current}.{self._mac(purpose, value, self.current)}"

    def mac_matches(self, purpose: str, value: str, stored: str) -> bool:
        """Compare a secret with what `mac` stored, in constant time."""
        root, _, kept = stored.partition(".")
        if root not in self._roots:
            return False
        return hmac.compare_digest(self._mac(purpose, value, root), kept)

    def _mac(self, purpose: str, value: str, root: str) -> str:
        return b64url(hmac.digest(self.key(purpose, root), value.encode(), "sha256"))

    def encrypt(self, purpose: str, clear: bytes) -> str:
        """Encrypt with AES-GCM; the text names its root secret."""
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self.key(purpose)).encrypt(nonce, clear, purpose.encode())
        return f"{self.current}.{b64url(nonce + sealed)}"

    def decrypt(self, purpose: str, stored: str) -> bytes:
        """Decrypt what `encrypt` returned; UnknownKeyError when the value cannot be opened."""
        root, _, text = stored.partition(".")
        raw = from_b64url(text)
        try:
            return AESGCM(self.key(purpose, root)).decrypt(raw[:12], raw[12:], purpose.encode())
        except InvalidTag:
            raise UnknownKeyError(root) from None

    def opens(self, purpose: str, stored: str) -> bool:
        """Whether a stored value can be decrypted."""
        try:
            self.decrypt(purpose, stored)
        except UnknownKeyError:
            return False
        return True

    def holds(self, stored: str) -> bool:
        """Whether a stored value was made under a root secret that is here."""
        return stored.partition(".")[0] in self._roots

    def is_current(self, stored: str) -> bool:
        """Whether a stored value was made under the current root secret."""
        return stored.partition(".")[0] == self.current
