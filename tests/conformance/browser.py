"""A browser without scripts: keeps cookies, follows redirects, fills in forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

MOST_REDIRECTS = 20
POSTS_ITSELF = 'id="form-post"'
"""In pages whose form a script sends at once (OAuth 2.0 Form Post Response Mode)."""


@dataclass(frozen=True)
class Person:
    """A person with an account."""

    id: int
    username: str
    password: str


@dataclass
class Form:
    """A form as it came: what it sends when nothing is changed."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def value(self, name: str) -> str | None:
        """Return what a field holds."""
        return dict(self.fields).get(name)

    def filled(self, values: Mapping[str, str], press: str | None) -> list[tuple[str, str]]:
        """Return what is sent when fields are changed and a button is pressed, by its value."""
        unknown = values.keys() - dict(self.fields).keys()
        assert not unknown, f"the form has no field {unknown}"
        pairs = [(name, values.get(name, value)) for name, value in self.fields]
        if press is not None:
            pairs += [next(pair for pair in self.buttons if pair[1] == press)]
        return pairs


@dataclass(frozen=True)
class Page:
    """A page that the person looks at."""

    url: str
    status: int
    headers: httpx.Headers
    text: str

    @property
    def path(self) -> str:
        """Where it is."""
        return urlsplit(self.url).path

    @property
    def form(self) -> Form:
        """The only form."""
        (form,) = _Forms(self.text).found
        return form


@dataclass(frozen=True)
class Arrival:
    """An address outside the sites that this browser opens, with what was sent there."""

    url: str
    method: str
    fields: dict[str, str]
    """The body of a POST, else the fragment when there is one, else the query."""

    @property
    def query(self) -> dict[str, str]:
        """What the query holds."""
        return _fields(urlsplit(self.url).query)

    @property
    def mode(self) -> str:
        """By which response mode it came."""
        if self.method == "POST":
            return "form_post"
        return "fragment" if urlsplit(self.url).fragment else "query"

    @property
    def address(self) -> str:
        """The address without what was sent."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()


Stop = Page | Arrival


class Browser:
    """Opens pages of some sites; whatever lies outside is recorded and not asked for."""

    def __init__(self, *sites: str) -> None:
        self._http = httpx.Client(verify=False)  # sites of this host only
        self._sites = {_site(site) for site in sites}
        self.seen: list[str] = []
        """Paths of the pages shown so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    @property
    def cookies(self) -> set[str]:
        """Names of the cookies kept."""
        return {cookie.name for cookie in self._http.cookies.jar}

    def open(self, url: str, parameters: Mapping[str, Any] | None = None) -> Stop:
        """Go to an address and wherever it leads."""
        if parameters is not None:
            url = str(httpx.URL(url, params=dict(parameters)))
        return self._follow(httpx.Request("GET", url))

    def post(self, url: str, pairs: Mapping[str, str] | list[tuple[str, str]]) -> Stop:
        """Post a form, as another site may, and go where the answer leads."""
        return self._follow(_post(url, pairs))

    def submit(self, page: Page, *, press: str | None = None, **values: str) -> Stop:
        """Send the form of a page."""
        form = page.form
        address = urljoin(page.url, form.action)
        pairs = form.filled(values, press)
        if form.method == "post":
            return self.post(address, pairs)
        return self.open(address, dict(pairs))

    def answer(self, stop: Stop, person: Person) -> Stop:
        """Sign in, allow everything, confirm signing out, until another page or site comes."""
        for _ in range(5):
            if isinstance(stop, Arrival) or stop.status != 200:
                break
            if stop.path == "/login":
                stop = self.submit(stop, login=person.username, password=person.password)
                assert isinstance(stop, Arrival) or stop.path != "/login", stop.text
            elif stop.path == "/consent":
                stop = self.submit(stop, press="allow")
            elif stop.path == "/logout":
                stop = self.submit(stop, press="yes")
            else:
                break
        return stop

    def _follow(self, request: httpx.Request) -> Stop:
        for _ in range(MOST_REDIRECTS):
            url = str(request.url)
            if _site(url) not in self._sites:
                return _arrival(request)
            # Cookies are put in here: httpx does so for requests that it makes itself.
            request.headers.pop("Cookie", None)
            self._http.cookies.set_cookie_header(request)
            response = self._http.send(request)
            if not response.is_redirect:
                page = Page(url, response.status_code, response.headers, response.text)
                if POSTS_ITSELF in page.text:
                    request = _posted(page)
                    continue
                self.seen.append(urlsplit(url).path)
                return page
            # Every redirect here must turn a POST into a GET (RFC 9700 4.12).
            assert request.method == "GET" or response.status_code == 303, response.status_code
            request = httpx.Request("GET", urljoin(url, response.headers["Location"]))
        raise AssertionError(f"more than {MOST_REDIRECTS} redirects, at last to {request.url}")


def _post(url: str, pairs: Mapping[str, str] | list[tuple[str, str]]) -> httpx.Request:
    data = httpx.QueryParams(tuple(pairs.items() if isinstance(pairs, Mapping) else pairs))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return httpx.Request("POST", url, content=str(data), headers=kind)


def _posted(page: Page) -> httpx.Request:
    """Send the form of a page as its script does."""
    form = page.form
    assert (page.status, form.method) == (200, "post")
    assert "no-store" in page.headers["Cache-Control"]
    return _post(form.action, form.filled({}, None))


def _arrival(request: httpx.Request) -> Arrival:
    parts = urlsplit(str(request.url))
    sent = request.content.decode() if request.method == "POST" else parts.fragment or parts.query
    return Arrival(str(request.url), request.method, _fields(sent))


def _fields(text: str) -> dict[str, str]:
    fields = parse_qs(text, keep_blank_values=True)
    assert all(len(values) == 1 for values in fields.values()), fields
    return {name: values[0] for name, values in fields.items()}


def _site(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


class _Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = True
            self.found.append(Form(given.get("method", "get").lower(), given.get("action", "")))
        elif self._inside and "name" in given and "disabled" not in given:
            pair = (given["name"], given.get("value", ""))
            kind = given.get("type", "text" if tag == "input" else "submit")
            if tag == "button" or kind == "submit":
                self.found[-1].buttons.append(pair)
            elif tag == "input" and (kind not in {"checkbox", "radio"} or "checked" in given):
                self.found[-1].fields.append(pair)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
