"""What visitors do while something happens, and a ledger of every write that was acknowledged."""

from __future__ import annotations

import http.client
import itertools
import json
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg

from tests import protocol
from tests.live.site import FORM_TOKEN, FORM_TYPE, OFFLINE, redemption
from tests.protocol import PASSWORD, App

KEPT = 12
"""How many results of a kind each visitor keeps to look at them again."""
PATIENCE_SECONDS = 40.0
PAUSE_SECONDS = 0.05
LOOK_SECONDS = 15.0
"""How long what was acknowledged is asked for."""
OUT_SECONDS = 0.5
"""How long a node that refuses connections gets none."""
STALE_SECONDS = 2.5
"""How long a node may remember what another one has changed, and a little."""
OLDER = 4
"""How many secrets an administrator adds meanwhile."""
REFRESHES = 12
"""After so many refreshes an application begins with a new code."""
LOST = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Read the body."""
        content: dict[str, Any] = json.loads(self.body)
        return content


class Fleet:
    """The nodes behind one address, as a balancer sees them."""

    def __init__(self, host: str, ports: Sequence[int]) -> None:
        self.host = host
        self.ports = list(ports)
        self._turn = itertools.count()
        self._out: dict[int, float] = {}

    def send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Reply:
        """Send a request to the next node that takes connections; one of LOST without an answer."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                line = self._connect()
            except ConnectionRefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(PAUSE_SECONDS)
                continue
            try:
                line.request(method, path, body, {"Host": self.host, **headers})
                with line.getresponse() as answer:
                    return _reply(answer)
            finally:
                line.close()

    def _connect(self) -> http.client.HTTPConnection:
        now = time.monotonic()
        ports = [port for port in self.ports if self._out.get(port, 0) < now] or self.ports
        port = ports[next(self._turn) % len(ports)]
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        try:
            line.connect()
        except ConnectionRefusedError:
            self._out[port] = now + OUT_SECONDS
            raise
        return line


def _reply(answer: http.client.HTTPResponse) -> Reply:
    body = answer.read()
    cookies = {}
    for line in answer.headers.get_all("Set-Cookie") or ():
        name, _, value = line.partition(";")[0].partition("=")
        cookies[name] = value
    named = {name.lower(): value for name, value in answer.getheaders()}
    return Reply(answer.status, named, cookies, body)


class Ledger:
    """The requests whose writes were acknowledged; each left an event in the audit log."""

    def __init__(self) -> None:
        self.writes: dict[str, str] = {}
        """Id of the request → what was written."""

    def missing(self, where: str) -> Counter[str]:
        """Count the writes that a database does not have."""
        kept = dict(self.writes)
        with psycopg.connect(where) as connection:
            query = "SELECT request_id FROM audit_event WHERE request_id = ANY(%s)"
            found = {row[0] for row in connection.execute(query, [list(kept)])}
        return Counter(kind for name, kind in kept.items() if name not in found)


