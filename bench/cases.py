"""The cases: what is sent to whom, and which ratio must be reached.

Every case names its targets; `measure` takes rounds of them in alternation and compares the ratios
of medians with the bars. Peers answer the same request with the same kind of tokens, as far as they
can.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bench import hydra, keycloak, load, machine, site
from bench.load import Answer, Request, Script, Taken
from bench.measure import Figure, Plan, Result, Row, at_least, at_most
from bench.servers import WORKERS, Servers
from bench.targets import CALLBACK, Server, cpu_seconds
from tests import protocol

ROUNDS = 5
SECONDS = 1.0
LOGIN_SECONDS = 2.0
"""A password takes a tenth of a second."""
LOGIN_CONNECTIONS = 5
"""As many as one worker lets in: with more it refuses some where the kernel leads all to it."""
ATTEMPTS = 2
"""A round that other work disturbed is taken again, until there are so many."""
CONNECTIONS_OF_TAILS = 32
REGISTRATIONS = 200
"""Clients that must be able to register in a second."""

Steps = Generator[Request | None, Answer, None]
Round = Callable[[], Taken]


@dataclass(frozen=True)
class Target:
    """What a case measures, under a name."""

    name: str
    go: Round
    rounds: int | None = None
    """At most so many; None: as many as the case takes."""
    warm: Callable[[], object] = tuple
    """Done once before the first round."""
    memory: Callable[[], float] | None = None
    """Resident memory of its processes, MiB."""


@dataclass(frozen=True)
class Bar:
    """A ratio of two targets of a case that must be reached."""

    over: str
    under: str
    least: float


LARGE = Bar("ours, large", "ours", 0.95)
"""The large data set ÷ the small one."""


@dataclass(frozen=True)
class Measured:
    """One round and how busy the machine was with other work meanwhile."""

    taken: Taken
    busy: float


def measure(plan: Plan, case: str, targets: Sequence[Target], bars: Sequence[Bar] = ()) -> Result:
    """Take rounds of every target in turn; compute the ratios."""
    done: dict[str, list[Measured]] = {target.name: [] for target in targets}
    for target in targets:
        target.warm()
    for round_ in range(plan.count(ROUNDS)):
        for target in targets:
            if target.rounds is None or round_ < target.rounds:
                done[target.name].append(_undisturbed(target.go))
    rows = {target.name: _row(done[target.name], target.memory) for target in targets}
    ratios = [
        at_least(
            f"{case}: {bar.over} ÷ {bar.under}",
            rows[bar.over]["per second"].median / rows[bar.under]["per second"].median,
            bar.least,
        )
        for bar in bars
        if bar.over in rows and bar.under in rows
    ]
    return Result(
        rows={f"{case}, {name}": row for name, row in rows.items()},
        bars=ratios,
        busy=max(each.busy for rounds in done.values() for each in rounds),
    )


def _undisturbed(go: Round) -> Measured:
    """Take a round, again while other work disturbs it; return the least disturbed one."""
    taken: list[Measured] = []
    while len(taken) < ATTEMPTS:
        before = machine.read()
        found = go()
        taken.append(Measured(found, machine.share(before, machine.read())))
        if taken[-1].busy <= machine.LIMIT:
            break
    return min(taken, key=lambda each: each.busy)


def _row(rounds: Sequence[Measured], memory: Callable[[], float] | None) -> Row:
    found = [each.taken for each in rounds]
    row = {"per second": Figure([taken.rate for taken in found])}
    if any(taken.p99 for taken in found):
        row["p50 ms"] = Figure([taken.p50 for taken in found])
        row["p99 ms"] = Figure([taken.p99 for taken in found])
    for number, column in enumerate(("CPU us each", "database CPU us each")):
        if len(found[0].spent) > number:
            row[column] = Figure([taken.spent[number] / taken.units * 1e6 for taken in found])
    if memory:
        row["MiB"] = Figure([memory()])
    row["other work, share"] = Figure([each.busy for each in rounds])
    return row


def _sent(server: Server, request: Request, name: str = "") -> Target:
    """Make the target that answers one request over and over."""
    load.once(server.url, request).expect(200)

    def go(seconds: float = SECONDS) -> Taken:
        return load.send(server.url, request, seconds, meter=server.spent)

    return _target(server, go, name)


def driven(server: Server, script: Script, name: str = "") -> Target:
    """Make the target that answers a script on every connection."""

    def go(seconds: float = SECONDS) -> Taken:
        return load.drive(server.url, script, seconds, meter=server.spent)

    return _target(server, go, name)


def _target(server: Server, go: Callable[..., Taken], name: str) -> Target:
    def warm() -> None:
        if server.warm_seconds:
            go(server.warm_seconds)

    return Target(name or server.name, go, server.rounds, warm, server.memory)


def _raw(name: str, label: str, seconds: float = SECONDS) -> Target:
    """Measure raw cryptography of both cores, by a process each."""
    program = Path(__file__).parent / "yardsticks" / "signatures.py"

    def go() -> Taken:
        command = [sys.executable, str(program), name, str(seconds)]
        before = _ended_children()
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
        ]
        rate = sum(float(process.communicate()[0]) for process in started)
        return Taken(round(rate * seconds), seconds, 0, 0, [_ended_children() - before])

    return Target(label, go)


def _ended_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _products(servers: Servers) -> tuple[list[Server], list[Bar], list[str]]:
    """Return what a user would choose between, the bars against it, and what is left out."""
    found, left_out = servers.products(keycloak.start, hydra.start)
    return found, [Bar("ours", server.name, 1.0) for server in found], left_out


def token(servers: Servers) -> list[Result]:
    """client_credentials, RS256 and ES256."""
    ours, large, node = servers.ours, servers.ours_large, servers.oidc_provider
    products, bars, left_out = _products(servers)

    def target_of(server: Server, client_id: str, name: str = "orders.read") -> Target:
        form = {"grant_type": "client_credentials", "scope": server.scope(name)}
        return _sent(server, server.by_client(client_id, **form))

    rs256 = measure(
        servers.plan,
        "client_credentials RS256",
        [
            *(target_of(each, "machine-rs256") for each in (ours, large, node, servers.django)),
            *(target_of(each, "machine-rs256") for each in products),
            _raw("RS256", "raw signatures"),
        ],
        [
            Bar("ours", "raw signatures", 0.70),
            Bar("ours", "oidc-provider", 1.5),
            Bar("ours", "django-oauth-toolkit", 15),
            LARGE,
            *bars,
        ],
    )
    rs256.left_out = left_out
    es256 = measure(
        servers.plan,
        "client_credentials ES256",
        [
            *(target_of(each, "machine-es256", "fast.read") for each in (ours, large)),
            target_of(node, "machine-es256"),
            _raw("ES256", "raw signatures"),
        ],
        [Bar("ours", "oidc-provider", 2.3), LARGE],
    )
    return [rs256, es256]


def _by_all(
    case: str, servers: Servers, script: Callable[[Server], Script], node: float, django: float
) -> list[Result]:
    """Measure what all servers do; `node` and `django` are the bars against the peers."""
    products, more, left_out = _products(servers)
    peers = [servers.oidc_provider, servers.django, *products]
    everybody = [servers.ours, servers.ours_large, *peers]
    bars = [Bar("ours", "oidc-provider", node), Bar("ours", "django-oauth-toolkit", django), LARGE]
    targets = [driven(server, script(server)) for server in everybody]
    result = measure(servers.plan, case, targets, bars + more)
    result.left_out = left_out
    return [result]


def flow(servers: Servers) -> list[Result]:
    """Follow a code with PKCE: authorize by a live session, then token."""
    return _by_all("code + PKCE", servers, codes, node=0.8, django=8)


def codes(server: Server) -> Script:
    """Follow codes with PKCE over and over."""
    scope = server.scope("openid", "profile", "orders.read")

    def steps() -> Steps:
        cookies = yield from server.signed_in("web", scope)
        yield None
        while True:
            code = yield from server.code("web", scope, cookies)
            yield from server.redeemed("web", code)
            yield None

    return steps


def refresh(servers: Servers) -> list[Result]:
    """Refresh with rotation."""
    return _by_all("refresh with rotation", servers, refreshes, node=0.8, django=15)


def refreshes(server: Server) -> Script:
    """Refresh over and over, each time with the token of the last answer."""
    client_id = "web-refresh"
    scope = server.scope("openid", "profile", "orders.read", "offline_access")

    def steps() -> Steps:
        content = yield from _tokens(server, client_id, scope)
        yield None
        while True:
            request = server.by_client(
                client_id, grant_type="refresh_token", refresh_token=content["refresh_token"]
            )
            content = json.loads((yield request).expect(200).body)
            yield None

    return steps


def _tokens(
    server: Server, client_id: str, scope: str
) -> Generator[Request, Answer, dict[str, Any]]:
    """Sign in and redeem a code; return the token response."""
    cookies = yield from server.signed_in(client_id, scope)
    code = yield from server.code(client_id, scope, cookies)
    content = yield from server.redeemed(client_id, code)
    return content


def _with_token(
    server: Server, client_id: str, ask: Callable[[str], Request], proof: bytes
) -> Script:
    """Get an access token first, then use it over and over."""
    scope = server.scope("openid", "profile", "orders.read")

    def steps() -> Steps:
        content = yield from _tokens(server, client_id, scope)
        request = ask(content["access_token"])
        yield None
        while True:
            answer = (yield request).expect(200)
            if proof not in answer.body.replace(b" ", b""):
                raise load.LoadError(f"{server.name}: {answer.body[:300]!r}")
            yield None

    return steps


def _introspections(server: Server, client_id: str) -> Script:
    def ask(token: str) -> Request:
        return server.introspection(client_id, token)

    return _with_token(server, client_id, ask, b'"active":true')


def introspect(servers: Servers) -> list[Result]:
    """Introspection by the client that a person's token was issued to."""
    ours, large, node = servers.ours, servers.ours_large, servers.oidc_provider
    products, more, left_out = _products(servers)

    def target_of(server: Server, client_id: str, name: str = "") -> Target:
        return driven(server, _introspections(server, client_id), name)

    targets = [
        target_of(node, "opaque"),  # this peer introspects no JWT
        target_of(ours, "web"),
        target_of(large, "web"),
        target_of(ours, "reference", "ours, reference"),
        target_of(large, "reference", "ours, reference, large"),
        *(target_of(server, "web") for server in products),
    ]
    bars = [
        Bar("ours", "oidc-provider", 1.5),
        Bar("ours, reference", "oidc-provider", 0.5),
        LARGE,
        Bar("ours, reference, large", "ours, reference", LARGE.least),
        *more,
    ]
    result = measure(servers.plan, "introspection", targets, bars)
    result.left_out = left_out
    return [result]


