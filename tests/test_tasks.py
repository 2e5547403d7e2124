"""What the pages for administrators print is run as printed, against a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.nursery import program
from tests.servers import LiveServer

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.no_database,
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl is installed"),
]


@pytest.fixture
def run_page(
    live_server: Callable[..., LiveServer], tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """Run all shell blocks of a page, one after the other in one shell; return what they print."""
    server = live_server()
    command = tmp_path / "bin/idp"

    def run(name: str) -> str:
        text = (ROOT / "docs/tasks" / name).read_text()
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        done = subprocess.run(
            [
                "sh",
                "-eu",
                "-c",
                "\necho\n".join(blocks).replace("http://127.0.0.1:8000", server.url),
            ],
            cwd=tmp_path,
            env={
                **server.environment,
                "PATH": f"{command.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "no_proxy": "*",
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with program(command):
        yield run


def documents(text: str) -> list[Any]:
    """Read the JSON documents that were printed one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def test_an_api_is_added_as_printed(run_page: Callable[[str], str]) -> None:
    answers = documents(run_page("add-an-api-and-its-scopes.md"))
    made, token, changed, secret, introspected, identity = answers
    assert {answer["code"] for answer in (made, changed, secret, identity)} == {200}
    assert made["data"] == changed["data"] == secret["data"]
    assert token["scope"] == "orders.read"
    assert introspected == {"active": False}


def test_a_client_secret_is_issued_as_printed(run_page: Callable[[str], str]) -> None:
    added, second, made, token, trail = documents(run_page("issue-a-client-secret.md"))
    secrets = {added["client_secret"], second["client_secret"], made["data"]}
    assert len(secrets) == 3
    assert token["scope"] == "ids4.ms.client.get"
    assert [event["tag"] for event in trail] == ["admin:client-secret:added"] * 2
    assert not any(secret in json.dumps(trail) for secret in secrets)


def test_requests_are_pushed_as_printed(run_page: Callable[[str], str]) -> None:
    made, pushed, changed = documents(run_page("push-requests.md"))
    assert made["client_secret"]
    assert pushed["expires_in"] == 60
    assert pushed["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert changed["require_pushed_authorization_requests"] is True


def test_a_client_for_open_banking_is_added_as_printed(run_page: Callable[[str], str]) -> None:
    made, changed = documents(run_page("a-client-for-open-banking.md"))
    assert made["security_profile"] == "fapi2"
    assert changed["security_profile"] == "fapi2_message_signing"


def test_a_client_secret_is_rotated_as_printed(run_page: Callable[[str], str]) -> None:
    old, new, saved, refused, works = documents(run_page("rotate-a-client-secret.md"))
    assert saved["code"] == 200
    assert refused["error"] == "invalid_client"
    assert old["access_token"] != new["access_token"] != works["access_token"]


def test_a_tenant_is_added_as_printed(run_page: Callable[[str], str]) -> None:
    answers = documents(run_page("add-a-tenant-and-its-host.md"))
    made, discovery, public, person, changed, moved, refused = answers
    assert made["code"] == changed["code"] == 200
    assert discovery["issuer"] == "http://login.acme.example"
    assert json.loads(public["data"])["claims"] == {"country": "NL"}
    assert person["username"] == "anna"
    assert moved["issuer"] == "http://id.acme.example"
    assert json.loads(refused["message"]).keys() == {"members"}


def test_a_person_is_given_a_permission_as_printed(run_page: Callable[[str], str]) -> None:
    answers = documents(run_page("give-a-person-a-permission.md"))
    made, anna, bert, given, roles, directly, refused, trail = answers
    assert made["code"] == given["code"] == directly["code"] == 200
    assert (anna["username"], bert["username"]) == ("anna", "bert")
    assert "auditor" in {role["name"] for role in roles["data"]}
    assert json.loads(refused["message"]).keys() == {"id"}
    assert {"role:" + str(made["data"])} == {
        event["target"] for event in trail if event["tenant_id"]
    }


def test_a_privilege_gets_into_a_token_as_printed(run_page: Callable[[str], str]) -> None:
    answers = documents(run_page("from-a-privilege-to-a-token.md"))
    api, made, listed, role, person, client, claims = answers
    assert api["user_claims"] == ["permission"]
    assert made["api"] == "orders"
    assert listed == [
        {"code": "orders.refund", "name": "Refund orders", "api": "orders", "group": None}
    ]
    assert role["code"] == 200
    assert person["roles"] == ["clerk"]
    assert client["client_id"] == "shop"
    assert claims["permission"] == ["orders.refund"]
    assert "orders" in claims["aud"]


def test_a_registration_token_is_used_as_printed(run_page: Callable[[str], str]) -> None:
    issued, made, changed, (listed,) = documents(run_page("issue-a-registration-token.md"))
    assert issued["scopes"] == ["openid", "profile"]
    assert made["scope"] == "openid profile offline_access"
    assert (changed["client_name"], changed["client_id"]) == ("The shop", made["client_id"])
    assert changed["grant_types"] == ["authorization_code"]
    assert (listed["id"], listed["state"]) == (issued["id"], "used")
