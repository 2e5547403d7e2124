"""Checks of the services that an installation uses besides its database."""

from __future__ import annotations

from idp.config import Settings
from idp.doctor.result import Result, failed, ok, warning
from idp.platform.errors import Problem
from idp.platform.notify import mail as mail_job
from idp.platform.throttle import Throttle


def counters(settings: Settings) -> Result:
    """Check that Redis or Valkey responds."""
    if not settings.redis_url:
        return ok("attempts are counted per process (no IDP_REDIS_URL)")
    if Throttle(settings.redis_url).is_reachable():
        return ok("Redis or Valkey responds")
    return failed(
        "Redis or Valkey does not respond; each process counts attempts on its own",
        "start it, or correct IDP_REDIS_URL",
    )


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
