"""Raw signatures of one process; a program of its own: `signatures.py RS256 SECONDS`."""

from __future__ import annotations

import sys
import time

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

MESSAGE = b"x" * 400
"""As long as the header and payload of an access token."""


def main(name: str, seconds: float) -> None:
    """Print how many signatures a second this process makes."""
    if name == "RS256":
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        scheme, digest = padding.PKCS1v15(), SHA256()

        def sign() -> bytes:
            return rsa_key.sign(MESSAGE, scheme, digest)
    else:
        ec_key = ec.generate_private_key(ec.SECP256R1())
        algorithm = ec.ECDSA(SHA256())

        def sign() -> bytes:
            return ec_key.sign(MESSAGE, algorithm)

    for _ in range(50):
        sign()
    count, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        for _ in range(20):
            sign()
        count += 20
    print(count / taken)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
