"""Code generation: lists, options of publishing, `readthedocs.gen`, and jobs that are asked for."""

from __future__ import annotations

import importlib.util
import json
import threading
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from idp.directory.actor import OPERATOR
from idp.directory.resources import service as resources
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import Conflict, Unprocessable
from idp.platform.jobs.models import OutboxMessage
from idp.platform.secrets import MASK
from idp.publishing import slots
from idp.publishing.codegen import generators, jobs, options, service
from idp.publishing.codegen.models import GithubOptions, NpmOptions, SdkFile, SdkJob
from tests import protocol
from tests.api import center
from tests.publishing.serving import Site

pytestmark = pytest.mark.usefixtures("listed_generators")

OWN = "http://127.0.0.1:8000/openapi/authorization-center.json"
TOKEN = "npm_SuperSecretPublishToken"
NPM = {
    "name": "@acme/orders",
    "sdkName": "Orders",
    "version": "1.2.9",
    "homepage": "https://acme.example/orders",
    "author": "Acme",
    "keywords": ["orders"],
    "description": "SDK of the orders",
    "token": TOKEN,
    "license": "MIT",
    "readme": "# Orders\n<%SdkCode%>",
}
GITHUB = {
    "userAgent": "acme",
    "owner": "acme",
    "repo": "orders-sdk",
    "token": TOKEN,
    "swaggerUrl": "https://acme.example/openapi.json",
    "syncLabels": False,
    "syncDocs": True,
}
SMALL = {
    "openapi": "3.0.0",
    "info": {"title": "Orders", "version": "2.0"},
    "paths": {"/orders": {"get": {"operationId": "list", "responses": {"200": {}}}}},
}


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


@pytest.fixture
def mary(client, session):
    return center.manager(client, session)


@pytest.fixture
def api_id(session, mary):
    api = protocol.add_api(session, "orders", tenant_id=1)
    resources.link_owner(session, api, mary.user.id)
    session.commit()
    return api.id


@pytest.fixture
def site():
    with Site() as site:
        yield site


def release(api_id: int, **changed: Any) -> dict[str, Any]:
    body = {"platform": "npm", "language": "angular2", "apiId": str(api_id), "swaggerUrl": OWN}
    return body | changed


def pairs(session) -> list[tuple[str, dict[str, Any]]]:
    rows = session.scalars(select(AuditEvent).where(AuditEvent.tag.like("%sdk%")))
    return [(row.tag, row.details) for row in rows]


# Lists


def test_the_lists_tell_what_the_installed_generator_offers(mary):
    clients, servers = (mary.data("GET", f"/CodeGen/{kind}") for kind in ("Clients", "Servers"))
    names = {row["language"] for row in clients}
    assert {"python", "typescript-fetch", "typescript-angular", "typescript-jquery"} <= names
    assert {"python-flask", "spring"} <= {row["language"] for row in servers}
    assert names.isdisjoint(row["language"] for row in servers)
    assert len(clients) > 50
    assert len(servers) > 50
    (python,) = [row for row in clients if row["language"] == "python"]
    option = python["options"]["packageName"]
    assert option["opt"] == "packageName"
    assert option["default"] == "openapi_client"
    assert option["type"] == "string"
    (fetch,) = [row for row in clients if row["language"] == "typescript-fetch"]
    assert "camelCase" in fetch["options"]["paramNaming"]["description"]
    assert fetch["options"]["legacyDiscriminatorBehavior"]["enum"].keys() == {"true", "false"}


def test_the_generator_is_asked_once_for_each_version(mary, monkeypatch, settings):
    mary.data("GET", "/CodeGen/Clients")
    (kept,) = (settings.data_dir / "codegen").glob("generators-*.json")
    assert kept.name == f"generators-{generators.installation().version}.json"
    asked = []
    monkeypatch.setattr(generators, "_ask", lambda found, path: asked.append(found.version))
    mary.data("GET", "/CodeGen/Clients")
    mary.data("GET", "/CodeGen/Servers", fromCache="true")
    assert asked == []
    mary.data("GET", "/CodeGen/Servers", fromCache="false")
    assert asked == [generators.installation().version]
    assert mary.refused("GET", "/CodeGen/Clients", fromCache="perhaps")


