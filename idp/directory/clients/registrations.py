"""Clients that register themselves (RFC 7591) and change or delete themselves (RFC 7592)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from idp.directory import product
from idp.directory.clients import (
    audited,
    fields,
    metadata,
    metadata_documents,
    new_rows,
    registration_tokens,
    rules,
    service,
    statements,
    strangers,
)
from idp.directory.clients import snapshot as clients
from idp.directory.clients.metadata import (
    CODE,
    REFRESH,
    ClientMetadata,
    refused,
)
from idp.directory.clients.models import (
    OFF,
    OPERATOR,
    REGISTERED,
    Client,
    ClientRegistration,
    RegistrationToken,
)
from idp.directory.clients.registration_tokens import Policy
from idp.platform import clock, runtime
from idp.platform.audit.tags import Tag
from idp.platform.errors import (
    BadRequest,
    InvalidRedirectUri,
    InvalidToken,
    NotFound,
    Unprocessable,
)
from idp.platform.issuer import Issuer
from idp.platform.metrics.declarations import REGISTRATIONS
from idp.platform.secrets import digest, random_token
from idp.platform.stamps import new_stamp
from idp.platform.throttle import Address

PREFIX = "c_"
ID_BYTES = 16
PER_HOUR = 10
"""Clients that one address may register in an hour where no token is needed."""
CHANGES_PER_HOUR = 60
"""Updates of one client in an hour: each of them makes all workers forget what they cache."""
UNUSED_DAYS = 30
"""After which clients are removed that registered without a token and that nobody uses."""
CODE_SECONDS = 60
LONGEST_ACCESS_SECONDS = 3600
OFFLINE = rules.OFFLINE_ACCESS


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as it is answered to itself."""

    client: Client
    extra: Mapping[str, Any]
    access_token: str
    """Registration access token."""
    secret: str | None = None
    """A new one, to be shown once."""


def admit(session: Session, issuer: Issuer, token: str | None) -> RegistrationToken | None:
    """Return the initial access token that a registration uses, None where none is needed.

    NotFound where clients cannot register at all; InvalidToken where the token is not valid, or
    there is none and one is needed.
    """
    mode = strangers.policy_at(session, issuer.tenant_id).by_registration
    if mode == OFF:
        raise NotFound
    if token is None:
        if mode != strangers.ANY:
            raise InvalidToken("An initial access token is needed to register a client")
        return None
    row = registration_tokens.find(session, issuer, token)
    if row is None:
        raise InvalidToken("The initial access token is invalid, expired, used up or revoked")
    return row


def register(
    session: Session, issuer: Issuer, row: RegistrationToken | None, said: ClientMetadata
) -> Registered:
    """Register a client with the token that `admit` returned.

    It gets what the policy of the token, or of everybody, lets it have.
    """
    if row is None:
        context = runtime.context_of(session)
        throttle = runtime.of(session).throttle
        throttle.hit("registrations", Address.of(context.remote_addr), PER_HOUR, 3600)
    policy = registration_tokens.policy_of(row)
    client = Client(client_id=PREFIX + random_token(ID_BYTES), tenant_id=_tenant_id(issuer, row))
    fields.set_defaults(client)
    client.origin = OPERATOR if policy.is_trusted else REGISTERED
    client.created_at = client.updated_at = clock.now()
    client.concurrency_stamp = new_stamp()
    lists = _settle(session, issuer, policy, client, said)
    for name, values in lists.items():
        model, column = new_rows.LISTS[name]
        setattr(client, name, [model(**{column: value}) for value in values])
    secret = _new_secret(session, client)
    _check(client)
    metadata_documents.check(session, said)
    if row is not None and not registration_tokens.spend(session, row):
        raise InvalidToken("The initial access token is used up")
    access_token = random_token()
    registration = {
        "issuer_tenant_id": issuer.tenant_id,
        "registration_token_id": None if row is None else row.id,
        "token_hash": digest(access_token),
        "extra": dict(said.extra),
        "created_at": client.created_at,
    }
    new_rows.add(session, client, registration)
    _record(session, Tag.REGISTRATION_CREATED, client, audited.blank(), "created")
    return Registered(client, said.extra, access_token, secret)


