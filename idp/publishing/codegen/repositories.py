"""The repository of an API, to which releases and publications are pushed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.platform.runtime import Runtime
from idp.publishing.codegen import git, labels, options, process, readthedocs
from idp.publishing.descriptions import operations
from idp.publishing.gateway import service as publications
from idp.publishing.gateway.state import Published, Version

DOCS_JOB = "api-published-docs"
LABELS_JOB = "api-published-labels"


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the code and the documentation of an API are kept, and the token for it."""

    owner: str
    repo: str
    token: str = field(repr=False)
    user_agent: str
    sync_labels: bool
    sync_docs: bool


def find(session: Session, api_id: int) -> Repository | None:
    """Find the repository of an API; None: it has none, or there is no token for it."""
    row = options.find_github(session, api_id)
    token = None if row is None else options.token_of(session, row)
    if row is None or token is None or not row.owner or not row.repo:
        return None
    return Repository(row.owner, row.repo, token, row.user_agent, row.sync_labels, row.sync_docs)


def push(
    settings: Settings,
    to: Repository,
    change: git.Change,
    work: Path,
    on_progress: Callable[[str], None] = lambda _log: None,
) -> str:
    """Push a change; return the output of git."""
    remote = git.Remote(git.address(settings.git_url, to.owner, to.repo), to.token, to.user_agent)
    return git.push(remote, change, work, on_progress)


def sync_labels(settings: Settings, to: Repository, document: dict[str, Any]) -> str:
    """Create a label for each operation if that is set; return a line for the log."""
    if not (to.sync_labels and settings.github_api):
        return ""
    place = labels.Repository(settings.github_api, to.owner, to.repo, to.token, to.user_agent)
    return labels.sync(place, [operation.id for operation in operations.of(document)])


def push_published_docs(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Push the page about what was published."""
    found = _find_published(runtime, payload)
    if found is None or not found.to.sync_docs:
        return
    change = git.Change(
        message=f"Documentation of {found.suffix}",
        page=readthedocs.render(found.document, found.source_url),
        page_source=found.source_url,
    )
    with process.folder(runtime.settings.data_dir / "codegen") as work:
        push(runtime.settings, found.to, change, work)


def label_published(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Create labels for the operations of the published description."""
    found = _find_published(runtime, payload)
    if found is not None:
        sync_labels(runtime.settings, found.to, found.document)


@dataclass(frozen=True, slots=True)
class _Found:
    to: Repository
    suffix: str
    document: dict[str, Any]
    source_url: str


def _find_published(runtime: Runtime, payload: Mapping[str, Any]) -> _Found | None:
    """Return what was published and its repository; None: no repository, or published again."""
    with runtime.sessions() as session:
        to = find(session, payload["api_id"])
        state = None if to is None else publications.find(session, payload["api_id"])
        if to is None or state is None or state.number != payload["version"]:
            return None
        version = _published_version(state)
        document = publications.document(session, version.aid, version.current.number)
        return _Found(to, state.suffix, document, version.current.source_url)


def _published_version(state: Published) -> Version:
    """Return the version that the last request named."""
    aid, _ = publications.split(orjson.loads(state.configuration)["aid"])
    return state.find(aid) or state.versions[0]
