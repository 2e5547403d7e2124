"""Codes by mail and text message: where one may be sent to a person as their second factor."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.registration import codes
from idp.directory.registration.codes import Channel, MessageContext, Sender, Wait
from idp.directory.tenants.models import Membership
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.errors import TooManyRequests
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer

SETTLED = timedelta(hours=24)
"""How long an address must have been the same, and the password not reset by mail."""
CODES_PER_HOUR = 10
"""For one person, whoever knows their password."""
MAILS_PER_HOUR_IN_TENANT = 10_000
_HIDDEN = "•••"


class Way(StrEnum):
    """How a code is sent."""

    MAIL = "mail"
    SMS = "sms"


CHANNELS = {Way.MAIL: Channel.FACTOR_MAIL, Way.SMS: Channel.FACTOR_SMS}


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a person that codes are sent to."""

    way: Way
    address: str

    @property
    def channel(self) -> Channel:
        """The channel that its codes belong to."""
        return CHANNELS[self.way]

    @property
    def masked(self) -> str:
        """The address for somebody who has not proven yet that it is theirs."""
        return masked_mail(self.address) if self.way is Way.MAIL else masked_number(self.address)


def targets(settings: Settings, user: User, allowed: Collection[str]) -> list[Target]:
    """Return where codes may be sent to a person, of the ways that a policy allows.

    Only to proven addresses. One that was changed a short while ago is none, and neither is the
    mailbox by which the password was reset a short while ago: it would be both factors.
    """
    found = []
    has_mail = user.email_verified and not _is_recent(user.email_changed_at)
    if Way.MAIL in allowed and user.email and has_mail and not _is_recent(user.password_reset_at):
        found.append(Target(Way.MAIL, user.email))
    has_number = user.mobile_verified and not _is_recent(user.mobile_changed_at)
    has_gateway = bool(settings.sms_url) or settings.environment == "development"
    if Way.SMS in allowed and user.mobile and has_number and has_gateway:
        found.append(Target(Way.SMS, user.mobile))
    return found


def send(
    session: Session, issuer: Issuer, user: User, target: Target, owner: str, locale: str
) -> Wait | None:
    """Send a code that counts for one attempt or session; return how long to wait if it is refused.

    The caller rolls back then. They are counted by person, address and tenant.
    """
    tenant_id = _tenant_of(session, issuer, user)
    of_tenant = (f"factor {target.way} of {tenant_id}", _limit(session, target, tenant_id))
    sender = Sender(f"factor codes for {user.id}", CODES_PER_HOUR, of_tenant)
    message = MessageContext.of(issuer, locale)
    try:
        return codes.send(session, target.channel, target.address, sender, message, key=owner)
    except TooManyRequests as refusal:
        return Wait(refusal.retry_after, is_for_the_day=False)


def _tenant_of(session: Session, issuer: Issuer, user: User) -> int:
    """Return the tenant whose people a person is counted with."""
    query = select(func.min(Membership.tenant_id)).where(Membership.user_id == user.id)
    return session.scalar(query) or issuer.tenant_id


def _limit(session: Session, target: Target, tenant_id: int) -> int:
    """Return how many codes the people of a tenant get per hour; none uses up all texts of all."""
    if target.way is Way.MAIL:
        return MAILS_PER_HOUR_IN_TENANT
    budget = runtime.of(session).settings.sms_per_hour
    return budget if tenant_id == PLATFORM_TENANT_ID else max(1, budget // 2)


def find_sent(session: Session, target: Target, owner: str) -> datetime | None:
    """Return when the newest code was sent that counts for an attempt or session, if one does."""
    return codes.last_sent(session, target.channel, target.address, key=owner)


def use(session: Session, target: Target, owner: str, code: str) -> bool:
    """Use a code up; return False for a wrong, an old or a used one. The caller commits."""
    proof = codes.prove(session, target.channel, target.address, code, key=owner)
    return proof is not None and codes.use_up(session, proof)


def masked_mail(address: str) -> str:
    """Return an e-mail address of which the owner recognises their own."""
    local, _, domain = address.rpartition("@")
    name, dot, last = domain.rpartition(".")
    return f"{local[:1]}{_HIDDEN}@{(name or last)[:1]}{_HIDDEN}{dot}{last if dot else ''}"


def masked_number(number: str) -> str:
    """Return a mobile number by its last two digits."""
    return f"{_HIDDEN}{number[-2:]}"


def _is_recent(moment: datetime | None) -> bool:
    return moment is not None and moment > clock.now() - SETTLED