def test_nobody_waits_while_the_generator_is_asked(mary, monkeypatch, settings):
    mary.data("GET", "/CodeGen/Clients")
    (kept,) = (settings.data_dir / "codegen").glob("generators-*.json")
    monkeypatch.setattr(generators, "_ask", lambda found, path: pytest.fail("asked twice"))
    with generators._reading:
        assert mary.data("GET", "/CodeGen/Clients")
        assert mary.data("GET", "/CodeGen/Clients", fromCache="false")
        kept.unlink()
        answer = mary.send("GET", "/CodeGen/Clients")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_nobody_makes_the_generator_start_again_and_again(mary, monkeypatch):
    mary.data("GET", "/CodeGen/Clients")
    started = []
    monkeypatch.setattr(generators, "_ask", lambda found, kept: started.append(kept))
    for _ in range(service.REFRESHES_PER_HOUR + 2):
        assert mary.data("GET", "/CodeGen/Clients", fromCache="false")
    assert len(started) == service.REFRESHES_PER_HOUR


@pytest.mark.parametrize("path", ["/CodeGen/Clients", "/CodeGen/Servers"])
def test_the_lists_are_open_to_everybody_and_limited_by_address(client, new_client, path):
    stranger = center.Caller(client, None, None)
    for _ in range(service.LISTS_PER_MINUTE):
        assert stranger.data("GET", path)
    answer = stranger.send("GET", path)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    elsewhere = new_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "203.0.113.7"
    assert center.Caller(elsewhere, None, None).data("GET", path)


@pytest.mark.settings(codegen_generators="python, typescript-fetch")
def test_the_operator_may_allow_a_few_generators_only(mary):
    names = [row["language"] for row in mary.data("GET", "/CodeGen/Clients")]
    assert sorted(names) == ["python", "typescript-fetch"]
    assert mary.data("GET", "/CodeGen/Servers") == []
    assert mary.refused("POST", "/CodeGen/Gen", {"genName": "go", "swaggerUrl": OWN}).keys() == {
        "genName"
    }


@pytest.mark.parametrize("culture", ["en-US", "zh-CN"])
def test_without_the_extra_the_answer_says_how_to_install_it(
    mary, api_id, monkeypatch, session, culture
):
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/angular2", NPM)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "openapi_generator_cli" else find(name, *rest),
    )
    for method, path, body in (
        ("GET", "/CodeGen/Clients", None),
        ("GET", "/CodeGen/Servers", None),
        ("POST", "/CodeGen/Gen", {"genName": "python", "swaggerUrl": OWN}),
        ("POST", "/CodeGen/ReleaseSDK", release(api_id)),
    ):
        answer = mary.call(method, path, body, culture=culture)
        assert (answer["code"], answer["codeName"]) == (200006, "CodeGen_GeneratorMissing")
        assert "pip install 'idp[codegen]'" in answer["message"]
        assert answer["data"] is None
    assert session.scalars(select(SdkJob)).all() == []
    # What needs no generator works on.
    assert mary.data("POST", "/CodeGen/Gen", {"genName": "readthedocs.gen", "swaggerUrl": OWN})


# Options


def test_options_of_npm_are_kept_per_language(mary, api_id):
    path = f"/CodeGen/{api_id}/NpmOptions"
    for language in ("angular2", "jQuery"):
        missing = mary.call("GET", f"{path}/{language}")
        assert (missing["code"], missing["codeName"]) == (200002, "NpmOptions_GetOptionsFialed")
    assert mary.data("PUT", f"{path}/angular2", NPM) is True
    assert mary.data("PUT", f"{path}/1", {**NPM, "name": "orders-jquery"}) is True
    assert mary.data("GET", f"{path}/0") == {**NPM, "token": MASK}
    assert mary.data("GET", f"{path}/jQuery")["name"] == "orders-jquery"
    assert mary.refused("GET", f"{path}/python").keys() == {"language"}
    assert mary.refused("PUT", f"{path}/2", NPM).keys() == {"language"}


