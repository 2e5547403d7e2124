"""Callers over raw sockets, each with clients and a person of its own: no answer may be another's.

A caller makes requests one after the other from what earlier answers gave it, and compares each
answer with what only it can have been given: client, person, nonce, scope, `jti`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import random
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

from sqlalchemy import select

from idp.directory.resources.models import ApiResource
from idp.directory.users.models import User
from idp.oauth.models import AuthorizationCode, Grant
from idp.platform.secrets import digest
from idp.publishing.gateway import products
from idp.publishing.gateway.models import Publication, PublicationRevision, PublicationVersion
from tests import protocol
from tests.live.site import OFFLINE, Answer, Site, redemption
from tests.protocol import App

T = TypeVar("T")

_LOOPS = ThreadPoolExecutor(1)

PATIENCE_SECONDS = 40.0
KINDS = {
    *("token", "introspect", "userinfo", "authorize", "redeem", "refresh", "revoke"),
    *("discovery", "keys", "verify"),
}
"""What callers ask."""
_UPSTREAM = "https://orders.example"
_KEPT = 5
"""Access tokens that a caller remembers."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread: a browser of other tests keeps a loop running in this one.

    The thread stays: a PostgreSQL that was started in it would end with it.
    """
    return _LOOPS.submit(asyncio.run, work).result()


def seed() -> int:
    """Return the number that the choices of a run follow from; `LIVE_SEED` repeats a run."""
    return int(os.environ.get("LIVE_SEED") or secrets.randbelow(10**9))


class LostError(Exception):
    """The connection ended before the whole answer was here."""


class WrongError(Exception):
    """An answer is not what this caller must be given."""


class Wire:
    """A connection on the event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_last = False
        """Whether the server said that it closes."""

    @classmethod
    async def open(cls, host: str) -> Wire:
        """Connect."""
        name, _, port = host.partition(":")
        return cls(*await asyncio.open_connection(name, int(port)))

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise LostError(repr(error)) from None

    async def read(self) -> Answer:
        """Read one whole answer."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await self._reader.readuntil(b"\r\n\r\n")
                status, *lines = head[:-4].decode("latin-1").split("\r\n")
                named = (line.partition(": ") for line in lines)
                headers = {name.lower(): value for name, _, value in named}
                body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        except asyncio.IncompleteReadError as error:
            raise LostError(f"the answer ended after {error.partial!r}") from None
        except OSError as error:  # TimeoutError is one
            raise LostError(repr(error)) from None
        if headers.get("connection") == "close":
            self.is_last = True
        return Answer(int(status.split(" ")[1]), headers, body)

    def half_close(self) -> None:
        """Announce that nothing more will be sent."""
        self._writer.write_eof()

    def pause(self) -> None:
        """Take nothing more of what the server sends."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def resume(self) -> None:
        """Take it again."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def reset(self) -> None:
        """Hang up with RST: what the server sends is thrown away."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@dataclass(slots=True)
class Call:
    """A request, and what its caller makes of the answer."""

    kind: str
    data: bytes
    check: Callable[[Answer], None]
    refused: Callable[[], None] = lambda: None
    """Called when the answer is 503: the request may be repeated."""
    lost: Callable[[], None] = lambda: None
    """Called when there is no answer: whether it is still being worked on is not known."""
    request_id: str = ""


def same(found: Mapping[str, Any], **expected: object) -> None:
    """Raise WrongError unless members are as expected."""
    for name, value in expected.items():
        if found.get(name) != value:
            raise WrongError(f"{name} is {found.get(name)!r}, not {value!r}")


def accepted(reply: Answer, status: int = 200) -> None:
    """Raise WrongError unless an answer has a status."""
    if reply.status != status:
        raise WrongError(f"status {reply.status}, not {status}")


def put_off(reply: Answer) -> None:
    """Raise WrongError unless an answer says when to come back."""
    if int(reply.headers.get("retry-after", 0)) < 1:
        raise WrongError("503 without Retry-After")


