"""The cases: what is sent to whom, and which ratio must be reached.

Every case names its targets; `measure` takes rounds of them in alternation and judges the ratios of
medians. Peers answer the same request with the same kind of tokens, as far as they can.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench import load, site
from bench.load import Answer, Request, Script, Taken
from bench.measure import Figure, Result, at_least
from bench.servers import CALLBACK, VERIFIER, WORKERS, Server, Servers
from tests import protocol

ROUNDS = 5
SECONDS = 1.0
LOGIN_SECONDS = 2.0
"""A password takes a tenth of a second."""

Steps = Generator[Request | None, Answer, None]
Round = Callable[[], Taken]


@dataclass(frozen=True)
class Bar:
    """A ratio of two targets of a case that must be reached."""

    over: str
    under: str
    least: float


LARGE = Bar("ours, large", "ours", 0.9)
"""The large data set ÷ the small one."""


def measure(
    case: str,
    targets: Mapping[str, Round],
    bars: Sequence[Bar],
    servers: Mapping[str, Server] | None = None,
) -> Result:
    """Take rounds of every target in turn; judge the ratios."""
    taken: dict[str, list[Taken]] = {name: [] for name in targets}
    costs: dict[str, list[float]] = {name: [] for name in targets}
    for _ in range(ROUNDS):
        for name, go in targets.items():
            server = (servers or {}).get(name)
            before = server.cpu_seconds() if server else 0.0
            found = go()
            taken[name].append(found)
            if server:
                costs[name].append((server.cpu_seconds() - before) / found.units * 1e6)
    figures: dict[str, Figure] = {}
    for name, rounds in taken.items():
        label = f"{case}, {name}"
        figures[f"{label}, per second"] = Figure([found.rate for found in rounds])
        if any(found.p99 for found in rounds):
            figures[f"{label}, p50 ms"] = Figure([found.p50 for found in rounds])
            figures[f"{label}, p99 ms"] = Figure([found.p99 for found in rounds])
        if costs[name]:
            # Requests of the preparations and of warming up are among them: an upper bound.
            figures[f"{label}, CPU us each"] = Figure(costs[name])
            server = (servers or {})[name]
            figures[f"{label}, memory of the tree MiB"] = Figure([server.memory()])
    judged = []
    for bar in bars:
        rates = [Figure([found.rate for found in taken[name]]) for name in (bar.over, bar.under)]
        ratio = rates[0].median / rates[1].median
        judged.append(at_least(f"{case}: {bar.over} ÷ {bar.under}", ratio, bar.least))
    return Result(figures, judged)


def _against(
    case: str,
    servers: Sequence[Server],
    make: Callable[[Server], Round],
    bars: Sequence[Bar],
    more: Mapping[str, Round] | None = None,
) -> Result:
    targets = {server.name: make(server) for server in servers} | dict(more or {})
    return measure(case, targets, bars, {server.name: server for server in servers})


def _sent(request: Callable[[Server], Request]) -> Callable[[Server], Round]:
    def make(server: Server) -> Round:
        asked = request(server)
        load.once(server.url, asked).expect(200)
        return lambda: load.send(server.url, asked, SECONDS)

    return make


def _driven(script: Callable[[Server], Script]) -> Callable[[Server], Round]:
    return lambda server: lambda: load.drive(server.url, script(server), SECONDS)


def _raw(name: str, seconds: float | None = None) -> Round:
    """Measure raw cryptography of both cores, by a process each."""
    seconds = seconds or SECONDS
    program = Path(__file__).parent / "yardsticks" / "signatures.py"

    def go() -> Taken:
        command = [sys.executable, str(program), name, str(seconds)]
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
        ]
        rate = sum(float(process.communicate()[0]) for process in started)
        return Taken(round(rate * seconds), seconds, 0, 0)

    return go


def token(servers: Servers) -> list[Result]:
    """client_credentials, RS256 and ES256."""
    ours, large, node = servers.ours, servers.ours_large, servers.oidc_provider

    def ask(client_id: str, scope: str | None = None) -> Callable[[Server], Request]:
        def request(server: Server) -> Request:
            of = "fast.read" if client_id.endswith("es256") and server in {ours, large} else scope
            return server.by_client(
                client_id, grant_type="client_credentials", scope=of or "orders.read"
            )

        return request

    rs256 = _against(
        "client_credentials RS256",
        [ours, large, node, servers.django],
        _sent(ask("machine-rs256")),
        [
            Bar("ours", "raw signatures", 0.65),
            Bar("ours", "oidc-provider", 1.4),
            Bar("ours", "django-oauth-toolkit", 15),
            LARGE,
        ],
        {"raw signatures": _raw("RS256")},
    )
    es256 = _against(
        "client_credentials ES256",
        [ours, large, node],
        _sent(ask("machine-es256")),
        [Bar("ours", "oidc-provider", 2.5), LARGE],
        {"raw signatures": _raw("ES256")},
    )
    return [rs256, es256]


def _signed_in(server: Server, client_id: str, scope: str) -> Generator[Request, Answer, str]:
    """Sign in where no cookie is known yet; give the cookie."""
    if server.cookie:
        return server.cookie
    # oidc-provider: the session lives in the process that this connection leads to.
    answer = (yield Request("GET", server.for_code(client_id, scope))).expect(303)
    cookies = answer.cookies()
    while not (location := answer.header("location")).startswith(CALLBACK):
        path = urlsplit(location).path
        answer = (yield Request("GET", path, {"Cookie": cookies})).expect(303)
        if path.startswith("/auth/"):
            cookies = answer.cookies()
    return cookies


def _code(
    server: Server, client_id: str, scope: str, cookie: str
) -> Generator[Request, Answer, str]:
    """Get a code with a live session."""
    path = server.for_code(client_id, scope)
    answer = (yield Request("GET", path, {"Cookie": cookie})).expect(302, 303)
    return parse_qs(urlsplit(answer.header("location")).query)["code"][0]


def _redeemed(
    server: Server, client_id: str, code: str
) -> Generator[Request, Answer, dict[str, Any]]:
    """Redeem a code."""
    request = server.by_client(
        client_id,
        grant_type="authorization_code",
        code=code,
        redirect_uri=CALLBACK,
        code_verifier=VERIFIER,
    )
    content: dict[str, Any] = json.loads((yield request).expect(200).body)
    return content


def _by_all(
    case: str, servers: Servers, script: Callable[[Server], Script], node: float, django: float
) -> list[Result]:
    """Measure what all servers do; `node` and `django` are the bars against the peers."""
    everybody = [servers.ours, servers.ours_large, servers.oidc_provider, servers.django]
    bars = [Bar("ours", "oidc-provider", node), Bar("ours", "django-oauth-toolkit", django), LARGE]
    return [_against(case, everybody, _driven(script), bars)]


def flow(servers: Servers) -> list[Result]:
    """Follow a code with PKCE: authorize by a live session, then token."""
    scope = "openid profile orders.read"

    def script(server: Server) -> Script:
        def steps() -> Steps:
            cookie = yield from _signed_in(server, "web", scope)
            yield None
            while True:
                code = yield from _code(server, "web", scope, cookie)
                yield from _redeemed(server, "web", code)
                yield None

        return steps

    return _by_all("code + PKCE", servers, script, node=0.7, django=8)


def refresh(servers: Servers) -> list[Result]:
    """Refresh with rotation."""

    def script(server: Server) -> Script:
        # django-oauth-toolkit gives every code flow a refresh token, whatever the scopes.
        client_id = "web" if server is servers.django else "web-refresh"
        scope = "openid profile orders.read"
        if server is not servers.django:
            scope += " offline_access"

        def steps() -> Steps:
            cookie = yield from _signed_in(server, client_id, scope)
            code = yield from _code(server, client_id, scope, cookie)
            content = yield from _redeemed(server, client_id, code)
            yield None
            while True:
                request = server.by_client(
                    client_id,
                    grant_type="refresh_token",
                    refresh_token=content["refresh_token"],
                )
                content = json.loads((yield request).expect(200).body)
                yield None

        return steps

    return _by_all("refresh with rotation", servers, script, node=0.8, django=15)


def _with_token(
    server: Server, client_id: str, ask: Callable[[str], Request], proof: bytes
) -> Script:
    """Get an access token first, then use it over and over."""
    scope = "openid profile orders.read"

    def steps() -> Steps:
        cookie = yield from _signed_in(server, client_id, scope)
        code = yield from _code(server, client_id, scope, cookie)
        content = yield from _redeemed(server, client_id, code)
        request = ask(content["access_token"])
        yield None
        while True:
            answer = (yield request).expect(200)
            if proof not in answer.body.replace(b" ", b""):
                raise load.LoadError(f"{server.name}: {answer.body[:300]!r}")
            yield None

    return steps


def introspect(servers: Servers) -> list[Result]:
    """Introspection by the client that a person's token was issued to."""

    def script(server: Server, client_id: str) -> Script:
        def ask(token: str) -> Request:
            return Request.form(server.introspect, {"token": token}, **server.auth(client_id))

        return _with_token(server, client_id, ask, b'"active":true')

    def rounds(server: Server, client_id: str) -> Round:
        return lambda: load.drive(server.url, script(server, client_id), SECONDS)

    node = servers.oidc_provider
    targets = {
        "oidc-provider": rounds(node, "opaque"),  # this peer introspects no JWT
        "ours": rounds(servers.ours, "web"),
        "ours, large": rounds(servers.ours_large, "web"),
        "ours, reference": rounds(servers.ours, "reference"),
        "ours, reference, large": rounds(servers.ours_large, "reference"),
    }
    by_name = {
        "oidc-provider": node,
        "ours": servers.ours,
        "ours, large": servers.ours_large,
        "ours, reference": servers.ours,
        "ours, reference, large": servers.ours_large,
    }
    bars = [
        Bar("ours", "oidc-provider", 1.0),
        Bar("ours, reference", "oidc-provider", 0.5),
        LARGE,
        Bar("ours, reference, large", "ours, reference", 0.9),
    ]
    return [measure("introspection", targets, bars, by_name)]


