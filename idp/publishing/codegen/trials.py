"""Tests of publish targets: whether the registry or the Git server accepts the token.

The worker does them, because it publishes: npm and git are installed on its host.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.resources.models import ApiResource
from idp.platform import clock
from idp.platform.db import count_hits
from idp.platform.errors import Conflict, Problem
from idp.platform.jobs import service as outbox
from idp.platform.runtime import Runtime
from idp.platform.translation import N_
from idp.publishing.codegen import git, jobs, npm, options, process
from idp.publishing.codegen.models import GithubOptions, NpmOptions

JOB = "sdk-target-test"
GITHUB = "github"
"""Name of the repository as a target; others are languages of npm options."""
LONGEST = timedelta(minutes=5)
"""After this time a test that did not report may be requested again."""

Target = NpmOptions | GithubOptions


def get(session: Session, api: ApiResource, target: str) -> Target:
    """Return a target of an API; NotFound where there is none."""
    if target == GITHUB:
        return options.get_github(session, api)
    return options.get_npm(session, api, target)


def request(session: Session, api: ApiResource, target: str) -> None:
    """Have the worker test a target; Conflict while a test is under way."""
    row = get(session, api, target)
    if row.token_encrypted is None:
        raise Conflict(N_("Save a token first."))
    kind, now = type(row), clock.now()
    begun = update(kind).where(
        kind.id == row.id,
        or_(
            kind.test_asked_at.is_(None),
            kind.tested_at >= kind.test_asked_at,
            kind.test_asked_at < now - LONGEST,
        ),
    )
    if not count_hits(session, begun.values(test_asked_at=now)):
        raise Conflict(N_("A test is under way."))
    session.refresh(row)
    outbox.enqueue(session, JOB, {"api_id": api.id, "target": target}, lane=jobs.LANE)


def is_under_way(row: Target) -> bool:
    """Return whether the worker has yet to report."""
    asked = row.test_asked_at
    if asked is None or asked < clock.now() - LONGEST:
        return False
    return row.tested_at is None or row.tested_at < asked


def run(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Test a target and store the outcome; a test is never repeated by itself."""
    with runtime.sessions() as session:
        row = _find(session, payload)
        if row is None or not is_under_way(row):
            return
        kind, row_id, asked = type(row), row.id, row.test_asked_at
        error = None
        try:
            token = options.token_of(session, row) or ""
            session.rollback()
            with process.folder(runtime.settings.data_dir / "codegen") as work:
                _try(runtime.settings, row, token, work)
        except Problem as problem:
            error = problem.detail[:500]
        session.rollback()
        session.execute(
            update(kind)
            .where(kind.id == row_id, kind.test_asked_at == asked)
            .values(tested_at=clock.now(), test_error=error)
            .execution_options(synchronize_session=False)
        )
        session.commit()


def _find(session: Session, payload: Mapping[str, Any]) -> Target | None:
    if payload["target"] == GITHUB:
        return options.find_github(session, payload["api_id"])
    return options.find_npm(session, payload["api_id"], payload["target"])


def _try(settings: Settings, row: Target, token: str, work: Path) -> None:
    if isinstance(row, NpmOptions):
        npm.check_token(work, npm.registry(work, settings.npm_registry), token)
        return
    address = git.address(settings.git_url, row.owner or "", row.repo or "")
    git.check_access(git.Remote(address, token, row.user_agent), work)
