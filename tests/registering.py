"""Clients that register themselves, as tests send them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from idp.directory.actor import OPERATOR
from idp.directory.clients import registration_tokens
from idp.directory.clients.models import StrangerPolicy
from idp.directory.clients.registration_tokens import NewToken, Policy
from tests.protocol import CALLBACK, App, bearer

REGISTER = "/connect/register"


def let_in(session: Session, mode: str = "any", tenant_id: int = 1, **values: Any) -> None:
    """Set which clients an issuer lets in."""
    query = select(StrangerPolicy).where(StrangerPolicy.tenant_id == tenant_id)
    row = session.scalar(query) or StrangerPolicy(tenant_id=tenant_id)
    row.clients_by_registration = mode
    for name, value in values.items():
        setattr(row, name, value)
    session.add(row)
    session.commit()


def wait_until_open(url: str) -> None:
    """Wait until a server has heard that no token is needed; no client is registered."""
    for _ in range(100):
        if httpx.post(f"{url}{REGISTER}", json={}).status_code != HTTPStatus.UNAUTHORIZED:
            return
        time.sleep(0.1)
    pytest.fail("registration is not open")


def initial_token(session: Session, tenant_id: int | None = None, **options: Any) -> str:
    """Issue an initial access token; options of the policy, `uses` and `expires_at`."""
    own = {name: options.pop(name) for name in ("uses", "expires_at") if name in options}
    new = NewToken(Policy(**options), **own)
    _, token = registration_tokens.issue(session, OPERATOR, tenant_id, new)
    session.commit()
    return token


def metadata(**members: Any) -> dict[str, Any]:
    """Return what a usual web client sends; None leaves a member out."""
    usual = {"client_name": "Chess", "redirect_uris": [CALLBACK], **members}
    return {name: value for name, value in usual.items() if value is not None}


def send(browser: Any, token: str | None = None, **members: Any) -> TestResponse:
    """Register a client, and return the answer whatever it is."""
    headers = bearer(token) if token else {}
    answer: TestResponse = browser.post(REGISTER, json=metadata(**members), headers=headers)
    return answer


def enrol(browser: Any, token: str | None = None, **members: Any) -> dict[str, Any]:
    """Register a client and return what it is answered."""
    answer = send(browser, token, **members)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    body: dict[str, Any] = answer.get_json()
    return body


def manage(
    browser: Any, method: str, made: dict[str, Any], token: str | None = None, **options: Any
) -> TestResponse:
    """Send a request for a registered client, by default with its own token."""
    parts = urlsplit(made["registration_client_uri"])
    own = made["registration_access_token"] if token is None else token
    answer: TestResponse = browser.open(
        f"{parts.path}?{parts.query}", method=method, headers=bearer(own), **options
    )
    return answer


def replace(browser: Any, made: dict[str, Any], **members: Any) -> TestResponse:
    """Replace the metadata of a client."""
    body = metadata(client_id=made["client_id"], **members)
    return manage(browser, "PUT", made, json=body)


def refused(answer: TestResponse, error: str, name: str = "", status: int = 400) -> bool:
    """Check a refusal: its error, and the member that it names."""
    body = answer.get_json()
    assert (answer.status_code, body["error"]) == (status, error), body
    assert name in body["error_description"], body
    return True


def app_of(made: dict[str, Any]) -> App:
    """Return a registered client as other helpers take it."""
    return App(made["client_id"], made.get("client_secret"), 0)


@contextmanager
def documents(port: int, pages: dict[str, Any]) -> Iterator[list[str]]:
    """Serve JSON documents by their paths; the value is the list of paths that were asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = orjson.dumps(pages.get(self.path))
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