def test_options_of_github_are_kept(mary, api_id):
    path = f"/CodeGen/{api_id}/GithubOptions"
    missing = mary.call("GET", path)
    assert (missing["code"], missing["codeName"]) == (200003, "GithubOptions_GetOptionsFialed")
    assert mary.data("PUT", path, {}) is True
    assert mary.data("GET", path) == {
        "userAgent": "Awesome-Game5.0-App",
        "owner": None,
        "repo": None,
        "token": None,
        "swaggerUrl": None,
        "syncLabels": True,
        "syncDocs": True,
    }
    assert mary.data("PUT", path, GITHUB) is True
    assert mary.data("GET", path) == {**GITHUB, "token": MASK}


@pytest.mark.parametrize(
    ("path", "body"), [("NpmOptions/angular2", NPM), ("GithubOptions", GITHUB)]
)
def test_sending_back_what_was_read_changes_nothing(mary, api_id, session, path, body):
    path = f"/CodeGen/{api_id}/{path}"
    mary.data("PUT", path, body)
    before = center.whole_database(session)
    mary.data("PUT", path, mary.data("GET", path))
    mary.data("PUT", path, {**body, "token": None})
    mary.data("PUT", path, {name: value for name, value in body.items() if name != "token"})
    assert center.whole_database(session) == before


def test_tokens_are_encrypted_and_never_told(mary, api_id, session, capsys):
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/angular2", NPM)
    mary.data("PUT", f"/CodeGen/{api_id}/GithubOptions", GITHUB)
    for row in (
        session.scalars(select(NpmOptions)).one(),
        session.scalars(select(GithubOptions)).one(),
    ):
        assert options.token_of(session, row) == TOKEN
    assert TOKEN not in str(center.whole_database(session))
    assert TOKEN not in "".join(capsys.readouterr())
    events = pairs(session)
    assert [tag for tag, _ in events] == ["admin:sdk-options:changed"] * 2
    npm, github = ([change["field"] for change in details["changes"]] for _, details in events)
    assert npm == [f"npm.angular2.{name}" for name in _columns(NPM)]
    assert github == [
        *("github.user_agent", "github.owner", "github.repo", "github.swagger_url"),
        *("github.sync_labels", "github.sync_docs", "github.token"),
    ]


def _columns(body: dict[str, Any]) -> list[str]:
    names = [name.replace("sdkName", "sdk_name") for name in body if name != "token"]
    order = ["name", "sdk_name", "version", "homepage", "author", "keywords", "description"]
    assert {*order, "license", "readme"} == set(names)
    return [*order, "license", "readme", "token"]


def test_tokens_move_to_a_new_root_secret(mary, api_id, session, runtime):
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/angular2", NPM)
    mary.data("PUT", f"/CodeGen/{api_id}/GithubOptions", {**GITHUB, "token": None})
    assert options.rewrap(session) == 0
    old, *_ = runtime.settings.secret_keys
    runtime.keyring.__init__(["x" * 40, old])
    assert options.rewrap(session) == 1
    assert options.rewrap(session) == 0
    row = options.find_npm(session, api_id, "angular2")
    assert options.token_of(session, row) == TOKEN
    runtime.keyring.__init__(["y" * 40])
    with pytest.raises(Unprocessable, match="store it again"):
        options.token_of(session, row)


