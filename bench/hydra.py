"""Ory Hydra as a peer: built by the machine's Go, with the PostgreSQL of the run.

Hydra leaves sign-in and consent to an application. The load generator plays it, by the requests to
the admin API that such an application sends; so none of its cost is Hydra's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench import load
from bench.load import Answer, Request
from bench.servers import CACHE, HERE, LeftOutError, Servers, is_new, made, peer_rsa_key, run
from bench.targets import CALLBACK, PEER_SECRET, Server, Steps, code_in, local
from tests.conftest import create_database
from tests.servers import free_port

SOURCE = HERE / "peers" / "hydra"
MODULE = "github.com/ory/hydra/v2"
SCOPES = "openid profile orders.read offline_access"
REMEMBERED = {"remember": True, "remember_for": 3600}


class Hydra(Server):
    """A peer that asks an application to sign people in."""

    def signed_in(self, client_id: str, scope: str) -> Steps:
        """Follow a whole flow; return the cookies."""
        cookies: dict[str, str] = {}
        yield from self._flow(client_id, scope, cookies)
        return _joined(cookies)

    def code(self, client_id: str, scope: str, cookies: str) -> Steps:
        """Get a code: both steps are accepted again, as Hydra asks at each authorization."""
        jar = dict(pair.split("=", 1) for pair in cookies.split("; "))
        answer = yield from self._flow(client_id, scope, jar)
        return answer

    def _flow(self, client_id: str, scope: str, cookies: dict[str, str]) -> Steps:
        answer = yield self.for_code(client_id, scope, _joined(cookies))
        _keep(cookies, answer.expect(302, 303))
        for step in ("login", "consent"):
            query = parse_qs(urlsplit(answer.header("location")).query)
            accepted = yield self._accept(step, query[f"{step}_challenge"][0], scope)
            path = local(json.loads(accepted.expect(200).body)["redirect_to"])
            answer = yield Request("GET", path, {"Cookie": _joined(cookies)})
            _keep(cookies, answer.expect(302, 303))
        return code_in(answer)

    def _accept(self, step: str, challenge: str, scope: str) -> Request:
        content: dict[str, object] = (
            {"subject": "ann"} if step == "login" else {"grant_scope": scope.split()}
        )
        return Request(
            "PUT",
            f"/admin/oauth2/auth/requests/{step}/accept?{step}_challenge={challenge}",
            {"Content-Type": "application/json"},
            json.dumps(content | REMEMBERED),
            self.admin_host,
        )


def start(servers: Servers) -> Server:
    """Build Hydra where it is missing, and start it with the clients of the cases."""
    program = _built()
    create_database(servers.postgres, "hydra")
    port, admin = free_port(), free_port()
    configuration = servers.folder / "hydra.json"
    configuration.write_text(json.dumps(_configuration(port, admin)))
    options = "max_conns=20&max_idle_conns=20"
    address = f"postgres://postgres@localhost/hydra?host={servers.postgres.folder}&{options}"
    environment = {"DSN": address, "SQA_OPT_OUT": "true"}
    run([str(program), "migrate", "sql", "up", "-e", "--yes"], servers.folder, environment)
    command = [str(program), "serve", "all", "--dev", "--config", str(configuration)]
    server = servers.start("Hydra", command, port, servers.folder, environment, Hydra)
    server.token, server.authorize = "/oauth2/token", "/oauth2/auth"
    server.introspect, server.userinfo = "/admin/oauth2/introspect", "/userinfo"
    server.admin_host = f"127.0.0.1:{admin}"
    server.stores = [servers.database]
    server.rounds = 3
    for name in ("hydra.openid.id-token", "hydra.jwt.access-token"):
        _put_key(server, name)
    for client_id, *grants in (
        ("machine-rs256", "client_credentials"),
        ("web", "authorization_code"),
        ("web-refresh", "authorization_code", "refresh_token"),
    ):
        _add_client(server, client_id, grants)
    return server


def _configuration(port: int, admin: int) -> dict[str, object]:
    """Return the settings: JWT access tokens as the others issue, otherwise mostly the defaults."""
    url = f"http://127.0.0.1:{port}"
    return {
        "log": {"level": "error"},
        "serve": {
            "public": {"host": "127.0.0.1", "port": port},
            "admin": {"host": "127.0.0.1", "port": admin},
        },
        "urls": {"self": {"issuer": url}, "login": f"{url}/login", "consent": f"{url}/consent"},
        "secrets": {"system": [secrets.token_urlsafe(32)]},
        "strategies": {"access_token": "jwt"},
        # In its favour: by default 25,000 rounds cost it milliseconds for every token.
        "oauth2": {"hashers": {"algorithm": "pbkdf2", "pbkdf2": {"iterations": 1}}},
    }


def _put_key(server: Server, name: str) -> None:
    """Sign with 2,048 bits as everybody does; a key that Hydra makes has 4,096."""
    private = peer_rsa_key().as_dict(private=True)
    key = private | {"use": "sig", "alg": "RS256", "kid": name}
    _administer(server, "PUT", f"/admin/keys/{name}", {"keys": [key]}, 200)


def _add_client(server: Server, client_id: str, grants: list[str]) -> None:
    content = {
        "client_id": client_id,
        "client_secret": PEER_SECRET,
        "grant_types": grants,
        "response_types": ["code"],
        "redirect_uris": [CALLBACK],
        "scope": SCOPES,
        "token_endpoint_auth_method": "client_secret_basic",
        "skip_consent": True,
    }
    _administer(server, "POST", "/admin/clients", content, 201)


def _administer(server: Server, method: str, path: str, content: object, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    request = Request(method, path, headers, json.dumps(content), server.admin_host)
    load.once(server.url, request).expect(status)


def _built() -> Path:
    lock, target = SOURCE / "go.mod", CACHE / "hydra"
    go = shutil.which("go")
    if go is None:
        raise LeftOutError("Hydra, because there is no Go")
    if is_new(target, lock):
        shutil.copy(lock, target)
        modules, objects = target / "modules", target / "objects"
        # `go install` refuses modules that replace others, as Hydra's does; go.mod repeats that.
        done = subprocess.run(
            [go, "build", "-mod=mod", "-modcacherw", "-o", "hydra", MODULE],
            cwd=target,
            env={**os.environ, "GOPATH": str(modules), "GOCACHE": str(objects)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            reason = (done.stderr.splitlines() or ["no reason given"])[-1]
            raise LeftOutError(f"Hydra, because it could not be built: {reason}")
        for folder in (modules, objects):
            shutil.rmtree(folder, ignore_errors=True)
        made(target, lock)
    return target / "hydra"


def _joined(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _keep(cookies: dict[str, str], answer: Answer) -> None:
    cookies |= dict(pair.split("=", 1) for pair in answer.cookies().split("; ") if pair)
