"""What tests of the Authorization Center say often: who calls, and a call."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from idp.directory.bundles.models import Bundle
from idp.directory.clients import service as clients
from idp.directory.clients import snapshot
from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.oauth import operator_tokens
from idp.platform.db import Base
from tests import protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from werkzeug.test import TestResponse

    from tests.conftest import IssuerClient

TOOL = "tool"
"""Client that the callers use; it may have whatever scopes their tokens ask for."""


@dataclass(frozen=True)
class File:
    """The body of an operation that takes a file."""

    content: bytes
    name: str = "any"


@dataclass(frozen=True)
class Caller:
    """A caller with a token (or without one)."""

    browser: IssuerClient
    user: User
    token: str | None

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        prefix: str = "/api",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> TestResponse:
        """Call an operation; a body of bytes is sent as it is."""
        options: dict[str, Any] = {"query_string": query, "headers": {**(headers or {})}}
        if isinstance(body, File):
            form = {"value": (BytesIO(body.content), body.name)}
            options |= {"data": form, "content_type": "multipart/form-data"}
        elif isinstance(body, bytes):
            options |= {"data": body, "content_type": "application/json"}
        elif body is not None:
            options["json"] = body
        if self.token is not None:
            options["headers"] |= protocol.bearer(self.token)
        return self.browser.open(prefix + path, method=method, **options)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Call an operation and give the envelope of its answer."""
        answer = self.send(method, path, body, **query)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        content: dict[str, Any] = answer.get_json()
        return content

    def data(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call an operation that succeeds and give its data."""
        content = self.call(method, path, body, **query)
        assert content["code"] == 200, content
        return content["data"]

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """Call an operation that refuses the input; return its refused fields with messages."""
        content = self.call(method, path, body, **query)
        assert (content["code"], content["codeName"]) == (422, "UnprocessableEntity"), content
        fields: dict[str, Any] = json.loads(content["message"])
        return fields

    def misses(self, method: str, path: str, body: Any = None) -> bool:
        """Return whether an operation answers that there is no such thing."""
        content = self.call(method, path, body)
        return (content["code"], content["codeName"], content["data"]) == (404, "NotFound", None)


def token_for(
    session: Session, user: User, scopes: Sequence[str] = ("ids4.ms.all",), tenant_id: int = 1
) -> str:
    """Make an access token of the tool for a person."""
    tool = clients.find(session, TOOL)
    if tool is None:
        protocol.register(session, TOOL, scopes=("openid", *scopes))
    else:
        # Only what is asked for: a client with all scopes takes a while to write and to read.
        held = [row.scope for row in tool.scopes]
        if not set(scopes) <= set(held):
            clients.set_scopes(session, tool, [*held, *scopes])
            session.commit()
    client = snapshot.find(session, TOOL)
    assert client is not None
    token = operator_tokens.issue_by_command(session, client, user, tenant_id, scopes)
    session.commit()
    return token


def administrator(
    browser: IssuerClient,
    session: Session,
    username: str = "root",
    *,
    scopes: Sequence[str] = ("ids4.ms.all",),
) -> Caller:
    """Add an administrator of the platform who calls in tenant 1."""
    user = protocol.add_person(session, username)
    protocol.add_role(session, user, "administrators", tenant_id=None)
    return Caller(browser, user, token_for(session, user, scopes))


def manager(
    browser: IssuerClient,
    session: Session,
    *permissions: str,
    username: str = "mary",
    tenant_id: int = 1,
    scopes: Sequence[str] = ("ids4.ms.all",),
) -> Caller:
    """Add a member of a tenant who holds permissions there and calls there."""
    user = protocol.add_person(session, username, tenant_ids=[tenant_id])
    for permission in permissions:
        protocol.grant_directly(session, user, permission, tenant_id=tenant_id)
    return Caller(browser, user, token_for(session, user, scopes, tenant_id))


def limit(session: Session, tenant_id: int, *codes: str) -> None:
    """Set the bundle of a tenant to these privileges and no others."""
    role = {"code": "any", "name": "Any", "privilegeCodes": codes}
    ability = json.dumps({"roles": [role], "adminRoleCodes": []})
    session.add(Bundle(code="small", name="Small", tenant_type_code="shop", ability=ability))
    session.get_one(Tenant, tenant_id).bundle_code = "small"
    session.commit()


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def whole_database(session: Session) -> dict[str, list[str]]:
    """Read every row of every table, to compare before and after.

    The rows are those that the driver reads: to make objects of them takes ten times as long.
    """
    session.rollback()
    connection = session.connection().connection
    found = {}
    with contextlib.closing(connection.cursor()) as cursor:
        for table in Base.metadata.sorted_tables:
            cursor.execute(f'SELECT * FROM "{table.name}"')
            found[table.name] = sorted(map(repr, cursor.fetchall()))
    return found
