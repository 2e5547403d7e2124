"""`idp explain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from idp.cli import main
from idp.config import Settings
from tests import protocol
from tests.conftest import as_environment

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def scene(session: Session) -> int:
    """Make an API, a client and a person with a role."""
    api = protocol.add_api(session)
    protocol.register(session, scopes=("openid", "orders.read"))
    protocol.register_machine(session, scopes=["orders.read"])
    user = protocol.add_person(session)
    protocol.add_role(session, user, "clerk", ["orders.read"], api=api)
    return user.id


def test_a_token_is_explained(idp_json: Callable[..., Any], scene: int) -> None:
    found = idp_json("explain", "--user", "ann", "--client", "web", "--scope", "openid orders.read")
    assert found["access_token"]["claims"]["sub"] == str(scene)
    (line,) = [line for line in found["permissions"] if line["code"] == "orders.read"]
    assert line["present"] is True
    assert line["reasons"] == [
        {"code": "role", "subject": "clerk", "text": "The role clerk has it."}
    ]


def test_it_is_written_for_people_too(idp: Run) -> None:
    written = idp("explain", "--user", "ann", "--client", "web", "--scope", "orders.read").stdout
    assert "  + orders.read: The role clerk has it." in written
    assert "audience: orders" in written


def test_a_client_by_itself_is_explained(idp_json: Callable[..., Any]) -> None:
    found = idp_json("explain", "--client", "machine")
    assert found["grant_type"] == "client_credentials"
    assert found["access_token"]["claims"]["scope"] == "orders.read"


def test_a_refused_request_is_explained(idp: Run, client: Any) -> None:
    form = {"grant_type": "client_credentials", "client_id": "machine", "client_secret": "no"}
    answer = client.post("/connect/token", data=form)
    written = idp("explain", "--request", answer.headers["X-Request-Id"]).stdout
    assert "refused: invalid_client" in written
    assert "rule: RFC 6749 2.3, 5.2" in written
    assert "reason: client_secret_post failed" in written


def test_a_token_is_read_from_standard_input(idp: Run, settings: Settings) -> None:
    token = idp("token", "--user", "ann", "--client", "web", "--scope", "orders.read").stdout
    for text, expected in ((token, "active: true"), ("x" * 1_000_000, "form failed")):
        result = CliRunner().invoke(
            main, ["explain", "--token", "-"], input=text, env=as_environment(settings)
        )
        assert result.exit_code == 0, result.output
        assert expected in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Name one of --client, --request and --token."),
        (("--client", "web", "--request", "a"), 2, "Name one of"),
        (("--request", "a", "--user", "ann"), 2, "take no further options"),
        (("--token", "eyJ"), 2, "Invalid value for '--token'"),
        (("--client", "none"), 1, "There is no such client."),
        (("--client", "web", "--user", "none"), 1, "There is no user none."),
        (("--request", "none"), 1, "No refusal is kept for this request."),
    ],
)
def test_what_cannot_be_explained_is_said(
    idp: Run, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert message in idp("explain", *arguments, code=code).stderr
