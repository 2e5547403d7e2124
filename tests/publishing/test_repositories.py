"""What is published at the gateway comes to the repository of the API: its page, its labels."""

from __future__ import annotations

import hashlib
import json

import pytest
from sqlalchemy import select, update

from idp.platform import clock
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen import readthedocs, repositories
from idp.publishing.gateway import products
from tests import protocol
from tests.api import center
from tests.delivery import deliver_due
from tests.gateway.sites import description
from tests.publishing.conftest import GIT_TOKEN
from tests.publishing.serving import Labels

JOBS = (repositories.DOCS_JOB, repositories.LABELS_JOB)


@pytest.fixture
def github(git_server, set_up):
    """Return the labels of a repository that exists; the application pushes to it."""
    with Labels("acme/sdk", GIT_TOKEN) as github:
        set_up(git_url=git_server.url, github_api_url=f"{github.url}/api/v3")
        yield github


@pytest.fixture
def repository(git_server):
    return git_server.make("acme/sdk")


@pytest.fixture
def publish(mary, api_id, site, session):
    """Publish the API, described anew; return the address of the description."""
    protocol.grant_directly(session, mary.user, "ids4.ms.apiresource.all", tenant_id=1)
    products.allow_upstream(session, 1, site.url)
    session.commit()

    def do(**changes):
        document = {**description(site.url), **changes}
        url = site.put("/orders.json", json.dumps(document).encode())
        body = {"apiId": f"/apis/{api_id}", "suffix": "orders", "swaggerUrl": url}
        mary.data("PUT", f"/ApiResource/{api_id}/Publish", body)
        return url

    return do


@pytest.fixture
def store(mary, api_id):
    """Store where to push."""

    def do(**changes):
        options = {"userAgent": "acme-docs", "owner": "acme", "repo": "sdk", "token": GIT_TOKEN}
        mary.data("PUT", f"/CodeGen/{api_id}/GithubOptions", {**options, **changes})

    return do


@pytest.fixture
def deliver(runtime, session):
    """Run the worker over what waits, put off or not; return the outcome by job."""

    def do():
        for lane in ("notify", "build"):
            session.execute(update(OutboxMessage).values(due_at=clock.now()))
            session.commit()
            deliver_due(runtime, lane)
        session.expire_all()
        assert list((runtime.settings.data_dir / "codegen").glob("work-*")) == []
        rows = session.scalars(
            select(OutboxMessage).where(OutboxMessage.job.in_(JOBS)).order_by(OutboxMessage.id)
        )
        found = {row.job: "done" if row.done_at else row.last_error for row in rows}
        session.rollback()
        return found

    return do


def test_a_publication_brings_its_page_and_its_labels(
    publish, store, deliver, github, repository, git_server, session
):
    store()
    url = publish()
    assert deliver() == dict.fromkeys(JOBS, "done")
    # The contract names a page by this digest; the address has another port every time.
    page = f"docs/{hashlib.md5(url.encode()).hexdigest()}.rst"  # noqa: S324
    files = sorted([page, "docs/conf.py", "docs/index.rst"])
    assert git_server.files(repository, "main") == files
    git_server.git("-C", str(repository), "symbolic-ref", "HEAD", "refs/heads/main")
    assert git_server.agents == github.agents == {"acme-docs"}
    labels = list(github.names)
    assert labels
    # Once more, and nothing is there that was not.
    publish()
    assert deliver() == dict.fromkeys(JOBS, "done")
    assert github.names == labels
    log = git_server.git("-C", str(repository), "log", "--format=%s")
    assert log.splitlines() == ["Documentation of orders"]
    # Another description, under the same address: the same page, written anew.
    publish(info={"title": "Better orders", "version": "2"})
    deliver()
    assert git_server.files(repository) == files
    assert git_server.read(repository, page).startswith("Better orders\n")
    assert GIT_TOKEN not in str(center.whole_database(session))


def test_nothing_is_pushed_that_nobody_wanted(
    publish, store, deliver, github, repository, git_server
):
    publish()  # without any options
    assert deliver() == dict.fromkeys(JOBS, "done")
    for options in (
        {"token": None},
        {"owner": None, "repo": None},
        {"syncLabels": False, "syncDocs": False},
    ):
        store(**options)
        publish()
        assert deliver() == dict.fromkeys(JOBS, "done")
    assert (github.agents, git_server.agents) == (set(), set())


@pytest.mark.no_database
def test_a_description_without_paths_has_a_page() -> None:
    document = {"openapi": "3.1.0", "info": {"title": "Hooks", "version": "1"}, "webhooks": {}}
    assert readthedocs.render(document, "https://a.example/hooks.json").startswith("Hooks\n")


def test_what_was_published_again_meanwhile_is_brought_once(
    publish, store, deliver, github, repository, git_server, runtime, api_id
):
    store(syncLabels=False)
    publish()
    publish(info={"title": "Better orders", "version": "2"})
    deliver()
    log = git_server.git("-C", str(repository), "log", "--format=%s", "main")
    assert log.splitlines() == ["Documentation of orders"]
    git_server.agents.clear()
    for gone in (api_id, api_id + 1):
        repositories.push_published_docs(runtime, {"api_id": gone, "version": 1})
    assert git_server.agents == set()


def test_a_refusal_is_told_and_an_outage_is_tried_again(
    publish, store, deliver, github, repository, git_server, set_up, session
):
    store(token="ghp_WrongToken")
    publish()
    assert deliver() == {
        repositories.DOCS_JOB: "The Git server refused the token or the repository.",
        repositories.LABELS_JOB: "GitHub refused the token or the repository.",
    }
    assert "ghp_WrongToken" not in str(center.whole_database(session))
    store()
    set_up(git_url="http://127.0.0.1:9")
    publish()
    # Each is tried for itself: labels do not wait for the Git server.
    assert deliver() == {
        repositories.DOCS_JOB: "The Git server could not be reached.",
        repositories.LABELS_JOB: "done",
    }
    set_up(git_url=git_server.url)
    assert deliver()[repositories.DOCS_JOB] == "done"
    assert "docs/index.rst" in git_server.files(repository, "main")
