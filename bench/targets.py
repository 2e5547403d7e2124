"""A server that is measured: its addresses, its cost, and how a code is had from it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psutil

from bench.load import Answer, Request

CALLBACK = "https://app.example/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rule-of-43-characters"
PEER_SECRET = "a-secret-of-the-benchmark-clients-0123456789"  # noqa: S105 - of a peer, for a minute

Steps = Generator[Request, Answer, str]
"""Requests that end in a value."""


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Make the header of client_secret_basic."""
    text = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


@dataclass(eq=False)
class Server:
    """A started server and the addresses of what is measured there."""

    name: str
    url: str
    process: psutil.Process
    stop: Callable[[], object]
    token: str = "/"  # noqa: S105 - a path
    authorize: str = "/"
    introspect: str = "/"
    userinfo: str = "/"
    push: str = "/"
    cookie: str = ""
    """Of a person who is signed in."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Client id → secret."""
    client_of_userinfo: str = "web"
    """Id of the client whose access tokens userinfo takes."""
    stores: Sequence[psutil.Process] = ()
    """PostgreSQL and Valkey, where the server uses them."""
    without: frozenset[str] = frozenset()
    """Scopes that are not known there."""
    rounds: int | None = None
    """At most so many rounds; None: as many as the case takes."""
    warm_seconds: float = 0.0
    """Load before the first round of a case, for a runtime that compiles while it runs."""
    admin_host: str = ""
    """Host and port, where they are not those of the rest."""

    def auth(self, client_id: str) -> dict[str, str]:
        """Make the header by which a client shows its secret."""
        return basic(client_id, self.secrets.get(client_id, PEER_SECRET))

    def spent(self) -> list[float]:
        """Return the processor seconds so far: of the server, then of its stores if it has some."""
        stores = [sum(cpu_seconds(store) for store in self.stores)] if self.stores else []
        return [cpu_seconds(self.process), *stores]

    def memory(self) -> float:
        """Return the resident memory of the process tree, MiB."""
        return sum(process.memory_info().rss for process in tree(self.process)) / 2**20

    def scope(self, *names: str) -> str:
        """Return those of the scopes that are known there, as a parameter."""
        return " ".join(name for name in names if name not in self.without)

    def by_client(self, client_id: str, **values: str) -> Request:
        """Make a token request; values that are empty are left out."""
        given = {name: value for name, value in values.items() if value}
        return Request.form(self.token, given, **self.auth(client_id))

    def introspection(self, client_id: str, token: str) -> Request:
        """Make an introspection request."""
        request = Request.form(self.introspect, {"token": token}, **self.auth(client_id))
        return replace(request, host=self.admin_host)

    def asked(self, client_id: str, scope: str) -> dict[str, str]:
        """Return the parameters of an authorization request."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
        return {
            "client_id": client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    def for_code(self, client_id: str, scope: str, cookies: str = "") -> Request:
        """Make an authorization request."""
        return self.opened(self.asked(client_id, scope), cookies)

    def opened(self, query: Mapping[str, str], cookies: str = "") -> Request:
        """Open the authorization endpoint as a browser does."""
        headers = {"Cookie": cookies} if cookies else {}
        return Request("GET", f"{self.authorize}?{urlencode(query)}", headers)

    def signed_in(self, _client_id: str, _scope: str) -> Steps:
        """Sign a person in; return the cookies."""
        yield from ()
        return self.cookie

    def code(self, client_id: str, scope: str, cookies: str) -> Steps:
        """Get a code with a live session."""
        answer = (yield self.for_code(client_id, scope, cookies)).expect(302, 303)
        return code_in(answer)

    def redeemed(
        self, client_id: str, code: str, **headers: str
    ) -> Generator[Request, Answer, dict[str, Any]]:
        """Redeem a code; return the token response."""
        request = self.by_client(
            client_id,
            grant_type="authorization_code",
            code=code,
            redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        )
        request = replace(request, headers={**request.headers, **headers})
        content: dict[str, Any] = json.loads((yield request).expect(200).body)
        return content


class OidcProvider(Server):
    """A peer whose session lives in the process that a connection leads to."""

    def signed_in(self, client_id: str, scope: str) -> Steps:
        """Follow the redirects of the interaction."""
        answer = (yield self.for_code(client_id, scope)).expect(303)
        cookies = answer.cookies()
        while not (location := answer.header("location")).startswith(CALLBACK):
            path = urlsplit(location).path
            answer = (yield Request("GET", path, {"Cookie": cookies})).expect(303)
            if path.startswith("/auth/"):
                cookies = answer.cookies()
        return cookies


def code_in(answer: Answer) -> str:
    """Return the code in a redirect to the client."""
    query = parse_qs(urlsplit(answer.header("location")).query)
    return query["code"][0]


def local(address: str) -> str:
    """Return the path and query of an address."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def tree(process: psutil.Process) -> list[psutil.Process]:
    """List a process and all below it."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and all below it, those that have ended included."""
    total = 0.0
    for each in tree(process):
        try:
            total += sum(each.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # counted by its parent now
    return total
