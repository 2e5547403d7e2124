"""The `jti` of a person's access token: it leads back to the grant, for this server alone.

One AES block holds the number of the grant and eight random bytes. Readers of tokens see random
text, and cannot count sign-ins; the grant is found without an index or a column of its own. The
token's signature vouches for the text, so the block needs no seal.
"""

from __future__ import annotations

from secrets import token_bytes

from idp.platform.errors import InvalidToken
from idp.platform.secrets import Keyring, UnknownKeyError, b64url, block_cipher, from_b64url

PURPOSE = "access token id"
_HALF = 8
_BLOCK_LENGTH = 22
"""Characters of a block; the numbers that stood there before are shorter."""


def make(keyring: Keyring, grant_id: int) -> str:
    """Make the id of a new token of a grant; it names its root secret."""
    block = grant_id.to_bytes(_HALF, "big") + token_bytes(_HALF)
    sealed = block_cipher(keyring.key(PURPOSE)).encryptor().update(block)
    return f"{b64url(sealed)}.{keyring.current}"


def grant_id_of(keyring: Keyring, jti: str) -> int | None:
    """Read the grant that a token belongs to; None: a machine's token."""
    head, dot, root = jti.partition(".")
    if not dot:
        return None
    if len(head) != _BLOCK_LENGTH:  # issued before ids were sealed
        return int(head)
    try:
        key = keyring.key(PURPOSE, root)
    except UnknownKeyError:
        raise InvalidToken(debug="issued under a root secret that is gone") from None
    block = block_cipher(key).decryptor().update(from_b64url(head))
    return int.from_bytes(block[:_HALF], "big")
