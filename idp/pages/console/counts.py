"""Numbers that a person has seen and confirmed."""

from __future__ import annotations

from flask import request

from idp.account import live_access
from idp.platform.errors import BadRequest
from idp.platform.translation import N_


def confirmed() -> int:
    """Return the number that was shown before it was confirmed; no more than that are ended."""
    text = request.form.get("count", "")
    if not (text.isascii() and text.isdigit()):
        raise BadRequest.at("count", N_("This form was not accepted"))
    return min(int(text[:9]), live_access.MOST_ENDED)
