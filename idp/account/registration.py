"""Self-registration at the page: one proof after the other, and limits for codes and attempts."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.registration import codes
from idp.directory.registration import service as registration
from idp.directory.registration.codes import Channel, MessageContext, Sender, Wait
from idp.directory.registration.service import Refused, Registration
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.errors import TooManyRequests
from idp.platform.issuer import Issuer
from idp.platform.throttle import Address

HOUR = 3600
SENDS_PER_HOUR = 20
ATTEMPTS_PER_HOUR = 60
MINUTES = 60
"""How long a registration may take, and how long its proofs are kept."""

_WRONG_CODE = {Channel.SMS: Refused.PHONE_CODE, Channel.MAIL: Refused.EMAIL_CODE}
_TAKEN = {Channel.SMS: Refused.PHONE_TAKEN, Channel.MAIL: Refused.EMAIL_TAKEN}


def send_code(
    session: Session,
    issuer: Issuer,
    channel: Channel,
    address: str,
    locale: str,
    *,
    again: bool = False,
) -> Wait | None:
    """Send a code to an address; return how long to wait where that is refused.

    A code that was sent a moment ago counts as sent; with `again` the wait is returned instead.
    Raise BadRequest for an invalid address, and Busy beyond the limit of the installation. The
    caller commits when None is returned, and rolls back in all other cases.
    """
    sender = Sender(_origin(session), SENDS_PER_HOUR)
    try:
        wait = codes.send(session, channel, address, sender, MessageContext.of(issuer, locale))
    except TooManyRequests as problem:
        return Wait(problem.retry_after, is_for_the_day=False)
    return wait if wait is not None and (again or wait.is_for_the_day) else None


def prove(session: Session, channel: Channel, address: str, code: str, key: str) -> Refused | None:
    """Keep the proof of an address with the key of a registration; return why it is refused.

    A person who has proven an address may learn that it has an account. Raise TooManyRequests
    after too many attempts. The caller commits in all other cases.
    """
    _count_attempt(session)
    proof = codes.prove(session, channel, address, code)
    if proof is None or not codes.keep(session, proof, key, MINUTES):
        return _WRONG_CODE[channel]
    return _TAKEN[channel] if registration.is_taken(session, channel, address) else None


def register(session: Session, issuer: Issuer, new: Registration, key: str) -> User | Refused:
    """Create the account of a person whose proofs are kept with a key.

    Raise TooManyRequests after too many attempts, BadRequest for a weak password. The caller
    commits in all other cases.
    """
    _count_attempt(session)
    return registration.register_with_kept_proofs(session, new, key, tenant_id=issuer.tenant_id)


def _count_attempt(session: Session) -> None:
    runtime.of(session).throttle.hit("registration", _origin(session), ATTEMPTS_PER_HOUR, HOUR)


def _origin(session: Session) -> Address:
    return Address.of(runtime.context_of(session).remote_addr)
