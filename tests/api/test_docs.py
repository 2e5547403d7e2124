"""The documents about our APIs, the page that shows them, and the command that prints them."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from idp.api import docs
from idp.cli import main
from idp.platform.files import package_dir
from tests import protocol
from tests.test_tasks import documents, run_page  # noqa: F401 - a fixture

DOCUMENT = "/openapi/authorization-center.json"


@pytest.mark.no_database
def test_the_document_is_served_and_kept_until_it_changes(client):
    answer = client.get(DOCUMENT)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    assert answer.get_json()["openapi"].startswith("3.1")
    assert "/api/Client/{id}" in answer.get_json()["paths"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    again = client.get(DOCUMENT, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert not again.data


@pytest.mark.no_database
def test_a_document_that_is_none_is_not_found(client):
    assert client.get("/openapi/nothing.json").status_code == 404
    assert client.get("/openapi/../config.json").status_code == 404


def test_every_issuer_names_its_own_addresses(new_client, session):
    protocol.add_tenant(session, hosts=["id.acme.example"])
    answer = new_client("http://id.acme.example").get(DOCUMENT).get_json()
    assert answer["servers"] == [{"url": "http://id.acme.example"}]
    flow = answer["components"]["securitySchemes"]["oauth2"]["flows"]["authorizationCode"]
    assert flow["authorizationUrl"] == "http://id.acme.example/connect/authorize"
    assert flow["tokenUrl"] == "http://id.acme.example/connect/token"


@pytest.mark.no_database
@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect"])
def test_the_page_runs_our_own_files_alone(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    text = answer.get_data(as_text=True)
    assert "<style" not in text
    assert re.findall(r"<script(?! src=)", text) == []
    addresses = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert [address for address in addresses if not address.startswith("/")] == []
    for address in addresses:
        with client.get(address) as file:
            assert file.status_code == 200


@pytest.mark.no_database
def test_every_contract_is_shown(client):
    for query, shown in (
        ("", "authorization-center"),
        ("?contract=authorization-center", "authorization-center"),
        ("?contract=user-service", "user-service"),
        ("?contract=admin", "admin"),
        ("?contract=%22%3Enothing", "authorization-center"),
    ):
        text = client.get(f"/docs{query}").get_data(as_text=True)
        assert f'data-document="/openapi/{shown}.json?lang=en"' in text
        for name in ("authorization-center", "user-service", "admin"):
            assert f'href="/docs?contract={name}&amp;lang=en"' in text
        assert f'href="/docs?contract={shown}&amp;lang=zh"' in text
        assert text.count("aria-current") == 1
        assert client.get(f"/openapi/{shown}.json?lang=en").status_code == 200
    assert "nothing" not in text


@pytest.mark.no_database
def test_the_page_is_in_the_language_of_the_visitor(client):
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
    for query, headers, code, name in (
        ("", {}, "en", "Authorization Center"),
        ("", chinese, "zh", "授权中心"),
        ("?lang=en", chinese, "en", "Authorization Center"),
        ("?lang=zh&contract=user-service", {}, "zh", "用户服务"),
    ):
        text = client.get(f"/docs{query}", headers=headers).get_data(as_text=True)
        assert f'<html lang="{"zh-Hans" if code == "zh" else "en"}">' in text
        assert f".json?lang={code}" in text
        assert f">{name}</a>" in text


@pytest.mark.no_database
def test_a_document_is_served_in_both_languages_and_no_other(client):
    path = "/openapi/user-service.json"
    title = {
        query: client.get(f"{path}{query}").get_json()["info"]["title"]
        for query in ("", "?lang=en", "?lang=zh")
    }
    assert title == {"": "User service", "?lang=en": "User service", "?lang=zh": "用户服务"}
    # Programs get the same document whatever language they are set to.
    answer = client.get(path, headers={"Accept-Language": "zh"})
    assert answer.get_json()["info"]["title"] == "User service"
    assert client.get(f"{path}?lang=fr").status_code == 400
    assert client.get("/docs?lang=fr").status_code == 400


@pytest.mark.no_database
def test_what_is_not_ours_is_what_its_version_says():
    folder = Path(package_dir(), "static", "swagger-ui")
    noted = dict(
        line.split()[1:][::-1]
        for line in (folder / "VERSION").read_text().splitlines()
        if line.startswith("sha256")
    )
    assert set(noted) == {file.name for file in folder.iterdir() if file.suffix in {".js", ".css"}}
    for name, known in noted.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == known
    assert (folder / "LICENSE").read_text().strip().startswith("Apache License")


@pytest.mark.no_database
def test_the_command_prints_what_is_served(tmp_path, monkeypatch):
    monkeypatch.setenv("IDP_ENVIRONMENT", "development")
    monkeypatch.setenv("IDP_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("IDP_PUBLIC_URL", "https://id.example")
    runner = CliRunner()
    printed = runner.invoke(main, ["openapi"])
    assert printed.exit_code == 0, printed.output
    assert '"https://id.example/connect/token"' in printed.stdout
    assert printed.stdout.count("\n") > 1000
    own = runner.invoke(main, ["openapi", "admin"])
    assert '"/admin/v1/tenants/{tenant}/users/{id}/enable"' in own.stdout
    chinese = runner.invoke(main, ["openapi", "user-service", "--lang", "zh"])
    assert '"title": "用户服务"' in chinese.stdout
    file = tmp_path / "center.json"
    done = runner.invoke(main, ["openapi", "authorization-center", "--output", str(file)])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert file.read_text() == printed.stdout
    wrong = runner.invoke(main, ["openapi", "nothing"])
    assert wrong.exit_code == 2
    assert next(iter(docs.CONTRACTS)) in wrong.stderr
    assert list(tmp_path.iterdir()) == [file], "a document needs no installation"


@pytest.mark.no_database
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed")
def test_the_calls_of_the_guide_answer_as_it_says(run_page):  # noqa: F811 - the fixture
    listed, missing, wrong, nobody = documents(run_page("../api.md"))
    assert (listed["code"], listed["take"], len(listed["data"])) == (200, 1, 1)
    assert (missing["code"], missing["codeName"]) == (404, "NotFound")
    assert wrong["code"] == 422
    assert json.loads(wrong["message"]).keys() == {"clientId", "clientName"}
    assert nobody["status"] == 401
