"""What tests of the user service say often: who calls, a call, and what both versions answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from idp.api.userservice.codes import Code
from tests import protocol
from tests.api import center

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session
    from werkzeug.test import TestResponse

    from tests.conftest import IssuerClient


@dataclass(frozen=True)
class Service:
    """The user service, as a caller with a token (or without one) uses it."""

    browser: IssuerClient
    token: str | None
    user_id: int | None = None
    end_user: str | None = None
    """Address of the person whom a machine acts for, as it hands it on."""

    def acting_for(self, address: str) -> Service:
        """Call for a person at an address."""
        return replace(self, end_user=address)

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
        """Call an operation by V1, or by V2 where the path begins with `/v2`."""
        options: dict[str, Any] = {"query_string": query}
        if isinstance(body, bytes):
            options |= {"data": body, "content_type": "application/json"}
        elif body is not None:
            options["json"] = body
        headers = {} if self.token is None else protocol.bearer(self.token)
        if self.end_user is not None:
            headers["End-User-Address"] = self.end_user
        options["headers"] = headers
        return self.browser.open(f"/user{path}", method=method, **options)

    def data(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call an operation of V1 that succeeds and give its value."""
        answer = self.send(method, path, body, **query)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()

    def refused(
        self, method: str, path: str, body: Any = None, **query: Any
    ) -> tuple[int, str, list[str]]:
        """Call an operation of V1 that refuses; return status, code and the wrong fields."""
        answer = self.send(method, path, body, **query)
        content = answer.get_json()
        assert answer.content_type == "application/problem+json", content
        assert answer.status_code == content["status"]
        return answer.status_code, content["code"], sorted(content.get("errors", {}))

    def second(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Call an operation of V2 and give the envelope, which must be one."""
        return envelope(self.send(method, f"/v2{path}", body, **query))

    def code(self, method: str, path: str, body: Any = None, **query: Any) -> Code:
        """Call an operation of V2 and tell the code that it answers with."""
        number = self.second(method, path, body, **query)["code"]
        return next(code for code in Code if code.number == number)


def envelope(answer: TestResponse) -> dict[str, Any]:
    """Read an `R` and hold it to its rules."""
    content: dict[str, Any] = answer.get_json()
    members = ("code", "data", "extra", "isError", "isSuccess", "msg", "path", "timestamp")
    assert sorted(content) == sorted(members)
    assert content["isSuccess"] is (content["code"] == 0)
    assert content["isError"] is not content["isSuccess"]
    assert content["path"] == answer.request.path
    assert re.fullmatch(r"\d{13}", str(content["timestamp"]))
    business = content["code"] == 0 or content["code"] >= 10_000
    assert answer.status_code == (200 if business else content["code"])
    assert isinstance(content["extra"], dict)
    assert content["msg"]
    return content


def administrator(browser: IssuerClient, session: Session, username: str = "root") -> Service:
    """Add an administrator of the platform, and call as that one."""
    caller = center.administrator(browser, session, username)
    return Service(browser, caller.token, caller.user.id)


def member(
    browser: IssuerClient,
    session: Session,
    *permissions: str,
    tenant_id: int,
    username: str = "mary",
    scopes: Sequence[str] = ("ids4.ms.all",),
) -> Service:
    """Add a member of a tenant who holds permissions there, and call as that one."""
    caller = center.manager(
        browser, session, *permissions, username=username, tenant_id=tenant_id, scopes=scopes
    )
    return Service(browser, caller.token, caller.user.id)


def machine(
    browser: IssuerClient,
    session: Session,
    client_id: str = "robot",
    *,
    tenant_id: int | None = None,
    scopes: Sequence[str] = ("ids4.ms.us.all",),
) -> Service:
    """Register a machine of the platform or of a tenant, and call as it."""
    robot = protocol.register_machine(session, client_id, scopes, tenant_id=tenant_id)
    answer = protocol.machine_token(browser, robot)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Service(browser, answer.get_json()["access_token"])
