"""What the worker does: the jobs of the outbox, the chores, and which rows go when."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from idp.account import password_reset
from idp.directory.authentication.models import QrSignIn, SignInAttempt
from idp.directory.clients import registrations
from idp.directory.devices import service as devices
from idp.directory.devices.models import Device
from idp.directory.factors.models import Passkey
from idp.directory.registration.models import VerificationCode
from idp.directory.tenants import clearing
from idp.directory.users import service as users
from idp.directory.users.models import UserClaim, UserProperty
from idp.oauth.models import (
    AuthorizationCode,
    AuthorizationRequest,
    Consent,
    DeviceRequest,
    FormerRefreshToken,
    Grant,
    PushedRequest,
    ReferenceToken,
    Refusal,
    RevokedToken,
    SeenProof,
)
from idp.platform.audit import figures
from idp.platform.audit.models import DailyFigure
from idp.platform.backfills import service as backfills
from idp.platform.backfills.service import Backfill
from idp.platform.idempotency.models import IdempotencyKey
from idp.platform.jobs import cleanup
from idp.platform.jobs.cleanup import Expiry
from idp.platform.jobs.models import OutboxMessage
from idp.platform.jobs.worker import Chore, Job
from idp.platform.notify import mail, sms
from idp.platform.onetime.models import OneTimeKey
from idp.platform.releases.models import Node
from idp.platform.runtime import Runtime
from idp.platform.sessions.models import BrowserSession
from idp.platform.signing import service as signing
from idp.publishing.codegen import build as sdk_build
from idp.publishing.codegen import jobs as sdk_jobs
from idp.publishing.codegen import repositories
from idp.publishing.codegen import trials as sdk_trials
from idp.publishing.codegen.models import SdkJob
from idp.publishing.files import management as files
from idp.publishing.files.models import StoredFile
from idp.publishing.gateway import announcements
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.models import PublicationDraft
from idp.publishing.gateway.service import settling
from idp.publishing.subscribers import mails

HOUR = 3600
DAY = 24 * HOUR
CHORE_SECONDS = 60
PROOF_SECONDS = 5
GATEWAY_SECONDS = 5
FIGURE_SECONDS = 300

AFTER_PUBLICATION: Mapping[str, Job] = MappingProxyType(
    {
        mails.JOB: Job(mails.announce),
        repositories.DOCS_JOB: Job(repositories.push_published_docs, sdk_jobs.LANE),
        repositories.LABELS_JOB: Job(repositories.label_published, sdk_jobs.LANE),
    }
)
"""Each of them is done for every publication."""

HELD_BY_TENANTS: Sequence[clearing.Column] = (
    *(Grant.tenant_id, Grant.issuer_tenant_id),
    *(AuthorizationRequest.tenant_id, AuthorizationRequest.issuer_tenant_id),
    *(BrowserSession.tenant_id, BrowserSession.issuer_tenant_id),
    *(QrSignIn.issuer_tenant_id, Consent.tenant_id, UserClaim.tenant_id, UserProperty.tenant_id),
    *(StoredFile.tenant_id, Device.issuer_tenant_id, SignInAttempt.issuer_tenant_id),
    Passkey.issuer_tenant_id,
)
"""What grows with the members of tenants; it is removed before a tenant that has many of them."""

JOBS: Mapping[str, Job] = MappingProxyType(
    {
        mail.JOB: Job(mail.send),
        sms.JOB: Job(sms.send),
        password_reset.JOB: Job(password_reset.send_link),
        announcements.JOB: Job(
            partial(
                announcements.spread, {name: job.lane for name, job in AFTER_PUBLICATION.items()}
            )
        ),
        **AFTER_PUBLICATION,
        settling.RETRY_JOB: Job(settling.retry_job, settling.LANE),
        settling.REPAIR_JOB: Job(settling.repair_job, settling.LANE),
        sdk_jobs.JOB: Job(sdk_build.run, sdk_jobs.LANE),
        sdk_trials.JOB: Job(sdk_trials.run, sdk_jobs.LANE),
        files.ERASE_JOB: Job(files.erase),
        clearing.JOB: Job(partial(clearing.work, HELD_BY_TENANTS), clearing.LANE),
    }
)

EXPIRIES: Sequence[Expiry] = (
    Expiry(AuthorizationRequest.expires_at, HOUR),
    Expiry(PushedRequest.expires_at, 0),
    # An expired code is still known, so that its device learns that it has expired.
    Expiry(DeviceRequest.expires_at, HOUR),
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
    Expiry(SignInAttempt.expires_at, DAY),
    Expiry(Device.last_seen_at, int(devices.KEPT.total_seconds())),
    Expiry(IdempotencyKey.expires_at, 0),
    Expiry(DailyFigure.counted_at, 800 * DAY),
    Expiry(Consent.expires_at, 0),
    Expiry(Refusal.at, 3 * DAY),
    Expiry(Node.seen_at, DAY),
    # With codes and tokens that hang on it; a family of refresh tokens has no time of its own.
    Expiry(Grant.expires_at, DAY),
    Expiry(BrowserSession.expires_at, 7 * DAY),
    Expiry(BrowserSession.ended_at, 7 * DAY),
    Expiry(SdkJob.expires_at, 0),
    Expiry(PublicationDraft.expires_at, 0),
    Expiry(OutboxMessage.done_at, 7 * DAY),
    Expiry(OutboxMessage.failed_at, 30 * DAY),
)
"""What goes when; the clean-up itself knows no tables."""


PROOFS = (Expiry(SeenProof.expires_at, 0, batch=5_000),)
"""Proofs are many and live for minutes, so they are removed more often and more at a time."""


def rotate_keys(runtime: Runtime, _stop: threading.Event) -> None:
    """Replace signing keys that are older than `IDP_KEY_ROTATION_DAYS`."""
    with runtime.sessions() as session:
        signing.rotate_due(session)
        session.commit()


def remove_unused_clients(runtime: Runtime, stop: threading.Event) -> None:
    """Delete clients that registered without a token and that nobody used for 30 days."""
    removed = cleanup.BATCH
    while removed == cleanup.BATCH and not stop.is_set():
        with runtime.sessions() as session:
            removed = registrations.remove_unused(session, limit=cleanup.BATCH)
            session.commit()


BACKFILLS: Sequence[Backfill] = (
    Backfill("factors of deleted accounts", users.forget_factors_of_deleted),
)
"""Those that a contract step names as `NEEDS`, and what is cleaned up once."""

CHORES: Sequence[Chore] = (
    Chore("cleanup", CHORE_SECONDS, partial(cleanup.run, expiries=EXPIRIES)),
    Chore("seen-proofs", PROOF_SECONDS, partial(cleanup.run, expiries=PROOFS)),
    Chore("audit-retention", CHORE_SECONDS, cleanup.forget_audit),
    Chore("unused-clients", HOUR, remove_unused_clients),
    Chore("key-rotation", CHORE_SECONDS, rotate_keys),
    Chore("daily-figures", FIGURE_SECONDS, figures.count_due),
    Chore("backfills", CHORE_SECONDS, partial(backfills.run, backfills=BACKFILLS)),
    Chore("gateway", GATEWAY_SECONDS, gateway.watch),
)
"""What every worker does again and again besides the outbox."""
