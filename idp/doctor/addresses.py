"""Checks of the addresses at which people and applications reach the installation."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, selectinload

from idp.config import Settings
from idp.directory.tenants.models import Tenant, TenantHost, TenantStatus
from idp.doctor.result import Result, State, failed, ok, warning
from idp.platform import revisions
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.tables import load_models

DISCOVERY = "/.well-known/openid-configuration"
SECONDS = 3.0
SECONDS_IN_ALL = 5.0
MOST_ISSUERS = 20
MOST_BYTES = 64 * 1024
DAYS_LEFT = 14
DAY = 24 * 3600
_ORDER: tuple[State, ...] = ("ok", "warning", "failed")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address answered."""

    status: int
    request_id: str
    body: bytes
    expires_at: float | None = None
    """When the certificate expires, in seconds since the epoch; None: there is none."""


def issuers(settings: Settings) -> Result:
    """Read the metadata of each issuer where applications read it."""
    if settings.environment == "development":
        return ok("addresses are not asked in development")
    found, is_complete = _issuers(settings)
    results = _look_at_all(found)
    worst = max(results, key=lambda result: _ORDER.index(result.state))
    if worst.state != "ok":
        return worst
    others = "" if is_complete else f" (the first {MOST_ISSUERS} of them)"
    return ok(f"{len(results)} issuers answer at their addresses{others}")


def proxy(settings: Settings) -> Result:
    """Ask through the public address whether the proxy in front is trusted, and hands hosts on."""
    if settings.environment == "development" or not settings.secure:
        return ok("no proxy is needed without https")
    if not settings.trusted_proxies:
        return warning(
            "IDP_TRUSTED_PROXIES is empty, so all visitors seem to come from the proxy that ends"
            " TLS and are counted as one",
            "set it to the addresses of the proxy",
        )
    sent = f"doctor-{token_hex(8)}"
    try:
        answer = _ask(settings.public_url, {"X-Request-Id": sent})
        elsewhere = _ask(settings.public_url, {"Host": "idp-doctor.invalid"})
    except (OSError, http.client.HTTPException):
        return warning("unknown while the public address does not answer", "correct that first")
    if elsewhere.status < http.HTTPStatus.BAD_REQUEST:
        return warning(
            "the proxy hands requests for unknown hosts on under another name",
            "have it pass the Host header or X-Forwarded-Host as it came",
        )
    if answer.request_id != sent:
        return warning(
            "requests through the public address do not come from a trusted proxy, or it replaces"
            " X-Request-Id",
            "compare `remote_addr` in the log with your own address, and set IDP_TRUSTED_PROXIES",
        )
    return ok("the proxy in front is trusted, and unknown hosts are refused")


def _issuers(settings: Settings) -> tuple[list[str], bool]:
    """Return the addresses of the issuers, and whether these are all."""
    load_models()
    own = [settings.public_url]
    query = (
        select(Tenant)
        .where(
            Tenant.status == TenantStatus.ENABLED,
            Tenant.id != PLATFORM_TENANT_ID,
            select(TenantHost.id).where(TenantHost.tenant_id == Tenant.id).exists(),
        )
        .order_by(Tenant.id)
        .limit(MOST_ISSUERS)
        .options(selectinload(Tenant.hosts))
    )
    try:
        if revisions.standing(settings.database) not in revisions.USABLE:
            return own, True
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            tenants = session.scalars(query).all()
            own += [
                f"{settings.scheme}://{tenant.issuer_host or tenant.hosts[0].host}"
                for tenant in tenants
            ]
    except SQLAlchemyError:
        return own, True
    return own[:MOST_ISSUERS], len(own) <= MOST_ISSUERS


def _look_at_all(urls: list[str]) -> list[Result]:
    """Ask addresses side by side; a query to the DNS may take longer than is waited for here."""
    found: dict[str, Result] = {}

    def work(url: str) -> None:
        found[url] = _look(url)

    end = time.monotonic() + SECONDS_IN_ALL
    threads = [threading.Thread(target=work, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    done = dict(found)
    return [done.get(url) or _silent(url, "no answer in time") for url in urls]


def _silent(url: str, reason: str) -> Result:
    return warning(
        f"{url} does not answer from here ({reason})",
        "start `idp serve`, and check the DNS, the proxy and the firewall",
    )


def _look(url: str) -> Result:
    try:
        answer = _ask(url)
    except socket.gaierror:
        return failed(f"{urlsplit(url).hostname} has no address in the DNS", "add a record for it")
    except ssl.SSLCertVerificationError as error:
        return failed(
            f"the certificate of {url} is not valid ({error.verify_message})", "replace it"
        )
    except (OSError, http.client.HTTPException) as error:
        return _silent(url, type(error).__name__)
    issuer = _issuer_in(answer)
    if issuer != url:
        return failed(
            f"{url}{DISCOVERY} answers with status {answer.status} and the issuer {issuer!r}",
            "check which server the address leads to, and IDP_PUBLIC_URL",
        )
    days = DAYS_LEFT if answer.expires_at is None else int((answer.expires_at - time.time()) / DAY)
    if days < DAYS_LEFT:
        return warning(f"the certificate of {url} expires in {days} days", "renew it")
    return ok(f"{url} answers")


def _issuer_in(answer: Answer) -> str | None:
    try:
        document: Any = json.loads(answer.body)
    except ValueError:
        return None
    issuer = document.get("issuer") if isinstance(document, dict) else None
    return str(issuer)[:200] if answer.status == http.HTTPStatus.OK and issuer else None


def _ask(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(
            host, parts.port, timeout=SECONDS, context=ssl.create_default_context()
        )
        if secure
        else http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    )
    with closing(connection):
        connection.request("GET", DISCOVERY, headers=dict(headers or {}))
        expires_at = _expiry(connection.sock)
        response = connection.getresponse()
        body = response.read(MOST_BYTES)
        return Answer(response.status, response.headers.get("X-Request-Id", ""), body, expires_at)


def _expiry(connected: socket.socket) -> float | None:
    if not isinstance(connected, ssl.SSLSocket):
        return None
    certificate = connected.getpeercert() or {}
    until = certificate.get("notAfter")
    return float(ssl.cert_time_to_seconds(until)) if isinstance(until, str) else None