def userinfo(servers: Servers) -> list[Result]:
    """Userinfo with the scopes openid and profile."""

    def script(server: Server) -> Script:
        client_id = "opaque" if server is servers.oidc_provider else "web"

        def ask(token: str) -> Request:
            return Request("GET", server.userinfo, {"Authorization": f"Bearer {token}"})

        return _with_token(server, client_id, ask, b'"sub":')

    return _by_all("userinfo", servers, script, node=0.5, django=6)


def documents(servers: Servers) -> list[Result]:
    """JWKS and discovery against an answer that needs no thought."""
    paths = {
        "JWKS": "/.well-known/openid-configuration/jwks",
        "discovery": "/.well-known/openid-configuration",
    }
    return [
        _against(
            case,
            [servers.ours, servers.ours_large, servers.bare_wsgi, servers.bare_flask],
            _sent(
                lambda server, path=path: Request(  # type: ignore[misc]
                    "GET", path if server in {servers.ours, servers.ours_large} else "/"
                )
            ),
            [Bar("ours", "bare wsgi", 0.7), LARGE],
        )
        for case, path in paths.items()
    ]


def login(servers: Servers) -> list[Result]:
    """Answer the sign-in page: fetch it and post it.

    Nearly all of it is the check of the password, so that check alone stands beside.
    """
    ours = servers.ours

    def steps() -> Steps:
        yield None
        while True:
            page = (yield Request("GET", "/login")).expect(200)
            token = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', page.body)
            if token is None:
                raise load.LoadError("the page has no token")
            form = {
                "csrf_token": token[1].decode(),
                "login": site.USERNAME,
                "password": protocol.PASSWORD,
            }
            request = Request.form("/login", form, Cookie=page.cookies(), Referer=ours.url)
            (yield request).expect(303)
            yield None

    targets = {
        "ours": lambda: load.drive(ours.url, steps, LOGIN_SECONDS),
        "raw checks of a password": _raw("argon2id", LOGIN_SECONDS),
    }
    return [measure("sign-in page, GET and POST", targets, [], {"ours": ours})]


def gateway(servers: Servers) -> list[Result]:
    """Ask /gateway/verify before every request: Caddy with it ÷ Caddy alone."""
    ours = servers.ours
    form = {"grant_type": "client_credentials", "scope": "orders.read"}
    answer = load.once(ours.url, ours.by_client("machine-rs256", **form)).expect(200)
    bearer = {"Authorization": f"Bearer {json.loads(answer.body)['access_token']}"}
    asked = Request("GET", "/", bearer)
    targets = {
        name: (lambda url=url: load.send(url, asked, SECONDS))
        for name, url in servers.caddies.items()
    }
    return [measure("gateway", targets, [])]
