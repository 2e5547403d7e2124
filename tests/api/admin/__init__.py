"""What tests of our own API say often: a call that is answered, and one that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.api import center

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from werkzeug.test import TestResponse

    from tests.api.center import Caller
    from tests.conftest import IssuerClient

PREFIX = "/admin/v1"


def send(caller: Caller, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
    """Call an operation."""
    return caller.send(method, path, body, prefix=PREFIX, **query)


def data(caller: Caller, method: str, path: str, body: Any = None, **query: Any) -> Any:
    """Call an operation that succeeds and give what it answers."""
    answer = send(caller, method, path, body, **query)
    assert answer.status_code in {200, 201}, answer.get_data(as_text=True)
    assert answer.content_type == "application/json"
    return answer.get_json()


def refused(
    caller: Caller, method: str, path: str, body: Any = None, **query: Any
) -> tuple[int, dict[str, list[str]]]:
    """Call an operation that refuses; return the status, and the invalid fields with messages."""
    answer = send(caller, method, path, body, **query)
    content = answer.get_json()
    assert answer.content_type == "application/problem+json", content
    assert answer.status_code == content["status"]
    assert "errors" not in content
    return answer.status_code, content.get("fields", {})


def pages(caller: Caller, path: str, **query: Any) -> list[list[Any]]:
    """Read a list to its end, page by page."""
    found = []
    after: dict[str, str] = {}
    while True:
        answer = data(caller, "GET", path, **{**query, **after})
        assert answer.keys() == {"items", "next"}
        found.append(answer["items"])
        if answer["next"] is None:
            return found
        after = {"after": answer["next"]}


def root(browser: IssuerClient, session: Session) -> Caller:
    """Add an administrator of the platform."""
    return center.administrator(browser, session, scopes=["ids4.ms.admin.all"])


def make_pem() -> str:
    """Make a private key as a file has it."""
    private = ec.generate_private_key(ec.SECP256R1())
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
