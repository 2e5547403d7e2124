"""Checks of the services that an installation uses besides its database."""

from __future__ import annotations

from email.utils import parseaddr

from idp.config import Settings
from idp.doctor.result import Result, failed, ok, warning
from idp.platform import dns_records
from idp.platform.errors import Problem
from idp.platform.notify import mail as mail_job
from idp.platform.notify import sms as sms_job
from idp.platform.throttle import Throttle

MOST_SKEW_SECONDS = 1.0


def counters(settings: Settings) -> Result:
    """Check that Redis or Valkey responds."""
    if not settings.redis_url:
        return ok("attempts are counted per process (no IDP_REDIS_URL)")
    state = Throttle(settings.redis_url).examine()
    if state is None:
        return failed(
            "Redis or Valkey does not respond; each process counts attempts on its own",
            "start it, or correct IDP_REDIS_URL",
        )
    if not state.is_master:
        return failed(
            "Redis or Valkey is a replica and refuses changes; each process counts on its own",
            "name the master, or its sentinels, in IDP_REDIS_URL",
        )
    if state.evicts:
        return warning(
            "Redis or Valkey may drop counters when its memory is full",
            "set maxmemory-policy to noeviction",
        )
    if abs(state.ahead_seconds) > MOST_SKEW_SECONDS:
        return warning(
            f"the clocks of this machine and of Redis or Valkey differ by"
            f" {abs(state.ahead_seconds):.1f} s",
            "synchronise both with a time server (NTP)",
        )
    return ok("Redis or Valkey responds")


def text_messages(settings: Settings) -> Result:
    """Connect to the gateway of text messages, without sending anything."""
    if not settings.sms_url:
        return ok("no gateway for text messages is set")
    try:
        sms_job.check(settings.sms_url)
    except Problem as problem:
        return failed(problem.detail.removesuffix("."), "correct IDP_SMS_URL or the gateway")
    return ok("the gateway for text messages accepts the connection")


def sender(settings: Settings) -> Result:
    """Look up what the DNS says about mail from our sender: SPF (RFC 7208), DMARC (RFC 7489)."""
    address = parseaddr(settings.mail_from)[1]
    domain = address.rpartition("@")[2] or settings.public_host.partition(":")[0]
    try:
        spf = _begins(domain, "v=spf1", settings)
        dmarc = _begins(f"_dmarc.{domain}", "v=DMARC1", settings)
    except Problem:
        return warning("the DNS does not answer", "check the name servers, or IDP_DNS_SERVER")
    missing = [name for name, there in (("SPF", spf), ("DMARC", dmarc)) if not there]
    if missing:
        return warning(
            f"{domain} has no record for {' and '.join(missing)}",
            "add it, or mail may be taken for spam",
        )
    return ok(f"{domain} has records for SPF and DMARC")


def _begins(name: str, mark: str, settings: Settings) -> bool:
    return any(text.startswith(mark) for text in dns_records.txt(name, settings.dns_server))


def mail(settings: Settings) -> Result:
    """Check connection, encryption and login at the mail server, without sending anything."""
    if not settings.smtp_url:
        if settings.environment == "development":
            return ok(f"mail is written to files in {settings.outbox_dir.absolute()}")
        return warning("mail waits because no mail server is set", "set IDP_SMTP_URL")
    try:
        mail_job.check(settings.smtp_url)
    except Problem as problem:
        return failed(problem.detail.removesuffix("."), "correct IDP_SMTP_URL or the mail server")
    return ok("the mail server accepts the connection and login")
