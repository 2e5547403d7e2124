"""Codes that prove a telephone number or an e-mail address: made, sent, tried, used.

Of each address one code is live, the last one. All that must hold under a crowd of requests is
decided by a single UPDATE: who may send, who may try, who uses the code up.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import case, literal, or_, select, update
from sqlalchemy.orm import Session

from idp.directory.registration.models import VerificationCode
from idp.directory.users import names
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import UtcDateTime, insert
from idp.platform.notify import service as notify
from idp.platform.secrets import digest
from idp.platform.throttle import Key

PURPOSE = "verification code"
TEMPLATE = "verification_code"
DIGITS = 6
TRIES = 5
GAP = timedelta(seconds=60)
DAY = timedelta(days=1)
SENDS_PER_DAY = 10
HOUR = 3600


class Channel(StrEnum):
    """How an address is reached."""

    SMS = "sms"
    MAIL = "mail"
    SIGN_IN = "sign-in"
    """By short message too, for an account that is there; tied to the key of who asked."""

    @property
    def minutes(self) -> int:
        """How long a code is good for."""
        return 30 if self is Channel.MAIL else 5


@dataclass(frozen=True, slots=True)
class Sender:
    """Who has codes sent, and how many in an hour."""

    key: Key
    per_hour: int
    through: tuple[Key, int] | None = None
    """The client that hands on where they are, and how many that may have sent."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What surrounds a code: whose name it is sent in, and the reader's language."""

    service: str
    locale: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Why no code was sent: too soon after the last one, or too many in a day."""

    seconds: int
    is_for_the_day: bool


def normal(session: Session, channel: Channel, address: str) -> str:
    """Give the form of an address that codes are bound to; BadRequest for what is none."""
    if channel is Channel.MAIL:
        return names.key(names.email(address))
    return names.mobile(address, runtime.of(session).settings.phone_region)


def send(
    session: Session,
    channel: Channel,
    address: str,
    sender: Sender,
    letter: Letter,
    *,
    key: str | None = None,
    is_silent: bool = False,
) -> Wait | None:
    """Send a code to an address; tells how long to wait where that is refused.

    Whether the address belongs to an account makes no difference. Only what is sent counts:
    TooManyRequests, past the sender's own limit, must be rolled back by the caller. With `key`
    the code is good together with it only. `is_silent` does all but send the message.
    """
    bound = normal(session, channel, address)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    moment = clock.now()
    if not _take_turn(session, channel, bound, code, moment, key):
        return _wait(session, channel, bound, moment)
    limits = [(sender.key, sender.per_hour), *([sender.through] if sender.through else [])]
    for counted, per_hour in limits:
        runtime.of(session).throttle.hit("verification code", counted, per_hour, HOUR)
    context = {"service": letter.service, "code": code, "minutes": str(channel.minutes)}
    if is_silent:
        return None
    if channel is Channel.MAIL:
        notify.mail(session, names.email(address), TEMPLATE, context, letter.locale)
    else:
        notify.sms(session, bound, TEMPLATE, context, letter.locale)
    audit.record(session, Tag.VERIFICATION_SENT, details={"channel": channel.value})
    return None


def prove(
    session: Session, channel: Channel, address: str, code: str, *, key: str | None = None
) -> VerificationCode | None:
    """Spend one of the tries that a code has; None where it is wrong, old or used.

    The caller commits, whatever comes of it: a try that is rolled back was none. Without the key
    that a code is tied to nobody can spend its tries.
    """
    moment = clock.now()
    bound = normal(session, channel, address)
    row_id = session.scalar(
        update(VerificationCode)
        .where(
            VerificationCode.channel == channel.value,
            VerificationCode.address == bound,
            VerificationCode.key_hash.is_not_distinct_from(_hash(key)),
            VerificationCode.tries_left > 0,
            VerificationCode.used_at.is_(None),
            VerificationCode.expires_at > moment,
        )
        .values(tries_left=VerificationCode.tries_left - 1)
        .returning(VerificationCode.id),
        execution_options={"synchronize_session": False},
    )
    if row_id is not None:
        row = session.get_one(VerificationCode, row_id, populate_existing=True)
        keyring = runtime.of(session).keyring
        if keyring.mac_matches(PURPOSE, _bound(channel, bound, code), row.code_mac):
            return row
    audit.record(session, Tag.VERIFICATION_REFUSED, details={"channel": channel.value})
    return None


def use_up(session: Session, proof: VerificationCode) -> bool:
    """Use a proven code up; False when somebody was faster."""
    used = session.scalar(
        update(VerificationCode)
        .where(
            VerificationCode.id == proof.id,
            VerificationCode.code_mac == proof.code_mac,
            VerificationCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .returning(VerificationCode.id),
        execution_options={"synchronize_session": False},
    )
    return used is not None


def _take_turn(
    session: Session,
    channel: Channel,
    bound: str,
    code: str,
    moment: datetime,
    key: str | None,
) -> bool:
    """Put a new code in place of the old one, where the gap and the day's number allow it."""
    session.execute(
        insert(session, VerificationCode)
        .values(
            channel=channel.value,
            address=bound,
            code_mac="",
            tries_left=0,
            expires_at=moment,
            sent_at=moment - DAY,
            sends=0,
            counted_since=moment - DAY,
        )
        .on_conflict_do_nothing()
    )
    is_new_day = VerificationCode.counted_since <= moment - DAY
    taken = session.scalar(
        update(VerificationCode)
        .where(
            VerificationCode.channel == channel.value,
            VerificationCode.address == bound,
            VerificationCode.sent_at <= moment - GAP,
            or_(is_new_day, VerificationCode.sends < SENDS_PER_DAY),
        )
        .values(
            code_mac=runtime.of(session).keyring.mac(PURPOSE, _bound(channel, bound, code)),
            key_hash=_hash(key),
            tries_left=TRIES,
            expires_at=moment + timedelta(minutes=channel.minutes),
            used_at=None,
            sent_at=moment,
            sends=case((is_new_day, 1), else_=VerificationCode.sends + 1),
            counted_since=case(
                (is_new_day, literal(moment, UtcDateTime)), else_=VerificationCode.counted_since
            ),
        )
        .returning(VerificationCode.id),
        execution_options={"synchronize_session": False},
    )
    return taken is not None


def _wait(session: Session, channel: Channel, bound: str, moment: datetime) -> Wait:
    row = session.scalars(
        select(VerificationCode)
        .where(VerificationCode.channel == channel.value, VerificationCode.address == bound)
        .execution_options(populate_existing=True)
    ).one()
    tomorrow = row.counted_since + DAY
    if row.sends >= SENDS_PER_DAY and tomorrow > moment:
        return Wait(_seconds(tomorrow - moment), is_for_the_day=True)
    return Wait(_seconds(row.sent_at + GAP - moment), is_for_the_day=False)


def _bound(channel: Channel, bound: str, code: str) -> str:
    return f"{channel.value}\0{bound}\0{code}"


def _hash(key: str | None) -> bytes | None:
    return digest(key) if key is not None else None


def _seconds(wait: timedelta) -> int:
    return max(1, math.ceil(wait.total_seconds()))
