"""The `jti` of a person's access token: it leads back to the grant and tells nobody else anything.

One AES block holds the number of the grant and eight random bytes. Whoever reads tokens sees random
text, and cannot count sign-ins; the grant is found without an index or a column of its own. The
token's signature vouches for the text, so the block needs no seal.
"""

from __future__ import annotations

from functools import lru_cache
from secrets import token_bytes

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from idp.platform.errors import InvalidToken
from idp.platform.secrets import Keyring, UnknownKeyError, b64url, from_b64url

PURPOSE = "access token id"
_HALF = 8
_BLOCK_LENGTH = 22
"""Characters of a block; the numbers that stood there before are shorter."""


def make(keyring: Keyring, grant_id: int) -> str:
    """Make the id of a new token of a grant; it names its root secret."""
    block = grant_id.to_bytes(_HALF, "big") + token_bytes(_HALF)
    sealed = _cipher(keyring.key(PURPOSE)).encryptor().update(block)
    return f"{b64url(sealed)}.{keyring.current}"


def grant_id_of(keyring: Keyring, jti: str) -> int | None:
    """Read the grant that a token hangs on; None: a machine's token."""
    head, dot, root = jti.partition(".")
    if not dot:
        return None
    if len(head) != _BLOCK_LENGTH:  # issued before ids were sealed
        return int(head)
    try:
        key = keyring.key(PURPOSE, root)
    except UnknownKeyError:
        raise InvalidToken(debug="issued under a root secret that is gone") from None
    block = _cipher(key).decryptor().update(from_b64url(head))
    return int.from_bytes(block[:_HALF], "big")


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> Cipher[ECB]:
    return Cipher(AES(key), ECB())  # noqa: S305 - a single block, half of it random
