"""Releases to a real npm registry: what is in them, and every way in which they fail."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from sqlalchemy import select, update

from idp.platform.audit.models import AuditEvent
from idp.platform.errors import Conflict
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen import market, npm
from idp.publishing.codegen.models import SdkJob
from tests.api import center
from tests.publishing.conftest import OWN

# What jobs leave in the database is told on both in test_jobs.py.
pytestmark = [pytest.mark.no_database, pytest.mark.usefixtures("listed_generators")]

RELEASE = {"platform": "npm", "language": "angular2", "swaggerUrl": OWN}


@pytest.fixture
def published(monkeypatch):
    """Collect what the package market would be told."""
    finished = []
    monkeypatch.setattr(market, "enter", lambda session, one: finished.append(one))
    return finished


@pytest.fixture
def release(mary, api_id, registry, set_up, request):
    """Store options for a package of this test alone, and ask for releases of it."""
    name = f"@acme/{request.node.name.replace('_', '-').lower()[:60]}"

    def ask(**changed):
        options = {
            "name": name,
            "sdkName": "Orders",
            "version": "1.0.0",
            "homepage": "https://acme.example",
            "token": registry.token,
            "readme": "# Orders\n\n<%SdkCode%>",
            "license": "MIT",
            **changed,
        }
        mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", options)
        mary.data("POST", "/CodeGen/ReleaseSDK", {**RELEASE, "apiId": str(api_id)})
        return name

    set_up(npm_registry=registry.url)
    return ask


def tags(session) -> list[str]:
    events = select(AuditEvent.tag).where(AuditEvent.tag.like("%sdk:%")).order_by(AuditEvent.id)
    return list(session.scalars(events))


def files_of(package: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        return {
            member.name.removeprefix("package/"): archive.extractfile(member).read().decode()
            for member in archive
        }


def test_a_release_of_our_own_sdk_lands_in_the_registry(
    release, work, registry, mary, api_id, published, session, capfd
):
    name = release(name="orders-sdk")
    job = work()
    assert (job.state, job.error) == ("done", None)
    files = files_of(registry.download("orders-sdk", "1.0.1"))
    about = json.loads(files["package.json"])
    assert (about["name"], about["version"], about["license"]) == ("orders-sdk", "1.0.1", "MIT")
    assert about["homepage"] == "https://acme.example"
    # The generator's own work: one service for each module, named by the contract's operations.
    assert "export class ClientService" in files["api/client.service.ts"]
    assert "public clientGet(" in files["README.md"]
    assert files["README.md"].startswith("# Orders\n")
    assert {".npmrc", "git_push.sh"}.isdisjoint(files)
    (one,) = published
    assert (one.package, one.version, one.language) == ("orders-sdk", "1.0.1", "angular2")
    assert (one.platform, one.api_resource_id) == ("npm", api_id)
    assert one.link == f"{registry.url}/orders-sdk"
    shown = mary.send("GET", f"/sdk/jobs/{job.id}", prefix="").get_json()
    assert shown["state"] == "done"
    assert "orders-sdk@1.0.1" in shown["log"]
    assert shown["archive"]["size"] > 1000
    archive = mary.send("GET", f"/sdk/jobs/{job.id}/archive", prefix="")
    assert archive.content_type == "application/zip"
    assert archive.headers["Content-Disposition"].startswith("attachment")
    # The token is in none of it.
    said = "".join(capfd.readouterr())
    for place in (str(files), said, shown["log"], str(center.whole_database(session))):
        assert registry.token not in place
    assert registry.token.encode() not in archive.data
    assert tags(session) == ["admin:sdk:asked", "system:sdk:built"]
    assert name


@pytest.mark.usefixtures("quick_generator")
def test_a_refused_token_is_seen_and_can_be_put_right(
    release, work, registry, mary, api_id, session, published
):
    name = release(token="npm_WrongTokenOfSomebody")
    job = work()
    assert (job.state, job.attempts) == ("failed", 1)
    assert job.error.startswith("The npm registry refused the package (E4")
    assert "npm_WrongTokenOfSomebody" not in job.log
    assert published == []
    # It is not tried again by itself.
    message = session.scalars(select(OutboxMessage).where(OutboxMessage.lane == "build")).one()
    assert message.failed_at is not None
    options = mary.data("GET", f"/CodeGen/{api_id}/NpmOptions/0")
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", {**options, "token": registry.token})
    again = mary.send("POST", f"/sdk/jobs/{job.id}/retry", prefix="")
    assert again.get_json()["state"] == "waiting"
    job = work()
    assert (job.state, job.error, job.version) == ("done", None, "1.0.1")
    assert list(registry.package(name)["versions"]) == ["1.0.1"]
    assert tags(session) == ["admin:sdk:asked", "system:sdk:failed", "system:sdk:built"]


@pytest.mark.usefixtures("quick_generator")
def test_each_version_is_published_once(release, work, registry, session, mary):
    name = release()
    job = work()
    assert (job.state, job.version) == ("done", "1.0.1")
    # A worker that died after publishing could not say so: the same content is no failure.
    session.execute(
        update(SdkJob).values(state="failed", published_at=None, pushed_at=None, finished_at=None)
    )
    session.commit()
    mary.send("POST", f"/sdk/jobs/{job.id}/retry", prefix="")
    assert work().state == "done"
    assert list(registry.package(name)["versions"]) == ["1.0.1"]
    # The next release counts up; a number that has other content already is refused.
    release(version="1.0.1")
    assert work().state == "done"
    assert sorted(registry.package(name)["versions"]) == ["1.0.1", "1.0.2"]
    release(version="1.0.0", readme="# Something else")
    job = work()
    assert job.state == "failed"
    assert job.error == "The npm registry refused the package (EPUBLISHCONFLICT)."


@pytest.mark.usefixtures("quick_generator")
def test_what_cannot_be_entered_is_published_once_all_the_same(
    release, work, registry, mary, monkeypatch
):
    def refuse(*_):
        raise Conflict("The market is full.")

    monkeypatch.setattr(market, "enter", refuse)
    name = release()
    job = work()
    assert (job.state, job.attempts) == ("done", 1)
    assert job.link == f"{registry.url}/{name}"
    assert job.published_at is not None
    assert job.log.endswith("It could not be added to the package market: The market is full.\n")


@pytest.mark.usefixtures("quick_generator")
@pytest.mark.parametrize(("name", "is_said"), [("@acme/open", True), ("acme-open", False)])
def test_packages_with_a_scope_are_public_too(release, work, monkeypatch, name, is_said):
    ran = []
    run = npm._Npm.run
    monkeypatch.setattr(npm._Npm, "run", lambda self, *said: ran.append(said) or run(self, *said))
    release(name=name)
    assert work().state == "done"
    assert ("--access" in ran[0]) is is_said


@pytest.mark.usefixtures("quick_generator")
def test_without_a_setting_the_registry_is_the_one_of_npm(
    release, work, set_up, registry, tmp_path, monkeypatch
):
    configuration = tmp_path / "npmrc"
    configuration.write_text(f"an-option-that-npm-warns-of=/usr\nregistry={registry.url}/\n")
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(configuration))
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    name = release()
    set_up(npm_registry="")
    job = work()
    assert (job.state, job.error) == ("done", None)
    assert job.link == f"{registry.url}/{name}"
    assert list(registry.package(name)["versions"]) == ["1.0.1"]


@pytest.mark.usefixtures("quick_generator")
def test_a_registry_that_does_not_answer_is_tried_again(release, work, set_up, registry):
    name = release()
    set_up(npm_registry="http://127.0.0.1:9")
    job = work()
    assert (job.state, job.attempts) == ("waiting", 1)
    assert job.error.startswith("The npm registry could not be used (ECONNREFUSED)")
    set_up(npm_registry=registry.url)
    assert work().state == "done"
    assert list(registry.package(name)["versions"]) == ["1.0.1"]


@pytest.mark.usefixtures("quick_generator")
def test_a_readme_that_the_code_would_blow_up_is_refused(release, work, monkeypatch):
    # Nine hundred marks take ten kilobytes, and each becomes up to 256 of them.
    monkeypatch.setattr(npm, "_code", lambda _folder: "x" * npm.MAX_README_CODE)
    release(readme=npm.MARKER * 900)
    job = work()
    assert (job.state, job.built_at) == ("failed", None)
    assert job.error.startswith("The README would exceed 1048576 characters")


@pytest.mark.usefixtures("quick_generator")
def test_a_readme_may_hold_the_code_more_than_once(release, work, registry):
    name = release(readme=f"{npm.MARKER} and {npm.MARKER}")
    assert work().state == "done"
    assert list(registry.package(name)["versions"]) == ["1.0.1"]
