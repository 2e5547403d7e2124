"""JSON bodies of management operations: broken, deep and hostile ones are refused as such."""

from __future__ import annotations

import json

import pytest

from idp.platform.web.forms import MAX_JSON_DEPTH
from idp.platform.web.requests import MAX_BODY
from idp.platform.wire.messages import MOST_MESSAGES
from tests.api import center, userservice

pytestmark = pytest.mark.no_database

DOCUMENT = json.dumps(
    {"code": 'a"b\\', "name": "\u00e9\U0001f600\n", "list": [1, -2.5e3, [True, {"x": None}]]}
).encode()

BRACKETS = b"[]" * (MAX_JSON_DEPTH + 6)


@pytest.fixture
def root(client, session):
    """Return an administrator of the platform who calls both contracts."""
    caller = center.administrator(client, session)
    return caller, userservice.Service(client, caller.token, caller.user.id)


def test_json_that_was_cut_off_anywhere_is_refused(root):
    caller, service = root
    for length in range(1, len(DOCUMENT)):
        cut = DOCUMENT[:length]
        assert caller.send("POST", "/Role", cut).status_code == 400, cut
        assert service.refused("POST", "/bundles", cut)[:2] == (400, "not_json"), cut
    assert caller.send("POST", "/Role", DOCUMENT).status_code == 200


@pytest.mark.parametrize(
    "unit", [b"\\", b"\\\\", b'\\"', b'"', b"\\u0000", b"[", b'"[', b'{"a":', b"a", b"\xff"]
)
@pytest.mark.parametrize("start", [b"", b'"', BRACKETS + b'"'])
def test_a_megabyte_of_anything_that_is_not_json_is_refused(root, start, unit):
    caller, _ = root
    body = start + unit * ((MAX_BODY - len(start)) // len(unit))
    assert caller.send("POST", "/Role", body).status_code == 400


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_ten_thousand_levels_are_refused(root, bracket):
    caller, service = root
    for answer in (
        caller.send("POST", "/Role", bracket * 10_000),
        service.send("POST", "/bundles", bracket * 10_000),
    ):
        assert answer.status_code == 400
        assert "nested" in answer.get_json()["detail"]


def test_the_deepest_levels_are_read_and_one_more_is_not(root):
    caller, _ = root
    for depth, status in ((MAX_JSON_DEPTH, 200), (MAX_JSON_DEPTH + 1, 400)):
        body = b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1)
        assert caller.send("POST", "/Role", body).status_code == status


def test_brackets_inside_text_are_no_levels(root):
    caller, _ = root
    for text in ("[" * 200, '"[' * 200, "\\" + "[" * 200):
        body = json.dumps({"name": text, "list": [[]] * 100}).encode()
        assert caller.send("POST", "/Role", body).status_code == 200


def test_a_nul_character_is_refused(root):
    caller, _ = root
    for body in (b'{"a":"\\u0000"}', b'{"a":"\\\\\\u0000"}'):
        answer = caller.send("POST", "/Role", body)
        assert answer.status_code == 400
        assert "NUL" in answer.get_json()["detail"]
    assert caller.send("POST", "/Role", b'{"a":"\\\\u0000"}').status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x+json"])
def test_the_media_type_lets_nothing_past(root, kind):
    caller, _ = root
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": kind}
    for body in (b"[" * 100, b'{"a":"\\u0000"}'):
        answer = caller.browser.post("/api/Role", data=body, headers=headers)
        assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/connect/token", "/connect/introspect", "/connect/authorize"])
def test_endpoints_that_take_forms_do_not_look_at_json(client, path):
    for body in (b"[" * 100, b'{"a":"\\u0000"}', BRACKETS + b'"' + b'\\"' * 400_000):
        answer = client.post(path, data=body, content_type="application/json")
        assert answer.status_code == 400
        assert "form-urlencoded" in answer.get_data(as_text=True)


def test_json_is_looked_at_after_the_token(client):
    answer = client.post("/api/Role", data=b"[" * 100, content_type="application/json")
    assert answer.status_code == 401


def test_a_refusal_is_no_larger_than_what_it_refuses(root):
    # Each wrong member is named with all that it stands in.
    _, service = root
    codes = {"x" * 20_000: [0] * 400, "y": [0] * 400}
    body = json.dumps({"1": {"rolePrivilegeMap": codes}}).encode()
    for version in ("", "/v2"):
        answer = service.send("POST", f"{version}/tenants/apps/privileges/resources", body)
        content = answer.get_json()
        errors = content.get("errors") or content["extra"]["errors"]
        assert 0 < len(errors) <= MOST_MESSAGES
        assert all("rolePrivilegeMap" in name for name in errors)
        assert len(answer.data) < len(body)
