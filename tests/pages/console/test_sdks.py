"""SDKs and packages in the console: what is generated, where it is published, and tests of that."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.resources import service as resources
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.codegen import options, trials
from idp.publishing.codegen.models import GithubOptions, JobState, NpmOptions, SdkJob
from idp.publishing.codegen.npm import RefusedError
from idp.publishing.packages.models import SdkPackage
from tests.delivery import deliver_due
from tests.pages.browsing import HTML, csrf_token, readable, statements
from tests.protocol import add_api, add_person, add_role, add_tenant, sign_in

pytestmark = pytest.mark.usefixtures("listed_generators")
PATH = "/console/platform/sdks"
OWN = "http://127.0.0.1:8000/openapi/authorization-center.json"
TOKEN = "npm_SuperSecretPublishToken"
HOSTILE = "<b>\u202e'\"&"
NPM = {
    "name": "@acme/orders",
    "sdk_name": "Orders",
    "version": "1.2.9",
    "homepage": "https://acme.example/orders",
    "token": TOKEN,
}
GIT = {"owner": "acme", "repo": "orders", "token": TOKEN, "sync_docs": "y"}
PACKAGE = {
    "name": "orders-client",
    "publisher": "Acme",
    "platform": "pypi",
    "language": "Python",
    "link": "https://pypi.example/orders-client",
    "icon": "https://pypi.example/icon.png",
}


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(address, data={"csrf_token": token, **form}, headers=HTML)

    return post


@pytest.fixture
def api(session):
    """Add an API of the platform."""
    return add_api(session, "orders", ["orders.read"])


def test_an_sdk_is_generated_from_the_page_of_its_api(client, session, root, send, api):
    base = f"{PATH}/{api.id}"
    assert "python" in readable(client.get(f"{base}/generate"))
    for form, status in (
        ({"generator": "none", "url": OWN}, 400),
        ({"generator": "readthedocs.gen", "url": OWN}, 400),
        ({"generator": "python", "url": "http://127.0.0.1:1/x"}, 400),
        ({"generator": "python", "url": "x" * 10_000}, 400),
        ({"generator": "python", "url": ""}, 400),
    ):
        answer = send(f"{base}/generate", **form)
        assert answer.status_code == status, (form, readable(answer))
    made = send(f"{base}/generate", generator="python", url=OWN)
    job = session.scalars(select(SdkJob)).one()
    assert made.location == f"{base}/jobs/{job.id}"
    assert (job.api_resource_id, job.user_id, job.client_id) == (api.id, root.id, "console")
    page = readable(client.get(made.location))
    assert "Waiting" in page
    assert f"{base}/jobs/{job.id}/cancel" in page
    assert send(f"{base}/jobs/{job.id}/cancel").status_code == 303
    assert send(f"{base}/jobs/{job.id}/cancel").status_code == 409
    assert send(f"{base}/jobs/{job.id}/retry").status_code == 303
    assert send(f"{base}/jobs/{job.id}/retry").status_code == 409
    assert client.get(f"{base}/jobs/{job.id}/archive", headers=HTML).status_code == 404


def test_a_release_needs_a_target_and_raises_its_version(client, session, root, send, api):
    base = f"{PATH}/{api.id}"
    assert send(f"{base}/release", language="angular2", url=OWN).status_code == 400
    assert send(f"{base}/targets/npm/angular2", **NPM).location == base
    made = send(f"{base}/release", language="angular2", url=OWN)
    assert made.status_code == 303
    job = session.scalars(select(SdkJob)).one()
    assert (job.package, job.version) == ("@acme/orders", "1.2.10")


def test_targets_are_saved_and_their_tokens_never_shown(client, session, root, send, api):
    base = f"{PATH}/{api.id}/targets"
    for changed, status in (
        ({"token": ""}, 400),
        ({"name": "-x"}, 400),
        ({"version": "1"}, 400),
        ({"homepage": "javascript:alert(1)"}, 400),
        ({"sdk_name": "<b>"}, 400),
        ({"token": "two words"}, 400),
        ({"description": "x" * 10_000}, 400),
        ({"name": ""}, 400),
        ({}, 303),
    ):
        answer = send(f"{base}/npm/angular2", **NPM | changed)
        assert answer.status_code == status, changed
    assert (
        send(f"{base}/npm/angular2", **NPM | {"token": "", "version": "2.0.0"}).status_code == 303
    )
    row = session.scalars(select(NpmOptions)).one()
    assert (row.version, options.token_of(session, row)) == ("2.0.0", TOKEN)
    for changed, status in (
        ({"repo": ""}, 400),
        ({"owner": "../x"}, 400),
        ({"user_agent": "\u202e"}, 400),
        ({}, 303),
    ):
        assert send(f"{base}/git", **GIT | changed).status_code == status, changed
    assert session.scalars(select(GithubOptions)).one().sync_labels is False
    for path in ("", "/targets/npm/angular2", "/targets/git"):
        page = client.get(f"{PATH}/{api.id}{path}").get_data(as_text=True)
        assert TOKEN not in page
    assert client.get(f"{base}/npm/cobol", headers=HTML).status_code == 404
    assert send(f"{base}/npm/cobol", **NPM).status_code == 404


@pytest.mark.parametrize("error", [None, "The npm registry refused the token (E401)."])
def test_a_target_is_tested_by_the_worker(
    client, session, root, send, api, runtime, monkeypatch, error
):
    base = f"{PATH}/{api.id}"
    assert send(f"{base}/targets/npm/angular2/test").status_code == 404
    send(f"{base}/targets/npm/angular2", **NPM)
    assert "Not tested" in readable(client.get(base))
    tried = []

    def check(_work, _registry, token):
        tried.append(token)
        if error:
            raise RefusedError(error, "the log")

    monkeypatch.setattr(trials.npm, "registry", lambda _work, _given: "https://npm.example")
    monkeypatch.setattr(trials.npm, "check_token", check)
    assert send(f"{base}/targets/npm/angular2/test").location == base
    assert send(f"{base}/targets/npm/angular2/test").status_code == 409
    page = readable(client.get(base))
    assert "A test is under way." in page
    assert "/npm/angular2/test" not in page
    deliver_due(runtime, "build")
    assert tried == [TOKEN]
    session.expire_all()
    assert session.scalars(select(NpmOptions)).one().test_error == error
    page = readable(client.get(base))
    assert (error or "The token was accepted.") in page
    send(f"{base}/targets/npm/angular2", **NPM)
    assert "Not tested" in readable(client.get(base))
    job = session.scalars(select(OutboxMessage).where(OutboxMessage.job == trials.JOB)).one()
    assert job.lane == "build"


def test_packages_are_added_and_removed(client, session, root, send, api):
    base = f"{PATH}/{api.id}"
    for changed, status in (
        ({"name": ""}, 400),
        ({"link": "javascript:alert(1)"}, 400),
        ({"icon": "file:///etc/passwd"}, 400),
        ({"publisher": "x" * 10_000}, 400),
        ({"show_index": "first"}, 400),
        ({"publisher": HOSTILE, "description": HOSTILE, "tags": HOSTILE}, 303),
        ({}, 409),
    ):
        answer = send(f"{base}/packages/new", **PACKAGE | changed)
        assert answer.status_code == status, (changed, readable(answer))
    page = client.get(base).get_data(as_text=True)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert send(f"{base}/packages/remove", name="orders-client").status_code == 303
    assert send(f"{base}/packages/remove", name="orders-client").status_code == 303
    assert session.scalars(select(SdkPackage)).all() == []


def test_a_tenant_sees_nothing_of_others(client, session, send):
    acme, other = add_tenant(session), add_tenant(session, "Bluefen")
    user = add_person(session, tenant_ids=(acme,))
    codes = ["ids4.ms.apiresource.all", "ids4.ms.codegen.all"]
    add_role(session, user, "builder", codes, tenant_id=acme)
    sign_in(client, session, user)
    mine = add_api(session, "mine", ["mine.read"], tenant_id=acme)
    theirs = add_api(session, "theirs", ["theirs.read"], tenant_id=other)
    for api in (mine, theirs):
        resources.link_owner(session, api, user.id)
    jobs = [
        SdkJob(api_resource_id=api.id, client_id="web", generator="python", source_url="-")
        for api in (mine, theirs)
    ]
    session.add_all(jobs)
    session.commit()
    base = f"/console/t/{acme}/sdks"
    page = readable(client.get(base)).partition('id="rows"')[2]
    assert "mine" in page
    assert "theirs" not in page
    assert client.get(f"{base}/{mine.id}/jobs/{jobs[0].id}").status_code == 200
    for row_id, job_id in ((theirs.id, jobs[1].id), (mine.id, jobs[1].id)):
        address = f"{base}/{row_id}/jobs/{job_id}"
        assert client.get(address, headers=HTML).status_code == 404
        for act in ("retry", "cancel"):
            assert send(f"{address}/{act}").status_code == 404
    for address in ("", "/generate", "/release", "/packages/new", "/targets/git"):
        assert client.get(f"{base}/{theirs.id}{address}", headers=HTML).status_code == 404
    for address in (
        *("/generate", "/release", "/packages/new", "/packages/remove", "/targets/git"),
        *("/targets/git/test", "/targets/npm/angular2", "/targets/npm/angular2/test"),
    ):
        assert send(f"{base}/{theirs.id}{address}", **NPM).status_code == 404, address
    session.expire_all()
    assert session.get_one(SdkJob, jobs[1].id).state == JobState.WAITING


def test_the_list_needs_as_many_queries_for_many_as_for_one(client, session, root, runtime):
    tables = ("api_resource", "sdk_job", "sdk_package", "npm_options", "github_options")
    counts = []
    for number in range(4):
        api = add_api(session, f"api{number}", [f"api{number}.read"])
        session.add(
            SdkJob(api_resource_id=api.id, client_id="web", generator="python", source_url="-")
        )
        session.commit()
        if number in {0, 3}:
            assert client.get(PATH).status_code == 200  # what is configured is in the cache now
            counts.append(len(statements(runtime, client, PATH, *tables)))
    assert counts[0] == counts[1]