@dataclass
class Caller:
    """Two clients, one of them with a person who is signed in, and what they were given."""

    host: str
    machine: App
    scope: str
    published: str
    web: App
    user: User
    cookie: str
    random: random.Random
    seen: set[str]
    """Every `jti`, nonce, code, refresh token and request id that some caller was given."""
    names_requests: bool = False
    """Whether the server takes over the request ids of its callers."""
    machine_tokens: list[str] = field(default_factory=list)
    access: str | None = None
    refresh: str | None = None
    is_refreshing: bool = False
    """Whether the refresh token was sent and may be spent: it can still be sent again."""
    code: tuple[str, str] | None = None
    """A code and its nonce."""
    is_doubtful: bool = False
    """Whether the code was refused with 503 and may be spent."""
    doubtful: list[str] = field(default_factory=list)
    """Codes that were found spent after an answer with 503."""
    revoking: str | None = None
    revoked: str | None = None
    finished: list[tuple[str, str]] = field(default_factory=list)
    """The last access and refresh token of each code that was redeemed."""

    # What is asked.

    def read(self) -> Call:
        """Ask something that changes nothing for the calls that follow."""
        choices: list[Callable[[], Call]] = [self._machine_token, self._discovery, self._keys]
        if self.machine_tokens:
            choices += [self._introspect_machine, self._verify] * 2
        if self.access is not None:
            choices += [self._introspect, self._userinfo] * 3
        if self.refresh is not None and not self.is_refreshing:
            choices += [self._introspect_refresh]
        if self.revoked is not None:
            choices += [self._introspect_revoked]
        return self.random.choice(choices)()

    def write(self) -> Call:
        """Ask something that the next of these calls builds upon."""
        if self.revoking is not None:
            return self._revoke(self.revoking)
        if self.code is not None:
            return self._redeem(*self.code)
        if self.refresh is None or self.random.random() < 0.2:
            return self._authorize()
        if len(self.machine_tokens) > 1 and self.random.random() < 0.3:
            self.revoking = self.machine_tokens.pop()
            return self._revoke(self.revoking)
        return self._refresh(self.refresh)

    def any(self) -> Call:
        """Ask one or the other."""
        return self.write() if self.random.random() < 0.4 else self.read()

    # Each kind of request.

    def _machine_token(self) -> Call:
        def check(reply: Answer) -> None:
            accepted(reply)
            same(reply.json(), token_type="Bearer", scope=self.scope)
            token = reply.json()["access_token"]
            claims = self._own(token, self.machine)
            same(claims, sub=self.machine.client_id, scope=self.scope)
            if f"api-of-{self.machine.client_id}" not in claims["aud"]:
                raise WrongError(f"the audience is {claims['aud']}")
            self.machine_tokens = [*self.machine_tokens[1 - _KEPT :], token]

        form = {"grant_type": "client_credentials"}
        return self._post("token", "/connect/token", form, self.machine, check)

    def _authorize(self) -> Call:
        nonce, state = secrets.token_hex(8), secrets.token_hex(8)
        fields = protocol.authorization_parameters(
            self.web, scope=OFFLINE, nonce=nonce, state=state
        )

        def check(reply: Answer) -> None:
            accepted(reply, 303)
            where = urlsplit(reply.headers["location"])
            found = {name: values[0] for name, values in parse_qs(where.query).items()}
            same(found, state=state, iss=f"http://{self.host}")
            self._new("code", found["code"])
            self.code, self.is_doubtful = (found["code"], nonce), False

        path = f"/connect/authorize?{urlencode(fields)}"
        return self._call("authorize", "GET", path, check, f"Cookie: {self.cookie}")

    def _redeem(self, code: str, nonce: str) -> Call:
        def check(reply: Answer) -> None:
            self.code = None
            if reply.status == 400 and self.is_doubtful:
                same(reply.json(), error="invalid_grant")
                self.doubtful.append(code)
                return
            self._take_tokens(reply, nonce)

        def refused() -> None:
            self.is_doubtful = True

        def lost() -> None:
            # A second use while the first is still being worked on would be a replay.
            self.code = None

        call = self._post("redeem", "/connect/token", redemption(code), self.web, check)
        call.refused, call.lost = refused, lost
        return call

    def _refresh(self, token: str) -> Call:
        def check(reply: Answer) -> None:
            self._take_tokens(reply, None)

        self.is_refreshing = True
        form = {"grant_type": "refresh_token", "refresh_token": token}
        call = self._post("refresh", "/connect/token", form, self.web, check)

        def lost() -> None:
            # The server may still be at it: whoever sends it again and goes on with what follows
            # could be overtaken by the first request, which then is a replay. People sign in anew.
            if self.refresh == token:
                self.refresh, self.access, self.is_refreshing = None, None, False

        call.lost = lost
        return call

    def _take_tokens(self, reply: Answer, nonce: str | None) -> None:
        accepted(reply)
        content = reply.json()
        same(content, token_type="Bearer", scope=OFFLINE)
        access = content["access_token"]
        same(self._own(access, self.web), sub=str(self.user.id), scope=OFFLINE)
        identity = protocol.payload(content["id_token"])
        half = hashlib.sha256(access.encode()).digest()[:16]
        same(
            identity,
            sub=str(self.user.id),
            aud=self.web.client_id,
            iss=f"http://{self.host}",
            at_hash=base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        )
        if nonce is not None:
            same(identity, nonce=nonce)
            if self.access is not None and self.refresh is not None:
                self.finished.append((self.access, self.refresh))
        refresh = content["refresh_token"]
        if refresh != self.refresh:
            self._new("refresh token", refresh)
        self.access, self.refresh, self.is_refreshing = access, refresh, False

    def _introspect(self) -> Call:
        assert self.access is not None
        jti = protocol.payload(self.access)["jti"]
        return self._look_up(
            self.web,
            self.access,
            active=True,
            jti=jti,
            client_id=self.web.client_id,
            sub=str(self.user.id),
            username=self.user.username,
        )

    def _introspect_machine(self) -> Call:
        token = self.random.choice(self.machine_tokens)
        name = self.machine.client_id
        jti = protocol.payload(token)["jti"]
        return self._look_up(
            self.machine, token, active=True, jti=jti, client_id=name, sub=name, scope=self.scope
        )

    def _introspect_refresh(self) -> Call:
        assert self.refresh is not None
        token = self.refresh

        def check(reply: Answer) -> None:
            accepted(reply)
            if token == self.refresh and not self.is_refreshing:
                name, sub = self.web.client_id, str(self.user.id)
                same(reply.json(), active=True, client_id=name, sub=sub, scope=OFFLINE)

        return self._post("introspect", "/connect/introspect", {"token": token}, self.web, check)

    def _introspect_revoked(self) -> Call:
        assert self.revoked is not None
        return self._look_up(self.machine, self.revoked, active=False)

    def _look_up(self, app: App, token: str, **expected: object) -> Call:
        def check(reply: Answer) -> None:
            accepted(reply)
            same(reply.json(), **expected)

        return self._post("introspect", "/connect/introspect", {"token": token}, app, check)

    def _userinfo(self) -> Call:
        def check(reply: Answer) -> None:
            accepted(reply)
            same(reply.json(), sub=str(self.user.id))

        header = f"Authorization: Bearer {self.access}"
        return self._call("userinfo", "GET", "/connect/userinfo", check, header)

    def _revoke(self, token: str) -> Call:
        def check(reply: Answer) -> None:
            accepted(reply)
            self.revoking, self.revoked = None, token

        return self._post("revoke", "/connect/revocation", {"token": token}, self.machine, check)

    def _verify(self) -> Call:
        name = self.machine.client_id

        def check(reply: Answer) -> None:
            accepted(reply)
            same(reply.headers, **{"x-subject": name, "x-scope": self.scope})

        header = f"Authorization: Bearer {self.random.choice(self.machine_tokens)}"
        path = f"/gateway/verify?api={self.published}"
        return self._call("verify", "GET", path, check, header)

    def _discovery(self) -> Call:
        def check(reply: Answer) -> None:
            accepted(reply)
            same(reply.json(), issuer=f"http://{self.host}")

        return self._call("discovery", "GET", "/.well-known/openid-configuration", check)

    def _keys(self) -> Call:
        def check(reply: Answer) -> None:
            accepted(reply)
            if not reply.json()["keys"]:
                raise WrongError("no keys")

        return self._call("keys", "GET", "/.well-known/openid-configuration/jwks", check)

    # How requests are written, and what every answer must have.

    def _post(
        self,
        kind: str,
        path: str,
        form: Mapping[str, str],
        app: App,
        check: Callable[[Answer], None],
    ) -> Call:
        headers = ["Content-Type: application/x-www-form-urlencoded"]
        if self.random.random() < 0.5:
            form = {**form, **app.post}
        else:
            headers.append(f"Authorization: {app.basic['Authorization']}")
        return self._call(kind, "POST", path, check, *headers, body=urlencode(form).encode())

    def _call(
        self,
        kind: str,
        method: str,
        path: str,
        check: Callable[[Answer], None],
        *headers: str,
        body: bytes = b"",
    ) -> Call:
        name = secrets.token_hex(8)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *headers]
        lines += [f"X-Request-Id: {name}"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        data = "\r\n".join((*lines, "", "")).encode() + body

        def check_all(reply: Answer) -> None:
            given = reply.headers["x-request-id"]
            if self.names_requests and given != name:
                raise WrongError(f"the answer to request {given}, not to {name}")
            self._new("request id", given)
            check(reply)

        return Call(kind, data, check_all, request_id=name)

    def _own(self, token: str, app: App) -> dict[str, Any]:
        """Return the claims of an access token, which must be new and this client's."""
        claims = protocol.payload(token)
        same(claims, client_id=app.client_id, iss=f"http://{self.host}")
        self._new("jti", claims["jti"])
        return claims

    def _new(self, kind: str, value: str) -> None:
        name = f"{kind} {value}"
        if name in self.seen:
            raise WrongError(f"the {name} was given before")
        self.seen.add(name)


@dataclass
class Crowd:
    """Callers, what became of their calls, and what was wrong."""

    site: Site
    callers: Sequence[Caller]
    seed: int
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lost: int = 0
    may_refuse: bool = False
    """Whether 503 is an answer too."""
    pause_seconds: float = 0.0
    """How long a caller of `one_by_one` waits between an answer and its next request."""

    def settle(self, call: Call, reply: Answer) -> None:
        """Count an answer and compare it with what it must be."""
        self.counts[call.kind, reply.status] += 1
        try:
            if self.may_refuse and reply.status == 503:
                call.refused()
                put_off(reply)
            else:
                call.check(reply)
        except (WrongError, KeyError, ValueError) as error:
            self.faults.append(f"{call.kind}: {error!r} in {reply.status} {reply.body[:120]!r}")

    def check_faults(self) -> None:
        """Fail with the seed and every kind of fault."""
        kinds = Counter(fault.partition(" request_id")[0] for fault in self.faults)
        assert not kinds, f"LIVE_SEED={self.seed}: {kinds.most_common(12)}"

    def drop(self, calls: Iterable[Call]) -> None:
        """Note that calls stay without an answer."""
        for call in calls:
            self.lost += 1
            call.lost()

    def answers(self, kind: str) -> int:
        """Return how many calls of a kind were answered."""
        return sum(number for (name, _), number in self.counts.items() if name == kind)

    async def one_by_one(self, caller: Caller, stop: asyncio.Event, *, may_lose: bool) -> None:
        """Call on one connection, one request after the other, until the end of the server.

        A connection is opened again after an answer that closes it, and after a loss.
        """
        wire = None
        while not stop.is_set():
            call = caller.any()
            try:
                if wire is None:
                    wire = await Wire.open(self.site.host)
                await wire.send(call.data)
                reply = await wire.read()
            except ConnectionRefusedError:
                call.lost()
                if not may_lose:
                    return
                await asyncio.sleep(0.05)
            except (LostError, OSError) as error:
                if wire is not None:
                    wire.close()
                wire = None
                self.drop([call])
                if not may_lose:
                    self.faults.append(f"{call.kind}: {error!r}")
                    return
            else:
                self.settle(call, reply)
                await asyncio.sleep(max(self.pause_seconds, 0.05 * (reply.status == 503)))
                if wire.is_last:
                    wire.close()
                    wire = None
        if wire is not None:
            wire.close()

    async def during(self, act: Callable[[], Awaitable[None]], *, may_lose: bool = False) -> None:
        """Have every caller call while something happens."""
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(self.one_by_one(caller, stop, may_lose=may_lose))
            for caller in self.callers
        ]
        try:
            await act()
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def once_each(self) -> None:
        """Run every caller to the end of its work, and use what it holds: all must be good."""
        for caller in self.callers:
            wire = await Wire.open(self.site.host)
            calls = []
            if caller.code is not None:
                calls.append(caller.write)
            if caller.revoking is not None:
                calls.append(caller.write)
            calls += [caller.read] * 4
            for make in calls:
                await self._ask(wire, make())
            if caller.refresh is not None:
                await self._ask(wire, caller._refresh(caller.refresh))
                await self._ask(wire, caller._introspect())
            wire.close()

    async def _ask(self, wire: Wire, call: Call) -> None:
        await wire.send(call.data)
        self.settle(call, await wire.read())

    def half_done(self) -> list[str]:
        """List the codes that were spent under an answer with 503 and left tokens alive."""
        hashes = {digest(code): code for caller in self.callers for code in caller.doubtful}
        with self.site.sessions() as session:
            alive = session.scalars(
                select(AuthorizationCode.code_hash)
                .join(Grant, Grant.id == AuthorizationCode.grant_id)
                .where(AuthorizationCode.code_hash.in_(hashes), Grant.revoked_at.is_(None))
            )
            return [hashes[found] for found in alive]


