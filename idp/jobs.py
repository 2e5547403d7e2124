"""The jobs of every wing, handed to the outbox worker."""

from __future__ import annotations

from functools import partial

from idp.account import password_reset
from idp.platform.jobs import registry
from idp.publishing.codegen import build as sdk_build
from idp.publishing.codegen import descriptions, repositories
from idp.publishing.codegen import jobs as sdk_jobs
from idp.publishing.gateway import announcements
from idp.publishing.gateway.jobs import JOBS as GATEWAY_JOBS
from idp.publishing.subscribers import mails

DOCUMENTS = ("authorization-center", "user-service", "admin")
"""Names of the documents about our own APIs, as `idp.api.docs` has them."""


def setup() -> None:
    """Register every job, who hears of a publication, and our own API descriptions."""
    registry.JOBS.update(GATEWAY_JOBS)
    registry.JOBS.update(
        {
            password_reset.JOB: password_reset.send_link,
            mails.JOB: mails.tell,
            sdk_jobs.JOB: sdk_build.run,
            repositories.DOCS_JOB: repositories.push_published_docs,
            repositories.LABELS_JOB: repositories.label_published,
        }
    )
    announcements.LISTENERS.update(
        {
            mails.JOB: "notify",
            repositories.DOCS_JOB: sdk_jobs.LANE,
            repositories.LABELS_JOB: sdk_jobs.LANE,
        }
    )
    descriptions.OWN.update(
        {f"/openapi/{name}.json": partial(_describe, name) for name in DOCUMENTS}
    )


def _describe(name: str, issuer_url: str) -> bytes:
    # Every operation is imported for it: a worker does that for the job that needs it.
    from idp.api import docs  # noqa: PLC0415

    return docs.document(name, issuer_url)
