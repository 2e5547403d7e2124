"""Values that are shown once: carried to the next page in the browser's cookie, encrypted."""

from __future__ import annotations

import json

from flask import session as browser_session

from idp.platform import clock
from idp.platform.secrets import UnknownKeyError
from idp.platform.web.views import current_runtime

PURPOSE = "shown once"
FIELD = "shown_once"
SECONDS = 120


def keep(
    owner: str, target: str, value: str, *, field: str = FIELD, seconds: int = SECONDS
) -> None:
    """Keep a value for the page that comes next in this browser, and for nobody else.

    The form is answered with a redirect, so that loading the page again creates no other secret.
    `owner` names the sign-in in which it is shown, `target` the thing that it belongs to.
    """
    until = int(clock.now().timestamp()) + seconds
    content = json.dumps([owner, target, until, value])
    browser_session[field] = current_runtime().keyring.encrypt(PURPOSE, content.encode())


def take(owner: str, target: str, *, field: str = FIELD) -> str | None:
    """Return what was kept for a page of this thing, which is then gone; None: nothing."""
    found = look(owner, target, field=field)
    browser_session.pop(field, None)
    return found


def look(owner: str, target: str, *, field: str = FIELD) -> str | None:
    """Return what is kept for a page of this thing; None: nothing."""
    kept = browser_session.get(field)
    if kept is None:
        return None
    try:
        content = current_runtime().keyring.decrypt(PURPOSE, kept)
    except UnknownKeyError:
        return None
    kept_for, of, until, value = json.loads(content)
    is_meant = kept_for == owner and of == target
    return str(value) if is_meant and until > clock.now().timestamp() else None
