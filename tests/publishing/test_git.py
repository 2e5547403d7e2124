"""Releases that are pushed to a real Git server: code, documentation, and every refusal."""

from __future__ import annotations

import hashlib

import pytest

from idp.platform.errors import Unprocessable
from idp.publishing.codegen import git
from tests.api import center
from tests.publishing.conftest import GIT_TOKEN, OWN
from tests.publishing.serving import Labels

pytestmark = pytest.mark.usefixtures("listed_generators", "quick_generator")

PAGE = hashlib.md5(OWN.encode()).hexdigest()  # noqa: S324 - the contract's name of a page


@pytest.fixture
def published(monkeypatch):
    """Stand in for the registry, which has tests of its own; list what it got."""
    versions = []

    def publish(folder, work, registry, token, on_progress):
        versions.append(sorted(path.name for path in folder.iterdir()))
        return "published\n"

    monkeypatch.setattr("idp.publishing.codegen.npm.publish", publish)
    return versions


@pytest.fixture
def release(mary, api_id, git_server, published, set_up):
    """Store where to push, and ask for a release."""
    set_up(git_url=git_server.url, github_api_url="", npm_registry="https://npm.example")
    npm = {
        "name": "orders",
        "sdkName": "Orders",
        "version": "1.0.0",
        "homepage": "https://acme.example",
        "token": "a-token",
    }
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", npm)

    def ask(**changed):
        options = {"userAgent": "acme-sdk", "owner": "acme", "repo": "sdk", "token": GIT_TOKEN}
        mary.data("PUT", f"/CodeGen/{api_id}/GithubOptions", {**options, **changed})
        body = {"platform": 0, "language": 0, "apiId": str(api_id), "swaggerUrl": OWN}
        mary.data("POST", "/CodeGen/ReleaseSDK", body)

    return ask


def test_code_and_documentation_are_pushed(release, work, git_server, session, capfd):
    repository = git_server.make("acme/sdk")
    release()
    job = work()
    assert (job.state, job.error) == ("done", None)
    assert job.pushed_at is not None
    # The first push makes the branch; its name is ours.
    assert git_server.files(repository, "main") == [
        f"docs/{PAGE}.rst",
        "docs/conf.py",
        "docs/index.rst",
        "sdk/angular2/README.md",
        "sdk/angular2/api/orders.ts",
        "sdk/angular2/index.ts",
        "sdk/angular2/package.json",
    ]
    git_server.git("-C", str(repository), "symbolic-ref", "HEAD", "refs/heads/main")
    # Classes have the name of the SDK, the page has that of the API.
    code = git_server.read(repository, "sdk/angular2/api/orders.ts")
    assert code == "export class Orders {}\n"
    page = git_server.read(repository, f"docs/{PAGE}.rst")
    assert page.startswith("Authorization Center\n")
    assert "<code>ids4.ms.client.get</code>" in page
    assert git_server.read(repository, "docs/index.rst").endswith(f"\n   {PAGE}\n")
    assert git_server.agents == {"acme-sdk"}
    # What somebody else does there stays, what is gone from the code goes, and nothing doubles.
    clone = git_server.folder / "clone"
    git_server.git("clone", "--quiet", str(repository), str(clone))
    (clone / "sdk" / "angular2" / "old.ts").write_text("gone")
    (clone / "docs" / "index.rst").write_text(f"Ours\n====\n\n.. toctree::\n\n   {PAGE}\n   mine\n")
    (clone / "mine.txt").write_text("mine")
    git_server.git("-C", str(clone), "add", "--all")
    git_server.git("-C", str(clone), "commit", "--quiet", "--message", "Ours")
    git_server.git("-C", str(clone), "push", "--quiet")
    release(syncDocs=False)
    assert work().state == "done"
    files = git_server.files(repository)
    assert "mine.txt" in files
    assert "sdk/angular2/old.ts" not in files
    assert git_server.read(repository, "docs/index.rst").startswith("Ours\n")
    log = git_server.git("-C", str(repository), "log", "--format=%s")
    assert log.splitlines() == ["orders 1.0.2", "Ours", "orders 1.0.1"]
    said = "".join(capfd.readouterr())
    for place in (
        said,
        job.log,
        str(center.whole_database(session)),
        str(published_text(repository)),
    ):
        assert GIT_TOKEN not in place


@pytest.mark.no_database
@pytest.mark.parametrize("name", ["--x", "--upload-pack=id", "-", "feature/a", "@", "main"])
def test_the_name_of_a_branch_is_no_option(release, work, git_server, name):
    repository = git_server.make("acme/sdk")
    clone = git_server.folder / "clone"
    git_server.git("clone", "--quiet", str(repository), str(clone))
    (clone / "mine.txt").write_text("mine")
    git_server.git("-C", str(clone), "add", "--all")
    git_server.git("-C", str(clone), "commit", "--quiet", "--message", "Mine")
    branch = f"refs/heads/{name}"
    git_server.git("-C", str(clone), "push", "--quiet", "origin", f"HEAD:{branch}")
    git_server.git("-C", str(repository), "symbolic-ref", "HEAD", branch)
    release()
    job = work()
    assert (job.state, job.error) == ("done", None)
    assert {"mine.txt", "sdk/angular2/index.ts"} <= set(git_server.files(repository, branch))
    assert git_server.git("-C", str(repository), "for-each-ref", "--format=%(refname)") == (
        f"{branch}\n"
    )


