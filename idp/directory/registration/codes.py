"""Codes that verify a phone number or an e-mail address: created, sent, checked, used.

A code stays valid beside newer ones of its address until it expires or one of them is used, so
that nobody can invalidate a code that another person was sent. How many are sent is counted by
address and sender together; attempts and use of a code are each decided by a single UPDATE.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from idp.directory.registration.models import VerificationCode
from idp.directory.users import names
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Busy, TooManyRequests
from idp.platform.issuer import Brand, Issuer
from idp.platform.notify import service as notify
from idp.platform.secrets import digest
from idp.platform.throttle import Key, origin
from idp.platform.translation import N_

log = structlog.get_logger("idp.codes")

PURPOSE = "verification code"
TEMPLATE = "verification_code"
FACTOR_TEMPLATE = "sign_in_code"
DIGITS = 6
TRIES = 5
"""Of one code, from one place."""
TRIES_OF_ALL = 15
"""Of one code, from anywhere."""
GAP_SECONDS = 60
DAY = 86_400
HOUR = 3600
SENDS_PER_DAY = 10
SENT_WHILE_GOOD = 5
"""Valid codes of one address, whoever requested them; no further one is sent then."""
OPEN = 2 * SENT_WHILE_GOOD
"""The newest codes of an address that are checked; concurrent requests may send a few more."""
INSTALLATION = "installation"


class Channel(StrEnum):
    """How an address is reached."""

    SMS = "sms"
    MAIL = "mail"
    SIGN_IN = "sign-in"
    """By text message too, for an existing account; tied to the key of the requester."""
    FACTOR_MAIL = "step-mail"
    """By mail, as a second factor; tied to a sign-in that is under way, or to a session."""
    FACTOR_SMS = "step-sms"
    """The same by text message."""

    @property
    def minutes(self) -> int:
        """How long a code is valid."""
        return _MINUTES.get(self, 5)

    @property
    def is_mail(self) -> bool:
        """Whether the address is one of e-mail; else it is a number."""
        return self in {Channel.MAIL, Channel.FACTOR_MAIL}

    @property
    def template(self) -> str:
        """Name of the message."""
        return FACTOR_TEMPLATE if self in {Channel.FACTOR_MAIL, Channel.FACTOR_SMS} else TEMPLATE


_MINUTES = {Channel.MAIL: 30, Channel.FACTOR_MAIL: 10}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who has codes sent, and how many per hour."""

    key: Key
    per_hour: int
    through: tuple[Key, int] | None = None
    """The client that passes on the sender's address, and its own limit."""