@dataclass
class Load:
    """Visitors of a fleet, and what became of their requests since the last blow."""

    fleet: Fleet
    ledger: Ledger
    visitors: Sequence[Visitor] = ()
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    """How many writes of each kind were acknowledged."""
    faults: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_kind: str = ""
    lost: int = 0
    """Requests without an answer."""
    is_patient: bool = False
    """Whether what is refused with 503 is asked again."""
    _wrote: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def clear(self) -> None:
        """Begin to count anew."""
        self.statuses, self.kinds, self.faults = Counter(), Counter(), Counter()
        self.slowest, self.lost = 0.0, 0
        self._wrote = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have every visitor go on until the block ends."""
        self._stop.clear()
        threads = [
            threading.Thread(target=self._visit, args=(visitor,)) for visitor in self.visitors
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS * 2)

    def wait_for_write(self, moment: float, seconds: float) -> float | None:
        """Return how long after a moment the first write was acknowledged; None: too late."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            later = [wrote - moment for wrote in self._wrote if wrote > moment]
            if later:
                return min(later)
            time.sleep(0.02)
        return None

    def wait_for_kinds(self, kinds: frozenset[str], seconds: float) -> None:
        """Wait until a write of each kind was acknowledged, but not for ever."""
        end = time.monotonic() + seconds
        while not self.kinds.keys() >= kinds and time.monotonic() < end:
            time.sleep(0.02)

    def ask(
        self,
        kind: str,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        body: str | None = None,
        good: Collection[int] = (200,),
        writes: bool = False,
    ) -> Reply | None:
        """Send a request and count its answer; None unless it is a good one."""
        sent = dict(headers or {})
        if form is not None:
            body, sent = urlencode(form), {**FORM_TYPE, **sent}
        end = time.monotonic() + (LOOK_SECONDS if self.is_patient else 0)
        while True:
            reply = self._ask(kind, method, path, body, sent)
            if reply is not None and reply.status != 503:
                break
            if time.monotonic() >= end:
                return None
            time.sleep(PAUSE_SECONDS)
        if reply.status not in good:
            self.faults[f"{kind}: {reply.status} {reply.body[:100]!r}"] += 1
            return None
        if writes:
            self.acknowledge(kind, reply)
        return reply

    def _ask(
        self, kind: str, method: str, path: str, body: str | None, sent: Mapping[str, str]
    ) -> Reply | None:
        begun = time.monotonic()
        try:
            reply = self.fleet.send(method, path, body, sent)
        except LOST as error:
            self.lost += 1
            if isinstance(error, TimeoutError):
                self.faults[f"{kind}: no answer within {PATIENCE_SECONDS:g} s"] += 1
            return None
        finally:
            taken = time.monotonic() - begun
            if taken > self.slowest:
                self.slowest, self.slowest_kind = taken, kind
        self.statuses[reply.status] += 1
        if reply.status == 503 and int(reply.headers.get("retry-after", 0)) < 1:
            self.faults[f"{kind}: 503 without Retry-After"] += 1
        return reply

    def look(self) -> Counter[str]:
        """Have every visitor use what was acknowledged; count what is gone."""
        time.sleep(STALE_SECONDS)
        self.is_patient = True
        try:
            return sum((visitor.look(self) for visitor in self.visitors), Counter())
        finally:
            self.is_patient = False

    def acknowledge(self, kind: str, reply: Reply) -> None:
        """Enter a write in the ledger."""
        self.ledger.writes[reply.headers["x-request-id"]] = kind
        self.kinds[kind] += 1
        self._wrote.append(time.monotonic())

    def submit(
        self,
        kind: str,
        path: str,
        form: Mapping[str, str],
        cookies: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """Open a page, fill its form in and send it."""
        jar = dict(cookies or {})
        page = self.ask(kind, "GET", path, None, _cookie_header(jar))
        token = None if page is None else FORM_TOKEN.search(page.body.decode())
        if page is None or token is None:
            return None
        jar |= page.cookies
        filled = {"csrf_token": unescape(token[1]), **form}
        return self.ask(kind, "POST", path, filled, _cookie_header(jar), good={303}, writes=True)

    def _visit(self, visitor: Visitor) -> None:
        while not self._stop.is_set():
            try:
                visitor.step(self)
            except Exception as error:  # noqa: BLE001 - an answer that nobody expects
                self.faults[f"{type(visitor).__name__}: {error!r}"] += 1
            self._stop.wait(visitor.pause_seconds)


def _cookie_header(jar: Mapping[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {}


class Visitor:
    """Somebody who does one thing after the other."""

    pause_seconds = PAUSE_SECONDS

    def step(self, load: Load) -> None:
        """Do the next thing; what was not acknowledged is done again or forgotten."""
        raise NotImplementedError

    def look(self, load: Load) -> Counter[str]:
        """Use what was acknowledged; return what is not there any more."""
        raise NotImplementedError


class Application(Visitor):
    """Gets codes, redeems and refreshes them, looks tokens up and revokes some."""

    def __init__(self, app: App, person: Mapping[str, Any]) -> None:
        self.app = app
        self.cookie = {"Cookie": person["cookie"]}
        self.refresh: str | None = None
        self.access: str | None = None
        self.number = 0
        self.families: deque[str] = deque(maxlen=KEPT)
        self.revoked: deque[str] = deque(maxlen=KEPT)
        self.revoked_at = 0.0

    def step(self, load: Load) -> None:
        """Refresh; sometimes begin anew, or revoke a token."""
        if self.refresh is None:
            self._begin(load)
            return
        self.number += 1
        self._refresh(load)
        if self.access is not None and self._is_active(load, self.access) is False:
            load.faults["introspect: an acknowledged token is not active"] += 1
        if self.number % 5 == 0 and self.access is not None:
            self._revoke(load, self.access)
        elif self._is_forgetful(load):
            load.faults["introspect: a revoked token is active"] += 1
        if self.number % REFRESHES == 0:
            self.families.append(self.refresh)
            self.refresh = None

    def look(self, load: Load) -> Counter[str]:
        """Refresh every family once more, and look at what was revoked."""
        gone: Counter[str] = Counter()
        tokens = [*self.families, *([self.refresh] if self.refresh else [])]
        fresh = [self._exchange(load, token) for token in tokens]
        gone["family"] += fresh.count(None)
        self.families = deque((token for token in fresh if token), maxlen=KEPT)
        self.refresh = None
        for token in self.revoked:
            gone["revocation"] += self._is_active(load, token) is not False
        return gone

    def _is_forgetful(self, load: Load) -> bool:
        """Return whether a node still takes a token that was revoked a while ago."""
        is_old = time.monotonic() > self.revoked_at + STALE_SECONDS
        return bool(self.revoked and is_old and self._is_active(load, self.revoked[-1]))

    def _begin(self, load: Load) -> None:
        query = urlencode(protocol.authorization_parameters(self.app, scope=OFFLINE))
        path = f"/connect/authorize?{query}"
        reply = load.ask("code", "GET", path, None, self.cookie, good={303}, writes=True)
        if reply is None:
            return
        code = parse_qs(urlsplit(reply.headers["location"]).query).get("code")
        if code is None:
            load.faults[f"code: {reply.headers['location'][:80]}"] += 1
            return
        form = {**redemption(code[0]), **self.app.post}
        tokens = load.ask("redemption", "POST", "/connect/token", form, writes=True)
        if tokens is not None:
            self.refresh = tokens.json["refresh_token"]
            self.access = tokens.json["access_token"]

    def _refresh(self, load: Load) -> None:
        """Refresh; a refusal for good is a fault, and the family is not used again."""
        assert self.refresh is not None
        before = load.faults.total()
        token = self._exchange(load, self.refresh)
        if token is not None:
            self.refresh = token
        elif load.faults.total() > before:
            self.refresh = None

    def _exchange(self, load: Load, token: str) -> str | None:
        form = {"grant_type": "refresh_token", "refresh_token": token, **self.app.post}
        reply = load.ask("refresh", "POST", "/connect/token", form, writes=True)
        if reply is None:
            return None
        self.access = reply.json["access_token"]
        return str(reply.json["refresh_token"])

    def _is_active(self, load: Load, token: str) -> bool | None:
        """Look a token up; None without an answer."""
        form = {"token": token, **self.app.post}
        reply = load.ask("introspect", "POST", "/connect/introspect", form)
        return None if reply is None else bool(reply.json["active"])

    def _revoke(self, load: Load, token: str) -> None:
        form = {"token": token, **self.app.post}
        self.access = None
        if load.ask("revocation", "POST", "/connect/revocation", form, writes=True) is None:
            return
        self.revoked.append(token)
        self.revoked_at = time.monotonic()


class Guest(Visitor):
    """Signs in with a password, again and again."""

    pause_seconds = 0.4

    def __init__(self, people: Sequence[Mapping[str, Any]]) -> None:
        self.people = itertools.cycle(people)
        self.sessions: deque[dict[str, str]] = deque(maxlen=KEPT)

    def step(self, load: Load) -> None:
        """Sign in as the next person."""
        form = {"login": next(self.people)["username"], "password": PASSWORD}
        reply = load.submit("sign-in", "/login", form)
        if reply is not None:
            self.sessions.append(dict(reply.cookies))

    def look(self, load: Load) -> Counter[str]:
        """Open the account with every session."""
        opened = [
            load.ask("account", "GET", "/account", None, _cookie_header(jar))
            for jar in self.sessions
        ]
        return Counter({"session": opened.count(None)})


class Changer(Visitor):
    """Changes passwords; each change sends a mail too."""

    pause_seconds = 1.0

    def __init__(self, people: Sequence[Mapping[str, Any]]) -> None:
        self.people = deque(people)
        self.passwords: dict[str, str] = {}
        """Name → the password that was acknowledged last."""
        self.cookies = {person["username"]: person["cookie"] for person in people}
        self.mails: Counter[str] = Counter()
        """Address → mails that a change must have sent."""

    def step(self, load: Load) -> None:
        """Change the password of the next person, who is left alone when the outcome is unknown."""
        if not self.people:
            return
        person = self.people.popleft()
        name = person["username"]
        new = f"violet-harbour-{secrets.token_hex(6)}"
        form = {
            "current": self.passwords.pop(name, PASSWORD),
            "password": new,
            "repeated": new,
        }
        cookie_name, _, value = self.cookies[name].partition("=")
        reply = load.submit("password", "/account/password", form, {cookie_name: value})
        if reply is None:
            return
        self.passwords[name] = new
        self.mails[person["email"]] += 1
        if cookie_name in reply.cookies:
            self.cookies[name] = f"{cookie_name}={reply.cookies[cookie_name]}"
        self.people.append(person)

    def look(self, load: Load) -> Counter[str]:
        """Sign in with the new passwords."""
        done = [
            load.submit("sign-in", "/login", {"login": name, "password": password})
            for name, password in list(self.passwords.items())[-KEPT:]
        ]
        return Counter({"password": done.count(None)})


class Administrator(Visitor):
    """Adds secrets to clients, by an operation."""

    pause_seconds = 0.7

    def __init__(self, machines: Sequence[App], bearer: str) -> None:
        self.machines = itertools.cycle(machines)
        self.headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        self.added: deque[tuple[App, str]] = deque(maxlen=KEPT)

    def step(self, load: Load) -> None:
        """Add a secret to the next client, and use it."""
        machine = next(self.machines)
        path = f"/api/Client/{machine.row_id}/Secretkey"
        reply = load.ask(
            "operation", "POST", path, None, self.headers, body=json.dumps({"plaintext": None})
        )
        if reply is None:
            return
        if reply.json["code"] != 200:
            load.faults[f"operation: {reply.body[:100]!r}"] += 1
            return
        load.acknowledge("secret", reply)
        self.added.append((machine, reply.json["data"]))
        if len(self.added) > OLDER:  # other nodes know the newest one a moment later
            self._use(load, *self.added[-1 - OLDER])

    def look(self, load: Load) -> Counter[str]:
        """Authenticate with every secret."""
        used = [self._use(load, *entry) for entry in self.added]
        return Counter({"secret": used.count(False)})

    def _use(self, load: Load, machine: App, secret: str) -> bool:
        form = {
            "grant_type": "client_credentials",
            "client_id": machine.client_id,
            "client_secret": secret,
        }
        return load.ask("machine", "POST", "/connect/token", form) is not None


def visitors(made: Mapping[str, Any]) -> list[Visitor]:
    """Make visitors of what `prepare` made."""
    web = App(**made["web"])
    machines = [App(**machine) for machine in made["machines"]]
    return [
        *(Application(web, person) for person in made["visitor"]),
        Guest(made["guest"]),
        Changer(made["changer"]),
        Administrator(machines, made["bearer"]),
    ]
