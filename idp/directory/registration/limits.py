"""How much programs may do for people in an hour: registrations, and codes that they have sent."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.registration.codes import Sender
from idp.platform import runtime
from idp.platform.throttle import Address, Key, origin

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a person, or an address that a client passes on, and a client may call per hour."""

    person: int
    client: int


REGISTRATIONS = Limits(person=100, client=1000)
CODES_TO_REGISTER = Limits(person=20, client=200)
CODES_TO_SIGN_IN = Limits(person=20, client=1000)


def count_registration(session: Session, actor: Actor) -> None:
    """Count a registration; raise TooManyRequests beyond the limits."""
    for key, per_hour in _keys(session, actor, REGISTRATIONS):
        runtime.of(session).throttle.hit("registration", key, per_hour, HOUR)


def sender_of(session: Session, actor: Actor, limits: Limits) -> Sender:
    """Return by whom the codes are counted that a caller has sent."""
    (key, per_hour), *through = _keys(session, actor, limits)
    return Sender(key, per_hour, *through)


def _keys(session: Session, actor: Actor, limits: Limits) -> list[tuple[Key, int]]:
    """Return the keys by which calls are counted, with their limits: by person, or by client.

    If a client passes on the address of its user, that address comes first: a call that is
    refused to one user does not count for all others.
    """
    if actor.user_id is not None:
        return [(f"person {actor.user_id}", limits.person)]
    place = origin(runtime.context_of(session))
    of_client: tuple[Key, int] = (f"client {actor.client_id}", limits.client)
    return [(place, limits.person), of_client] if isinstance(place, Address) else [of_client]