BAD_NPM = [
    ({"name": "Acme Orders"}, "name"),
    ({"name": "../orders"}, "name"),
    ({"name": ""}, "name"),
    ({"name": "-orders"}, "name"),
    ({"name": "@acme/-orders"}, "name"),
    ({"name": "@-acme/orders"}, "name"),
    ({"name": "orders."}, "name"),
    ({"name": "~orders"}, "name"),
    ({"name": "@acme/" + "x" * 195}, "name"),
    ({"sdkName": "1 <b>"}, "sdkName"),
    ({"version": "1.2"}, "version"),
    ({"version": "1.2.3-beta"}, "version"),
    ({"version": "01.2.3"}, "version"),
    ({"version": "1.2.99999999999"}, "version"),
    ({"version": None}, "version"),
    ({"homepage": "javascript:alert(1)"}, "homepage"),
    ({"keywords": "orders"}, "keywords"),
    ({"keywords": ["x"] * 51}, "keywords"),
    ({"token": "two words"}, "token"),
    ({"token": "line\nregistry=http://evil.example"}, "token"),
    ({"token": ""}, "token"),
    ({"token": None}, "token"),
    ({"token": MASK}, "token"),
    ({"readme": "x" * 100_001}, "readme"),
]
BAD_GITHUB = [
    ({"owner": "a/b"}, "owner"),
    ({"owner": ".."}, "owner"),
    ({"repo": "x@evil.example"}, "repo"),
    ({"repo": None}, "repo"),
    ({"owner": None}, "repo"),
    ({"userAgent": "a\nHost: evil"}, "userAgent"),
    ({"syncDocs": 1}, "syncDocs"),
    ({"token": "a b"}, "token"),
]


@pytest.mark.parametrize(
    ("path", "body", "bad"),
    [("NpmOptions/angular2", NPM, BAD_NPM), ("GithubOptions", GITHUB, BAD_GITHUB)],
)
def test_options_that_cannot_be_used_are_refused(mary, api_id, session, path, body, bad):
    before = center.whole_database(session)
    for changed, field in bad:
        refused = mary.refused("PUT", f"/CodeGen/{api_id}/{path}", {**body, **changed})
        assert refused.keys() == {field}, changed
    assert center.whole_database(session) == before


def test_a_microservice_that_is_none_is_not_found(mary):
    for row in ("0", "-1", "x", "1x", "٣", "9" * 19, "9" * 30, "999999"):
        for method, path, body in (
            ("GET", "NpmOptions/0", None),
            ("PUT", "NpmOptions/0", NPM),
            ("GET", "GithubOptions", None),
            ("PUT", "GithubOptions", GITHUB),
        ):
            assert mary.misses(method, f"/CodeGen/{row}/{path}", body), row


def test_the_options_go_with_their_microservice(root, session):
    api_id = root.data("POST", "/ApiResource", {"name": "orders"})
    root.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", NPM)
    root.data("PUT", f"/CodeGen/{api_id}/GithubOptions", GITHUB)
    root.data("POST", "/CodeGen/ReleaseSDK", release(api_id))
    root.data("DELETE", f"/ApiResource/{api_id}")
    for model in (NpmOptions, GithubOptions, SdkJob, SdkFile):
        assert session.scalars(select(model)).all() == []


# Machines: the scope suffices, the tenant of the client bounds them.


def test_a_machine_reaches_the_microservices_of_its_tenant(client, session, mary, api_id):
    other = protocol.add_tenant(session, "Other")
    scope = "ids4.ms.codegen.putgithuboptions"
    for name, tenant_id, outcome in (("ours", 1, 200), ("theirs", other, 404), ("all", None, 200)):
        robot = protocol.register_machine(session, name, [scope], tenant_id=tenant_id)
        token = protocol.machine_token(client, robot).get_json()["access_token"]
        machine = center.Caller(client, mary.user, token)
        assert machine.call("PUT", f"/CodeGen/{api_id}/GithubOptions", {})["code"] == outcome


# readthedocs.gen


def test_the_page_of_our_own_description_comes_at_once(mary, session):
    page = mary.data("POST", "/CodeGen/Gen", {"genName": "readthedocs.gen", "swaggerUrl": OWN})
    assert page.startswith("Authorization Center\n====================\n.. Note::\n")
    assert "<code>ids4.ms.client.get</code>" in page
    assert session.scalars(select(SdkJob)).all() == []


def test_inner_addresses_are_not_asked(mary, session):
    for url in (
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/openapi/other.json",
        "http://localhost/x",
        "file:///etc/passwd",
        "https://a b.example",
        "gopher://x.example",
    ):
        for name in ("readthedocs.gen", "python"):
            refused = mary.refused("POST", "/CodeGen/Gen", {"genName": name, "swaggerUrl": url})
            assert refused.keys() == {"swaggerUrl"}, url
    assert session.scalars(select(SdkJob)).all() == []


