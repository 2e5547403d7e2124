"""Clients for commands, imports and seeds: create, find, change, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory import child_rows, product
from idp.directory.child_rows import DesiredRow
from idp.directory.clients import audited, fields, rules
from idp.directory.clients.models import (
    Client,
    ClientCorsOrigin,
    ClientGrantType,
    ClientOwner,
    ClientPostLogoutRedirectUri,
    ClientRedirectUri,
    ClientScope,
    ClientSecret,
)
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import Base
from idp.platform.errors import BadRequest, NotFound, Unprocessable
from idp.platform.secrets import random_token
from idp.platform.stamps import new_stamp
from idp.platform.translation import N_


@dataclass(frozen=True, slots=True)
class NewClient:
    """What a client starts with; `settings` by the names that `fields.apply` knows."""

    client_id: str
    client_name: str | None = None
    is_public: bool = False
    secret: str | None = None
    """Chosen by the caller; empty: generated, where the client authenticates with one."""
    grant_types: Sequence[str] = ()
    scopes: Sequence[str] = ()
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    cors_origins: Sequence[str] = ()
    tenant_id: int | None = None
    owner_id: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def create(session: Session, new: NewClient) -> tuple[Client, str | None]:
    """Create a client; return its secret in clear text too, to be shown once."""
    client = blank(session, new.client_id, new.tenant_id)
    client.client_name = new.client_name or None
    client.require_client_secret = not new.is_public
    set_fields(session, client, new.settings)
    if new.is_public and client.require_client_secret:
        raise Unprocessable.at(
            "token_endpoint_auth_method",
            N_("The authentication method of a public client must be none."),
        )
    _allow_offline_access(client, new.settings, new.grant_types, new.scopes)
    set_grant_types(session, client, new.grant_types)
    set_scopes(session, client, new.scopes)
    set_redirect_uris(session, client, new.redirect_uris)
    set_post_logout_redirect_uris(session, client, new.post_logout_redirect_uris)
    set_cors_origins(session, client, new.cors_origins)
    rules.check(client)
    secret = None
    if new.secret is not None or needs_secret(client):
        secret = append_secret(session, client, new.secret)
    insert(session, client, new.owner_id)
    return client, secret


def blank(session: Session, client_id: str, tenant_id: int | None) -> Client:
    """Return a new client with defaults only, under an identifier that is free."""
    client = Client(
        client_id=rules.check_client_id(session, client_id, tenant_id), tenant_id=tenant_id
    )
    fields.set_defaults(client)
    return client


def insert(session: Session, client: Client, owner_id: int | None) -> None:
    """Insert a new client that was checked, and the person who manages it."""
    try:
        with session.begin_nested():
            session.add(client)
    except IntegrityError:
        rules.check_client_id(session, client.client_id, client.tenant_id)
        raise NotFound(N_("There is no such tenant.")) from None
    if owner_id is not None:
        session.add(ClientOwner(user_id=owner_id, client_id=client.id))
        session.flush()
    audited.record(session, client, Tag.CLIENT_CREATED, audited.blank(), audited.state_of(client))


def find(session: Session, client_id: str) -> Client | None:
    """Find a client, enabled or not, by its OAuth identifier."""
    return session.scalar(select(Client).where(Client.client_id == client_id))


def get(session: Session, client_id: str) -> Client:
    """Return a client, enabled or not, by its OAuth identifier."""
    client = find(session, client_id)
    if client is None:
        raise NotFound(N_("There is no such client."))
    return client


def list(session: Session, *, tenant_id: int | None = None) -> Sequence[Client]:
    """List clients by identifier, of one tenant where one is named."""
    query = select(Client).order_by(Client.client_id)
    if tenant_id is not None:
        query = query.where(Client.tenant_id == tenant_id)
    return session.scalars(query).all()


def set_fields(session: Session, client: Client, values: Mapping[str, Any]) -> None:
    """Set single values by name (see `fields`); call `check` when all are set."""
    fields.apply(client, values, rules.address_rules(session, client))


def set_grant_types(session: Session, client: Client, grant_types: Iterable[str]) -> None:
    """Replace the grant types; unsupported ones are refused."""
    _replace(
        session,
        client.grant_types,
        ClientGrantType,
        "grant_type",
        rules.grants_of(client, grant_types),
    )


def follow_offline_access(session: Session, client: Client) -> None:
    """Add or remove refresh_token to match offline access."""
    names = [row.grant_type for row in client.grant_types]
    if not client.allow_offline_access:
        names = [name for name in names if name != "refresh_token"]
    set_grant_types(session, client, names)


def set_scopes(session: Session, client: Client, scopes: Iterable[str]) -> None:
    """Replace the scopes; each must exist on the platform or in the client's own tenant.

    `offline_access` is no row of this list but the setting `allow_offline_access`.
    """
    names = [name for name in scopes if name != rules.OFFLINE_ACCESS]
    _replace(session, client.scopes, ClientScope, "scope", rules.scopes_of(session, client, names))


def set_redirect_uris(session: Session, client: Client, uris: Iterable[str]) -> None:
    """Replace the addresses that codes may be sent to."""
    name = "redirect_uri"
    _replace(
        session,
        client.redirect_uris,
        ClientRedirectUri,
        name,
        rules.redirects_of(session, client, uris),
    )


def set_post_logout_redirect_uris(session: Session, client: Client, uris: Iterable[str]) -> None:
    """Replace the addresses that people may be sent to after signing out."""
    name = "post_logout_redirect_uri"
    desired = rules.post_logout_redirects_of(session, client, uris)
    _replace(session, client.post_logout_redirect_uris, ClientPostLogoutRedirectUri, name, desired)


def set_cors_origins(session: Session, client: Client, origins: Iterable[str]) -> None:
    """Replace the origins whose scripts may call the token endpoint."""
    _replace(
        session,
        client.cors_origins,
        ClientCorsOrigin,
        "origin",
        rules.origins_of(session, client, origins),
    )


def update(
    session: Session,
    client: Client,
    settings: Mapping[str, Any],
    lists: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Change single values and whole lists (see `_SETTERS`) of a client, and check the result.

    A list that is not named stays as it is.
    """
    lists = lists or {}
    before = audited.state_of(client)
    set_fields(session, client, settings)
    _allow_offline_access(client, settings, lists.get("grant_types", ()), lists.get("scopes", ()))
    set_lists(session, client, lists)
    if "grant_types" not in lists:
        follow_offline_access(session, client)
    rules.check(client)
    rules.check_addresses(session, client)
    session.flush()
    after = audited.state_of(client)
    if before != after:
        client.concurrency_stamp = new_stamp()
        session.flush()
        audited.record(session, client, Tag.CLIENT_CHANGED, before, after)


