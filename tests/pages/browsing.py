"""What tests of pages say often: fill a form in and send it, follow a flow to its page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from idp.directory.users import passwords
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests.protocol import App, authorize

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from idp.platform.runtime import Runtime
    from tests.conftest import IssuerClient, Message

_TOKEN = re.compile(r'name="csrf_token"\s+value="([^"]+)"')
_SHIFTING = re.compile(r'value="[^"]{60,}"|Request [0-9a-f]+')
HTML = {"Accept": "text/html"}


def csrf_token(page: TestResponse) -> str:
    """Read the token out of a page with a form."""
    found = _TOKEN.search(page.get_data(as_text=True))
    assert found, page.get_data(as_text=True)
    return found[1]


def submit(
    browser: IssuerClient, address: str, form: dict[str, Any], /, **options: Any
) -> TestResponse:
    """Open a page, fill its form in and send it to where it came from."""
    page = browser.get(address, headers=HTML)
    assert page.status_code == 200, (page.status_code, page.location)
    return send(browser, page, address, form, **options)


def send(
    browser: IssuerClient, page: TestResponse, address: str, form: dict[str, Any], **options: Any
) -> TestResponse:
    """Send the form of a page to an address."""
    data = {"csrf_token": csrf_token(page), **form}
    return browser.post(address, data=data, headers=HTML, **options)


def page_of_flow(browser: IssuerClient, app: App, path: str, **parameters: Any) -> str:
    """Start a flow; return the address of the page that it stops at, which must be this one."""
    answer = authorize(browser, app, **parameters)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    assert urlsplit(answer.location).path == path, answer.location
    return answer.location


def goes_on(answer: TestResponse, address: str) -> bool:
    """Return whether an answer leads back to the flow that a page's address belongs to."""
    here = parse_qs(urlsplit(address).query)["request"]
    there = urlsplit(answer.location)
    return answer.status_code == 303 and (there.path, parse_qs(there.query)) == (
        "/connect/authorize",
        {"continue": here},
    )


def readable(answer: TestResponse) -> str:
    """Return the text of a page without what differs from one time to the next."""
    return _SHIFTING.sub("", unescape(answer.get_data(as_text=True)))


@contextmanager
def crowd() -> Iterator[None]:
    """Have as many passwords hashed as may be at a time."""
    with ExitStack() as stack:
        for _ in range(passwords.CONCURRENT_HASHES + passwords.QUEUED_HASHES):
            stack.enter_context(passwords._admitted)
        yield


@pytest.fixture
def code(outbox: Callable[[], list[Message]]) -> Callable[..., str]:
    """Read the last code that was sent by mail or by text message."""

    def read(way: str = "mail") -> str:
        is_mail = way in {"mail", "email"}
        texts = [message.text for message in outbox() if ("@" in message.to) is is_mail]
        found = re.search(r"\b\d{6}\b", texts[-1])
        assert found, texts[-1]
        return found[0]

    return read


def events(session: Session, tag: Tag) -> list[AuditEvent]:
    """Read the audit trail."""
    return list(session.scalars(select(AuditEvent).where(AuditEvent.tag == tag)))


@contextmanager
def watched(runtime: Runtime) -> Iterator[list[str]]:
    """Collect the statements of the application, and its commits.

    Other than those that begin, and the one that comes once a second.
    """
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN") and "configuration_version" not in statement:
            seen.append(statement)

    def commit(_connection: Any) -> None:
        seen.append("COMMIT")

    event.listen(runtime.engine, "before_cursor_execute", note)
    event.listen(runtime.engine, "commit", commit)
    try:
        yield seen
    finally:
        event.remove(runtime.engine, "before_cursor_execute", note)
        event.remove(runtime.engine, "commit", commit)


def statements(runtime: Runtime, browser: IssuerClient, path: str, *tables: str) -> list[str]:
    """Open a page; return the statements that name one of the tables.

    Others may come at any time, because what is configured is read again when it has changed.
    """
    named = re.compile(rf"\b({'|'.join(tables)})\b")
    return [each for each, _ in sent(runtime, browser, path) if named.search(each)]


def sent(runtime: Runtime, browser: IssuerClient, path: str) -> list[tuple[str, Any]]:
    """Open a page; return its statements and their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(runtime.engine, "before_cursor_execute", note)
    try:
        assert browser.get(path).status_code == 200
    finally:
        event.remove(runtime.engine, "before_cursor_execute", note)
    return seen
