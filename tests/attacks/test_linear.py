"""No pattern and no reader of text does more work than the text is long.

Whatever runs on what a stranger sends holds the interpreter meanwhile. Patterns and functions that
take one text are found; what takes more than that is listed here.
"""

from __future__ import annotations

import contextlib
import io
import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from idp.directory.clients import addresses
from idp.directory.clients.addresses import Rules
from idp.directory.users import foreign, names
from idp.oauth import refused_requests
from idp.oauth.checks import pkce, redirect_uri
from idp.platform import logs, plain_yaml
from idp.platform.fetch import Fetcher
from idp.platform.web import requests
from idp.platform.wire import shapes
from idp.platform.wire.messages import flatten
from idp.publishing.codegen import readthedocs
from idp.publishing.descriptions import references
from idp.publishing.files import kinds
from idp.publishing.files import service as files
from idp.publishing.gateway import breaking, outline, upstreams, validation
from tests import protocol, samples
from tests.api import admin, center
from tests.attacks import finding
from tests.attacks.growth import UNITS, Attack, attacks_on, worst

pytestmark = pytest.mark.no_database

MARKS = "\u0301\u0323"
"""To normalise them is to sort them."""
LADDER = (16, 64, 256, 1024, 4096, 8192)
"""Sizes for functions: none of them doubles its work with every character."""
REQUESTS = (1024, 16_384)
REQUEST_SECONDS = 0.03
"""Less than this is what any request may cost here."""

SHORT = {
    "directory.permissions._covers": 200,
    "doctor.addresses._ask": 2048,
    "doctor.addresses._look": 2048,
    "platform.notify.sms.check": 2048,
    "platform.permission_codes.covering": 200,
    "platform.web.principal.require_scope": 200,
    "publishing.files.service.disposition": files.LONGEST_NAME,
}
"""Functions that only ever see so many characters: codes, scopes, names that were cleaned, and
addresses that operators set."""
LEFT_OUT = {
    "directory.users.passwords.make_hash": "hashing is meant to cost time; passwords are short",
    "directory.users.password_costs.measure": "hashes a password, as above",
    "platform.schema.upgrade": "opens the database that an operator names",
    "platform.schema.current": "opens the database that an operator names",
    "platform.schema.drift": "opens the database that an operator names",
    "publishing.files.scanner._connect": "connects to where an operator says",
}

RULES = Rules(native=True, development=True)
YAML = plain_yaml.Limits(size=10**7, levels=64, values=10**6, aliases=True)


def found_in(text: str) -> dict[str, Any]:
    """Put a text wherever a description has one."""
    operation = {
        "summary": text,
        "description": text,
        "operationId": text,
        "tags": [text],
        "parameters": [{"name": text, "in": "query", "schema": {"$ref": f"#/{text}"}}],
        "responses": {"200": {"description": text}},
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": text, "version": "1", "description": text},
        "servers": [{"url": text}, {"url": f"http://{text}/"}],
        "tags": [{"name": text, "description": text}],
        "paths": {f"/{text}"[:2048]: {"get": operation}},
    }


def described(text: str) -> None:
    """Read a description that is full of a text, as publishing and code generation do."""
    document = found_in(text)
    list(validation._servers(document, "https://a.example/"))
    references.resolve(document, {"$ref": f"#/{text}"})
    outline.of(document)
    for part in ({"$schema": text}, {"id": text, "items": {}}, {"mapping": {"a": text}}):
        references.leading_outside({**part, "discriminator": part})
    readthedocs.render(document, "https://a.example/")
    changed = found_in(text + "x")
    breaking.as_note(text, breaking.between(document, changed))


READERS: dict[str, Callable[[str], object]] = {
    "address of a client": lambda text: addresses.redirect_uri(f"https://a.example/{text}", RULES),
    "address with a scheme of its own": lambda text: addresses.redirect_uri(f"{text}:/", RULES),
    "host of an address": lambda text: addresses.redirect_uri(f"https://{text}/", RULES),
    "origin": lambda text: addresses.origin(f"https://{text}", RULES),
    "address of a document": lambda text: addresses.document(text, "logo_uri", RULES),
    "loopback address": lambda text: redirect_uri.is_registered(
        f"http://127.0.0.1:1/{text}", [f"http://127.0.0.1/{text}x"], native=True
    ),
    "PKCE": lambda text: pkce.prove(text, text),
    "imported password hash": foreign.read,
    "salt of an imported hash": lambda text: foreign.read(f"md5${text}${'ab' * 16}"),
    "user name": lambda text: names.username(text, text),
    "mobile number": lambda text: names._e164.__wrapped__(text, "CN"),
    "YAML": lambda text: plain_yaml.load(text.encode(), YAML),
    "YAML in a mapping": lambda text: plain_yaml.load(f"a: {text}".encode(), YAML),
    "YAML in a text": lambda text: plain_yaml.load(f'"{text}"'.encode(), YAML),
    "YAML in a list": lambda text: plain_yaml.load(f"[{text}]".encode(), YAML),
    "API description": described,
    "address to fetch": lambda text: Fetcher("").check(f"https://{text}/"),
    "upstream": lambda text: upstreams.Address.parse(f"https://a.example/{text}"),
    "kind of a file": lambda text: kinds.tell(io.BytesIO(text.encode()), kinds.FILES),
    "PDF": lambda text: kinds.tell(io.BytesIO(samples.PDF + text.encode()), kinds.FILES),
    "name of a file": lambda text: files.clean_name(text, "pdf"),
    "log line": lambda text: logs.hide_secrets(None, "info", {"a": text, text: [text]}),
    "day": lambda text: shapes.Day().deserialize(f"2026-11-29{text}"),
    "moment": lambda text: shapes.Moment().deserialize(f"2026-11-29T00:00:00{text}"),
    "wrong fields": lambda text: flatten({text: {text: {0: [text]}}}),
    "text of a refusal": lambda text: refused_requests.shown(text, len(text)),
    "query": lambda text: requests.check_encoded(f"a={text}"),
}


