"""FAPI 2.0: tokens that are bound to keys, pushed requests, and clients that sign assertions."""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Iterator
from dataclasses import replace

from bench import load, site
from bench.cases import Bar, Steps, codes, driven, measure, refreshes, userinfos
from bench.load import Answer, Request, Script
from bench.measure import Result
from bench.proofs import Key
from bench.servers import Servers
from bench.targets import OidcProvider, Server, code_in

READY = 100
"""Proofs of a connection for requests that few of are sent in a second."""


def fapi(servers: Servers) -> list[Result]:
    """Measure what FAPI 2.0 adds, beside the same without it and beside a peer."""
    return [*_bound_tokens(servers), *_pushes(servers), _flow(servers)]


def _bound_tokens(servers: Servers) -> list[Result]:
    """Tokens that are bound to a key: client_credentials and userinfo, each with a new proof."""
    ours, node = servers.ours, servers.oidc_provider
    return [
        measure(
            servers.plan,
            case,
            [
                driven(ours, bearer(ours), "ours, bearer"),
                driven(ours, bound(ours), "ours"),
                driven(node, bound(node)),
            ],
            [Bar("ours", "ours, bearer", least), Bar("ours", "oidc-provider", 1.0)],
        )
        for case, bearer, bound, least in (
            ("client_credentials with DPoP", _machine_tokens, _bound_machine_tokens, 0.45),
            ("userinfo with DPoP", userinfos, _bound_userinfos, 0.35),
        )
    ]


def _machine_request(server: Server) -> Request:
    scope = "orders.read" if isinstance(server, OidcProvider) else "fast.read"
    return server.by_client("machine-es256", grant_type="client_credentials", scope=scope)


def _machine_tokens(server: Server) -> Script:
    return load.repeat(_machine_request(server))


def _bound_machine_tokens(server: Server) -> Script:
    request = _machine_request(server)

    def steps() -> Steps:
        proofs = Key().proofs("POST", server.url + server.token)
        first = next(proofs)
        yield None
        for proof in itertools.chain([first], proofs):
            (yield replace(request, headers={**request.headers, "DPoP": proof})).expect(200)
            yield None

    return steps


def _bound_userinfos(server: Server) -> Script:
    client_id, scope = server.client_of_userinfo, server.scope("openid", "profile")

    def steps() -> Steps:
        key = Key()
        cookies = yield from server.signed_in(client_id, scope)
        code = yield from server.code(client_id, scope, cookies)
        proof = key.proof("POST", server.url + server.token)
        token = (yield from server.redeemed(client_id, code, DPoP=proof))["access_token"]
        proofs = key.proofs("GET", server.url + server.userinfo, token)
        first = next(proofs)
        yield None
        for each in itertools.chain([first], proofs):
            headers = {"Authorization": f"DPoP {token}", "DPoP": each}
            (yield Request("GET", server.userinfo, headers)).expect(200)
            yield None

    return steps


def _pushes(servers: Servers) -> list[Result]:
    """Push requests: by clients with secrets and by clients that sign assertions."""
    ours = servers.ours
    return [
        measure(
            servers.plan,
            "pushed request",
            [
                driven(ours, _signed_machine_tokens(ours), "client_credentials, private_key_jwt"),
                driven(ours, _signed_pushes(ours), "private_key_jwt"),
                driven(ours, refreshes(ours), "refresh with rotation"),
                driven(ours, _pushed(ours), "client_secret"),
            ],
            [
                Bar("private_key_jwt", "client_credentials, private_key_jwt", 0.5),
                Bar("client_secret", "refresh with rotation", 0.8),
            ],
        )
    ]


def _flow(servers: Servers) -> Result:
    """Follow a code whose request is pushed and whose tokens are bound."""
    ours, node, kept = servers.ours, servers.oidc_provider, servers.oidc_provider_in_valkey
    return measure(
        servers.plan,
        "code + PKCE + PAR + DPoP",
        [
            driven(ours, codes(ours), "ours, plain"),
            driven(ours, _bound_codes(ours)),
            driven(node, _bound_codes(node)),
            driven(kept, _bound_codes(kept)),
        ],
        [
            Bar("ours", "ours, plain", 0.6),
            Bar("ours", node.name, 1.0),
            Bar("ours", kept.name, 1.0),
        ],
    )


SCOPES = ("openid", "profile", "orders.read")


def _clients(server: Server, kind: str) -> Iterator[str]:
    """Return clients in turn: each worker takes few pushed requests of a client in a minute."""
    if isinstance(server, OidcProvider):
        return itertools.repeat("web")
    return itertools.cycle([site.pushing(kind, number) for number in range(site.PUSHING)])


def _pushed(server: Server) -> Script:
    clients, scope = _clients(server, "secret"), server.scope(*SCOPES)

    def steps() -> Steps:
        yield None
        while True:
            (yield _push(server, next(clients), scope)).expect(201)
            yield None

    return steps


def _push(server: Server, client_id: str, scope: str, **headers: str) -> Request:
    """Make a pushed request of a client with a secret."""
    asked = server.asked(client_id, scope)
    return Request.form(server.push, asked, **server.auth(client_id), **headers)


def _signed_pushes(server: Server) -> Script:
    clients, scope = _clients(server, "key"), server.scope(*SCOPES)

    def steps() -> Steps:
        asking = server.asked("", scope)
        own = [next(clients) for _ in range(site.PUSHING)]
        assertions = site.CLIENT_KEY.assertions(itertools.cycle(own), server.url)
        for number, client_id in enumerate(itertools.cycle(own)):
            form = {**asking, "client_id": client_id, **next(assertions)}
            (yield Request.form(server.push, form)).expect(201)
            if number >= len(own):  # each client is known by then, as the one beside it is
                yield None

    return steps


def _signed_machine_tokens(server: Server) -> Script:
    form = {"grant_type": "client_credentials", "scope": "fast.read"}

    def steps() -> Steps:
        assertions = site.CLIENT_KEY.assertions(itertools.repeat("machine-key"), server.url)
        first = next(assertions)
        yield None
        for assertion in itertools.chain([first], assertions):
            (yield Request.form(server.token, {**form, **assertion})).expect(200)
            yield None

    return steps


def _bound_codes(server: Server) -> Script:
    clients, scope = _clients(server, "secret"), server.scope(*SCOPES)

    def steps() -> Steps:
        key = Key()
        cookies = yield from server.signed_in("web", scope)
        pushing = key.proofs("POST", server.url + server.push, ready=READY)
        redeeming = key.proofs("POST", server.url + server.token, ready=READY)
        yield from _bound_code(
            server, next(clients), scope, cookies, next(pushing), next(redeeming)
        )
        yield None
        while True:
            client_id = next(clients)
            yield from _bound_code(
                server, client_id, scope, cookies, next(pushing), next(redeeming)
            )
            yield None

    return steps


def _bound_code(
    server: Server, client_id: str, scope: str, cookies: str, for_push: str, for_token: str
) -> Generator[Request, Answer, None]:
    """Push a request, open it, and redeem its code."""
    answer = (yield _push(server, client_id, scope, DPoP=for_push)).expect(201)
    query = {"client_id": client_id, "request_uri": json.loads(answer.body)["request_uri"]}
    answer = (yield server.opened(query, cookies)).expect(302, 303)
    tokens = yield from server.redeemed(client_id, code_in(answer), DPoP=for_token)
    kind = tokens["token_type"]
    if kind != "DPoP":
        raise load.LoadError(f"{server.name}: {kind}")
