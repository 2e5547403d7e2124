"""What an error page is called, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from idp.pages import messages, return_path
from idp.pages.visitor import current_visitor
from idp.platform.errors import Problem

HOME = "/account"

SOMEONE_ELSE = "signed_in_as_someone_else"
_OF_A_FORM = frozenset({"form_expired", "form_from_elsewhere", "form_without_cookie"})

_HEADINGS = {
    SOMEONE_ELSE: lazy_gettext("You are now signed in as someone else"),
    "form_expired": lazy_gettext("This page has expired"),
    "form_from_elsewhere": lazy_gettext("This form was not accepted"),
    "form_without_cookie": lazy_gettext("This page has expired"),
}
"""By the code of the problem."""


@dataclass(frozen=True, slots=True)
class Way:
    """A link that helps."""

    label: str
    href: str


def heading(problem: Problem) -> str:
    """Return the first line of an error page, in the visitor's language."""
    known = _HEADINGS.get(problem.code)
    return str(known) if known is not None else messages.say(problem.title)


def way_on(problem: Problem) -> Way | None:
    """Return where to go after a problem; None where there is nothing better than waiting."""
    if problem.code == SOMEONE_ELSE:
        visitor = current_visitor()
        if visitor is not None:
            name = visitor.user.nick_name or visitor.user.username
            return Way(_("Continue as %(name)s", name=name), _page_of_form())
    if problem.code in _OF_A_FORM:
        return Way(_("Open the page again"), _page_of_form())
    if problem.status == 404:  # noqa: PLR2004
        return Way(_("To your account"), HOME)
    return None


def _page_of_form() -> str:
    """Return the address of the page whose form was sent."""
    router = current_app.create_url_adapter(request)
    if router is not None and router.test(request.path, method="GET"):
        return return_path.parse(request.full_path.rstrip("?")) or HOME
    sent_from = urlsplit(request.headers.get("Referer", ""))
    return return_path.parse(f"{sent_from.path}?{sent_from.query}".rstrip("?")) or HOME