def quietly(run: Callable[[str], object]) -> Callable[[str], None]:
    """Call a reader; what it says about the text does not matter here."""

    def call(text: str) -> None:
        with contextlib.suppress(Exception):
            run(text)

    return call


def hostile(words: list[str]) -> list[Attack]:
    """Repeat everything that may mean something, and pairs of the words that surely do."""
    units = dict.fromkeys([*UNITS, *words])
    pairs = [(a, b) for a in words[:4] for b in (*words[:4], "a")]
    found = [Attack("", unit) for unit in units] + [Attack(a, b, a) for a, b in pairs]
    return found + [Attack("https://", unit) for unit in ("a", ".", "@", "[", MARKS)]


def of_modules(*given: Callable[..., object]) -> list[Attack]:
    """Make attacks of what some modules look for."""
    return hostile([word for one in given for word in finding.words_of(one.__module__)][:20])


# The measure itself


@pytest.mark.parametrize(
    "pattern",
    [
        # Two that this package had, and what textbooks warn of.
        r"[^/]*(?:@|%40|[0-9]{7,}|[A-Za-z0-9_=-]{24,})[^/]*",
        rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]',
        r"\{[^}]*\}",
        r"(a+)+$",
        r"(?:a|a)*b",
        r"\s+$",
        r"(\w+\s?)*$",
        r"[0-9]+(?::[0-5]?[0-9])+\.[0-9]+x",
    ],
)
def test_patterns_that_take_longer_and_longer_are_known_by_that(pattern):
    found = finding.Found(re.compile(pattern, re.DOTALL), methods={"search"})
    assert worst(found.run, attacks_on(found.pattern)) is not None


def test_functions_that_take_longer_and_longer_are_known_by_that():
    def eat(text: str) -> None:
        while text:
            text = text[1:]

    def look_back(text: str) -> None:
        seen: list[str] = []
        for number, letter in enumerate(text):
            if letter + str(number) not in seen:
                seen.append(letter + str(number))

    for function in (eat, look_back):
        assert worst(function, hostile([]), (*LADDER, 65_536)) is not None


def test_work_that_grows_with_the_text_is_let_through():
    def spell(text: str) -> None:
        for _ in range(20):
            "".join(letter.upper() for letter in text)

    assert worst(spell, hostile([])[:10], LADDER) is None


# The package


def test_every_pattern_is_linear():
    found = finding.patterns()
    assert len(found) > 60
    slow = {
        ", ".join(sorted(one.places)): attack
        for one in found
        if (attack := worst(one.run, attacks_on(one.pattern))) is not None
    }
    assert slow == {}


def test_no_pattern_is_compiled_out_of_sight():
    seen = {(one.pattern.pattern, one.pattern.flags) for one in finding.patterns()}
    assert {
        place: pattern.pattern
        for place, pattern in finding.held_patterns()
        if (pattern.pattern, pattern.flags) not in seen
    } == {}


def test_every_reader_of_one_text_is_linear(monkeypatch):
    # The certificates that the system trusts would take longer to read than any text.
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    found = finding.readers()
    assert len(found) > 100
    assert LEFT_OUT.keys() | SHORT.keys() <= found.keys(), "somebody is gone"
    slow = {}
    for name, read in found.items():
        if name in LEFT_OUT:
            continue
        words = finding.words_of(f"idp.{name.rpartition('.')[0]}")[:12]
        sizes = [size for size in LADDER if size <= SHORT.get(name, size)]
        attack = worst(quietly(read), hostile(words), sizes)
        if attack is not None:
            slow[name] = attack
    assert slow == {}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_linear(name):
    attacks = of_modules(addresses.origin, names.email, breaking.between, references.find)
    assert worst(quietly(READERS[name]), attacks, LADDER) is None


# Whole requests

