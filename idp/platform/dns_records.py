"""Queries to the DNS for the TXT records of a name.

Few queries run at a time and each of them ends after seconds, so a silent name server delays only
those who depend on it.
"""

from __future__ import annotations

import threading

import dns.exception
import dns.resolver

from idp.platform.errors import Unavailable
from idp.platform.translation import N_
from idp.setting_values import name_server

TIMEOUT_SECONDS = 5.0
CONCURRENT = 2
RETRY_AFTER_SECONDS = 5
_slots = threading.BoundedSemaphore(CONCURRENT)


def txt(name: str, server: str = "") -> frozenset[str]:
    """Return the texts at a name; empty when it does not exist or has none.

    `server` is `HOST` or `HOST:PORT` of the name server; empty: those of the system. Raises
    Unavailable when no server answers, or at once when too many questions are under way. Call it
    outside a transaction.
    """
    if not _slots.acquire(blocking=False):
        raise Unavailable(
            N_("Too many DNS queries at once; try again."),
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    try:
        resolver = dns.resolver.Resolver(configure=not server)
        if server:
            host, resolver.port = name_server(server)
            resolver.nameservers = [host]
        answer = resolver.resolve(
            f"{name}.", "TXT", lifetime=TIMEOUT_SECONDS, raise_on_no_answer=False
        )
    except dns.resolver.NXDOMAIN:
        return frozenset()
    except dns.exception.DNSException as reason:
        raise Unavailable(
            N_("The DNS did not answer; try again."),
            debug=type(reason).__name__,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        ) from None
    finally:
        _slots.release()
    return frozenset(
        b"".join(record.strings).decode("utf-8", "replace") for record in answer.rrset or ()
    )
