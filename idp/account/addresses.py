"""Changing the e-mail address or mobile number, with a code as proof."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.account import current_password, events, notices
from idp.account.password_reset import PURPOSE as RESET_LINKS
from idp.directory.registration import codes
from idp.directory.registration.codes import Channel, MessageContext, Sender
from idp.directory.users import profile
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform.audit.tags import Tag
from idp.platform.errors import TooManyRequests
from idp.platform.issuer import Issuer
from idp.platform.onetime import service as onetime

CODES_PER_HOUR = 10


@dataclass(frozen=True, slots=True)
class NewAddress:
    """A new e-mail address or mobile number, with the password or code that authorizes it."""

    channel: Channel
    address: str
    password: str = ""
    code: str = ""


def send_code(session: Session, issuer: Issuer, user: User, new: NewAddress, locale: str) -> bool:
    """Send a code to a new address; return False when the current password is wrong.

    An address that is taken makes no difference. Raise BadRequest for an invalid address, and
    TooManyRequests beyond the limits. The caller commits in all other cases.
    """
    codes.normal(session, new.channel, new.address)
    if not current_password.matches(session, user, new.password):
        events.record(session, Tag.ADDRESS_CHANGE_REFUSED, issuer, user, {"why": "password"})
        return False
    send_proof(session, issuer, user, new, locale)
    return True


def send_proof(session: Session, issuer: Issuer, user: User, new: NewAddress, locale: str) -> None:
    """Send a code to an address without asking for the password; raise what `send_code` raises."""
    codes.normal(session, new.channel, new.address)
    sender = Sender(f"account {user.id}", CODES_PER_HOUR)
    wait = codes.send(session, new.channel, new.address, sender, MessageContext.of(issuer, locale))
    # A code that was sent a moment ago is still valid.
    if wait is not None and wait.is_for_the_day:
        raise TooManyRequests(wait.seconds)


def change(session: Session, issuer: Issuer, user: User, new: NewAddress, locale: str) -> bool:
    """Set the address that a code proves; return False when the code is wrong or has expired.

    The old address is notified. A user name equal to the old e-mail address changes with it. Raise
    Conflict when another account has the address, which only its owner can learn: the caller rolls
    back then, and commits in all other cases.
    """
    proof = codes.prove(session, new.channel, new.address, new.code)
    if proof is None or not codes.use_up(session, proof):
        events.record(session, Tag.ADDRESS_CHANGE_REFUSED, issuer, user, {"why": "code"})
        return False
    old = _address(user, new.channel)
    _set(session, user, new)
    profile.stamp(session, user)
    events.record(session, Tag.ADDRESS_CHANGED, issuer, user, {"channel": new.channel.value})
    if old and old != _address(user, new.channel):
        notices.address_changed(session, issuer, new.channel, old, locale)
    return True


def _address(user: User, channel: Channel) -> str | None:
    return user.email if channel is Channel.MAIL else user.mobile


def _set(session: Session, user: User, new: NewAddress) -> None:
    is_mail = new.channel is Channel.MAIL
    follows = is_mail and profile.named_by_email(user)
    users.rename(
        session,
        user,
        username=new.address if follows else user.username,
        email=new.address if is_mail else user.email,
        mobile=user.mobile if is_mail else new.address,
    )
    if is_mail:
        user.email_verified = True
        onetime.withdraw(session, RESET_LINKS, user.id)  # they were sent to the old address
    else:
        user.mobile_verified = True
