"""Each DPoP proof is accepted once (RFC 9449 11.1): the database decides which request has it.

The row of a proof is written by the statement that writes what the request is for. Where that is
nothing, it is the only row. A request that is refused uses up no proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idp.oauth import refusals
from idp.oauth.dpop.proofs import Proof
from idp.oauth.models import SeenProof
from idp.platform.db import AtomicWrite, OnceWrite, RepeatedError
from idp.platform.errors import InvalidDpopProof
from idp.platform.storage import Storage

_SEE = OnceWrite(SeenProof.key_hash, SeenProof.expires_at)


async def spend(storage: Storage, proof: Proof) -> None:
    """Record the use of a proof; InvalidDpopProof when it was used before."""
    if proof.is_spent:
        return
    values = {"key_hash": proof.key_hash, "expires_at": proof.expires_at}
    try:
        await storage.write_once(_SEE, values)
    except RepeatedError:
        raise await _replayed(storage, proof) from None
    proof.is_spent = True


async def write(
    storage: Storage, proof: Proof | None, change: AtomicWrite, values: Mapping[str, Any]
) -> int | None:
    """Carry out a change, and with it the use of the proof that the request has, if any."""
    if proof is None or proof.is_spent:
        return await storage.write(change, values)
    try:
        found = await storage.write(change.also(SeenProof), {**values, **_row(proof)})
    except RepeatedError:
        raise await _replayed(storage, proof) from None
    proof.is_spent = found is not None
    return found


async def write_and_read(
    storage: Storage, proof: Proof | None, change: AtomicWrite, values: Mapping[str, Any]
) -> Sequence[Any] | None:
    """Carry out a change as `write` does, and return what it found."""
    if proof is None or proof.is_spent:
        return await storage.write_and_read(change, values)
    try:
        found = await storage.write_and_read(change.also(SeenProof), {**values, **_row(proof)})
    except RepeatedError:
        raise await _replayed(storage, proof) from None
    proof.is_spent = found is not None
    return found


def _row(proof: Proof) -> dict[str, Any]:
    return {
        "seen_proof__key_hash": proof.key_hash,
        "seen_proof__expires_at": proof.expires_at,
    }


async def _replayed(storage: Storage, proof: Proof) -> InvalidDpopProof:
    """Return the refusal of a proof that came twice, after it was recorded."""
    client_id = "" if storage.caller is None else storage.caller.client_id
    remote_addr = storage.context.remote_addr
    await storage.in_session(refusals.proof_replayed, client_id, remote_addr, proof.jkt)
    return InvalidDpopProof("The DPoP proof was used before")