HEADERS = (
    *("Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Request-Id", "Cookie", "User-Agent"),
    *("Accept", "Accept-Language", "Authorization", "Content-Type", "Origin", "Referer", "Range"),
    *("If-None-Match", "If-Match", "If-Modified-Since", "If-Range", "Sec-Fetch-Mode"),
)
SENT = (
    *("a", "0", "!", '"', "\\", '\\"', "=", ";", ",", "a=b;", "a,", "a;q=0.1,", "a=", '"a",', " "),
    *("127.0.0.1,", "bytes=0-1,", "[", ":", "%", "*", "W/", "\xe9", "a=\\", "Bearer ", "eyJ."),
)


@pytest.mark.settings(trusted_proxies="127.0.0.0/8")
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_costs_what_it_is_long(client, header):
    begin = {"Authorization": "Basic ", "Content-Type": "multipart/form-data; "}.get(header, "")

    def send(text: str) -> None:
        headers = {header: begin + text, "X-Other": "1"}
        client.get("/static/idp.css", headers=headers).close()
        client.post("/login", data=b"a=b", headers=headers)

    assert worst(send, [Attack("", unit) for unit in SENT], REQUESTS, REQUEST_SECONDS) is None


@pytest.mark.parametrize("path", ["/", "/user/name/", "/api/Client/", "/static/", "/files/"])
def test_a_path_costs_what_it_is_long(client, path):
    def send(text: str) -> None:
        client.get("/x", environ_overrides={"PATH_INFO": path + text.encode().decode("latin-1")})

    attacks = [Attack("", unit) for unit in ("a", "!", "/", "0", "a/", "@", "..", "%", "é", "-")]
    assert worst(send, attacks, (2000, 60_000), REQUEST_SECONDS) is None


QUERIES = ("state", "scope", "redirect_uri", "claims", "request", "id_token_hint", "resource")


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_costs_what_it_is_long(client, session, name):
    app = protocol.register(session)
    known = protocol.authorization_parameters(app)

    def send(text: str) -> None:
        client.get("/connect/authorize", query_string={**known, name: text})
        client.get("/connect/endsession", query_string={name: text})

    units = ("a", "a ", "{", '\\"', "[", "/", ".", "é", "eyJ.")
    assert worst(send, [Attack("", unit) for unit in units], REQUESTS, REQUEST_SECONDS) is None


@pytest.mark.parametrize("path", ["/connect/token", "/connect/introspect", "/login", "/forgot"])
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_form_costs_what_it_is_long(client, path, kind):
    def send(text: str) -> None:
        client.post(path, data=text.encode(), content_type=kind)

    begin = "--x\r\n" if "multipart" in kind else "a="
    part = 'Content-Disposition: form-data; name="a"\r\n'
    units = ("a", "&", "a=b&", "%41", "%", "=", "\r\n", "\r", "\n-", "--", "--x\r\n", part, "\0")
    attacks = [Attack(begin, unit) for unit in units]
    attacks += [Attack(begin + part + "\r\n", unit) for unit in units]
    attacks += [Attack(begin + part + f"{part}; filename=", unit) for unit in ("a", '"', "\\", ";")]
    assert worst(send, attacks, (1024, 65_536), REQUEST_SECONDS) is None


def test_json_costs_what_it_is_long(client, session):
    root = center.administrator(client, session)

    def send(text: str) -> None:
        root.send("POST", "/Role", text.encode())

    units = ("[", '"', "\\", '\\"', "[],", '{"a":', '"a":1,', "1", "-")
    starts = ("", "[" * 10, "[]" * 70 + '"', '{"name":"')
    attacks = [Attack(start, unit) for start in starts for unit in units]
    assert worst(send, attacks, (1024, 65_536), REQUEST_SECONDS) is None


def test_a_pasted_token_costs_what_it_is_long(client, session):
    root = admin.root(client, session)

    def send(text: str) -> None:
        answer = admin.send(root, "POST", "/tenants/1/explain", {"token": text})
        assert answer.status_code in {200, 400, 413}

    units = ("a", ".", "a.", "eyJ", "eyJ.", "[", "W1s", "é", "\\")
    attacks = [Attack(start, unit) for start in ("", "at_", "eyJ9.") for unit in units]
    assert worst(send, attacks, (1024, 16_000), REQUEST_SECONDS) is None
    assert worst(send, attacks, (16_500, 500_000), REQUEST_SECONDS) is None


def test_an_upload_costs_what_it_is_long(client, session):
    root = center.administrator(client, session)

    def send(text: str) -> None:
        body = samples.PDF + text.encode()
        root.send("POST", "/File", center.File(body, f"{text[:2000]}.pdf"))

    attacks = [Attack("", unit) for unit in ("a", "\0", "<", "< ", "\r\n", "\r\n--", "obj ", "%")]
    assert worst(send, attacks, (256, 65_536), 3 * REQUEST_SECONDS) is None


def test_converters_of_routes_are_linear(app):
    patterns = {
        converter.regex
        for rule in app.url_map.iter_rules()
        for converter in rule._converters.values()
    }
    assert patterns
    for source in patterns:
        found = finding.Found(re.compile(source), methods={"fullmatch"})
        assert worst(found.run, attacks_on(found.pattern)) is None, source
