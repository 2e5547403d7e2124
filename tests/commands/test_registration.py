"""`idp registration`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.registering import enrol, send

pytestmark = pytest.mark.no_database

Run = Callable[..., Result]
RunJson = Callable[..., Any]
TOKEN = ("registration", "token")


def test_a_token_is_issued_listed_and_revoked(
    idp_json: RunJson, session: Session, client: FlaskClient
) -> None:
    made = idp_json(
        *(*TOKEN, "add", "--uses", "2", "--days", "30", "--scope", "openid email"),
        *("--redirect-host", "app.example", "--method", "client_secret_post", "--trusted"),
    )
    assert (made["uses_left"], made["trusted"], made["state"]) == (2, True, "active")
    registered = enrol(client, made["token"], token_endpoint_auth_method="client_secret_post")
    assert registered["scope"] == "openid email"
    (listed,) = idp_json(*TOKEN, "list")
    assert listed["uses_left"] == 1
    assert "token" not in listed
    assert idp_json(*TOKEN, "revoke", str(made["id"]))["state"] == "revoked"
    assert send(client, made["token"]).status_code == 401


WRONG = (
    (("--scope", "ids4.ms.all"), "management scopes"),
    (("--scope", "nothing"), "no scope"),
    (("--without-pkce",), "trusted"),
    (("--redirect-host", "https://x"), "host name"),
    (("--grant", "implicit"), "must be one of"),
    (("--statement-required",), "--statement-issuer"),
    (("--statement-issuer", "x"), "come together"),
    (("--tenant", "99"), "tenant"),
)


def test_a_policy_that_cannot_be_is_refused(idp: Run, session: Session) -> None:
    for options, reason in WRONG:
        assert reason in idp(*TOKEN, "add", *options, code=1).output