def test_a_description_that_is_none_has_a_code_of_its_own(app, mary, api_id, session, site):
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/angular2", NPM)
    allow(app, site)
    for content in (b"", b"[]", b"a: &a [1]\nb: *a", orjson.dumps({**SMALL, "paths": {}})):
        url = site.put("/bad", content)
        for path, body in (
            ("Gen", {"genName": "readthedocs.gen", "swaggerUrl": url}),
            ("Gen", {"genName": "python", "swaggerUrl": url}),
            ("ReleaseSDK", release(api_id, swaggerUrl=url)),
        ):
            answer = mary.call("POST", f"/CodeGen/{path}", body, culture="en")
            assert (answer["code"], answer["codeName"]) == (
                *(200001, "GenerateClient_GetSwaggerFialed"),
            )
            assert answer["message"].startswith("The API description could not be used: ")
    assert session.scalars(select(SdkJob)).all() == []
    assert options.find_npm(session, api_id, "angular2").version == "1.2.9"


def test_five_thousand_operations_make_a_page(app, mary, site):
    allow(app, site)
    paths = {
        f"/p{n}": {"get": {"operationId": f"o{n}", "summary": f"A - B{n % 9} - {n}"}}
        for n in range(5000)
    }
    url = site.put("/large.json", orjson.dumps({**SMALL, "paths": paths}))
    page = mary.data("POST", "/CodeGen/Gen", {"genName": "readthedocs.gen", "swaggerUrl": url})
    assert page.count(">Link</a>") == 5000


def test_a_generator_that_is_not_listed_is_refused(mary, session):
    for name in (
        "../../etc/passwd",
        "readthedocs.gen/../x",
        "/bin/sh",
        "python -o /tmp/x",
        "--help",
        "PYTHON",
        "spring-boot",
        "org.openapitools.codegen.languages.PythonClientCodegen",
        "swift5",
        "x" * 100,
    ):
        refused = mary.refused("POST", "/CodeGen/Gen", {"genName": name, "swaggerUrl": OWN})
        assert refused.keys() == {"genName"}, name
    assert session.scalars(select(SdkJob)).all() == []


def test_options_of_a_generator_that_lead_elsewhere_are_refused(mary, session):
    for given in (
        {"templateDir": "/etc"},
        {"packageName": "../../x"},
        {"packageName": "/etc/x"},
        {"packageName": "a;b"},
        {"packageName": "$(id)"},
        {"packageName": "-o"},
        {"packageName": "a\nb"},
        {"packageName": "x" * 201},
        {"packageName": 7},
        {"packageName": None},
        [],
    ):
        body = {"genName": "python", "swaggerUrl": OWN, "options": given}
        content = mary.call("POST", "/CodeGen/Gen", body)
        assert content["code"] == 422, given
        assert all(name.startswith("options") for name in json.loads(content["message"])), given
    assert session.scalars(select(SdkJob)).all() == []


# Jobs are asked for; what the worker makes of them is told in tests/publishing


def test_a_generation_answers_at_once_with_the_address_of_its_job(mary, session):
    body = {"genName": "python", "swaggerUrl": OWN, "options": {"packageName": "center"}}
    address = mary.data("POST", "/CodeGen/Gen", body)
    job = session.scalars(select(SdkJob)).one()
    assert address == f"http://127.0.0.1:8000/sdk/jobs/{job.id}"
    shown = mary.send("GET", f"/sdk/jobs/{job.id}", prefix="").get_json()
    assert (shown["state"], shown["generator"], shown["archive"]) == ("waiting", "python", None)
    assert (shown["swaggerUrl"], shown["apiId"]) == (OWN, None)
    message = session.scalars(select(OutboxMessage)).one()
    assert (message.lane, message.job) == ("build", "sdk")
    assert pairs(session) == [
        ("admin:sdk:asked", {"job": job.id, "generator": "python", "version": "1.0"})
    ]


