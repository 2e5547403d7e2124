"""What services say, in the visitor's language.

Services speak English. The sentences that pages hand on are listed here, so that the catalogues
have them; one that is missing is shown as it is.
"""

from __future__ import annotations

from flask_babel import gettext, lazy_gettext, ngettext

from idp.platform.errors import Problem

KNOWN = (
    # idp.directory.users.passwords
    lazy_gettext("The password needs 8 characters or more."),
    lazy_gettext("The password has 128 characters at most."),
    lazy_gettext("The password has no control characters."),
    lazy_gettext("This password is among the commonest ones."),
    lazy_gettext("The password is not the user's own name."),
    lazy_gettext("Too many sign-ins at once; please try again in a moment."),
)


def reasons(problem: Problem) -> list[str]:
    """List why something was refused, one sentence each."""
    told = [text for texts in problem.fields.values() for text in texts] or [problem.detail]
    return [gettext(text) for text in told]


def wait_message(seconds: int) -> str:
    """Tell a visitor who tried too often how long to wait."""
    text: str = ngettext(
        "Too many tries. Please wait one second and try again.",
        "Too many tries. Please wait %(num)s seconds and try again.",
        seconds,
    )
    return text