@pytest.mark.no_database
@pytest.mark.parametrize(
    "name", ["refs/heads/a:refs/heads/b", "refs/heads/*", "refs/tags/v1", "--all", "refs/heads/"]
)
def test_what_is_no_name_of_a_branch_is_not_fetched(name):
    with pytest.raises(Unprocessable):
        git._branch(f"ref: {name} HEAD\n{'0' * 40} HEAD\n")


def published_text(repository) -> str:
    return "".join(
        path.read_text(errors="ignore") for path in repository.rglob("*") if path.is_file()
    )


def test_a_refused_token_does_not_publish_again(release, work, git_server, mary, api_id, published):
    repository = git_server.make("acme/sdk")
    release(token="ghp_WrongToken")
    job = work()
    assert (job.state, job.error) == (
        "failed",
        "The Git server refused the token or the repository.",
    )
    assert job.published_at is not None
    assert "ghp_WrongToken" not in job.log
    mary.data(
        "PUT",
        f"/CodeGen/{api_id}/GithubOptions",
        {"owner": "acme", "repo": "sdk", "token": GIT_TOKEN},
    )
    mary.send("POST", f"/sdk/jobs/{job.id}/retry", prefix="")
    assert work().state == "done"
    assert len(published) == 1
    assert "sdk/angular2/index.ts" in git_server.files(repository, "main")
    # Nothing is pushed twice, and nothing that is the same.
    assert mary.send("POST", f"/sdk/jobs/{job.id}/retry", prefix="").status_code == 409


def test_a_repository_that_is_missing_is_told(release, work, git_server):
    release(repo="other")
    job = work()
    assert job.state == "failed"
    assert job.error == "The Git server refused the token or the repository."


def test_a_server_that_does_not_answer_is_tried_again(release, work, git_server, set_up):
    git_server.make("acme/sdk")
    release()
    set_up(git_url="http://127.0.0.1:9")
    job = work()
    assert (job.state, job.error) == ("waiting", "The Git server could not be reached.")
    set_up(git_url=git_server.url)
    assert work().state == "done"


def test_without_a_token_nothing_is_pushed(release, work, git_server, published):
    git_server.make("acme/sdk")
    release(token=None)
    job = work()
    assert (job.state, job.pushed_at) == ("done", None)
    assert len(published) == 1
    assert git_server.agents == set()


@pytest.mark.no_database
@pytest.mark.parametrize("name", ["sdk", "docs", "sdk/angular2", "docs/index.rst"])
def test_links_in_a_repository_lead_nowhere(release, work, git_server, tmp_path, name):
    """A person who may write to the repository cannot write to this host."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    repository = git_server.make("acme/sdk")
    clone = git_server.folder / "clone"
    git_server.git("clone", "--quiet", str(repository), str(clone))
    (clone / name).parent.mkdir(exist_ok=True)
    (clone / name).symlink_to(outside / "kept" if name.endswith(".rst") else outside)
    (clone / ".gitattributes").write_text("* filter=evil\n")
    git_server.git("-C", str(clone), "add", "--all")
    git_server.git("-C", str(clone), "commit", "--quiet", "--message", "Evil")
    git_server.git("-C", str(clone), "push", "--quiet")
    release()
    job = work()
    assert job.state == "done"
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"
    assert "sdk/angular2/index.ts" in git_server.files(repository)


def test_each_operation_gets_a_label_once(release, work, git_server, set_up, session):
    git_server.make("acme/sdk")
    with Labels("acme/sdk", GIT_TOKEN) as github:
        github.names = ["Client-Get", *(f"bug-{number}" for number in range(150))]
        set_up(github_api_url=f"{github.url}/api/v3")
        release()
        job = work()
        assert (job.state, job.error) == ("done", None)
        assert github.names.count("Client-Get") == 1
        assert "client-get" not in github.names
        assert {"client-post", "codegen-gen", "user-head"} <= set(github.names)
        before = list(github.names)
        release()
        assert work().state == "done"
        assert github.names == before
        assert github.agents == {"acme-sdk"}
        release(syncLabels=False)
        github.names = []
        assert work().state == "done"
        assert github.names == []
        # What GitHub refuses is told; the code is there by then, and is not pushed again.
        github.token = "another"
        release()
        job = work()
        assert (job.state, job.error) == ("failed", "GitHub refused the token or the repository.")
        assert job.pushed_at is None
    release()
    job = work()
    assert (job.state, job.error) == ("waiting", "GitHub's labels could not be used.")
    assert GIT_TOKEN not in str(center.whole_database(session))