def authenticate(
    session: Session, issuer: Issuer, client_id: str, token: str | None, *, lock: bool = False
) -> tuple[Client, ClientRegistration]:
    """Return the client whose registration access token this is; InvalidToken for any other.

    A client that was disabled has no say any more (RFC 7592 2: as if the token were revoked).
    """
    if strangers.policy_at(session, issuer.tenant_id).by_registration == OFF:
        raise NotFound
    if token is None or len(client_id) > clients.LONGEST_ID:
        raise InvalidToken
    if lock:
        session.execute(
            select(Client.id).where(Client.client_id == client_id).with_for_update(key_share=True)
        )
    found = session.execute(
        select(Client, ClientRegistration)
        .join(ClientRegistration, ClientRegistration.client_id == Client.id)
        .where(Client.client_id == client_id, Client.enabled)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None or not hmac.compare_digest(found[1].token_hash, digest(token)):
        raise InvalidToken
    client, registration = found
    if registration.issuer_tenant_id != issuer.tenant_id:
        raise InvalidToken
    if clients.find(session, client_id) is None:  # its tenant is disabled
        raise InvalidToken
    return client, registration


def read(session: Session, issuer: Issuer, client_id: str, token: str | None) -> Registered:
    """Return a client to itself; its secret is nowhere in clear text."""
    client, registration = authenticate(session, issuer, client_id, token)
    return Registered(client, registration.extra, token or "")


def update(
    session: Session,
    issuer: Issuer,
    client_id: str,
    token: str | None,
    sent: Mapping[str, Any],
    reader: Callable[[Mapping[str, Any]], ClientMetadata],
) -> Registered:
    """Replace the metadata of a client by all that is sent, by the policy that it came with.

    RFC 7592 2.2: what is not there goes back to its default.
    """
    client, registration = authenticate(session, issuer, client_id, token)
    runtime.of(session).throttle.hit("registration changes", client_id, CHANGES_PER_HOUR, 3600)
    _check_same(session, client, sent)
    policy = _policy_of(session, registration)
    said = reader(statements.merged(session, issuer, policy, sent))
    metadata_documents.check(session, said)
    # Again, since others may have changed it while documents were waited for.
    client, registration = authenticate(session, issuer, client_id, token, lock=True)
    before = audited.state_of(client)
    with session.no_autoflush:
        lists = _settle(session, issuer, policy, client, said)
        service.set_lists(session, client, lists)
        secret = _fitting_secret(session, client)
        _check(client)
    registration.extra = dict(said.extra)
    client.concurrency_stamp = new_stamp()
    session.flush()
    _record(session, Tag.REGISTRATION_CHANGED, client, before, "changed")
    return Registered(client, said.extra, token or "", secret)


def _policy_of(session: Session, registration: ClientRegistration) -> Policy:
    if registration.registration_token_id is None:
        return registration_tokens.ANONYMOUS
    row = session.get_one(RegistrationToken, registration.registration_token_id)
    return registration_tokens.policy_of(row)


def delete(session: Session, issuer: Issuer, client_id: str, token: str | None) -> None:
    """Delete a client with all that people allowed it (RFC 7592 2.3)."""
    client, _ = authenticate(session, issuer, client_id, token, lock=True)
    service.delete(session, client, tag=Tag.REGISTRATION_DELETED)
    runtime.of(session).counts.add(REGISTRATIONS, "deleted")


def of(session: Session, client: Client) -> ClientRegistration | None:
    """Return what belongs to a client that registered itself; None for any other."""
    query = select(ClientRegistration).where(ClientRegistration.client_id == client.id)
    return session.scalar(query)


def remove_unused(session: Session, *, limit: int) -> int:
    """Delete clients that registered without a token and that nobody used for long.

    Return how many; at most `limit`, the oldest first.
    """
    past = clock.now() - timedelta(days=UNUSED_DAYS)
    query = (
        select(Client)
        .join(ClientRegistration, ClientRegistration.client_id == Client.id)
        .where(
            ClientRegistration.registration_token_id.is_(None),
            ClientRegistration.created_at < past,
            or_(ClientRegistration.used_at.is_(None), ClientRegistration.used_at < past),
            Client.origin == REGISTERED,
        )
        .order_by(ClientRegistration.created_at)
        .limit(limit)
        .with_for_update(of=Client, skip_locked=True)
    )
    found = session.scalars(query).all()
    for client in found:
        service.delete(session, client, tag=Tag.REGISTRATION_EXPIRED)
    runtime.of(session).counts.add(REGISTRATIONS, "expired", amount=len(found))
    return len(found)


def _tenant_id(issuer: Issuer, row: RegistrationToken | None) -> int | None:
    """Return the tenant that a new client belongs to; None: the platform."""
    if row is not None:
        return row.tenant_id
    return None if issuer.is_platform else issuer.tenant_id


def _settle(
    session: Session, issuer: Issuer, policy: Policy, client: Client, said: ClientMetadata
) -> dict[str, Sequence[str]]:
    """Set what a client says of itself as far as it may, and return its lists."""
    if said.method not in policy.auth_methods:
        raise refused("token_endpoint_auth_method", f"must be one of {_or(policy.auth_methods)}")
    has_certificates = bool(runtime.of(session).settings.client_certificate)
    if said.method in product.TLS_METHODS and not has_certificates:
        raise refused("token_endpoint_auth_method", "certificates of clients are not known here")
    for uri in said.redirect_uris:
        if not policy.allows_host(uri):
            raise InvalidRedirectUri(
                f"redirect_uris: the host of {uri[:200]!r} is not allowed",
                fields={"redirect_uris": ["host"]},
            )
    if policy.statements is not None and policy.statements.is_required:
        statements.check_there(said.extra)
    for name, value in said.settings.items():
        setattr(client, name, fields.default_of(name) if value is None else value)
    is_confidential = said.method != product.NO_AUTHENTICATION
    client.require_client_secret = is_confidential
    client.tls_client_certificate_bound_access_tokens &= has_certificates
    _treat(client, policy, is_confidential=is_confidential)
    return _lists(session, issuer, policy, client, said)


def _treat(client: Client, policy: Policy, *, is_confidential: bool) -> None:
    """Set what a client has no say in."""
    is_stranger = not policy.is_trusted
    client.require_pkce = policy.requires_pkce or is_stranger or not is_confidential
    client.require_consent = True
    client.allow_remember_consent = not is_stranger
    client.device_requires_login = is_stranger
    client.authorization_code_lifetime = CODE_SECONDS
    client.access_token_lifetime = min(client.access_token_lifetime, LONGEST_ACCESS_SECONDS)
    client.refresh_token_usage = 1


def _lists(
    session: Session, issuer: Issuer, policy: Policy, client: Client, said: ClientMetadata
) -> dict[str, Sequence[str]]:
    """Return the lists of a client; what it may not have is left out, down to nothing at all."""
    grants = [name for name in said.grant_types if name in policy.grant_types]
    if not client.require_client_secret:
        grants = [name for name in grants if name != "client_credentials"]
    asked = said.scopes
    wants_offline = REFRESH in grants or OFFLINE in (asked or ())
    may_be_offline = REFRESH in policy.grant_types and not {CODE, product.DEVICE_CODE}.isdisjoint(
        grants
    )
    client.allow_offline_access = wants_offline and may_be_offline
    grants = [name for name in grants if name != REFRESH]
    if not grants:
        raise refused("grant_types", f"must have one of {_or(policy.grant_types)}")
    if client.allow_offline_access:
        grants.append(REFRESH)
    scopes = _scopes(session, issuer, policy, client.tenant_id, asked)
    if asked is not None and not scopes:
        raise refused("scope", "the client can have none of these scopes")
    return {
        "grant_types": grants,
        "scopes": scopes,
        "redirect_uris": said.redirect_uris,
        "post_logout_redirect_uris": said.post_logout_redirect_uris,
        "cors_origins": metadata.origins_of(said.redirect_uris),
    }


def _scopes(
    session: Session,
    issuer: Issuer,
    policy: Policy,
    tenant_id: int | None,
    asked: Collection[str] | None,
) -> list[str]:
    """Return the scopes that a client gets, of those that it may have; `asked` None: all.

    Where the token does not name them, those of the same APIs come along: MCP clients register
    with the scopes of their first call, and ask people for more later.
    """
    if policy.scopes:
        existing = rules.existing_scopes(session, policy.scopes, tenant_id)
        allowed = (name for name in policy.scopes if name in existing)
        return [name for name in allowed if _is_asked(name, asked) and name != OFFLINE]
    apis, identities = strangers.scopes_at(session, issuer.tenant_id)
    owners = {None, tenant_id}
    own = {name: scope.api.row_id for name, scope in apis.items() if scope.api.tenant_id in owners}
    chosen = {api_id for name, api_id in own.items() if _is_asked(name, asked)}
    return [
        *(name for name in identities if _is_asked(name, asked) and name != OFFLINE),
        *(name for name, api_id in own.items() if api_id in chosen),
    ]


def _is_asked(name: str, asked: Collection[str] | None) -> bool:
    return asked is None or name in asked


def _or(names: Sequence[str]) -> str:
    return ", ".join(names)


def _check(client: Client) -> None:
    """Refuse settings that contradict each other."""
    try:
        rules.check(client)
    except (BadRequest, Unprocessable) as problem:
        raise metadata.as_refusal(problem) from None


def _new_secret(session: Session, client: Client) -> str | None:
    """Add a secret to a client that authenticates with one; return it."""
    if not service.needs_secret(client):
        return None
    return service.append_secret(session, client, None)


def _fitting_secret(session: Session, client: Client) -> str | None:
    """Add or remove a secret where another method needs one or none; return a new one."""
    if service.needs_secret(client):
        return None if client.secrets else _new_secret(session, client)
    client.secrets.clear()
    return None


def _check_same(session: Session, client: Client, sent: Mapping[str, Any]) -> None:
    """Check that an update is of this client, and of nothing that is ours (RFC 7592 2.2)."""
    for name in metadata.READ_ONLY:
        if name in sent:
            raise refused(name, "must not be in an update")
    if sent.get("client_id") != client.client_id:
        raise refused("client_id", "must be the id of the client")
    secret = sent.get("client_secret")
    if secret is None:
        return
    keyring = runtime.of(session).keyring
    is_known = isinstance(secret, str) and any(
        keyring.mac_matches(rules.PURPOSE, secret, row.value_hash) for row in client.secrets
    )
    if not is_known:
        raise refused("client_secret", "is not the secret of the client")


def _record(
    session: Session, tag: Tag, client: Client, before: Mapping[str, Any], result: str
) -> None:
    runtime.of(session).counts.add(REGISTRATIONS, result)
    audited.record(session, client, tag, before, audited.state_of(client))
