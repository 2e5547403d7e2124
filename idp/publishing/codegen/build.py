"""The worker's job: generate an SDK, publish it, push it; each step succeeds once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from idp.platform import clock
from idp.platform.errors import NotFound, Problem, Unprocessable
from idp.platform.runtime import Runtime
from idp.platform.translation import N_
from idp.publishing.codegen import (
    archives,
    generators,
    git,
    jobs,
    market,
    npm,
    options,
    process,
    readthedocs,
    repositories,
)
from idp.publishing.codegen.market import Finished
from idp.publishing.codegen.models import JobState, NpmOptions, SdkJob

MAX_LOG = 16_000


def run(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Run the steps of a job that are not done yet."""
    with runtime.sessions() as session:
        job = jobs.begin(session, payload["job_id"])
        session.commit()
    if job is None:
        return
    build = _Build(runtime, job)
    try:
        with process.folder(runtime.settings.data_dir / "codegen") as work:
            build.run(work)
    except Exception as error:
        # People who wait for the job must see that it stopped, whatever the reason.
        raise _report(build, error) from error
    with runtime.sessions() as session:
        jobs.end(session, job.id, JobState.DONE)
        session.commit()


def _report(build: _Build, error: Exception) -> Exception:
    """Record what went wrong; return the error by which the outbox decides on a retry."""
    job = build.job
    is_final = isinstance(error, Unprocessable | NotFound) or job.attempts >= jobs.MAX_ATTEMPTS
    detail = error.detail if isinstance(error, Problem) else N_("The job crashed.")
    build.keep(getattr(error, "log_tail", ""))
    with build.runtime.sessions() as session:
        jobs.end(session, job.id, JobState.FAILED if is_final else JobState.WAITING, detail)
        session.commit()
    return Unprocessable(detail) if is_final else error


class _Build:
    """One job under way."""

    def __init__(self, runtime: Runtime, job: SdkJob) -> None:
        self.runtime, self.job = runtime, job
        self.log = job.log
        """Output of the completed steps."""

    def run(self, work: Path) -> None:
        """Do the steps that are still to be done, in a folder of their own."""
        if self.job.attempts > jobs.MAX_ATTEMPTS:
            raise Unprocessable(N_("The worker stopped at every attempt of this job."))
        if self.job.built_at is None:
            self._generate(work)
        if self.job.language is None:
            return
        package = work / "package"
        with self.runtime.sessions() as session:
            # As it was first generated: the registry accepts a version once.
            content = jobs.read_file(session, self.job.id, jobs.ARCHIVE) or b""
        archives.unpack(content, package)
        if self.job.published_at is None:
            self._publish(work, package)
        if self.job.pushed_at is None:
            self._push(work, package)

    def _generate(self, work: Path) -> None:
        with self.runtime.sessions() as session:
            document = jobs.read_description(session, self.job.id)
            row = None if self.job.language is None else self._npm_options(session)
        if row is not None:
            document = npm.renamed(document, row.sdk_name)
        folder, log = generators.generate(
            self.job.generator,
            document,
            self.job.options,
            work,
            self._show,
            may_keep_network=self.runtime.settings.codegen_with_network,
        )
        self.keep(log)
        if row is not None:
            npm.complete(folder, row, str(self.job.package), str(self.job.version))
        content = archives.pack(folder)
        with self.runtime.sessions() as session:
            job = session.get_one(SdkJob, self.job.id)
            jobs.put_file(session, job.id, jobs.ARCHIVE, content)
            job.built_at = clock.now()
            if job.language is None:
                public_url = self.runtime.settings.public_url
                _enter(session, job, "archive", f"{public_url}{jobs.archive_path(job.id)}")
            session.commit()

    def _publish(self, work: Path, package: Path) -> None:
        with self.runtime.sessions() as session:
            token = options.token_of(session, self._npm_options(session)) or ""
        registry = npm.registry(work, self.runtime.settings.npm_registry).rstrip("/")
        self.keep(npm.publish(package, work, registry, token, self._show))
        with self.runtime.sessions() as session:
            job = session.get_one(SdkJob, self.job.id)
            job.published_at = clock.now()
            job.link = f"{registry}/{job.package}"
            # Stored before the next step: what is published cannot be withdrawn.
            session.commit()
            try:
                _enter(session, job, "npm", job.link)
                session.commit()
            except Problem as problem:
                session.rollback()
                self.keep(f"It could not be added to the package market: {problem.detail}\n")

    def _push(self, work: Path, package: Path) -> None:
        with self.runtime.sessions() as session:
            to = repositories.find(session, self.job.api_resource_id or 0)
            if to is None:
                return
            document = jobs.read_description(session, self.job.id)
        change = git.Change(
            message=f"{self.job.package} {self.job.version}",
            code=package,
            place=f"sdk/{self.job.language}",
            page=readthedocs.render(document, self.job.source_url) if to.sync_docs else None,
            page_source=self.job.source_url,
        )
        settings = self.runtime.settings
        self.keep(repositories.push(settings, to, change, work, self._show))
        self.keep(repositories.sync_labels(settings, to, document))
        with self.runtime.sessions() as session:
            session.get_one(SdkJob, self.job.id).pushed_at = clock.now()
            session.commit()

    def _npm_options(self, session: Session) -> NpmOptions:
        row = options.find_npm(session, self.job.api_resource_id or 0, str(self.job.language))
        if row is None:
            raise NotFound(N_("The npm options were removed."))
        return row

    def keep(self, log: str) -> None:
        """Append the output of a step to the log."""
        self.log = _joined(self.log, log)
        self._show("")

    def _show(self, log: str) -> None:
        """Store the progress of the job."""
        with self.runtime.sessions() as session:
            job = session.get(SdkJob, self.job.id)
            if job is not None:
                job.log = _joined(self.log, log)
                session.commit()


def _enter(session: Session, job: SdkJob, platform: str, link: str) -> None:
    if job.api_resource_id is None:
        return
    finished = Finished(
        job_id=job.id,
        api_resource_id=job.api_resource_id,
        package=job.package or job.generator,
        version=job.version or "",
        language=job.language or job.generator,
        platform=platform,
        link=link,
        user_id=job.user_id,
    )
    market.enter(session, finished)


def _joined(log: str, more: str) -> str:
    return f"{log}{more}"[-MAX_LOG:]
