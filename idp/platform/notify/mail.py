"""The job that hands a mail to the configured server."""

from __future__ import annotations

import contextlib
import ipaddress
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import idna

from idp.config import Settings
from idp.platform import clock, tracing
from idp.platform.errors import Unavailable, Unprocessable
from idp.platform.notify import folder
from idp.platform.runtime import Runtime
from idp.platform.translation import N_, filled

JOB = "notify.mail"
TIMEOUT_SECONDS = 10.0
LONGEST_LINE = 998
"""RFC 5322 2.1.1."""
PORTS = {"smtp": 587, "smtps": 465}
_PERMANENT = 500
"""RFC 5321 4.2.1: 5yz is a permanent refusal."""


def send(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Send one mail; without a server it goes to the outbox folder, in development only."""
    settings = runtime.settings
    if settings.smtp_url:
        _hand_over(settings.smtp_url, _compose(settings, payload))
    elif settings.environment == "development":
        # In a file, links are for the developer to copy: no line is broken.
        folder.keep(settings, _compose(settings, payload, cte="8bit").as_bytes(), "eml")
    else:
        raise Unavailable(
            N_("Mail cannot be sent: set IDP_SMTP_URL to the address of a mail server.")
        )


def _compose(
    settings: Settings, payload: Mapping[str, Any], *, cte: str | None = None
) -> EmailMessage:
    sender = settings.mail_from or f"no-reply@{_domain(settings)}"
    domain = _on_the_wire(parseaddr(sender)[1]).rpartition("@")[2] or _domain(settings)
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = _on_the_wire(sender)
        message["To"] = _on_the_wire(payload["to"])
        message["Subject"] = payload["subject"]
    except ValueError:  # a line break in a header, or an address that is none
        raise Unprocessable(N_("The mail has a header that cannot be written.")) from None
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{payload['message_id']}@{domain}>"
    # RFC 3834 5: no vacation notices, please.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(payload["body"], cte=cte)
    unsubscribe = payload.get("unsubscribe")
    if unsubscribe:
        # RFC 8058 3.1: both, and the post there requires nothing else.
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        # An address that does not fit on a line would be written as an encoded word, which is none.
        message.policy = SMTP.clone(max_line_length=LONGEST_LINE)
    return message


def _on_the_wire(written: str) -> str:
    """Return an address with its domain in A-labels, which servers without SMTPUTF8 take too.

    One whose local part is not ASCII needs such a server anyway (RFC 6531 3.2).
    """
    if written.isascii() or len(written) > LONGEST_LINE:
        return written
    name, address = parseaddr(written)
    local, _, domain = address.rpartition("@")
    if domain.isascii() or not local.isascii():
        return written
    try:
        return formataddr((name, f"{local}@{idna.encode(domain, uts46=True).decode()}"))
    except idna.IDNAError:
        return written


def _domain(settings: Settings) -> str:
    host = urlsplit(settings.public_url).hostname or "localhost"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost"


def check(smtp_url: str) -> None:
    """Connect to the server, encrypt and log in as for a mail, and send none."""
    _hand_over(smtp_url, None)


def _hand_over(smtp_url: str, message: EmailMessage | None) -> None:
    """Talk to the server; its answers are not passed on, for they may quote the mail."""
    url = urlsplit(smtp_url)
    with tracing.step("SMTP", {"server.address": url.hostname or ""}, kind="client"):
        _talk(url, message)


def _talk(url: SplitResult, message: EmailMessage | None) -> None:
    try:
        server = _connect(url)
        try:
            if message is not None:
                server.send_message(message)
        finally:
            # It is handed over (or not) by now; how the farewell goes changes nothing.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()
    except smtplib.SMTPRecipientsRefused as error:
        sentence = N_("The mail server refuses the recipient with code %(code)s.")
        _refused(sentence, max(code for code, _ in error.recipients.values()))
    except smtplib.SMTPAuthenticationError:
        raise Unavailable(
            N_("The mail server refuses the user or password of IDP_SMTP_URL.")
        ) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        _refused(N_("The mail server refuses the mail with code %(code)s."), error.smtp_code)
    except smtplib.SMTPNotSupportedError:
        raise Unprocessable(
            N_("The mail server cannot write to an address of this kind.")
        ) from None
    except ssl.SSLCertVerificationError:
        raise Unavailable(N_("The mail server's certificate is not trusted.")) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        sentence = filled(N_("The mail server did not answer (%(error)s)."), error=_kind(error))
        raise Unavailable(sentence) from None


def _kind(error: Exception) -> str:
    return type(error).__name__


def _refused(sentence: str, code: int) -> None:
    sentence = filled(sentence, code=code)
    raise (Unprocessable if code >= _PERMANENT else Unavailable)(sentence) from None


def _connect(url: SplitResult) -> smtplib.SMTP:
    host = url.hostname
    if url.scheme not in PORTS or not host:
        raise Unavailable(N_("IDP_SMTP_URL must be smtp://host:port or smtps://host:port."))
    port = url.port or PORTS[url.scheme]
    tls = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=tls)
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    try:
        _greet(server, url, tls)
    except BaseException:
        server.close()
        raise
    return server


def _greet(server: smtplib.SMTP, url: SplitResult, tls: ssl.SSLContext) -> None:
    """Encrypt when the server offers it, then log in."""
    server.ehlo()
    is_encrypted = url.scheme == "smtps"
    if not is_encrypted and server.has_extn("starttls"):
        server.starttls(context=tls)
        server.ehlo()
        is_encrypted = True
    if not url.username or not url.password:
        return
    if not is_encrypted and not _is_loopback(url.hostname or ""):
        raise Unavailable(
            N_(
                "The mail server offers no STARTTLS, and a password is not sent in clear:"
                " use smtps:// in IDP_SMTP_URL."
            )
        )
    server.login(unquote(url.username), unquote(url.password))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
