"""The heading of an error page, and its links."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import current_app, request
from flask_babel import gettext as _

from idp.directory.clients.snapshot import ClientView
from idp.oauth import pending
from idp.pages import language, messages, return_path
from idp.pages.visitor import current_visitor
from idp.platform.errors import Problem
from idp.platform.issuer import Issuer
from idp.platform.translation import N_
from idp.platform.web.views import database, find_current_issuer

HOME = "/account"

SOMEONE_ELSE = "signed_in_as_someone_else"
EXPIRED = "request_expired"
AUTHORIZE = "/connect/authorize"
_OF_A_FORM = frozenset({"form_expired", "form_from_elsewhere", "form_without_cookie"})

_BY_CODE = {
    SOMEONE_ELSE: N_("You are now signed in as someone else"),
    EXPIRED: N_("This page has expired"),
    "form_expired": N_("This page has expired"),
    "form_without_cookie": N_("This page has expired"),
    "form_from_elsewhere": N_("This form was not accepted"),
}
_BY_STATUS = {
    400: N_("Something is wrong with this link"),
    404: N_("Page not found"),
    405: N_("Method not allowed"),
    413: N_("Too much data"),
    500: N_("Something went wrong"),
}


@dataclass(frozen=True, slots=True)
class Link:
    """A link on an error page."""

    label: str
    href: str


def heading(problem: Problem) -> str:
    """Return the first line of an error page, in the visitor's language."""
    known = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status)
    return messages.translate(known or problem.title)


def next_links(problem: Problem) -> list[Link]:
    """List links that help after a problem, the best first."""
    account = Link(_("Go to your account"), HOME)
    if problem.code == SOMEONE_ELSE:
        visitor = current_visitor()
        if visitor is not None:
            name = visitor.user.nick_name or visitor.user.username
            return [Link(_("Continue as %(name)s", name=name), page_of_form())]
    if problem.code in _OF_A_FORM:
        return [Link(_("Open the page again"), page_of_form())]
    if problem.code == EXPIRED or request.path == AUTHORIZE:
        return [*_back_to_application(), account]
    return [account] if problem.status in {400, 403, 404, 405, 409} else []


def _back_to_application() -> list[Link]:
    """Return a link to the web page of the application that a refused request is of, if it has one.

    It is the page that was registered, never an address in the request.
    """
    issuer = find_current_issuer()
    client = None if issuer is None else _requesting_client(issuer)
    home = None if client is None else web_address(client.client_uri)
    if client is None or home is None:
        return []
    return [Link(_("Back to %(name)s", name=client.name), home)]


def _requesting_client(issuer: Issuer) -> ClientView | None:
    """Return the application of a pending request, or the one named in a new request."""
    handle = request.args.get(language.HANDLE) or request.args.get(pending.CONTINUE)
    if handle:
        return pending.find_client(database(), issuer, handle)
    client_id = request.values.get("client_id")
    if request.path != AUTHORIZE or not client_id or not client_id.isprintable():
        return None
    return pending.find_served_client(database(), issuer, client_id)


def web_address(uri: str | None) -> str | None:
    """Return an external address for a link; None unless it is http or https."""
    return uri if uri and uri.lower().startswith(("https://", "http://")) else None


def page_of_form() -> str:
    """Return the address of the page whose form was sent."""
    router = current_app.create_url_adapter(request)
    if router is not None and router.test(request.path, method="GET"):
        return return_path.parse(request.full_path.rstrip("?")) or HOME
    sent_from = urlsplit(request.headers.get("Referer", ""))
    return return_path.parse(f"{sent_from.path}?{sent_from.query}".rstrip("?")) or HOME
