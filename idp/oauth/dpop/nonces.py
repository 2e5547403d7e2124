"""Nonces of DPoP proofs (RFC 9449 8): nothing is kept of them, and all nodes make the same ones."""

from __future__ import annotations

import hmac

from idp.platform import clock
from idp.platform.issuer import Issuer
from idp.platform.secrets import Keyring, b64url

PURPOSE = "dpop nonce"
STEP_SECONDS = 60
STEPS = 3
"""How many nonces are accepted at a time, the latest one included."""
_LENGTH = 22


def current(keyring: Keyring, issuer: Issuer) -> str:
    """Return the nonce that proofs should have now."""
    return _made(keyring, issuer, _step())


def end_of(keyring: Keyring, issuer: Issuer, nonce: str) -> int | None:
    """Return until when a nonce is accepted, in seconds since 1970; None: it is not."""
    latest, given = _step(), nonce.encode()
    for step in range(latest, latest - STEPS, -1):
        for root in keyring.roots():
            if hmac.compare_digest(_made(keyring, issuer, step, root).encode(), given):
                return (step + STEPS) * STEP_SECONDS
    return None


def _step() -> int:
    return clock.timestamp() // STEP_SECONDS


def _made(keyring: Keyring, issuer: Issuer, step: int, root: str | None = None) -> str:
    text = f"{issuer.tenant_id} {step}".encode()
    return b64url(hmac.digest(keyring.key(PURPOSE, root), text, "sha256"))[:_LENGTH]
