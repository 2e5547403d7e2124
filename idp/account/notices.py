"""Messages that notify people of changes to their accounts."""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.registration.codes import Channel
from idp.directory.users.models import User
from idp.platform.issuer import Issuer
from idp.platform.notify import service as notify


def password_changed(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person of a new password, if they have an e-mail address."""
    _mail(session, issuer, user, "password_changed", locale)


def stolen_password_used(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that they signed in with a password from a list of stolen ones."""
    link = f"{issuer.url}/account/password"
    _mail(session, issuer, user, "stolen_password_used", locale, link=link)


def authenticator_added(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person of a new authenticator app."""
    _mail(session, issuer, user, "authenticator_added", locale)


def authenticator_removed(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that an authenticator app was removed."""
    _mail(session, issuer, user, "authenticator_removed", locale)


def factors_reset(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that all their second factors were removed by an administrator."""
    _mail(session, issuer, user, "factors_reset", locale)


def enrolment_code_made(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that an administrator made an enrolment code for them."""
    _mail(session, issuer, user, "enrolment_code_made", locale)


def passkey_added(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person of a new passkey."""
    _mail(session, issuer, user, "passkey_added", locale)


def passkey_removed(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that a passkey was removed."""
    _mail(session, issuer, user, "passkey_removed", locale)


def passkey_renamed(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that a passkey was renamed."""
    _mail(session, issuer, user, "passkey_renamed", locale)


def passkey_suspended(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person that a passkey is not accepted any more, because it may have been copied."""
    _mail(session, issuer, user, "passkey_suspended", locale)


def recovery_codes_made(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Notify a person of new recovery codes."""
    _mail(session, issuer, user, "recovery_codes_made", locale)


def recovery_code_used(
    session: Session, issuer: Issuer, user: User, left: int, locale: str
) -> None:
    """Notify a person that a recovery code was used, and how many are left."""
    _mail(session, issuer, user, "recovery_code_used", locale, left=str(left))


def new_device(session: Session, issuer: Issuer, user: User, device: str, locale: str) -> None:
    """Notify a person of a sign-in from a device that they did not sign in with before."""
    link = f"{issuer.url}/account/sessions"
    _mail(session, issuer, user, "new_device", locale, device=device, link=link)


def address_changed(
    session: Session, issuer: Issuer, channel: Channel, old: str, locale: str
) -> None:
    """Notify the old e-mail address or mobile number of the change."""
    context = notify.where_and_when(session, issuer)
    if channel is Channel.MAIL:
        notify.mail(session, old, "email_changed", context, locale, brand=issuer.brand)
    else:
        notify.sms(session, old, "mobile_changed", context, locale)


def _mail(
    session: Session, issuer: Issuer, user: User, template: str, locale: str, **values: str
) -> None:
    """Send a mail to a person who has an address."""
    if user.email:
        context = notify.where_and_when(session, issuer) | values
        notify.mail(session, user.email, template, context, locale, brand=issuer.brand)
