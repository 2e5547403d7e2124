"""Code that is ready to run with the values of a client."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from flask import current_app
from flask_babel import gettext
from flask_babel import lazy_gettext as _

from idp.directory.clients import kinds
from idp.directory.clients.models import Client
from idp.directory.product import WITHOUT_SECRET
from idp.pages.console import marks
from idp.pages.console.clients import lines
from idp.pages.console.marks import Piece
from idp.platform import files
from idp.platform.issuer import Issuer

LANGUAGES = {
    "curl": "curl",
    "flask": "Flask",
    "fastapi": "FastAPI",
    "express": "Express",
    "react": "React",
    "spring": "Spring",
    "dotnet": ".NET",
    "go": "Go",
}
USUAL = {"web": "flask", "spa": "react", "native": "curl", "device": "curl", "service": "curl"}
"""The language that each kind of client begins with."""
TITLES = {
    "ask": _("Ask for a code"),
    "call": _("Call the API"),
    "code": _("Sign people in"),
    "env": _("Keep the values in the environment"),
    "exchange": _("Exchange the code for tokens"),
    "install": _("Install"),
    "none": _("Not for services"),
    "poll": _("Poll for the tokens"),
    "open": _("Print the address to open"),
    "run": _("Get a token"),
    "start": _("Run it"),
    "token": _("Get a token and call the API"),
}
VERIFIERS = {"verify_token.py": "Python", "verify_token.mjs": "Node"}
"""Examples that check access tokens in an API."""
EXAMPLE_ADDRESS = "http://127.0.0.1:5000/callback"
_IDENTITY = frozenset({"openid", "profile", "email", "phone", "address"})
_HEADING = "=== "


@dataclass(frozen=True, slots=True)
class Step:
    """A piece of code with what it is for."""

    title: Any
    file: str
    code: str
    marked: list[Piece]
    """The code with the client's own values marked."""


@dataclass(frozen=True, slots=True)
class QuickStart:
    """The way to a running application in one language."""

    language: str
    steps: Sequence[Step]
    verifying: Sequence[Step]
    values: Sequence[tuple[Any, str]]
    languages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Check:
    """Something without which the code would fail."""

    is_good: bool
    text: str
    tab: str


def of(client: Client, issuer: Issuer, language: str | None) -> QuickStart:
    """Return the code for a client; a language that is not there is the usual one."""
    kind = kinds.kind_of(client)
    languages = LANGUAGES if kind != "device" else {"curl": LANGUAGES["curl"]}
    if language not in languages:
        language = USUAL[kind]
    values = _values(client, issuer)
    own = [values["issuer"], values["client_id"], values["redirect_uri"], values["scopes"]]
    template = f"pages/console/clients/quick_start/{language}.txt"
    text = current_app.jinja_env.get_template(template).render(values)
    return QuickStart(
        language,
        [*_steps(text, [value for value in own if value])],
        [*_verifying(values["issuer"])],
        [*_shown(client, values)],
        languages,
    )


def environment(client: Client, issuer: Issuer) -> str:
    """Return the file with the values of a client; a secret is never in it."""
    return f"{_environment(_values(client, issuer))}\n"


def checks(client: Client) -> list[Check]:
    """List what the code needs, and whether the client has it."""
    scopes = {row.scope for row in client.scopes}
    found = [
        _check(client.enabled, _("The client is enabled"), _("The client is disabled"), "settings")
    ]
    if client.require_client_secret and client.token_endpoint_auth_method not in WITHOUT_SECRET:
        has_secret = any(lines.is_valid(row) for row in client.secrets)
        texts = _("It has a valid secret"), _("It has no valid secret")
        found.append(_check(has_secret, *texts, "secrets"))
    if kinds.kind_of(client) == "service":
        texts = _("It has scopes of APIs"), _("It has no scope of an API")
        return [*found, _check(bool(scopes - _IDENTITY), *texts, "scopes")]
    if kinds.kind_of(client) != "device":
        texts = _("PKCE with S256 is on"), _("PKCE is off")
        found.append(_check(client.require_pkce, *texts, "settings"))
    return [
        *found,
        _check(
            "openid" in scopes,
            _("It may ask for openid"),
            _("It may not ask for openid"),
            "scopes",
        ),
    ]


