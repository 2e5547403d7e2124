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


def keep(workspace: Workspace, target: str, value: str) -> None:
    """Keep a new secret for the page that comes next in this browser, and for nobody else.

    The form is answered with a redirect, so that loading the page again creates no other secret.
    """
    until = int(clock.now().timestamp()) + SECONDS
    content = json.dumps([workspace.visitor.browser.id, target, until, value])
    browser_session[FIELD] = current_runtime().keyring.encrypt(PURPOSE, content.encode())


def take(workspace: Workspace, target: str) -> str | None:
    """Return what was kept for a page of this thing, which is then gone; None: nothing."""
    kept = browser_session.pop(FIELD, None)
    if kept is None:
        return None
    try:
        content = current_runtime().keyring.decrypt(PURPOSE, kept)
    except UnknownKeyError:
        return None
    session_id, of, until, value = json.loads(content)
    is_meant = session_id == workspace.visitor.browser.id and of == target
    return str(value) if is_meant and until > clock.now().timestamp() else None
