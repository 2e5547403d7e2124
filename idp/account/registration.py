"""Self-registration at the page: limits for codes and attempts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from idp.directory.registration import codes
from idp.directory.registration import service as registration
from idp.directory.registration.codes import Channel, MessageContext, Sender, Wait
from idp.directory.registration.service import Refused, Registration
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.errors import BadRequest, TooManyRequests
from idp.platform.issuer import Issuer
from idp.platform.throttle import Address

HOUR = 3600
SENDS_PER_HOUR = 20
ATTEMPTS_PER_HOUR = 60


def send_codes(
    session: Session,
    issuer: Issuer,
    addresses: Mapping[Channel, str],
    locale: str,
    *,
    again: bool = False,
) -> Wait | None:
    """Send a code to each address; return how long to wait where one is refused.

    A code that was sent a moment ago counts as sent; with `again` the wait is returned instead.
    Raise BadRequest for an invalid address, and Busy beyond the limit of the installation. The
    caller commits when None is returned, and rolls back in all other cases.
    """
    _check(session, addresses)
    sender = Sender(_origin(session), SENDS_PER_HOUR)
    message = MessageContext.of(issuer, locale)
    waits: list[Wait] = []
    try:
        for channel, address in addresses.items():
            wait = codes.send(session, channel, address, sender, message)
            if wait is not None and (again or wait.is_for_the_day):
                waits.append(wait)
    except TooManyRequests as problem:
        return Wait(problem.retry_after, is_for_the_day=False)
    return _longest(waits)


def register(session: Session, issuer: Issuer, new: Registration) -> User | Refused:
    """Call `registration.register`; raise TooManyRequests after too many attempts."""
    runtime.of(session).throttle.hit("registration", _origin(session), ATTEMPTS_PER_HOUR, HOUR)
    return registration.register(session, new, tenant_id=issuer.tenant_id, referrer_id=None)


def _check(session: Session, addresses: Mapping[Channel, str]) -> None:
    wrong: dict[str, Sequence[str]] = {}
    for channel, address in addresses.items():
        try:
            codes.normal(session, channel, address)
        except BadRequest as problem:
            wrong.update(problem.fields)
    if wrong:
        raise BadRequest(fields=wrong)


def _longest(waits: Sequence[Wait]) -> Wait | None:
    if not waits:
        return None
    return Wait(
        max(wait.seconds for wait in waits),
        is_for_the_day=any(wait.is_for_the_day for wait in waits),
    )


def _origin(session: Session) -> Address:
    return Address.of(runtime.context_of(session).remote_addr)
