"""Clients that nobody registered beside those that are, and devices that wait for their person.

Documents are served by this process, over https on loopback. What a round asks for must not have
been asked for a moment ago: a device that polls too soon is told to slow down, and what a token is
worth is remembered for a second.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import select
from sqlalchemy.orm import Session

from bench import load, site
from bench.cases import Bar, Steps, Target, driven, measure
from bench.fapi import SCOPES
from bench.load import Answer, Request, Script, Taken
from bench.measure import Figure, Result
from bench.servers import Servers
from bench.targets import CALLBACK, VERIFIER, Server
from idp.config import Settings
from idp.directory.clients import documents
from idp.directory.clients import strangers as rules
from idp.directory.product import DEVICE_CODE
from idp.directory.users.models import User
from idp.oauth.models import Consent, DeviceRequest, ReferenceToken
from idp.platform.fetch import Fetched
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.runtime import create as create_runtime
from tests import protocol
from tests.documents import CERTIFICATE, Page, Publisher, document, let_in, serving

FLOOD = 500
"""Documents that nobody asked for before, asked for at once."""
FLOODED_SECONDS = 4.0
"""Of a round beside a flood and of one without."""
SLOW_SECONDS = 2.0
"""How long each document of a flood takes."""
KEPT = 150_000
"""Devices that wait, and reference tokens: none is asked for again within seconds."""
REGISTERED, DEVICE, MACHINE = "public", "box", "reference-machine"


def strangers(servers: Servers) -> list[Result]:
    """Measure clients that are known by a document, a flood of them, and devices that wait."""
    with ExitStack() as stack:
        house = _House(servers, stack)
        return [_flow(servers, house), _beside_flood(servers, house), _waiting(servers, house)]


class _House:
    """An installation that lets in whoever publishes a document, and the server of these."""

    def __init__(self, servers: Servers, stack: ExitStack) -> None:
        publisher, _ = stack.enter_context(serving(servers.folder))
        self.publisher: Publisher = publisher
        self.documents = f"https://localhost:{publisher.port}"
        made = site.prepare(
            servers.postgres,
            servers.valkey,
            servers.folder,
            "strangers",
            fetch_allow=f"localhost:{publisher.port}",
            fetch_strangers_per_minute=6000,
        )
        trusted = {"SSL_CERT_FILE": str(servers.folder / CERTIFICATE)}
        environment = {**made.environment, **trusted}
        self.application = publisher.put(
            document(
                f"{self.documents}/application",
                redirect_uris=[CALLBACK],
                grant_types=list(documents.GRANT_TYPES),
            ),
            headers={"Cache-Control": "max-age=86400"},
        )
        fields = {
            name.removeprefix("IDP_").lower(): text for name, text in made.environment.items()
        }
        runtime = create_runtime(Settings(**fields))  # type: ignore[arg-type]
        with runtime.sessions() as session:
            added = self._add(session)
        runtime.engine.dispose()
        secrets = {**made.secrets, **added}
        made = replace(made, environment=environment, secrets=secrets)
        self.server: Server = servers.serve(made, "strangers")
        database = made.database.partition("@/")[2].partition("?")[0]
        self._where = site.where(servers.postgres, database)
        self._numbers = itertools.count()

    def _add(self, session: Session) -> dict[str, str]:
        """Add the clients, and what the person allows those that ask; return their secrets."""
        user = session.scalars(select(User).where(User.username == site.USERNAME)).one()
        let_in(session, stranger_scopes=["orders.read"])
        same = {
            "application_type": "native",
            "require_consent": True,
            "authorization_code_lifetime": rules.CODE_SECONDS,
            "access_token_lifetime": rules.ACCESS_TOKEN_SECONDS,
        }
        registered = protocol.register(session, REGISTERED, public=True, scopes=SCOPES, **same)
        device = protocol.register(session, DEVICE, scopes=("openid",), grants=(DEVICE_CODE,))
        machine = protocol.register_machine(
            session, MACHINE, scopes=["orders.read"], access_token_type=1
        )
        page = self.publisher.pages[self.application]
        if not isinstance(page, Page):
            raise TypeError(page)
        read = documents.read(self.application, Fetched(page.body, page.content_type, ""))
        row = rules.keep(session, read)
        if row is None:
            raise RuntimeError("the client is not known by its document")
        for row_id, digest in ((registered.row_id, None), (row.id, read.hash)):
            session.add(
                Consent(
                    user_id=user.id,
                    client_id=row_id,
                    tenant_id=PLATFORM_TENANT_ID,
                    scopes=list(SCOPES),
                    document_hash=digest,
                )
            )
        session.commit()
        return {app.client_id: app.secret or "" for app in (device, machine)}

    def invented(self) -> list[str]:
        """Publish documents that nobody asked for before; return the ids of their clients."""
        urls = [f"{self.documents}/invented/{next(self._numbers)}" for _ in range(FLOOD)]
        for url in urls:
            self.publisher.put(document(url), seconds=SLOW_SECONDS)
        return urls

    def fill(self) -> None:
        """Copy a device that waits and a reference token, so that no round needs one twice."""
        asked = {"client_id": DEVICE, "scope": "openid"}
        auth = self.server.auth(DEVICE)
        begun = Request.form("/connect/deviceauthorization", asked, **auth)
        load.once(self.server.url, begun).expect(200)
        form = {"grant_type": "client_credentials", "scope": "orders.read"}
        load.once(self.server.url, self.server.by_client(MACHINE, **form)).expect(200)
        later = {"expires_at": "now() + interval '1 day'"}
        with psycopg.connect(self._where, autocommit=True) as connection:
            for model, columns in (
                (
                    DeviceRequest,
                    {
                        "device_code_hash": f"sha256(('{_DEVICE}' || n)::bytea)",
                        "user_code_mac": "sha256(('user' || n)::bytea)",
                    },
                ),
                (ReferenceToken, {"token_hash": f"sha256(('{_TOKEN}' || n)::bytea)"}),
            ):
                connection.execute(site.copies(model, "true", KEPT, {**columns, **later}))
            connection.execute("VACUUM ANALYZE")  # a first look at rows would write pages


_DEVICE, _TOKEN = "device-", "at_"
_CODES = Bar("by document", "registered", 0.95)
_FLOODED = Bar("beside a flood of documents", "alone", 0.9)
_POLLS = Bar("pending poll", "introspection, reference token", 0.9)


def _flow(servers: Servers, house: _House) -> Result:
    """Follow codes of public clients with the same settings, whose person is asked for nothing."""
    ours, targets = house.server, {"registered": REGISTERED, "by document": house.application}
    return measure(
        servers.plan,
        "code + PKCE, public",
        [driven(ours, _codes(ours, client_id), name) for name, client_id in targets.items()],
        [_CODES],
    )


def _codes(server: Server, client_id: str) -> Script:
    scope = server.scope(*SCOPES)

    def steps() -> Steps:
        cookies = yield from server.signed_in(client_id, scope)
        yield from _code(server, client_id, scope, cookies)
        yield None
        while True:
            yield from _code(server, client_id, scope, cookies)
            yield None

    return steps


def _code(server: Server, client_id: str, scope: str, cookies: str) -> Generator[Request, Answer]:
    """Follow a code of a public client."""
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": (yield from server.code(client_id, scope, cookies)),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    (yield Request.form(server.token, form)).expect(200)


def _beside_flood(servers: Servers, house: _House) -> Result:
    """Follow codes of a registered client while many documents are asked for, and while none is."""
    answers: Counter[int] = Counter()
    result = measure(
        servers.plan,
        "code + PKCE, registered",
        [
            Target("alone", partial(_follow, house)),
            Target(_FLOODED.over, partial(_follow_flooded, house, answers)),
        ],
        [_FLOODED],
    )
    rounds = sum(answers.values()) / FLOOD
    result.figures = {
        f"of {FLOOD} invented documents, answered {status}": Figure([count / rounds])
        for status, count in sorted(answers.items())
    }
    return result


def _follow(house: _House) -> Taken:
    ours = house.server
    return load.drive(ours.url, _codes(ours, REGISTERED), FLOODED_SECONDS, meter=ours.spent)


def _follow_flooded(house: _House, answers: Counter[int]) -> Taken:
    with _flood(house, answers):
        return _follow(house)


@contextmanager
def _flood(house: _House, answers: Counter[int]) -> Iterator[None]:
    """Ask for many documents at once, once the round counts; read the answers after it."""
    ours, lines = house.server, ExitStack()
    host = urlsplit(ours.url).netloc
    name, _, port = host.partition(":")
    requests = [ours.for_code(url, "openid").wire(host) for url in house.invented()]
    with lines:
        sockets = [
            lines.enter_context(socket.create_connection((name, int(port)), timeout=30))
            for _ in requests
        ]

        def send() -> None:
            for line, request in zip(sockets, requests, strict=True):
                line.sendall(request)

        timer = threading.Timer(2 * load.WARM_SECONDS, send)
        timer.start()
        yield
        timer.join()
        answers.update(int(line.recv(12)[9:12]) for line in sockets)


def _waiting(servers: Servers, house: _House) -> Result:
    """Poll for devices that wait, and ask what reference tokens are worth; each a query."""
    house.fill()
    ours = house.server
    targets = {
        _POLLS.under: _introspections(ours),
        _POLLS.over: _polls(ours),
    }
    return measure(
        servers.plan,
        "devices",
        [driven(ours, script, name) for name, script in targets.items()],
        [_POLLS],
    )


def _introspections(server: Server) -> Script:
    numbers = itertools.cycle(range(1, KEPT + 1))

    def steps() -> Steps:
        yield None
        while True:
            request = server.introspection(MACHINE, f"{_TOKEN}{next(numbers)}")
            answer = json.loads((yield request).expect(200).body)
            if not answer["active"]:
                raise load.LoadError("a reference token is not known")
            yield None

    return steps


def _polls(server: Server) -> Script:
    numbers = itertools.cycle(range(1, KEPT + 1))

    def steps() -> Steps:
        yield None
        while True:
            code = f"{_DEVICE}{next(numbers)}"
            request = server.by_client(DEVICE, grant_type=DEVICE_CODE, device_code=code)
            error = json.loads((yield request).expect(400).body)["error"]
            if error != "authorization_pending":
                raise load.LoadError(error)
            yield None

    return steps