def userinfos(server: Server) -> Script:
    """Ask for the claims of a person over and over, with one bearer token."""

    def ask(token: str) -> Request:
        return Request("GET", server.userinfo, {"Authorization": f"Bearer {token}"})

    return _with_token(server, server.client_of_userinfo, ask, b'"sub":')


def userinfo(servers: Servers) -> list[Result]:
    """Userinfo with the scopes openid and profile."""
    return _by_all("userinfo", servers, userinfos, node=1.5, django=6)


JWKS = "/.well-known/openid-configuration/jwks"
DISCOVERY = "/.well-known/openid-configuration"


def registration(servers: Servers) -> list[Result]:
    """Clients that register themselves with a token that is good for any number of them."""
    ours = servers.ours
    body = {
        "client_name": "Registered by the benchmark",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
    }
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {ours.secrets[site.REGISTRATION]}",
    }
    request = Request("POST", "/connect/register", headers, json.dumps(body))
    load.once(ours.url, request).expect(201)

    def script() -> Steps:
        yield None
        while True:
            (yield request).expect(201)
            yield None

    result = measure(servers.plan, "registration", [driven(ours, script)])
    rate = result.rows["registration, ours"]["per second"].median
    result.bars.append(at_least("registration: clients in a second", rate, REGISTRATIONS))
    return [result]


