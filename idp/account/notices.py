"""Messages that notify people of changes to their accounts."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.registration.codes import Channel
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.issuer import Issuer
from idp.platform.notify import service as notify


def password_changed(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person of a new password, if they have an e-mail address."""
    if user.email:
        context = _where_and_when(session, issuer)
        notify.mail(session, user.email, "password_changed", context, locale, brand=issuer.brand)


def address_changed(
    session: Session, issuer: Issuer, channel: Channel, old: str, locale: str
) -> None:
    """Notify the old e-mail address or mobile number of the change."""
    context = _where_and_when(session, issuer)
    if channel is Channel.MAIL:
        notify.mail(session, old, "email_changed", context, locale, brand=issuer.brand)
    else:
        notify.sms(session, old, "mobile_changed", context, locale)


def _where_and_when(session: Session, issuer: Issuer) -> dict[str, str]:
    return {
        "service": issuer.name,
        "time": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "address": runtime.context_of(session).remote_addr or "-",
    }