@dataclass(frozen=True, slots=True)
class MessageContext:
    """The context of a message: the name of the service, the reader's language, the brand."""

    service: str
    locale: str
    brand: Brand | None = None

    @classmethod
    def of(cls, issuer: Issuer, locale: str) -> MessageContext:
        """Return the context of the messages of an issuer."""
        return cls(issuer.name, locale, issuer.brand)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why no code was sent: too soon after the last one, or too many today."""

    seconds: int
    is_for_the_day: bool


def normal(session: Session, channel: Channel, address: str) -> str:
    """Return the normal form of an address, which codes are bound to; BadRequest if invalid."""
    if channel.is_mail:
        return names.key(names.email(address))
    return names.mobile(address, runtime.of(session).settings.phone_region)


def send(
    session: Session,
    channel: Channel,
    address: str,
    sender: Sender,
    message: MessageContext,
    *,
    key: str | None = None,
    is_silent: bool = False,
) -> Wait | None:
    """Send a code to an address; return how long to wait where that is refused.

    Whether the address belongs to an account makes no difference, nor what others have sent there:
    while enough codes are valid there, no further one is sent and the answer is the same.
    TooManyRequests past the sender's own limit, Busy past the installation's for text messages;
    the caller rolls both back. With `key` the code is valid only together with it, so what others
    have sent there cannot be used and does not count. `is_silent` does all but send the message.
    """
    bound = normal(session, channel, address)
    throttle = runtime.of(session).throttle
    together = (channel.value, bound, sender.key)
    is_text = not channel.is_mail
    if is_text:
        _check_budget(session)
    wait = _turn(session, together)
    if wait is not None:
        return wait
    for counted, per_hour in (
        (sender.key, sender.per_hour),
        *([sender.through] if sender.through else []),
    ):
        throttle.hit("verification code", counted, per_hour, HOUR)
    throttle.hit("codes of a day", together, SENDS_PER_DAY, DAY)
    if key is None and _count_good(session, channel, bound) >= SENT_WHILE_GOOD:
        return None
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    session.add(
        VerificationCode(
            channel=channel.value,
            address=bound,
            code_mac=runtime.of(session).keyring.mac(PURPOSE, _bound(channel, bound, code)),
            key_hash=_hash(key),
            tries_left=TRIES_OF_ALL,
            expires_at=clock.now() + timedelta(minutes=channel.minutes),
        )
    )
    session.flush()
    context = {"service": message.service, "code": code, "minutes": str(channel.minutes)}
    if is_silent:
        return None
    if is_text:
        throttle.hit("short messages", INSTALLATION, _budget(session), HOUR)
        notify.sms(session, bound, channel.template, context, message.locale)
    else:
        to = names.email(address)
        notify.mail(session, to, channel.template, context, message.locale, brand=message.brand)
    audit.record(session, Tag.VERIFICATION_SENT, details={"channel": channel.value})
    return None


def prove(
    session: Session, channel: Channel, address: str, code: str, *, key: str | None = None
) -> VerificationCode | None:
    """Check a code, which costs every open one of its address an attempt; None if wrong or old.

    The caller commits in any case: an attempt that is rolled back does not count. Without the key
    that a code is tied to nobody can spend its attempts, and no single address spends them all.
    """
    bound = normal(session, channel, address)
    for row_id, code_mac in _spend_tries(session, channel, bound, key):
        keyring = runtime.of(session).keyring
        if keyring.mac_matches(PURPOSE, _bound(channel, bound, code), code_mac):
            return session.get_one(VerificationCode, row_id, populate_existing=True)
    audit.record(session, Tag.VERIFICATION_REFUSED, details={"channel": channel.value})
    return None


def use_up(session: Session, proof: VerificationCode) -> bool:
    """Use up a verified code and the others of its address; return False if it was too late."""
    used = session.scalars(
        update(VerificationCode)
        .where(
            VerificationCode.channel == proof.channel,
            VerificationCode.address == proof.address,
            VerificationCode.key_hash.is_not_distinct_from(proof.key_hash),
            VerificationCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .returning(VerificationCode.id),
        execution_options={"synchronize_session": False},
    ).all()
    return proof.id in used


def keep(session: Session, proof: VerificationCode, key: str, minutes: int) -> bool:
    """Keep a proven code for later, from now on only with a key; return False when it was late."""
    kept = session.scalars(
        update(VerificationCode)
        .where(
            VerificationCode.id == proof.id,
            VerificationCode.key_hash.is_not_distinct_from(proof.key_hash),
            VerificationCode.used_at.is_(None),
        )
        .values(key_hash=_hash(key), expires_at=clock.now() + timedelta(minutes=minutes))
        .returning(VerificationCode.id),
        execution_options={"synchronize_session": False},
    ).all()
    return bool(kept)


def find_kept(
    session: Session, channel: Channel, address: str, key: str
) -> VerificationCode | None:
    """Return the proof of an address that was kept with a key, unless it was used or expired."""
    bound = normal(session, channel, address)
    return session.scalars(
        select(VerificationCode)
        .where(_is_open(channel, bound, key))
        .order_by(VerificationCode.id.desc())
        .limit(1)
    ).one_or_none()


def last_sent(session: Session, channel: Channel, address: str, *, key: str) -> datetime | None:
    """Return when the newest open code was sent to an address that is tied to a key, if any was."""
    bound = normal(session, channel, address)
    newest = select(func.max(VerificationCode.expires_at)).where(_is_open(channel, bound, key))
    expires_at = session.scalar(newest)
    return None if expires_at is None else expires_at - timedelta(minutes=channel.minutes)


def _turn(session: Session, together: tuple[Key, ...]) -> Wait | None:
    """Count a message to an address; return how long to wait if it is refused."""
    throttle = runtime.of(session).throttle
    try:
        throttle.check("codes of a day", together, SENDS_PER_DAY, DAY)
    except TooManyRequests as refusal:
        return Wait(refusal.retry_after, is_for_the_day=True)
    try:
        throttle.hit("code", together, 1, GAP_SECONDS)
    except TooManyRequests as refusal:
        return Wait(refusal.retry_after, is_for_the_day=False)
    return None


def _check_budget(session: Session) -> None:
    """Refuse while the installation has sent all text messages of this hour."""
    try:
        runtime.of(session).throttle.check("short messages", INSTALLATION, _budget(session), HOUR)
    except TooManyRequests as refusal:
        log.warning("sms_limit_reached", setting="IDP_SMS_PER_HOUR")
        message = N_("No more text messages can be sent at the moment. Please try again later.")
        raise Busy(message, refusal.retry_after) from None


def _budget(session: Session) -> int:
    return runtime.of(session).settings.sms_per_hour


def _count_good(session: Session, channel: Channel, bound: str) -> int:
    good = select(func.count()).where(
        _is_open(channel, bound, None), VerificationCode.tries_left > 0
    )
    return session.scalar(good) or 0


def _is_open(channel: Channel, bound: str, key: str | None) -> ColumnElement[bool]:
    return and_(
        VerificationCode.channel == channel.value,
        VerificationCode.address == bound,
        VerificationCode.key_hash.is_not_distinct_from(_hash(key)),
        VerificationCode.used_at.is_(None),
        VerificationCode.expires_at > clock.now(),
    )


def _spend_tries(
    session: Session, channel: Channel, bound: str, key: str | None
) -> Sequence[tuple[int, str]]:
    """Take an attempt from every open code of an address; return those that had one left."""
    newest = session.scalars(
        select(VerificationCode.id)
        .where(_is_open(channel, bound, key))
        .order_by(VerificationCode.id.desc())
        .limit(OPEN)
    ).all()
    if not newest:
        return ()
    # A newer code brings new attempts, also for the address that makes them.
    tried = (str(newest[0]), origin(runtime.context_of(session)))
    try:
        runtime.of(session).throttle.hit("code tries", tried, TRIES, channel.minutes * 60)
    except TooManyRequests:
        return ()
    rows = session.execute(
        update(VerificationCode)
        .where(
            VerificationCode.id.in_(newest),
            VerificationCode.tries_left > 0,
            VerificationCode.used_at.is_(None),
        )
        .values(tries_left=VerificationCode.tries_left - 1)
        .returning(VerificationCode.id, VerificationCode.code_mac),
        execution_options={"synchronize_session": False},
    )
    return [(row_id, code_mac) for row_id, code_mac in rows]


def _bound(channel: Channel, bound: str, code: str) -> str:
    return f"{channel.value}\0{bound}\0{code}"


def _hash(key: str | None) -> bytes | None:
    return digest(key) if key is not None else None
