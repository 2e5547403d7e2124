"""What an installation talks to besides its database."""

from __future__ import annotations

from idp.config import Settings
from idp.doctor.result import Result, failed, ok, warning
from idp.platform.errors import Problem
from idp.platform.notify import mail as mail_job
from idp.platform.throttle import Throttle


def counters(settings: Settings) -> Result:
    """Ask Redis or Valkey."""
    if not settings.redis_url:
        return ok("tries are counted in the process (no IDP_REDIS_URL)")
    if Throttle(settings.redis_url).is_reachable():
        return ok("Redis or Valkey answers")
    return failed(
        "Redis or Valkey does not answer, each process counts tries alone",
        "start it, or correct IDP_REDIS_URL",
    )


def mail(settings: Settings) -> Result:
    """Connect, encrypt and log in at the mail server, without sending anything."""
    if not settings.smtp_url:
        if settings.environment == "development":
            return ok(f"mails become files in {settings.outbox_dir.absolute()}")
        return warning("mails wait, for there is no mail server", "set IDP_SMTP_URL")
    try:
        mail_job.check(settings.smtp_url)
    except Problem as problem:
        return failed(problem.detail.removesuffix("."), "correct IDP_SMTP_URL or the mail server")
    return ok("the mail server takes our greeting and login")
