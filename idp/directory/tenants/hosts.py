"""Ownership of hosts: set by the platform, below a host of the tenant, or proven in the DNS.

A host makes an issuer, so whoever could claim a foreign one could sign its people in. A tenant
therefore proves that it controls the name: it publishes a given value as a TXT record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from idp.directory.tenants.host_names import name_of
from idp.platform import dns_records, runtime
from idp.platform.errors import BadRequest, Overreach
from idp.platform.translation import N_, filled

LABEL = "_idp-challenge"
PREFIX = "idp-host="
PURPOSE = "host proof"
MOST_AT_ONCE = 10
"""Hosts that one request may prove."""
QUESTIONS_PER_HOUR = 60
"""Proofs that one person may request."""


class Challenge(NamedTuple):
    """What to publish: the name of a TXT record, and its text."""

    name: str
    text: str


def challenge(session: Session, claimant: str, host: str) -> Challenge:
    """Return what proves that a claimant (`tenant:ID`, `user:ID`) controls a host."""
    name = name_of(host)
    mac = runtime.of(session).keyring.mac(PURPOSE, f"{claimant} {name}")
    return Challenge(f"{LABEL}.{name}", PREFIX + mac)


def needing_proof(hosts: Iterable[str], kept: Iterable[str]) -> list[str]:
    """Return the hosts that are neither kept nor below a kept one; each name once."""
    owned = {name_of(host) for host in kept}
    found: dict[str, str] = {}
    for host in hosts:
        name = name_of(host)
        if not any(_is_below(name, owner) for owner in owned):
            found.setdefault(name, host)
    return [*found.values()]


def prove(session: Session, claimant: str, user_id: int, hosts: Sequence[str]) -> frozenset[str]:
    """Look up the records of hosts in the DNS and return the proven hosts.

    Waits for name servers, so it ends the transaction first. Raises Unavailable when they do not
    respond, TooManyRequests for a person who tries too often.
    """
    process = runtime.of(session)
    if len(hosts) > MOST_AT_ONCE:
        raise BadRequest.at(
            "hosts",
            filled(
                N_("At most %(most_at_once)s new hosts can be added at once."),
                most_at_once=MOST_AT_ONCE,
            ),
        )
    session.commit()
    proven = set()
    for host in hosts:
        process.throttle.hit("host proof", f"user:{user_id}", QUESTIONS_PER_HOUR, 3600)
        texts = dns_records.txt(f"{LABEL}.{name_of(host)}", process.settings.dns_server)
        if any(
            process.keyring.mac_matches(
                PURPOSE, f"{claimant} {name_of(host)}", text.removeprefix(PREFIX)
            )
            for text in texts
            if text.startswith(PREFIX)
        ):
            proven.add(host)
    return frozenset(proven)


def refuse_unproven(
    session: Session, claimant: str, hosts: Sequence[str], proven: Collection[str]
) -> None:
    """Refuse hosts without a proof, naming the records that would prove them."""
    missing = [challenge(session, claimant, host) for host in hosts if host not in proven]
    if missing:
        records = "; ".join(f'{record.name} TXT "{record.text}"' for record in missing)
        raise Overreach.at(
            "hosts", f"Prove that you control the hosts: publish {records}, then try again."
        )


def _is_below(name: str, owner: str) -> bool:
    return name == owner or ("." in owner and name.endswith(f".{owner}"))
