"""Requests that wait for the person to answer a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp.directory.clients.snapshot import ClientView
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.oauth import callers
from idp.oauth.checks import levels, prompt, tenant
from idp.oauth.checks import scope as scopes_of
from idp.oauth.models import AuthorizationRequest
from idp.oauth.request import Pairs, Parameters
from idp.oauth.visitor import Visitor
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Busy, TooManyRequests
from idp.platform.issuer import Issuer
from idp.platform.secrets import Keyring, UnknownKeyError, digest, random_token
from idp.platform.sessions.models import BrowserSession
from idp.platform.throttle import Address
from idp.platform.translation import N_

LIFETIME = timedelta(hours=1)
LARGEST = 32_768
"""Characters: an ID token as a hint, `claims`, and a generous `state`."""
KEPT_PER_MINUTE = 600
BYTES_PER_ADDRESS = 64 * 1024 * 1024
"""Kept for one address within the lifetime of a request."""
BYTES_OF_ALL = 1024 * 1024 * 1024
"""Kept in the database for everybody within that time."""
ROW_BYTES = 500
"""What a row takes beside its parameters."""
HINT = "id_token_hint"
"""The one parameter that is a token; it is kept encrypted."""
PURPOSE = "id token hint"
CLIENT_PURPOSE = "client of a handle"
LONGEST_NAMED = 100
"""A client with a longer identifier is not named in its handles: addresses would grow too long."""
CONTINUE = "continue"
"""Query parameter that carries the handle back to the protocol's address."""

EVERYBODY = "everybody"

log = structlog.get_logger("idp.pending")