def test_a_release_counts_the_version_up_and_is_queued(mary, api_id, session):
    assert mary.call("POST", "/CodeGen/ReleaseSDK", release(api_id))["code"] == 200002
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", NPM)
    for version in ("1.2.10", "1.2.11"):
        answer = mary.send("POST", "/CodeGen/ReleaseSDK", release(api_id, platform=0, language=0))
        assert answer.get_json()["data"] is True
        shown = mary.browser.get(
            answer.headers["Location"], headers=protocol.bearer(mary.token)
        ).get_json()
        assert (shown["version"], shown["package"]) == (version, "@acme/orders")
        assert mary.data("GET", f"/CodeGen/{api_id}/NpmOptions/0")["version"] == version
    listed = mary.send("GET", "/sdk/jobs", prefix="", apiId=str(api_id)).get_json()["jobs"]
    misspelled = mary.send("GET", "/sdk/jobs", prefix="", apiID=str(api_id))
    assert (misspelled.status_code, list(misspelled.get_json()["errors"])) == (400, ["apiID"])
    assert [job["version"] for job in listed] == ["1.2.11", "1.2.10"]
    document = jobs.read_description(session, listed[0]["id"])
    assert document["info"]["title"] == "Authorization Center"


def test_a_release_that_cannot_be_made_is_refused(mary, api_id, session):
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", NPM)
    for changed in (
        {"platform": "nuget"},
        {"platform": 2},
        {"platform": 4},
        {"platform": "cargo"},
        {"platform": True},
        {"language": "python"},
        {"language": 2},
        {"language": None},
        {"apiId": 7},
        {"swaggerUrl": ""},
        {"swaggerUrl": "https://x.example/" + "x" * 2000},
    ):
        refused = mary.refused("POST", "/CodeGen/ReleaseSDK", release(api_id, **changed))
        assert refused.keys() == changed.keys(), changed
    assert session.scalars(select(SdkJob)).all() == []
    assert options.find_npm(session, api_id, "angular2").version == "1.2.9"


def test_no_version_is_given_out_twice(mary, api_id, session):
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", NPM)
    row = options.find_npm(session, api_id, "angular2")
    # Somebody else was faster since the row was read.
    faster = update(NpmOptions).values(version="1.2.10")
    session.execute(faster, execution_options={"synchronize_session": False})
    with pytest.raises(Conflict):
        options.raise_version(session, row)
    assert options.find_npm(session, api_id, "angular2").version == "1.2.10"


def test_nobody_generates_without_end(mary, monkeypatch):
    monkeypatch.setattr(service, "GENERATIONS_PER_HOUR", 2)
    body = {"genName": "readthedocs.gen", "swaggerUrl": OWN}
    for _ in range(2):
        mary.data("POST", "/CodeGen/Gen", body)
    answer = mary.send("POST", "/CodeGen/Gen", body)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]


def test_nobody_fills_the_lane(mary, session, monkeypatch):
    body = {"genName": "python", "swaggerUrl": OWN}
    for _ in range(jobs.MAX_OPEN):
        mary.data("POST", "/CodeGen/Gen", body)
    answer = mary.send("POST", "/CodeGen/Gen", body)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert len(session.scalars(select(SdkJob)).all()) == jobs.MAX_OPEN


def failed_release(session, caller, api_id) -> int:
    caller.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", NPM)
    caller.data("POST", "/CodeGen/ReleaseSDK", release(api_id))
    session.execute(update(SdkJob).values(state="failed"))
    session.commit()
    return session.scalars(select(SdkJob.id)).one()


def test_a_release_is_tried_again_only_with_the_scope_of_releases(client, session, mary, api_id):
    job_id = failed_release(session, mary, api_id)
    able = center.manager(client, session, username="able", scopes=["ids4.ms.codegen.gen"])
    resources.link_owner(session, resources.get_api(session, OPERATOR, api_id), able.user.id)
    session.commit()
    assert able.send("GET", f"/sdk/jobs/{job_id}", prefix="").status_code == 200
    assert able.send("POST", f"/sdk/jobs/{job_id}/retry", prefix="").status_code == 403
    session.expire_all()
    assert session.get_one(SdkJob, job_id).state == "failed"
    assert mary.send("POST", f"/sdk/jobs/{job_id}/retry", prefix="").status_code == 200


