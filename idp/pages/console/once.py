"""Values that are shown once: carried to the next page in the browser's cookie, encrypted."""

from __future__ import annotations

import json

from flask import session as browser_session

from idp.pages.console.workspaces import Workspace
from idp.platform import clock
from idp.platform.secrets import UnknownKeyError
from idp.platform.web.views import current_runtime

PURPOSE = "shown once"
FIELD = "shown_once"
SECONDS = 120


def keep(
    workspace: Workspace, target: str, value: str, *, field: str = FIELD, seconds: int = SECONDS
) -> None:
    """Keep a new secret for the page that comes next in this browser, and for nobody else.

    The form is answered with a redirect, so that loading the page again creates no other secret.
    """
    until = int(clock.now().timestamp()) + seconds
    content = json.dumps([workspace.visitor.browser.id, target, until, value])
    browser_session[field] = current_runtime().keyring.encrypt(PURPOSE, content.encode())


def take(workspace: Workspace, target: str, *, field: str = FIELD) -> str | None:
    """Return what was kept for a page of this thing, which is then gone; None: nothing."""
    found = look(workspace, target, field=field)
    browser_session.pop(field, None)
    return found


def look(workspace: Workspace, target: str, *, field: str = FIELD) -> str | None:
    """Return what is kept for a page of this thing; None: nothing."""
    kept = browser_session.get(field)
    if kept is None:
        return None
    try:
        content = current_runtime().keyring.decrypt(PURPOSE, kept)
    except UnknownKeyError:
        return None
    session_id, of, until, value = json.loads(content)
    is_meant = session_id == workspace.visitor.browser.id and of == target
    return str(value) if is_meant and until > clock.now().timestamp() else None