def crowd(site: Site, number: int, chosen: int, *, names_requests: bool = False) -> Crowd:
    """Make callers, each with clients, an API that is published, and a person of its own."""
    seen: set[str] = set()
    with site.sessions() as session:
        products.allow_upstream(session, 1, _UPSTREAM)
        session.commit()
    made = []
    for index in range(number):
        machine, web, user = site.machine(), site.web(), site.person()
        made.append(
            Caller(
                site.host,
                machine,
                f"{machine.client_id}.read",
                publish(site, f"api-of-{machine.client_id}"),
                web,
                user,
                site.cookie(user)["Cookie"],
                random.Random(f"{chosen}-{index}"),
                seen,
                names_requests,
            )
        )
    return Crowd(site, made, chosen)


def publish(site: Site, name: str) -> str:
    """Publish an API without a description; return what a gateway calls it."""
    with site.sessions() as session:
        api = session.scalars(select(ApiResource).where(ApiResource.name == name)).one()
        aid = str(api.id)
        revision = PublicationRevision(
            number=1,
            note="",
            upstream=_UPSTREAM,
            source_url=_UPSTREAM,
            kind="3.1",
            document=b"",
            breaking=[],
            is_current=True,
        )
        session.add(
            Publication(
                api_resource_id=api.id,
                suffix=f"a{aid}",
                suffix_key=f"a{aid}",
                configuration_encrypted="",
                versions=[
                    PublicationVersion(aid=aid, name="", product_ids=[], revisions=[revision])
                ],
            )
        )
        session.commit()
        return aid
