"""Messages to people: rendered here, left in the outbox, sent by the worker.

Rendering happens in the caller's transaction, so that a template or value that is missing shows
where it can be mended. The templates and the values they take:

- mail `password_reset`: `service`, `link`, `minutes`
- mail `account_created`: `service`, `link`, `hours`
- mail `password_changed`: `service`, `time`, `address` (where it was done from)
- mail `authenticator_added`, `authenticator_removed`, `recovery_codes_made`: as `password_changed`
- mail `factors_reset`, `enrolment_code_made`: as `password_changed`
- mail `passkey_added`, `passkey_removed`, `passkey_renamed`, `passkey_suspended`: likewise
- mail `recovery_code_used`: as `password_changed`, and `left` (how many codes are left)
- mail `new_device`: as `password_changed`, and `device` (browser and system) and `link`
- mail `stolen_password_used`: as `password_changed`, and `link` (to the page that changes it)
- mail `exemption_used`: as `password_changed`, and `name` (of the person who signed in)
- mail `email_changed` and text message `mobile_changed`: as `password_changed`
- mail and text message `verification_code`: `service`, `code`, `minutes`
- mail and text message `sign_in_code`: `service`, `code`, `minutes`
- mail `subscription`: `service`, `api`, `link`, `stop`, `minutes`
- mail `published`: `service`, `api`, `number`, `link`, `stop`
- mail `test`: `service`
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr

from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Unprocessable
from idp.platform.issuer import Brand, Issuer
from idp.platform.jobs import service as jobs
from idp.platform.notify import mail as mail_job
from idp.platform.notify import messages
from idp.platform.notify import sms as sms_job
from idp.platform.secrets import random_token
from idp.platform.translation import N_

TESTS_PER_HOUR = 10


def mail(
    session: Session,
    to: str,
    template: str,
    context: Mapping[str, str],
    locale: str,
    *,
    brand: Brand | None = None,
    unsubscribe: str | None = None,
) -> None:
    """Leave a mail to one address in the outbox.

    It ends with the text and the help address of the brand.

    `unsubscribe` is the address by which mail programs end a subscription (RFC 8058).
    """
    if not is_plain_address(to):
        raise BadRequest(fields={"email": ["This is not one mail address."]})
    message = messages.mail(template, context, locale)
    payload = {
        "to": to,
        "subject": message.subject,
        "body": message.body + _signature(brand, locale),
        # Made once, so that a mail sent twice is recognised as one.
        "message_id": random_token(18),
        "unsubscribe": unsubscribe,
    }
    jobs.enqueue(session, mail_job.JOB, payload)


def where_and_when(session: Session, issuer: Issuer) -> dict[str, str]:
    """Return the values that notices of what happened have in common."""
    return {
        "service": issuer.name,
        "time": f"{clock.now():%Y-%m-%d %H:%M} UTC",
        "address": runtime.context_of(session).remote_addr or "-",
    }


def _signature(brand: Brand | None, locale: str) -> str:
    """Return the end of a mail, behind the mark that mail programs know (RFC 3676 4.3)."""
    if brand is None:
        return ""
    lines = [brand.text("mail", messages.language(locale)), brand.help_uri or ""]
    text = "\n".join(messages.one_line(line) for line in lines if line)
    return f"\n-- \n{text}\n" if text else ""


def send_test(session: Session, user_id: int, to: str | None, issuer: Issuer, locale: str) -> None:
    """Leave a mail that shows a person that mail arrives, a few times an hour at most."""
    if not to:
        raise Unprocessable(N_("Your account has no e-mail address."))
    runtime.of(session).throttle.hit("test mail", str(user_id), TESTS_PER_HOUR, 3600)
    mail(session, to, "test", {"service": issuer.name}, locale, brand=issuer.brand)
    audit.record(session, Tag.MAIL_TESTED, target=f"user:{user_id}")


def sms(
    session: Session,
    to: str,
    template: str,
    context: Mapping[str, str],
    locale: str,
) -> None:
    """Leave a text message to one number (E.164) in the outbox."""
    if not (to.startswith("+") and to[1:].isascii() and to[1:].isdigit()):
        raise BadRequest(fields={"mobile": ["This is not a number in international form."]})
    payload = {
        "to": to,
        "text": messages.sms(template, context, locale),
        "template": template,
        "message_id": random_token(18),
    }
    jobs.enqueue(session, sms_job.JOB, payload)


def is_plain_address(text: str) -> bool:
    """Whether it is one bare address: no list, no display name, nothing that ends a header."""
    if not text.isprintable() or any(letter in text for letter in ' ,;:<>()[]\\"'):
        return False
    local, _, domain = text.rpartition("@")
    return bool(local and domain) and parseaddr(text) == ("", text)
