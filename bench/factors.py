"""Second factors after the password: codes of authenticator apps, and passkeys.

The password is not part of it: sign-ins stand where it was right, and their pages were fetched,
before a round begins. What counts is the form that is sent then, up to the session.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import orjson
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bench import load
from bench.cases import SECONDS, Steps, Target, measure
from bench.load import Answer, Request, Taken
from bench.measure import Result, at_least
from bench.servers import Servers
from bench.targets import Server
from idp.config import Settings
from idp.directory.authentication import attempts
from idp.directory.authentication.steps import Proof
from idp.directory.factors.models import Totp
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.runtime import create as create_runtime
from tests import protocol
from tests.authenticator import Authenticator

PEOPLE = 1500
"""Enough for a round and what warms it up: each person proves one factor in it."""
TOTP_PER_SECOND = 300
PASSKEYS_PER_SECOND = 200


@dataclass(frozen=True)
class _Person:
    user: User
    secret: bytes
    passkey: Authenticator


@dataclass(frozen=True)
class _Waiting:
    """A sign-in whose page for the second factor is open."""

    person: _Person
    page: Answer
    cookies: str

    def hidden(self, name: str) -> str:
        """Return what the page has under a name."""
        found = re.search(rf'{name}="([^"]+)"', self.page.body.decode())
        if found is None:
            raise load.LoadError(f"the page has no {name}")
        return unescape(found[1])

    def form(self, path: str, **values: str) -> Request:
        """Make the request that sends a form of the page."""
        token = self.hidden('name="csrf_token" value')
        return Request.form(path, {"csrf_token": token, **values}, Cookie=self.cookies)


class _House:
    """An installation at a name that browsers bind passkeys to, with people who have factors."""

    def __init__(self, servers: Servers) -> None:
        self.server: Server = servers.named
        environment = servers.named_site.environment
        fields = {name.removeprefix("IDP_").lower(): text for name, text in environment.items()}
        self.runtime = create_runtime(Settings(**fields))  # type: ignore[arg-type]
        with self.runtime.sessions() as session:
            issuer = tenants.issuer_of(session, PLATFORM_TENANT_ID)
            self.issuer: Issuer = issuer
            self.people = [self._add(session, number) for number in range(PEOPLE)]

    def close(self) -> None:
        """Close the connections to the database."""
        self.runtime.engine.dispose()

    def _add(self, session: Session, number: int) -> _Person:
        user = protocol.add_person(session, f"factors-{number}")
        secret = protocol.add_authenticator(session, user)
        return _Person(user, secret, protocol.add_passkey(session, user, self.issuer.url))

    def waiting(self) -> Iterator[_Waiting]:
        """Bring everybody to the page for the second factor."""
        with self.runtime.sessions() as session:
            session.execute(update(Totp).values(last_step=0))
            handles = [self._begin(session, person) for person in self.people]
            session.commit()
        name = attempts.cookie_name(self.issuer)
        pages = [self._open(f"{name}={handle}") for handle in handles]
        return iter([_Waiting(who, *page) for who, page in zip(self.people, pages, strict=True)])

    def _begin(self, session: Session, person: _Person) -> str:
        user = session.scalars(select(User).where(User.id == person.user.id)).one()
        proofs = (Proof.PASSWORD,)
        return attempts.begin(session, self.issuer, user, proofs, client_id=None, remember=False)

    def _open(self, cookie: str) -> tuple[Answer, str]:
        request = Request("GET", "/login/factor", {"Cookie": cookie})
        page = load.once(self.server.url, request).expect(200)
        return page, f"{cookie}; {page.cookies()}"

    def round(self, prove: Callable[[_Waiting], Request]) -> Taken:
        """Have people prove a factor for a while, each of them once."""
        requests = iter([prove(each) for each in self.waiting()])

        def steps() -> Steps:
            yield None
            while True:
                request = next(requests, None)
                if request is None:
                    raise load.LoadError("There are too few people for a round.")
                (yield request).expect(303)
                yield None

        return load.drive(self.server.url, steps, SECONDS, meter=self.server.spent)


def _by_code(waiting: _Waiting) -> Request:
    return waiting.form("/login/factor", code=protocol.app_code(waiting.person.secret))


def _by_passkey(waiting: _Waiting) -> Request:
    options: Any = orjson.loads(waiting.hidden("data-options"))
    return waiting.form("/login/factor/passkey", answer=waiting.person.passkey.get(options))


def factors(servers: Servers) -> list[Result]:
    """Prove second factors: codes of authenticator apps, and passkeys."""
    house = _House(servers)
    ways: Sequence[tuple[str, Callable[[_Waiting], Request], int]] = (
        ("authenticator app", _by_code, TOTP_PER_SECOND),
        ("passkey", _by_passkey, PASSKEYS_PER_SECOND),
    )
    try:
        targets = [Target(name, lambda prove=prove: house.round(prove)) for name, prove, _ in ways]
        result = measure(servers.plan, "second factor", targets)
    finally:
        house.close()
    result.bars = [
        at_least(
            f"second factor, {name}: per second",
            result.rows[f"second factor, {name}"]["per second"].median,
            bar,
        )
        for name, _, bar in ways
    ]
    return [result]
