"""What a client showed, unverified."""

from __future__ import annotations

from dataclasses import dataclass, field

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class Credentials:
    """A claimed client id with its unverified proof."""

    method: str
    client_id: str
    unverified_proof: str = field(repr=False)
