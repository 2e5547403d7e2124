"""Whether a form may be taken: sent from here, by the browser and the person it was shown to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import orjson
from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    current_app,
    g,
    redirect,
    request,
    session,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from wtforms import ValidationError

from idp.platform import clock
from idp.platform.errors import BadRequest, Conflict
from idp.platform.secrets import UnknownKeyError
from idp.platform.translation import N_
from idp.platform.web import pages as error_pages
from idp.platform.web.views import current_runtime, current_visit
from idp.platform.web.visit import ENVIRON_KEY

if TYPE_CHECKING:
    from idp.platform.web.visit import Visit

EXTENSION = "idp.forms"
FIELD = "csrf_token"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OPAQUE = "null"
"""`Origin` of a page whose origin the browser does not tell (RFC 6454 7.3)."""
PURPOSE = "form person"
EXPIRED = "form_expired"
FOR_ANYONE = "is_for_anyone"
TYPED = "typed"
"""Key in the form cookie of what was typed into a form that expired, sealed."""
TYPED_PURPOSE = "typed into a form"
TYPED_SECONDS = 60
MOST_TYPED = 1200
"""Bytes: sealed and signed they take twice the room, and browsers keep cookies of 4,096."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Forms:
    """What the check needs of this application."""

    person: Callable[[], int | None]
    """Who is signed in with the browser of this request."""
    exempt: set[str] = field(default_factory=set)
    """Names of blueprints."""


