"""Labels for issues at GitHub, one for each operation of an API, so that issues can name it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import orjson

from idp.publishing.codegen.npm import RefusedError, UnreachableError

MAX_LABELS = 1000
SECONDS = 120.0
LONGEST_NAME = 50
"""Of a label at GitHub."""

_PER_PAGE = 100
_COLOUR = "ededed"
_MAX_ANSWER = 1024 * 1024
_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at GitHub's REST API, and the token for it."""

    api_url: str
    owner: str
    repo: str
    token: str
    user_agent: str


def sync(repository: Repository, names: Iterable[str]) -> str:
    """Create missing labels and leave existing ones; return a line for the log."""
    labels = list(dict.fromkeys(name[:LONGEST_NAME] for name in names))[:MAX_LABELS]
    deadline = time.monotonic() + SECONDS
    there: set[str] = set()
    for page in range(1, MAX_LABELS // _PER_PAGE + 2):
        listed = _call(repository, "GET", f"?per_page={_PER_PAGE}&page={page}", None, deadline)
        found = {str(row.get("name")).lower() for row in listed} if listed else set()
        there |= found
        if len(found) < _PER_PAGE:
            break
    # GitHub ignores the case of labels.
    missing = [name for name in labels if name.lower() not in there]
    for name in missing:
        _call(repository, "POST", "", {"name": name, "color": _COLOUR}, deadline)
    return f"{len(missing)} labels were created.\n"


def _call(
    repository: Repository, method: str, query: str, body: Any, deadline: float
) -> list[dict[str, Any]] | None:
    """Send a request to GitHub; None where the answer has no list."""
    parts = urlsplit(repository.api_url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = f"{parts.path.rstrip('/')}/repos/{repository.owner}/{repository.repo}/labels{query}"
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {repository.token}",
        "User-Agent": repository.user_agent,
    }
    if time.monotonic() > deadline:
        raise UnreachableError("Creating labels took too long; the next attempt continues.", "")
    connection = kind(parts.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        # Redirects are not followed: they would take the token along.
        connection.request(method, path, None if body is None else orjson.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read(_MAX_ANSWER)
    except (OSError, http.client.HTTPException):
        raise UnreachableError("GitHub's labels could not be used.", "") from None
    finally:
        connection.close()
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return _rows(content)
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and method == "POST":
        return None  # another process created it meanwhile
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        raise RefusedError("GitHub refused the token or the repository.", f"HTTP {answer.status}\n")
    raise UnreachableError("GitHub's labels could not be used.", f"HTTP {answer.status}\n")


def _rows(content: bytes) -> list[dict[str, Any]] | None:
    try:
        rows = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None