Endpoint = Literal["authorize", "endsession"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What the person answered so far, in this browser session."""

    since: datetime
    """When the request came; a later sign-in is a fresh one."""
    handle: str
    account_chosen: bool = False
    tenant_id: int | None = None
    consented_scopes: tuple[str, ...] | None = None
    remember_consent: bool = False
    document_hash: str | None = None
    """Of the document of the client that they answered to."""
    level_declined: bool = False
    """Whether the person goes on without the level that is wished for."""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A kept request, as a page shows it."""

    handle: str
    client: ClientView | None
    """None: a logout without a known application."""
    scopes: tuple[str, ...]
    """Scopes to be consented to, those that cover claims asked for by name included."""
    login_hint: str | None
    ui_locales: tuple[str, ...]
    site: str | None
    """The host that the answer goes to; None: an application on the person's own device."""
    is_of_device: bool = False
    """Whether the answer goes to another device, which has no browser."""


def store(  # noqa: PLR0913 - each by its name
    session: Session,
    issuer: Issuer,
    endpoint: Endpoint,
    parameters: Pairs,
    remote_addr: str | None,
    *,
    pushed_id: int | None = None,
    device_id: int | None = None,
    is_signed: bool = False,
    since: datetime | None = None,
) -> str:
    """Keep a request for later and return its handle; the caller commits.

    `pushed_id` is that of the pushed request that it came from, `device_id` that of the device's.
    `since`: when it came; None: now.

    Requests are kept without a sign-in, so their size and number are limited: TooManyRequests for
    one that sends many, Busy when so much is kept that the database takes no more.
    """
    if sum(len(name) + len(value) for name, value in parameters) > LARGEST:
        message = "The request is too large"
        raise BadRequest(message, code="invalid_request")
    _take_room(session, Address.of(remote_addr), parameters)
    handle = _new_handle(session, dict(parameters).get("client_id", ""))
    session.add(
        AuthorizationRequest(
            handle_hash=digest(handle),
            issuer_tenant_id=issuer.tenant_id,
            endpoint=endpoint,
            parameters=sealed(runtime.of(session).keyring, parameters),
            pushed_request_id=pushed_id,
            device_request_id=device_id,
            is_signed=is_signed,
            created_at=since or clock.now(),
            expires_at=clock.now() + LIFETIME,
        )
    )
    session.flush()
    return handle


def _take_room(session: Session, address: Address, parameters: Pairs) -> None:
    """Count a request and its bytes, for its sender and for the database."""
    throttle = runtime.of(session).throttle
    throttle.hit("pending", address, KEPT_PER_MINUTE, 60)
    size = ROW_BYTES + sum(len(name.encode()) + len(value.encode()) for name, value in parameters)
    seconds = int(LIFETIME.total_seconds())
    throttle.hit("pending bytes", address, BYTES_PER_ADDRESS, seconds, cost=size)
    try:
        throttle.hit("pending bytes", EVERYBODY, BYTES_OF_ALL, seconds, cost=size)
    except TooManyRequests as refusal:
        log.warning("pending_requests_fill_the_database")
        message = N_("Too many sign-ins are under way. Please try again later.")
        raise Busy(message, refusal.retry_after) from None


def _new_handle(session: Session, client_id: str) -> str:
    """Make a handle that names its client to us alone, also when the request is over."""
    handle = random_token(24)
    if not client_id or len(client_id) > LONGEST_NAMED:
        return handle
    sealed = runtime.of(session).keyring.encrypt(CLIENT_PURPOSE, client_id.encode())
    return f"{handle}.{sealed}"


def find_client(session: Session, issuer: Issuer, handle: str) -> ClientView | None:
    """Find the application whose request a handle stands for, or stood for."""
    sealed = handle.partition(".")[2]
    try:
        client_id = runtime.of(session).keyring.decrypt(CLIENT_PURPOSE, sealed).decode()
    except (UnknownKeyError, ValueError):
        return None
    return find_served_client(session, issuer, client_id)


def find_served_client(session: Session, issuer: Issuer, client_id: str) -> ClientView | None:
    """Return an enabled application that an issuer serves; None for any other."""
    return callers.known_now(session, issuer, client_id)


def find(
    session: Session, issuer: Issuer, endpoint: Endpoint, handle: str
) -> AuthorizationRequest | None:
    """Find a kept request of this issuer."""
    return session.scalars(
        select(AuthorizationRequest).where(
            AuthorizationRequest.handle_hash == digest(handle),
            AuthorizationRequest.issuer_tenant_id == issuer.tenant_id,
            AuthorizationRequest.endpoint == endpoint,
            AuthorizationRequest.expires_at > clock.now(),
        )
    ).one_or_none()


def get(session: Session, issuer: Issuer, endpoint: Endpoint, handle: str) -> AuthorizationRequest:
    """Find a kept request of this issuer; BadRequest when it is gone."""
    row = find(session, issuer, endpoint, handle)
    if row is None:
        raise no_longer_kept()
    return row


def no_longer_kept() -> BadRequest:
    """Return the refusal of a request that expired or was answered."""
    message = "Please go back to the application and start again."
    return BadRequest(message, code="request_expired")


def read(
    session: Session, issuer: Issuer, endpoint: Endpoint, handle: str
) -> PendingRequest | None:
    """Return a kept request of this issuer as a page shows it."""
    row = find(session, issuer, endpoint, handle)
    return None if row is None else _as_shown(session, issuer, row, handle)


def _as_shown(
    session: Session, issuer: Issuer, row: AuthorizationRequest, handle: str
) -> PendingRequest:
    parameters = Parameters(parameters_of(session, row))
    client_id = parameters.get("client_id")
    # Nobody has to be reached elsewhere for a sign-out.
    look = callers.known_now if row.endpoint == "endsession" else callers.find_now
    client = None if client_id is None else look(session, issuer, client_id)
    return PendingRequest(
        handle=handle,
        client=client,
        scopes=() if client is None else _scopes_to_consent(client, parameters),
        login_hint=parameters.get("login_hint"),
        ui_locales=tuple((parameters.get("ui_locales") or "").split()),
        site=_site(parameters.get("redirect_uri")),
        is_of_device=row.device_request_id is not None,
    )


def _site(redirect_uri: str | None) -> str | None:
    """Return the host of a web address that is not this device."""
    parts = urlsplit(redirect_uri or "")
    if parts.scheme not in {"http", "https"} or parts.hostname in {"localhost", "127.0.0.1", "::1"}:
        return None
    return parts.netloc.rpartition("@")[2] or None


def find_tenant(session: Session, issuer: Issuer, handle: str, visitor: Visitor) -> Tenant | None:
    """Return the tenant that a sign-in of the visitor is for; None while it is not settled.

    The rule is the one by which the authorization endpoint settles it.
    """
    row = get(session, issuer, "authorize", handle)
    parameters = Parameters(parameters_of(session, row))
    client = callers.find_now(session, issuer, parameters.require("client_id"))
    own = {one.id: one for one in tenants.memberships(session, visitor.user.id, issuer)}
    required = (client.tenant_id if client else None, prompt.read_id(parameters, "tenant"))
    answers = answers_of(row, handle, visitor.browser.id)
    settled = tenant.settle(
        tenant.fitting(own, *required), answers.tenant_id, visitor.browser.tenant_id
    )
    return None if settled is None else own[settled]


def _scopes_to_consent(client: ClientView, parameters: Parameters) -> tuple[str, ...]:
    return scopes_of.to_consent(
        client,
        scopes_of.retain(client, scopes_of.split(parameters.get("scope") or "")).names,
        prompt.read_claims(parameters).names,
    )


def sealed(keyring: Keyring, parameters: Pairs) -> list[list[str]]:
    """Return parameters as they are kept."""
    return [
        [name, keyring.encrypt(PURPOSE, value.encode()) if name == HINT else value]
        for name, value in parameters
    ]


def opened(keyring: Keyring, kept: Iterable[Sequence[str]]) -> Pairs:
    """Return kept parameters as they came."""
    return tuple(
        (name, keyring.decrypt(PURPOSE, value).decode() if name == HINT else value)
        for name, value in kept
    )


def parameters_of(session: Session, row: AuthorizationRequest) -> Pairs:
    """Return the parameters as they came."""
    return opened(runtime.of(session).keyring, row.parameters)


def answers_of(row: AuthorizationRequest, handle: str, session_id: int | None) -> Answers:
    """Return the answers that count in a browser session: those given in that same session.

    A refusal counts in every one: it is given without a sign-in as well.
    """
    scopes = row.consented_scopes
    if scopes == []:
        return Answers(row.created_at, handle, consented_scopes=())
    if session_id is None or row.session_id != session_id:
        return Answers(row.created_at, handle)
    return Answers(
        row.created_at,
        handle,
        row.account_chosen,
        row.tenant_id,
        None if scopes is None else tuple(scopes),
        row.consent_remember,
        row.document_hash,
        row.level_declined,
    )


def choose_account(session: Session, issuer: Issuer, handle: str, browser: BrowserSession) -> None:
    """Note that the person continues with the account that is signed in."""
    _answer(session, get(session, issuer, "authorize", handle), browser, account_chosen=True)


def choose_tenant(
    session: Session, issuer: Issuer, handle: str, browser: BrowserSession, tenant_id: int
) -> None:
    """Note the tenant of this sign-in, and remember it for the rest of the session."""
    row = get(session, issuer, "authorize", handle)
    _answer(session, row, browser, tenant_id=tenant_id)
    remember_tenant(session, browser, tenant_id)


def remember_tenant(session: Session, browser: BrowserSession, tenant_id: int) -> None:
    """Remember the tenant that the person chose for their session; this confirms the membership."""
    session.execute(
        update(BrowserSession).where(BrowserSession.id == browser.id).values(tenant_id=tenant_id)
    )
    tenants.confirm_member(session, tenant_id, browser.user_id)
    audit.record(session, Tag.TENANT_CHOSEN, user_id=browser.user_id, tenant_id=tenant_id)


def decide_consent(
    session: Session,
    issuer: Issuer,
    handle: str,
    browser: BrowserSession,
    scopes: Sequence[str],
    *,
    remember: bool,
) -> None:
    """Note what the person allows; no scope at all is a refusal."""
    row = get(session, issuer, "authorize", handle)
    request = _as_shown(session, issuer, row, handle)
    if request.client is None:
        message = "Nothing to consent to"
        raise BadRequest(message)
    allowed = [name for name in request.scopes if name in scopes]
    _answer(
        session,
        row,
        browser,
        consented_scopes=allowed,
        consent_remember=remember,
        document_hash=request.client.document_hash,
    )
    audit.record(
        session,
        Tag.CONSENT_GIVEN if allowed else Tag.CONSENT_REFUSED,
        user_id=browser.user_id,
        client_id=request.client.client_id,
        details={"scopes": allowed},
    )


def may_decline_level(session: Session, issuer: Issuer, handle: str, held: str) -> bool:
    """Return whether a request merely wishes for more than the level that a session has."""
    row = find(session, issuer, "authorize", handle)
    if row is None:
        return False
    parameters = Parameters(parameters_of(session, row))
    client = callers.find_now(session, issuer, parameters.require("client_id"))
    if client is None:
        return False
    asked = levels.read(issuer, client, parameters, prompt.read_claims(parameters))
    return asked.is_demand_met(held)


def decline_level(session: Session, issuer: Issuer, handle: str, browser: BrowserSession) -> None:
    """Note that the person goes on without the level that is wished for."""
    row = get(session, issuer, "authorize", handle)
    _answer(session, row, browser, level_declined=True)


def refuse(session: Session, issuer: Issuer, handle: str) -> None:
    """Note that the person refuses a request, whether they are signed in or not."""
    row = get(session, issuer, "authorize", handle)
    session.execute(
        update(AuthorizationRequest)
        .where(AuthorizationRequest.id == row.id)
        .values(consented_scopes=[])
    )
    client_id = Parameters(parameters_of(session, row)).get("client_id")
    audit.record(session, Tag.CONSENT_REFUSED, client_id=client_id, details={"scopes": []})


def _answer(
    session: Session, row: AuthorizationRequest, browser: BrowserSession, **values: object
) -> None:
    """Note what the person answered; answers given in another session are dropped."""
    if row.session_id != browser.id:
        kept: dict[str, object] = {
            "account_chosen": False,
            "tenant_id": None,
            "consented_scopes": None,
            "consent_remember": False,
            "document_hash": None,
            "level_declined": False,
        }
        values = kept | values
    session.execute(
        update(AuthorizationRequest)
        .where(AuthorizationRequest.id == row.id)
        .values(session_id=browser.id, **values)
    )