def test_nobody_tries_again_without_end(session, mary, api_id, monkeypatch):
    monkeypatch.setattr(service, "GENERATIONS_PER_HOUR", 2)
    job_id = failed_release(session, mary, api_id)
    with monkeypatch.context() as patch:
        patch.setattr(jobs, "MAX_OPEN", 0)
        answer = mary.send("POST", f"/sdk/jobs/{job_id}/retry", prefix="")
        assert answer.status_code == 429
    answer = mary.send("POST", f"/sdk/jobs/{job_id}/retry", prefix="")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    session.expire_all()
    assert session.get_one(SdkJob, job_id).state == "failed"


def test_a_fetch_beyond_the_slots_is_refused_with_a_time(mary, session, api_id, monkeypatch):
    monkeypatch.setattr(slots, "_free", threading.BoundedSemaphore(1))
    mary.data("PUT", f"/CodeGen/{api_id}/NpmOptions/0", NPM)
    url = "https://slow.example/openapi.json"
    with slots.taken():
        for method, path, body in (
            ("POST", "/CodeGen/Gen", {"genName": "python", "swaggerUrl": url}),
            ("POST", "/CodeGen/ReleaseSDK", release(api_id, swaggerUrl=url)),
        ):
            answer = mary.send(method, path, body)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"]
    assert session.scalars(select(SdkJob)).all() == []


def test_jobs_are_seen_by_who_asked_and_by_who_manages_the_microservice(
    client, session, mary, api_id, root
):
    colleague = center.manager(client, session, username="colleague")
    other = protocol.add_tenant(session, "Other")
    abroad = center.manager(client, session, username="abroad", tenant_id=other)
    body = {"genName": "python", "swaggerUrl": OWN}
    mary.data("POST", "/CodeGen/Gen", body)
    root.data("POST", "/CodeGen/Gen", {**body, "apiId": str(api_id)})
    own, of_api = session.scalars(select(SdkJob.id).order_by(SdkJob.id))
    assert mary.call("POST", "/CodeGen/Gen", {**body, "apiId": "999999"})["code"] == 404
    for who, seen in ((mary, {own, of_api}), (root, {of_api}), (colleague, set()), (abroad, set())):
        listed = who.send("GET", "/sdk/jobs", prefix="").get_json()["jobs"]
        assert {job["id"] for job in listed} == seen
        for job_id in (own, of_api):
            for method, path in (("GET", ""), ("POST", "/retry"), ("GET", "/archive")):
                answer = who.send(method, f"/sdk/jobs/{job_id}{path}", prefix="")
                # Seen, but neither failed nor finished.
                expected = {"": 200, "/retry": 409, "/archive": 404}[path]
                assert answer.status_code == (expected if job_id in seen else 404)
                assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["", "/1", "/1/archive", "/1/retry"])
def test_jobs_are_behind_the_gate(client, session, path):
    method = "POST" if path.endswith("retry") else "GET"
    assert client.open(f"/sdk/jobs{path}", method=method).status_code == 401
    caller = center.manager(client, session, scopes=["ids4.ms.codegen.clients"])
    assert caller.send(method, f"/sdk/jobs{path}", prefix="").status_code == 403
    able = center.manager(client, session, username="able", scopes=["ids4.ms.codegen.gen"])
    assert able.send(method, f"/sdk/jobs{path}", prefix="").status_code == (404 if path else 200)
    if not path:
        assert able.send("GET", "/sdk/jobs", prefix="", apiId="x").status_code == 400


def test_looking_at_jobs_costs_the_same_however_many_there_are(mary, runtime, session):
    body = {"genName": "python", "swaggerUrl": OWN}
    counts = []
    for _ in range(2):
        for _ in range(4):
            mary.data("POST", "/CodeGen/Gen", body)
        with center.statements(runtime.engine) as sent:
            mary.send("GET", "/sdk/jobs", prefix="")
        counts.append(len(sent))
    assert counts[0] == counts[1]


def allow(app, site: Site) -> None:
    """Configure the application to fetch from a site on this host."""
    from idp.platform.fetch import Fetcher

    app.extensions["idp"].fetcher = Fetcher(site.host)
