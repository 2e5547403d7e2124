"""What every operation of the Authorization Center does alike."""

from __future__ import annotations

import json

import pytest

from idp.directory.clients import management
from tests.api import center

SECRET = "host=db password=hunter2"


@pytest.fixture
def root(client, session):
    return center.administrator(client, session)


def test_an_unexpected_failure_tells_nothing(root, monkeypatch):
    """The old system sent the text of the exception to the caller."""

    def fail(*_args, **_kwargs):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(management, "list_query", fail)
    for path in ("/Client", "/Client/1"):
        answer = root.send("GET", path)
        content = answer.get_json()
        assert answer.status_code == 200
        assert (content["code"], content["codeName"]) == (417, "ExpectationFailed")
        assert not content["data"]
        assert "hunter2" not in answer.get_data(as_text=True)
        assert content["message"]


@pytest.mark.parametrize(
    "path", ["/ApiResource", "/Client", "/IdentityResource", "/Tenant", "/User"]
)
def test_a_refused_list_names_its_code(root, path):
    """The old system called it `Status200OK`."""
    content = root.call("GET", path, take=0, skip=-1)
    assert (content["code"], content["codeName"]) == (422, "UnprocessableEntity")
    assert content["data"] == []
    assert set(json.loads(content["message"])) == {"take", "skip"}


def test_a_message_is_in_the_callers_language(root, client):
    chinese = root.call("GET", "/Client/999")["message"]
    english = root.call("GET", "/Client/999", culture="en-US")["message"]
    assert english.isascii()
    assert not chinese.isascii()
    assert root.call("GET", "/Client/999", culture="zh-CN")["message"] == chinese
    for name, value in (("culture", "en-US"), (".AspNetCore.Culture", "c=en-US|uic=en-US")):
        client.set_cookie(name, value, domain="127.0.0.1")
        assert root.call("GET", "/Client/999")["message"] == english
        # What the address says comes first.
        assert root.call("GET", "/Client/999", culture="zh")["message"] == chinese
        client.delete_cookie(name, domain="127.0.0.1")
    headers = {"Authorization": f"Bearer {root.token}", "Accept-Language": "en;q=0.9, zh;q=0.1"}
    answer = client.get("/api/Client/999", headers=headers)
    assert answer.get_json()["message"] == english


def test_no_cache_keeps_what_managers_read(root):
    for path in ("/Client", "/User", "/Tenant", "/Role", "/ApiResource", "/IdentityResource"):
        assert root.send("GET", path).headers["Cache-Control"] == "no-store"
