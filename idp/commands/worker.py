"""`idp worker`: the outbox, the clean-up and the rotation of keys."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial

import click
import structlog

from idp import jobs
from idp import runtime as runtimes
from idp.commands import starting
from idp.commands.command import Command
from idp.config import Settings
from idp.directory.authentication.models import QrSignIn
from idp.directory.registration.models import VerificationCode
from idp.oauth.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Consent,
    FormerRefreshToken,
    Grant,
    ReferenceToken,
    RevokedToken,
)
from idp.platform import logs
from idp.platform.audit import service as audit
from idp.platform.jobs import cleanup
from idp.platform.jobs import worker as loops
from idp.platform.jobs.cleanup import Expiry
from idp.platform.jobs.models import OutboxMessage
from idp.platform.onetime.models import OneTimeKey
from idp.platform.runtime import Runtime
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from idp.publishing.codegen.models import SdkJob
from idp.publishing.gateway import service as gateway

log = structlog.get_logger()

HOUR = 3600
DAY = 24 * HOUR
CHORE_SECONDS = 60
GATEWAY_SECONDS = 5

EXPIRIES = (
    Expiry(AuthorizationRequest.expires_at, HOUR),
    # A code that comes back after its time is still known, so that its grant is revoked.
    Expiry(AuthorizationCode.expires_at, 7 * DAY),
    # A used one may come again for as long as a client's `refresh_token_reuse_seconds` may say.
    Expiry(FormerRefreshToken.expires_at, DAY),
    Expiry(ReferenceToken.expires_at, HOUR),
    # Clocks differ: a verifier may take a token for a moment longer than it lives.
    Expiry(RevokedToken.expires_at, HOUR),
    Expiry(OneTimeKey.expires_at, HOUR),
    Expiry(VerificationCode.expires_at, HOUR),
    Expiry(QrSignIn.expires_at, HOUR),
    Expiry(Consent.expires_at, 0),
    # With codes and tokens that hang on it; a family of refresh tokens has no time of its own.
    Expiry(Grant.expires_at, DAY),
    Expiry(BrowserSession.expires_at, 7 * DAY),
    Expiry(BrowserSession.ended_at, 7 * DAY),
    Expiry(SdkJob.expires_at, 0),
    Expiry(OutboxMessage.done_at, 7 * DAY),
    Expiry(OutboxMessage.failed_at, 30 * DAY),
)
"""What goes when; the clean-up itself knows no tables."""


@click.command("worker", cls=Command, example="idp worker")
@click.option("--beside", is_flag=True, hidden=True, help="Stop when standard input ends.")
def worker(*, beside: bool) -> None:
    """Send what the outbox holds, clean up, rotate keys; until SIGTERM or Ctrl-C."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if beside:
        threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    settings = Settings()
    if not beside:
        starting.check(settings)
    logs.setup(settings.log_level, readable=settings.environment == "development")
    runtime = runtimes.create(settings)
    jobs.setup()
    log.info("worker_started")
    loops.run(runtime, stop, chores=chores())
    runtime.engine.dispose()
    log.info("worker_stopped")


def chores() -> tuple[loops.Chore, ...]:
    """List what every worker does again and again besides the outbox."""
    return (
        loops.Chore("cleanup", CHORE_SECONDS, partial(cleanup.run, expiries=EXPIRIES)),
        loops.Chore("audit-retention", CHORE_SECONDS, forget_audit),
        loops.Chore("key-rotation", CHORE_SECONDS, rotate_keys),
        loops.Chore("gateway", GATEWAY_SECONDS, gateway.watch),
    )


def forget_audit(runtime: Runtime, stop: threading.Event) -> None:
    """Remove audit events older than `IDP_AUDIT_DAYS`, batch by batch."""
    removed = cleanup.BATCH
    while removed == cleanup.BATCH and not stop.is_set():
        with runtime.sessions() as session:
            removed = audit.remove_older_than(
                session, runtime.settings.audit_days, limit=cleanup.BATCH
            )
            session.commit()
        if removed == cleanup.BATCH:
            stop.wait(cleanup.PAUSE_SECONDS)


def rotate_keys(runtime: Runtime, _stop: threading.Event) -> None:
    """Replace signing keys that are older than `IDP_KEY_ROTATION_DAYS`."""
    with runtime.sessions() as session:
        signing.rotate_due(session)
        session.commit()


def _watch_input(stop: threading.Event) -> None:
    # Not through sys.stdin: its lock would be held while the interpreter ends.
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    worker()