def _check(is_good: bool, well: Any, wrong: Any, tab: str) -> Check:  # noqa: FBT001 - what is checked
    return Check(is_good, str(well if is_good else wrong), tab)


def _values(client: Client, issuer: Issuer) -> dict[str, Any]:
    """Return what the texts of all languages are filled with."""
    redirect = client.redirect_uris[0].redirect_uri if client.redirect_uris else EXAMPLE_ADDRESS
    scopes = [row.scope for row in client.scopes]
    if client.allow_offline_access:
        scopes.append("offline_access")
    api_scopes = [name for name in scopes if name not in _IDENTITY and name != "offline_access"]
    has_secret = client.require_client_secret
    values: dict[str, Any] = {
        "is_service": kinds.kind_of(client) == "service",
        "is_device": kinds.kind_of(client) == "device",
        "has_secret": has_secret,
        "issuer": issuer.url,
        "client_id": client.client_id,
        "redirect_uri": redirect,
        "redirect_path": urlsplit(redirect).path or "/",
        "scopes": " ".join(scopes),
        "api_scopes": " ".join(api_scopes),
        "scopes_listed": ", ".join(f'"{name}"' for name in scopes),
        "api_scopes_listed": ", ".join(f'"{name}"' for name in api_scopes),
    }
    for name in ("client_id", "redirect_uri", "scopes", "api_scopes"):
        values[f"{name}_quoted"] = shlex.quote(values[name])
        values[f"{name}_encoded"] = quote(values[name], safe="")
    return {**values, "env": _environment(values), "flask_example": _flask_example(values)}


def _flask_example(values: Mapping[str, Any]) -> str:
    """Return the example of the documentation with the client's scopes and its own address."""
    code = _example("flask_relying_party.py")
    code = code.replace('"openid profile email"', f'"{values["scopes"]}"')
    return code.replace('"/callback"', f'"{values["redirect_path"]}"')


def _environment(values: Mapping[str, Any]) -> str:
    written = [f"OIDC_ISSUER={values['issuer']}", f"OIDC_CLIENT_ID={values['client_id']}"]
    if values["has_secret"]:
        remark = gettext("shown once, when it was made")
        written.append(f"OIDC_CLIENT_SECRET=...   # {remark}")
    if not (values["is_service"] or values["is_device"]):
        written.append(f"OIDC_REDIRECT_URI={values['redirect_uri_quoted']}")
    return "\n".join(written)


def _steps(text: str, own: Sequence[str]) -> Iterator[Step]:
    """Cut a text at its headings, `=== what file`."""
    _before, *parts = f"\n{text}".split(f"\n{_HEADING}")
    for part in parts:
        heading, _, code = part.partition("\n")
        what, _, file = heading.partition(" ")
        code = code.strip("\n")
        yield Step(TITLES[what], file, code, marks.mark_words(code, own))


def _verifying(issuer: str) -> Iterator[Step]:
    for name, language in VERIFIERS.items():
        code = _example(name).replace("https://id.example.com", issuer)
        title = gettext("checks access tokens, in %(language)s", language=language)
        yield Step(title, name, code, marks.mark_words(code, [issuer]))


def _shown(client: Client, values: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    yield _("Issuer"), values["issuer"]
    yield _("Client id"), values["client_id"]
    for row in client.redirect_uris[:1]:
        yield _("Redirect address"), row.redirect_uri
    if values["scopes"]:
        yield _("Scopes"), values["scopes"]


@cache
def _example(name: str) -> str:
    return (files.examples_dir() / name).read_text(encoding="utf-8").rstrip("\n")
