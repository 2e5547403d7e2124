"""Raw cryptography of one process: `signatures.py RS256|ES256|argon2id SECONDS`."""

from __future__ import annotations

import sys
import time

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

MESSAGE = b"x" * 400
"""As long as the header and payload of an access token."""


def main(name: str, seconds: float) -> None:
    """Print how many signatures (or checks of a password) a second this process makes."""
    at_once = 20
    if name == "RS256":
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        scheme, digest = padding.PKCS1v15(), SHA256()

        def sign() -> bytes:
            return rsa_key.sign(MESSAGE, scheme, digest)
    elif name == "argon2id":
        from argon2 import PasswordHasher

        hasher, at_once = PasswordHasher(), 1
        kept = hasher.hash("a password")

        def sign() -> bytes:
            hasher.verify(kept, "a password")
            return b""
    else:
        ec_key = ec.generate_private_key(ec.SECP256R1())
        algorithm = ec.ECDSA(SHA256())

        def sign() -> bytes:
            return ec_key.sign(MESSAGE, algorithm)

    for _ in range(at_once):
        sign()
    count, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        for _ in range(at_once):
            sign()
        count += at_once
    print(count / taken)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
