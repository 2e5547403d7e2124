"""Refusals in the visitor's language.

Services raise English sentences and mark with `N_` those that pages show; `make translations`
collects them for the catalogues. A sentence without a translation is shown as it is.
"""

from __future__ import annotations

from flask_babel import gettext, ngettext

from idp.directory.registration.codes import Wait
from idp.platform.errors import Busy, Problem, TooManyRequests
from idp.platform.translation import Filled


def translate(text: str) -> str:
    """Return a marked sentence in the visitor's language; unlike `_` in templates, unescaped."""
    if isinstance(text, Filled):
        values = {
            name: translate(value) if isinstance(value, Filled) else value
            for name, value in text.values.items()
        }
        filled: str = gettext(text.template, **values)
        return filled
    translated: str = gettext(text)
    sentence, colon, name = text.partition(": ")
    if translated == text and colon:  # "Missing parameter: client_id"
        return f"{gettext(sentence)}: {name}"
    return translated


def reasons(problem: Problem) -> list[str]:
    """List why something was refused, one sentence each."""
    texts = [text for texts in problem.fields.values() for text in texts]
    return [translate(text) for text in texts or [problem.detail]]


def retry_message(refusal: TooManyRequests | Busy) -> str:
    """Return when to try again, and whether the cause is the visitor's attempts or the load."""
    if isinstance(refusal, Busy):
        return translate(refusal.detail)
    return wait_message(refusal.retry_after)


def send_refusal(wait: Wait) -> str:
    """Return why no further code is sent to a visitor."""
    if wait.is_for_the_day:
        text: str = gettext("No more codes can be sent to you today. Please try again tomorrow.")
        return text
    return wait_message(wait.seconds)


def wait_message(seconds: int) -> str:
    """Return how long a visitor must wait after too many attempts."""
    text: str = ngettext(
        "Too many attempts. Please wait one second and try again.",
        "Too many attempts. Please wait %(num)s seconds and try again.",
        seconds,
    )
    return text