def documents(servers: Servers) -> list[Result]:
    """JWKS and discovery against an answer that needs no thought."""
    return [
        measure(
            servers.plan,
            case,
            [
                *(
                    _sent(server, Request("GET", path))
                    for server in (servers.ours, servers.ours_large)
                ),
                *(
                    _sent(server, Request("GET", "/"))
                    for server in (servers.bare_wsgi, servers.bare_flask)
                ),
            ],
            [Bar("ours", "bare wsgi", 0.7), LARGE],
        )
        for case, path in (("JWKS", JWKS), ("discovery", DISCOVERY))
    ]


def tails(servers: Servers) -> list[Result]:
    """Measure the slow answers of each machine endpoint under 32 connections."""
    ours = servers.ours
    count = CONNECTIONS_OF_TAILS
    requests = {
        name: ours.by_client(client_id, grant_type="client_credentials", scope=scope)
        for name, client_id, scope in (
            ("client_credentials RS256", "machine-rs256", "orders.read"),
            ("client_credentials ES256", "machine-es256", "fast.read"),
        )
    } | {"JWKS": Request("GET", JWKS), "discovery": Request("GET", DISCOVERY)}
    scripts = {
        "code + PKCE": codes(ours),
        "refresh with rotation": refreshes(ours),
        "introspection": _introspections(ours, "web"),
        "introspection, reference": _introspections(ours, "reference"),
        "userinfo": userinfos(ours),
    }
    sent = [
        Target(name, partial(load.send, ours.url, it, SECONDS, count, ours.spent))
        for name, it in requests.items()
    ]
    driven = [
        Target(name, partial(load.drive, ours.url, it, SECONDS, count, ours.spent))
        for name, it in scripts.items()
    ]
    result = measure(servers.plan, f"{count} connections", sent + driven)
    result.bars = [
        at_most(f"{name}: p99 ÷ p50", row["p99 ms"].median / row["p50 ms"].median, 5)
        for name, row in result.rows.items()
    ]
    return [result]


