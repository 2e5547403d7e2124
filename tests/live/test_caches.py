"""What another process changes is seen by every worker within two seconds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

from idp.directory.clients import service as clients
from idp.platform.signing import service as signing
from tests import protocol
from tests.live.site import Line, Site
from tests.live.test_valkey import valkey_down
from tests.protocol import App

pytestmark = pytest.mark.no_database

STALE_SECONDS = 2.0
SECRET = "a-secret-of-24-characters-or-more"


@dataclass(frozen=True)
class Probe:
    """A question whose answer changes."""

    name: str
    ask: Callable[[Line], object]
    before: object
    after: object


def token_status(app: App) -> Callable[[Line], object]:
    form = {"grant_type": "client_credentials", **app.post}
    return lambda line: line.ask("POST", "/connect/token", form).status


def enable(session: Session, app: App, *, enabled: bool) -> None:
    clients.update(session, clients.get(session, app.client_id), {"enabled": enabled})


def check(lines: Iterable[Line], probes: Iterable[Probe], change: Callable[[], None]) -> None:
    """Ask both workers before a change, until two seconds after it, and once more."""
    for line in lines:
        for probe in probes:
            assert probe.ask(line) == probe.before, probe.name
    change()
    end = time.monotonic() + STALE_SECONDS
    changed: set[tuple[Line, str]] = set()
    while time.monotonic() < end:
        for line in lines:
            for probe in probes:
                answer = probe.ask(line)
                if answer == probe.after:
                    changed.add((line, probe.name))
                else:
                    assert answer == probe.before, probe.name
                    assert (line, probe.name) not in changed, f"{probe.name} fell back"
    for line in lines:
        for probe in probes:
            assert probe.ask(line) == probe.after, f"{probe.name} is stale"


@pytest.mark.parametrize("valkey", ["up", "down"])
def test_changed_clients_are_seen_by_both_workers(site: Site, valkey: str) -> None:
    disabled, enabled, removed = site.machine(), site.machine(), site.machine()
    changed, scoped = site.machine(), site.machine()
    missing = App(site.name("late"), SECRET, 0)
    with site.sessions() as session:
        enable(session, enabled, enabled=False)
        session.commit()
    probes = (
        Probe("disabled client", token_status(disabled), 200, 401),
        Probe("enabled client", token_status(enabled), 401, 200),
        Probe("deleted client", token_status(removed), 200, 401),
        Probe("late client", token_status(missing), 401, 200),
        Probe("lost scopes", token_status(scoped), 200, 400),
        Probe(
            "another secret",
            token_status(App(changed.client_id, SECRET, changed.row_id)),
            *(401, 200),
        ),
    )

    def change() -> None:
        with site.sessions() as session:
            enable(session, disabled, enabled=False)
            enable(session, enabled, enabled=True)
            clients.delete(session, clients.get(session, removed.client_id))
            scopes = protocol.scope_names(session, f"api-of-{scoped.client_id}")
            clients.set_scopes(session, clients.get(session, scoped.client_id), ())
            clients.add_secret(session, clients.get(session, changed.client_id), SECRET)
            clients.create(
                session,
                clients.NewClient(
                    client_id=missing.client_id,
                    secret=SECRET,
                    grant_types=("client_credentials",),
                    scopes=scopes,
                ),
            )
            session.commit()

    one, other = site.line_per_worker()
    with one, other, valkey_down(site) if valkey == "down" else nullcontext():
        check((one, other), probes, change)


def test_what_a_command_changes_is_seen_by_both_workers(site: Site) -> None:
    app = site.machine()
    secret = {"given": SECRET}

    def ask(line: Line) -> object:
        return token_status(App(app.client_id, secret["given"], 0))(line)

    def change() -> None:
        done = subprocess.run(
            [sys.executable, "-m", "idp.cli", "client", "secret", app.client_id, "--json"],
            env=site.server.environment,
            capture_output=True,
            check=True,
            timeout=60,
        )
        secret["given"] = json.loads(done.stdout)["client_secret"]

    one, other = site.line_per_worker()
    with one, other:
        check((one, other), [Probe("secret of the command", ask, 401, 200)], change)


def test_a_revoked_key_is_seen_by_both_workers(site: Site) -> None:
    app = site.machine()
    token = site.machine_token(app).json()["access_token"]
    kid = protocol.header(token)["kid"]

    def is_active(line: Line) -> object:
        form = {"token": token, **app.post}
        return line.ask("POST", "/connect/introspect", form).json()["active"]

    def is_published(line: Line) -> object:
        keys = line.ask("GET", "/.well-known/openid-configuration/jwks").json()["keys"]
        return kid in {key["kid"] for key in keys}

    def signs(line: Line) -> object:
        form = {"grant_type": "client_credentials", **app.post}
        answer = line.ask("POST", "/connect/token", form)
        return protocol.header(answer.json()["access_token"])["kid"] == kid

    def change() -> None:
        with site.sessions() as session:
            signing.revoke(session, kid)
            session.commit()

    one, other = site.line_per_worker()
    with one, other:
        check(
            (one, other),
            [
                Probe("token of the key", is_active, True, False),
                Probe("published key", is_published, True, False),
                Probe("signing key", signs, True, False),
            ],
            change,
        )