class FormCookie(SecureCookieSessionInterface):
    """Flask's signed cookie, under a name of its own at each issuer; no sign-in depends on it."""

    def __init__(self) -> None:
        """Begin without a serializer: it is made of the settings, once."""
        self._serializer: Any = None

    def get_signing_serializer(self, app: Flask) -> Any:
        """Return what signs and checks the cookie; Flask would make it twice in every request."""
        if self._serializer is None:
            self._serializer = super().get_signing_serializer(app)
        return self._serializer

    def get_cookie_name(self, app: Flask) -> str:
        """Name the cookie after the issuer, because cookies ignore ports."""
        visit: Visit | None = request.environ.get(ENVIRON_KEY)
        issuer = visit.issuer if visit is not None else None
        name = f"idp_form_{issuer.tenant_id}" if issuer is not None else "idp_form"
        return f"__Host-{name}" if app.config["SESSION_COOKIE_SECURE"] else name

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie; without one there is no signature to prepare for."""
        if self.get_cookie_name(app) not in request.cookies:
            return self.session_class()
        return super().open_session(app, request)


def setup(app: Flask, person: Callable[[], int | None]) -> None:
    """Check every form before its view is called; `person` returns who is signed in."""
    app.session_interface = FormCookie()
    app.extensions[EXTENSION] = _Forms(person)
    app.add_template_global(token, FIELD)
    app.before_request(_check)
    app.after_request(_show_refusal)


def exempt(app: Flask, blueprint: Blueprint) -> None:
    """Exempt a blueprint and those nested in it: other sites post there, or bearers of tokens."""
    app.extensions[EXTENSION].exempt.add(blueprint.name)


def for_anyone(view: Callable[Given, Result]) -> Callable[Given, Result]:
    """Accept the form of a view whomever it was shown to: it names the person that it is about."""
    vars(view)[FOR_ANYONE] = True
    return view


def keep_typed(names: Iterable[str]) -> None:
    """Name fields of the page under way that are shown again when its form has expired.

    All others are forgotten: passwords, files, and whatever else nobody named.
    """
    g.setdefault("kept_fields", set()).update(names)


def typed() -> MultiDict[str, str] | None:
    """Return what was typed into the form of this page before it expired; None: nothing was.

    The page is shown with the reason then (`g.form_problem`).
    """
    if request.method == "GET" and "form_problem" not in g:
        _recall()
    found: MultiDict[str, str] | None = g.get("typed")
    return request.form if found is None and "form_problem" in g else found


def token() -> str:
    """Return what a form on the page under way carries in its field `csrf_token`.

    It names the browser by Flask-WTF's token and the person by a keyed hash, which is another one
    in every browser: a page says nothing about who it was shown to.
    """
    text: str = generate_csrf()
    person = _marked(_forms().person())
    return f"{text}~{current_runtime().keyring.mac(PURPOSE, person)}"


def browser_key() -> str:
    """Return what names this browser at this issuer: its form cookie, which is set if need be."""
    generate_csrf()
    return str(session[FIELD])


def _check() -> None:
    """Refuse a form that was not sent from a page of ours, or was shown to someone else."""
    forms = _forms()
    is_exempt = not forms.exempt.isdisjoint(request.blueprints)
    if request.method not in UNSAFE or not request.endpoint or is_exempt:
        return
    if not _is_from_here():
        message = N_("This form was sent from another site and was not accepted.")
        raise BadRequest(message, code="form_from_elsewhere")
    text, _, shown_to = request.form.get(FIELD, "").partition("~")
    try:
        validate_csrf(text)
    except ValidationError:
        problem = _expired()
        if not _show_again(problem):
            raise problem from None
        return
    person = forms.person()
    if person is None or vars(current_app.view_functions[request.endpoint]).get(FOR_ANYONE):
        return  # views that need a person ask for the sign-in themselves
    if not current_runtime().keyring.mac_matches(PURPOSE, _marked(person), shown_to):
        message = N_("This page was shown to another account. Nothing was sent or changed.")
        raise Conflict(message, code="signed_in_as_someone_else")


def _forms() -> _Forms:
    forms: _Forms = current_app.extensions[EXTENSION]
    return forms


def _marked(person: int | None) -> str:
    """Name a person, or none, in this one browser."""
    return f"{session[FIELD]}\0{'nobody' if person is None else person}"


def _is_from_here() -> bool:
    """Return whether the origin of the form is right, as far as the browser reports it.

    A browser that sends neither header is believed: its form still shows the token, and under
    https the cookie that the token belongs to has the prefix `__Host-`, so that neither another
    site nor an attacker on the network can have planted it. `Origin: null` is what a page in a
    sandbox sends, and a page that hides where it is; with it the `Referer` must be there.
    """
    visit = current_visit()
    here = f"{request.scheme}://{visit.host}"
    origin, referrer = request.headers.get("Origin"), request.headers.get("Referer")
    if referrer is not None and _origin_of(referrer) != here:
        return False
    if origin == OPAQUE:
        return referrer is not None
    return origin is None or origin.lower() == here


def _origin_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()


def _show_again(problem: BadRequest) -> bool:
    """Have the page of the form answer in place of what the form was for.

    Its own view makes it, as for a GET, which changes nothing; the forms of flask-wtf find in the
    request what was typed. Return False for a program, and where there is no such page.
    """
    router = current_app.create_url_adapter(request)
    if router is None or not error_pages.wants_page():
        return False
    try:
        rule, values = router.match(request.path, method="GET", return_rule=True)
    except HTTPException:
        return False
    if rule.endpoint.rpartition(".")[0] != request.blueprint:
        return False  # other checks stand before it
    request.url_rule, request.view_args = rule, dict(values)
    g.form_problem = problem
    return True


def _show_refusal(response: Response) -> Response:
    """Answer 400 with the page that explains the refusal; it is made here instead of a redirect."""
    if "form_problem" not in g or response.status_code >= HTTPStatus.BAD_REQUEST:
        return response
    if request.method not in UNSAFE:
        return response
    if response.status_code != HTTPStatus.OK:
        return cast("Response", error_pages.refuse(g.pop("form_problem")))
    if g.form_problem.code == EXPIRED and _keep():
        return cast("Response", redirect(_address(), HTTPStatus.SEE_OTHER))
    response.status_code = HTTPStatus.BAD_REQUEST
    return response


def _keep() -> bool:
    """Keep what was typed for the page that is opened next; return False when it is too much.

    It is sealed in the form cookie, so the page is opened by a GET that may be reloaded.
    """
    names = g.get("kept_fields", ())
    pairs = [pair for pair in request.form.items(multi=True) if pair[0] in names]
    until = clock.now().timestamp() + TYPED_SECONDS
    content = orjson.dumps([_address(), until, pairs])
    if len(content) > MOST_TYPED:
        return False
    session[TYPED] = current_runtime().keyring.encrypt(TYPED_PURPOSE, content)
    return True


def _recall() -> None:
    """Show on a page what was typed there before its form expired, once."""
    if TYPED not in session:
        return
    try:
        content = current_runtime().keyring.decrypt(TYPED_PURPOSE, session[TYPED])
    except (UnknownKeyError, ValueError):
        del session[TYPED]
        return
    address, until, pairs = orjson.loads(content)
    if address != _address():
        return
    del session[TYPED]
    if until > clock.now().timestamp():
        g.form_problem, g.typed = _expired(), MultiDict(pairs)


def _address() -> str:
    """Return the address of the request under way, as a path with its query."""
    return request.full_path.rstrip("?")


def _expired() -> BadRequest:
    """Make the refusal of a form whose page is too old, or whose cookie did not come along."""
    if FIELD in session:
        message = N_("This page was open for too long. Please send the form again.")
        return BadRequest(message, code=EXPIRED)
    message = N_(
        "Your browser sent no cookie with this form. Allow cookies for this site and send it again."
    )
    return BadRequest(message, code="form_without_cookie")