def set_lists(session: Session, client: Client, lists: Mapping[str, Sequence[str]]) -> None:
    """Replace lists by their names (see `_SETTERS`); call `rules.check` when all are set."""
    for name, values in lists.items():
        _SETTERS[name](session, client, values)


def add_secret(
    session: Session,
    client: Client,
    value: str | None = None,
    *,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Add a secret to a client, generated unless given; older ones stay valid."""
    if not client.require_client_secret:
        raise Unprocessable.at("client_secret", N_("A public client cannot have a secret."))
    if client.token_endpoint_auth_method in product.WITHOUT_SECRET:
        raise Unprocessable.at(
            "client_secret",
            N_("This client authenticates with its own keys and cannot have a secret."),
        )
    secret = append_secret(session, client, value, description, expires_at)
    client.concurrency_stamp = new_stamp()
    session.flush()
    audit.record(
        session,
        Tag.CLIENT_SECRET_ADDED,
        tenant_id=client.tenant_id,
        target=f"client:{client.client_id}",
        details={"secret_id": client.secrets[-1].id},
    )
    return secret


def get_secret(client: Client, secret_id: int) -> ClientSecret:
    """Return a secret of a client; its value is nowhere."""
    row = next((row for row in client.secrets if row.id == secret_id), None)
    if row is None:
        raise NotFound(N_("The client has no such secret."))
    return row


def remove_secret(session: Session, client: Client, secret_id: int) -> None:
    """Take a secret away from a client."""
    client.secrets.remove(get_secret(client, secret_id))
    client.concurrency_stamp = new_stamp()
    session.flush()
    audit.record(
        session,
        Tag.CLIENT_SECRET_REMOVED,
        tenant_id=client.tenant_id,
        target=f"client:{client.client_id}",
        details={"secret_id": secret_id},
    )


def delete(session: Session, client: Client, *, tag: Tag = Tag.CLIENT_DELETED) -> None:
    """Delete a client with everything that belongs to it."""
    before = audited.state_of(client)
    session.delete(client)
    session.flush()
    audited.record(session, client, tag, before, audited.blank())


def link_owner(session: Session, client: Client, user_id: int) -> None:
    """Make a person a manager of a client."""
    if session.get(ClientOwner, (user_id, client.id)) is None:
        session.add(ClientOwner(user_id=user_id, client_id=client.id))
        session.flush()


def append_secret(
    session: Session,
    client: Client,
    value: str | None,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Append a secret to a client that is checked and written afterwards."""
    if not client.require_client_secret:
        raise Unprocessable.at("client_secret", N_("A public client cannot have a secret."))
    if expires_at is not None and expires_at <= clock.now():
        raise BadRequest.at("expires_at", N_("The expiry is in the past."))
    secret = random_token() if value is None else value
    client.secrets.append(
        ClientSecret(
            description=description,
            value_hash=rules.hash_secret(session, secret),
            expires_at=expires_at,
        )
    )
    return secret


def _allow_offline_access(
    client: Client, settings: Mapping[str, Any], grant_types: Sequence[str], scopes: Sequence[str]
) -> None:
    """Allow offline access where the grant or the scope asks for it and no setting decides."""
    if "allow_offline_access" not in map(fields.snake_case, settings) and (
        rules.OFFLINE_ACCESS in scopes or "refresh_token" in grant_types
    ):
        client.allow_offline_access = True


def needs_secret(client: Client) -> bool:
    """Return whether a client authenticates with a secret."""
    return (
        client.require_client_secret
        and client.token_endpoint_auth_method not in product.WITHOUT_SECRET
    )


def _replace(
    session: Session,
    rows: MutableSequence[Any],
    model: Callable[[], Base],
    column: str,
    values: Sequence[str],
) -> None:
    """Replace a list of values; rows that stay keep their ids."""

    def write(row: Any, value: str, _path: str) -> None:
        setattr(row, column, value)

    desired = [DesiredRow(column, 0, (value,), value) for value in values]
    child_rows.replace(
        session, rows, desired, columns=(column,), match_by="value", make=model, write=write
    )


_SETTERS: Mapping[str, Callable[[Session, Client, Sequence[str]], None]] = {
    "grant_types": set_grant_types,
    "scopes": set_scopes,
    "redirect_uris": set_redirect_uris,
    "post_logout_redirect_uris": set_post_logout_redirect_uris,
    "cors_origins": set_cors_origins,
}