def login(servers: Servers) -> list[Result]:
    """Answer the sign-in page: fetch it and post it.

    Nearly all of it is the check of the password, so that check alone stands beside.
    """
    targets = [
        Target("ours", partial(sign_in, servers.ours)),
        _raw("argon2id", "raw checks of a password", LOGIN_SECONDS),
    ]
    return [measure(servers.plan, "sign-in page, GET and POST", targets)]


def sign_in(ours: Server) -> Taken:
    """Sign in by the page for a while."""

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

    time.sleep(1)  # passwords of the round before may still be checked
    return load.drive(ours.url, steps, LOGIN_SECONDS, LOGIN_CONNECTIONS, ours.spent)


def gateway(servers: Servers) -> list[Result]:
    """Ask /gateway/verify before every request: Caddy with it beside Caddy alone.

    The processor time is that of Caddy and of all behind it.
    """
    ours = servers.ours
    form = {"grant_type": "client_credentials", "scope": "orders.read"}
    answer = load.once(ours.url, ours.by_client("machine-rs256", **form)).expect(200)
    bearer = {"Authorization": f"Bearer {json.loads(answer.body)['access_token']}"}
    call = Request("GET", "/", bearer)
    caddy, asking = servers.caddies
    behind = [caddy.process, servers.bare_wsgi.process]
    targets = [
        Target("Caddy alone", _through(caddy.url, call, behind)),
        Target(
            "Caddy and /gateway/verify",
            _through(asking, call, [*behind, ours.process], ours.stores),
        ),
    ]
    return [measure(servers.plan, "gateway", targets)]


def _through(
    url: str,
    request: Request,
    processes: Sequence[psutil.Process],
    stores: Sequence[psutil.Process] = (),
) -> Round:
    def meter() -> Sequence[float]:
        groups = (group for group in (processes, stores) if group)
        return [sum(cpu_seconds(process) for process in group) for group in groups]

    return lambda: load.send(url, request, SECONDS, meter=meter)
