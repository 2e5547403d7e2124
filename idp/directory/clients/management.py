"""Managing clients: all settings and lists at once, within the reach of the actor."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from idp.directory import child_rows
from idp.directory.actor import Actor
from idp.directory.child_rows import DesiredRow
from idp.directory.clients import (
    audited,
    fields,
    kinds,
    registrations,
    rules,
    service,
    strangers,
)
from idp.directory.clients.models import (
    DOCUMENT,
    OPERATOR,
    Client,
    ClientClaim,
    ClientCorsOrigin,
    ClientGrantType,
    ClientOwner,
    ClientPostLogoutRedirectUri,
    ClientProperty,
    ClientRedirectUri,
    ClientScope,
    ClientSecret,
)
from idp.directory.clients.service import NewClient
from idp.directory.product import RESERVED_PREFIX
from idp.platform import clock, runtime, stamps
from idp.platform.audit import service as audit
from idp.platform.audit.difference import State
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, Forbidden, NotFound, Overreach, Unprocessable
from idp.platform.integers import INT32_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.secrets import MASK, looks_like_digest
from idp.platform.translation import N_, filled

LONGEST_PROPERTY = 2000
NOT_COPIED = frozenset({"client_name", "second_factor_exempt"})
"""Settings that a copy of a client does not take over."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list; id 0: a new one."""

    id: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret as shown and written; without a value (or with the mask) the stored one stays."""

    id: int
    description: str | None
    value: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Property:
    """A property as it is shown; settings among them have no row of their own."""

    id: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """All values of a client; a list that is None stays as it is."""

    client_id: str
    settings: Mapping[str, Any]
    """Every single value, by the names that `fields.apply` knows."""
    lists: Mapping[str, Sequence[Row] | None]
    """By the names in `LISTS`."""
    secrets: Sequence[SecretRow] | None = None
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a page of clients is narrowed by."""

    search: str | None = None
    """Part of the client id or the name."""
    kind: str | None = None
    """One of `presets.PRESETS`."""
    is_enabled: bool | None = None
    origin: str | None = None
    tenant_id: int | None = None


@dataclass(frozen=True, slots=True)
class List:
    """A list of a client: its table, what makes a row unique, and the rule about its values."""

    model: type[Any]
    key: tuple[str, ...]
    check: Callable[[Session, Client, Sequence[str]], Sequence[str]] | None = None


LISTS = {
    "grant_types": List(
        ClientGrantType, ("grant_type",), lambda _, client, names: rules.grants_of(client, names)
    ),
    "scopes": List(ClientScope, ("scope",), rules.scopes_of),
    "redirect_uris": List(ClientRedirectUri, ("redirect_uri",), rules.redirects_of),
    "post_logout_redirect_uris": List(
        ClientPostLogoutRedirectUri,
        ("post_logout_redirect_uri",),
        rules.post_logout_redirects_of,
    ),
    "cors_origins": List(ClientCorsOrigin, ("origin",), rules.origins_of),
    "claims": List(ClientClaim, ("type", "value")),
    "properties": List(ClientProperty, ("key",)),
}


def list_query(
    actor: Actor, *, client_id: str | None = None, client_name: str | None = None
) -> Select[Client]:
    """Return the query of the clients in reach, with their lists; both filters are exact."""
    query = select(Client).where(_in_reach(actor)).options(*_children())
    if client_id is not None:
        query = query.where(Client.client_id == client_id)
    if client_name is not None:
        query = query.where(Client.client_name == client_name)
    return query


def names_with_ending_secrets(
    session: Session, actor: Actor, until: datetime, *, limit: int = 100
) -> Sequence[str]:
    """Return the names of enabled clients in reach with a secret that expires before a time.

    Those of the secrets that expire first, however many there are.
    """
    soonest = (
        select(ClientSecret.client_id)
        .join(Client, Client.id == ClientSecret.client_id)
        .where(
            ClientSecret.expires_at > clock.now(),
            ClientSecret.expires_at <= until,
            _in_reach(actor),
            Client.enabled.is_(True),
        )
        .order_by(ClientSecret.expires_at, ClientSecret.id)
        .limit(limit)
        .subquery()
    )
    name = func.coalesce(Client.client_name, Client.client_id)
    query = select(name).where(Client.id.in_(select(soonest.c.client_id)))
    return session.scalars(query.order_by(name, Client.id)).all()


def with_scope(
    session: Session, actor: Actor, scope: str, *, limit: int
) -> list[tuple[int, str, str]]:
    """Return ids, client ids and names of clients in reach that may ask for a scope, by name."""
    name = func.coalesce(Client.client_name, Client.client_id)
    query = (
        select(Client.id, Client.client_id, name)
        .join(ClientScope, ClientScope.client_id == Client.id)
        .where(_in_reach(actor), ClientScope.scope == scope)
        .order_by(name, Client.id)
        .limit(limit)
    )
    return [(row_id, client_id, title) for row_id, client_id, title in session.execute(query)]


def get(session: Session, actor: Actor, row_id: int) -> Client:
    """Return a client in reach with its lists, as the database has it now."""
    client = session.scalars(
        list_query(actor)
        .where(Client.id == _small(row_id))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if client is None:
        raise NotFound
    return client


def create(
    session: Session, actor: Actor, spec: ClientSpec, *, reserved_claims: Collection[str]
) -> Client:
    """Create a client that the actor manages.

    `reserved_claims` are names that a client's own claims cannot have: they would never be sent.
    """
    client = service.blank(session, spec.client_id, actor.owner_tenant)
    with session.no_autoflush:
        _apply(session, actor, client, spec)
        _check_claims(client, reserved_claims)
    service.insert(session, client, actor.person_id)
    return client


def replace(
    session: Session,
    actor: Actor,
    row_id: int,
    spec: ClientSpec,
    *,
    reserved_claims: Collection[str],
) -> Client:
    """Replace a client; without a difference nothing changes, not even the stamp."""
    client = _lock(session, actor, row_id)
    _check_own(client)
    stamps.check(client.concurrency_stamp, spec.concurrency_stamp)
    before = audited.state_of(client)
    with session.no_autoflush:
        _rename(session, client, spec.client_id)
        _apply(session, actor, client, spec)
        _check_claims(client, reserved_claims)
    session.flush()
    after = audited.state_of(client)
    if before != after:
        client.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, client, before, after)
    return client


def delete(
    session: Session,
    actor: Actor,
    row_id: int,
    *,
    stamp: str | None = None,
    only_disabled: bool = False,
) -> None:
    """Delete a client in reach; with `only_disabled`, one that nobody can be using."""
    client = _lock(session, actor, row_id)
    _check_power(session, actor, client)
    stamps.check(client.concurrency_stamp, stamp)
    if only_disabled and client.enabled:
        raise Conflict(N_("Disable the client first."), code="client_enabled")
    service.delete(session, client)


def list_page(
    session: Session, actor: Actor, filters: Filters, *, after: str = "", limit: int = 100
) -> Sequence[Client]:
    """Return a page of the clients in reach by client id, with their grant types and secrets."""
    query = select(Client).where(_in_reach(actor), Client.client_id > after)
    if filters.search:
        query = query.where(
            or_(
                Client.client_id.icontains(filters.search, autoescape=True),
                Client.client_name.icontains(filters.search, autoescape=True),
            )
        )
    if filters.kind is not None:
        query = query.where(kinds.is_of(filters.kind))
    if filters.is_enabled is not None:
        query = query.where(Client.enabled.is_(filters.is_enabled))
    if filters.origin is not None:
        query = query.where(Client.origin == filters.origin)
    if filters.tenant_id is not None:
        query = query.where(Client.tenant_id == filters.tenant_id)
    query = query.options(selectinload(Client.grant_types), selectinload(Client.secrets))
    return session.scalars(query.order_by(Client.client_id).limit(limit)).all()


def register(session: Session, actor: Actor, new: NewClient) -> tuple[Client, str | None]:
    """Create a client of the actor's tenant; return it with its secret, if it has one."""
    owned = dataclasses.replace(new, tenant_id=actor.owner_tenant, owner_id=actor.user_id)
    client, secret = service.create(session, owned)
    _check_gifts(session, actor, client)
    _check_exemption(actor, client)
    return client, secret


def change(
    session: Session,
    actor: Actor,
    row_id: int,
    settings: Mapping[str, Any],
    lists: Mapping[str, Sequence[str]],
    *,
    stamp: str | None = None,
) -> Client:
    """Change single settings and whole lists of a client; what is not named stays as it is."""
    client = _lock(session, actor, row_id)
    _check_power(session, actor, client)
    if lists or settings.keys() - {"enabled"}:
        _check_own(client)
    stamps.check(client.concurrency_stamp, stamp)
    scopes, grantable = _management_scopes(client), [*(client.grantable_privileges or ())]
    was_exempt = client.second_factor_exempt
    with session.no_autoflush:
        service.update(session, client, settings, lists)
    _check_gifts(session, actor, client, scopes=scopes, grantable=grantable)
    _check_exemption(actor, client, was_exempt=was_exempt)
    return client


def duplicate(
    session: Session, actor: Actor, row_id: int, client_id: str, client_name: str | None
) -> tuple[Client, str | None]:
    """Create a client like another, with a secret of its own; return both."""
    origin = get(session, actor, row_id)
    copied = {name: getattr(origin, name) for name in fields.FIELDS.keys() - NOT_COPIED}
    client, secret = register(
        session,
        actor,
        NewClient(
            client_id=client_id,
            client_name=client_name or origin.client_name,
            is_public=not origin.require_client_secret,
            settings=copied,
            grant_types=_values(origin, "grant_types"),
            scopes=_values(origin, "scopes"),
            redirect_uris=_values(origin, "redirect_uris"),
            post_logout_redirect_uris=_values(origin, "post_logout_redirect_uris"),
            cors_origins=_values(origin, "cors_origins"),
        ),
    )
    client.claims.extend(ClientClaim(type=row.type, value=row.value) for row in origin.claims)
    client.properties.extend(
        ClientProperty(key=row.key, value=row.value) for row in origin.properties
    )
    session.flush()
    return client, secret


def issue_secret(
    session: Session,
    actor: Actor,
    row_id: int,
    *,
    description: str | None,
    expires_at: datetime | None,
) -> tuple[Client, ClientSecret, str]:
    """Add a generated secret to a client in reach; return its value too, for the one time."""
    client = _lock(session, actor, row_id)
    _check_power(session, actor, client)
    _check_own(client)
    value = service.add_secret(session, client, description=description, expires_at=expires_at)
    return client, client.secrets[-1], value


def change_secret(
    session: Session,
    actor: Actor,
    row_id: int,
    secret_id: int,
    changes: Mapping[str, Any],
    *,
    stamp: str | None,
) -> tuple[Client, ClientSecret]:
    """Describe a secret, or set when it expires; the past ends it at once."""
    client = _lock(session, actor, row_id)
    _check_power(session, actor, client)
    stamps.check(client.concurrency_stamp, stamp)
    row = service.get_secret(client, secret_id)
    before = audited.state_of(client)
    for name in ("description", "expires_at"):
        if name in changes:
            setattr(row, name, changes[name])
    session.flush()
    after = audited.state_of(client)
    if before != after:
        client.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, client, before, after)
    return client, row


def remove_secret(
    session: Session,
    actor: Actor,
    row_id: int,
    secret_id: int,
    *,
    stamp: str | None = None,
) -> None:
    """Take a secret away from a client in reach."""
    client = _lock(session, actor, row_id)
    _check_power(session, actor, client)
    stamps.check(client.concurrency_stamp, stamp)
    service.remove_secret(session, client, secret_id)


def add_secret(
    session: Session,
    actor: Actor,
    row_id: int,
    value: str | None,
    *,
    description: str | None,
    expires_at: datetime | None,
) -> str:
    """Add a secret to a client in reach, generated unless given, and return it."""
    client = _lock(session, actor, row_id)
    _check_own(client)
    return service.add_secret(
        session, client, value, description=description, expires_at=expires_at
    )


def expire_secret(
    session: Session, actor: Actor, row_id: int, secret_id: int, expires_at: datetime | None
) -> None:
    """Set when a secret of a client in reach ends; None: never."""
    client = _lock(session, actor, row_id)
    before = audited.state_of(client)
    service.get_secret(client, secret_id).expires_at = expires_at
    after = audited.state_of(client)
    if before != after:
        client.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, client, before, after)


def set_enabled(session: Session, actor: Actor, row_id: int, *, enabled: bool) -> None:
    """Enable or disable a client in reach."""
    client = _lock(session, actor, row_id)
    if client.enabled is not enabled:
        service.update(session, client, {"enabled": enabled})


def promote(session: Session, actor: Actor, row_id: int, *, stamp: str | None = None) -> Client:
    """Make a client that nobody registered one of those who run this; it keeps what it may do.

    Its document is not asked any more, and its people are asked for their consent once more. One
    that registered itself changes itself no more, which is all that changes for a trusted one.
    """
    client = _lock(session, actor, row_id)
    _check_power(session, actor, client)
    stamps.check(client.concurrency_stamp, stamp)
    registration = registrations.of(session, client)
    if client.origin == OPERATOR and registration is None:
        raise Conflict(N_("This client is registered already."))
    before = audited.state_of(client)
    if client.origin == DOCUMENT:
        tenant_id = client.tenant_id or PLATFORM_TENANT_ID
        apis, identities = strangers.scopes_at(session, tenant_id)
        service.set_scopes(session, client, [*apis, *identities])
    if registration is not None:
        session.delete(registration)
    client.origin, client.document_hash = OPERATOR, None
    client.concurrency_stamp = stamps.new_stamp()
    rules.check(client)
    session.flush()
    _record(session, client, before, audited.state_of(client))
    return client


def spec_of(new: NewClient) -> ClientSpec:
    """Return what is said about a new client, as `create` takes it."""
    settings = {
        "client_name": new.client_name,
        "require_client_secret": not new.is_public,
        "allow_offline_access": "refresh_token" in new.grant_types,
        **new.settings,
    }
    lists = {
        name: [Row(0, {LISTS[name].key[0]: value}) for value in getattr(new, name, ())]
        for name in LISTS
    }
    secrets = None if new.secret is None else [SecretRow(0, None, new.secret, None)]
    return ClientSpec(new.client_id, settings, lists, secrets)


def copy_of(
    client: Client, client_id: str, client_name: str | None, secret: str | None
) -> ClientSpec:
    """Return the settings and lists of a client as those of a new one, with another secret."""
    settings = {name: getattr(client, name) for name in fields.FIELDS.keys() - NOT_COPIED}
    columns = {name: [*rule.key] for name, rule in LISTS.items()}
    columns["properties"].append("value")
    lists = {
        name: [
            Row(0, {column: getattr(row, column) for column in columns[name]})
            for row in getattr(client, name)
        ]
        for name in LISTS
    }
    secrets = None if secret is None else [SecretRow(0, None, secret, None)]
    return ClientSpec(client_id, {**settings, "client_name": client_name}, lists, secrets)


def properties(client: Client) -> list[Property]:
    """Return the properties: free ones, then settings without a member of their own."""
    return [
        *(Property(row.id, row.key, row.value) for row in client.properties),
        *(Property(0, key, value) for key, value in fields.own_properties(client).items()),
    ]


def _in_reach(actor: Actor) -> ColumnElement[bool]:
    """Return in SQL which clients the actor manages."""
    return actor.manages(Client, ClientOwner, ClientOwner.client_id == Client.id)


def _children() -> list[Any]:
    return [selectinload(getattr(Client, name)) for name in (*LISTS, "secrets")]


def _small(row_id: int) -> int:
    if row_id > INT32_MAX:
        raise NotFound
    return row_id


def _lock(session: Session, actor: Actor, row_id: int) -> Client:
    """Lock a client until the end of the transaction, then read it."""
    # Without its key, so that people can go on signing in; SQLite has one writer anyway.
    lock = select(Client.id).where(Client.id == _small(row_id), _in_reach(actor))
    if session.scalar(lock.with_for_update(key_share=True)) is None:
        raise NotFound
    return get(session, actor, row_id)


def _check_own(client: Client) -> None:
    """Refuse to change what a client's own document says."""
    if client.origin == DOCUMENT:
        raise Unprocessable(
            N_("This client is described by its own document. Register it here to change it.")
        )


def _rename(session: Session, client: Client, client_id: str) -> None:
    if client.client_id == client_id:
        return
    client.client_id = rules.check_client_id(session, client_id, client.tenant_id)
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError:
        raise Conflict(
            N_("This client id is taken."), fields={"client_id": [N_("taken")]}
        ) from None


def _apply(session: Session, actor: Actor, client: Client, spec: ClientSpec) -> None:
    unasked, grantable = _unasked_scopes(client), {*(client.grantable_privileges or ())}
    was_exempt = bool(client.second_factor_exempt)
    free = spec.lists["properties"]
    if free is not None:
        # First, because the kind of client decides which addresses are allowed.
        _set_properties(session, client, free)
    service.set_fields(session, client, spec.settings)
    for name, desired in spec.lists.items():
        if desired is not None and name != "properties":
            rows = _checked(session, client, name, desired)
            _set_rows(session, client, name, [*enumerate(rows)])
    if spec.lists["grant_types"] is None:
        service.follow_offline_access(session, client)
    if spec.secrets is not None:
        _set_secrets(session, client, spec.secrets)
    rules.check(client)
    rules.check_addresses(session, client)
    _check_unasked_scopes(session, actor, _unasked_scopes(client) - unasked)
    _check_grantable(session, actor, {*(client.grantable_privileges or ())} - grantable)
    _check_exemption(actor, client, was_exempt=was_exempt)


def _check_exemption(actor: Actor, client: Client, *, was_exempt: bool = False) -> None:
    """Refuse an actor other than a platform administrator who exempts a client."""
    if client.second_factor_exempt and not was_exempt and not actor.is_platform_admin:
        message = N_("Only platform administrators can exempt a client from second factors.")
        raise Overreach.at("second_factor_exempt", message)


def _check_power(session: Session, actor: Actor, client: Client) -> None:
    """Refuse to change a client that may ask for, or grant, what the actor may not.

    Whoever adds a secret to it, or another address, could act as it, or get the tokens of people
    who allowed it once. By the rule of links the actor is somebody to whom the client was given.
    """
    if actor.permitted == "links":
        return
    powers = _management_scopes(client) | {*(client.grantable_privileges or ())}
    missing = actor.lacking_codes(session, None, powers)
    if missing:
        raise Forbidden(
            filled(
                N_("This client has permissions that you do not hold: %(names)s."),
                names=", ".join(missing[:10]),
            )
        )


def _check_gifts(
    session: Session,
    actor: Actor,
    client: Client,
    *,
    scopes: Collection[str] = (),
    grantable: Collection[str] = (),
) -> None:
    """Refuse a client that may ask for, or grant, what its maker may not, besides what it could."""
    missing = actor.lacking_codes(session, None, _management_scopes(client).difference(scopes))
    if missing:
        raise Unprocessable.at(
            "scopes",
            filled(
                N_("A client can have only management scopes that you hold: %(names)s."),
                names=", ".join(missing[:10]),
            ),
        )
    added = {*(client.grantable_privileges or ())}.difference(grantable)
    _check_grantable(session, actor, added, "grantable_privileges")


def _management_scopes(client: Client) -> set[str]:
    return {row.scope for row in client.scopes if row.scope.startswith(RESERVED_PREFIX)}


def _values(client: Client, name: str) -> list[str]:
    (column,) = LISTS[name].key
    return [getattr(row, column) for row in getattr(client, name)]


def _checked(session: Session, client: Client, name: str, desired: Sequence[Row]) -> list[Row]:
    """Check the values of a list by its rule, which may add some."""
    rule = LISTS[name]
    if rule.check is None:
        if len(desired) > rules.MOST_ROWS:
            raise BadRequest.at(name, filled(N_("At most %(most)s values."), most=rules.MOST_ROWS))
        return [*desired]
    (column,) = rule.key
    given = [row.values[column] for row in desired]
    added = [value for value in rule.check(session, client, given) if value not in given]
    return [*desired, *(Row(0, {column: value}) for value in added)]


def _set_rows(
    session: Session, client: Client, name: str, desired: Sequence[tuple[int, Row]]
) -> None:
    """Replace a list; each row comes with its index in the form."""
    rule = LISTS[name]

    def write(row: Any, entry: Row, _path: str) -> None:
        for column, value in entry.values.items():
            setattr(row, column, value)

    rows = [
        DesiredRow(
            f"{name}[{index}]", entry.id, tuple(entry.values[key] for key in rule.key), entry
        )
        for index, entry in desired
    ]
    child_rows.replace(
        session,
        getattr(client, name),
        rows,
        columns=rule.key,
        match_by="value",
        make=rule.model,
        write=write,
    )


def _set_properties(session: Session, client: Client, desired: Sequence[Row]) -> None:
    """Apply the properties that are settings, and store the others."""
    if len(desired) > rules.MOST_ROWS:
        raise BadRequest.at(
            "properties", filled(N_("At most %(most)s values."), most=rules.MOST_ROWS)
        )
    settings: dict[str, Any] = {name: fields.default_of(name) for name in fields.PROPERTIES}
    seen, free = set(), []
    for index, row in enumerate(desired):
        key, value = row.values["key"], row.values["value"]
        if key in fields.RESERVED:
            raise Unprocessable.at(f"properties[{index}].key", fields.RESERVED[key])
        if key not in fields.PROPERTIES:
            if len(value) > LONGEST_PROPERTY:
                message = f"At most {LONGEST_PROPERTY} characters."
                raise BadRequest.at(f"properties[{index}].value", message)
            free.append((index, row))
        elif key in seen:
            raise BadRequest.at(f"properties[{index}].key", child_rows.DUPLICATE)
        else:
            seen.add(key)
            with _at(f"properties[{index}].value"):
                service.set_fields(session, client, {key: value})
    for name in settings.keys() - seen:
        setattr(client, name, settings[name])
    _set_rows(session, client, "properties", free)


def _set_secrets(session: Session, client: Client, desired: Sequence[SecretRow]) -> None:
    """Change, add and remove secrets; their values are never read back."""
    if len(desired) > rules.MOST_ROWS:
        raise BadRequest.at(
            "secrets", filled(N_("At most %(most)s secrets."), most=rules.MOST_ROWS)
        )
    by_id = {row.id: row for row in client.secrets}
    known = set(by_id)
    for index, entry in enumerate(desired):
        if entry.id != 0 and entry.id not in known:
            raise BadRequest.at(f"secrets[{index}].id", child_rows.UNKNOWN_ID)
        known.discard(entry.id)
        value = None if entry.value in {None, MASK} else entry.value
        if value is not None and looks_like_digest(value):
            raise Unprocessable.at(
                f"secrets[{index}].value",
                N_(
                    "This looks like a digest. Send the secret in clear text; the server hashes it."
                ),
            )
        with _at(f"secrets[{index}].value", expires_at=f"secrets[{index}].expires_at"):
            if entry.id == 0:
                _new_secret(session, client, entry, value)
            else:
                _change_secret(session, by_id[entry.id], entry, value)
    for row_id in known:
        client.secrets.remove(by_id[row_id])


def _new_secret(session: Session, client: Client, entry: SecretRow, value: str | None) -> None:
    if value is None:
        raise BadRequest.at(
            "client_secret", N_("A new secret needs a value; client-postsecretkey generates one.")
        )
    service.append_secret(session, client, value, entry.description, entry.expires_at)


def _change_secret(
    session: Session, row: ClientSecret, entry: SecretRow, value: str | None
) -> None:
    row.description = entry.description
    row.expires_at = entry.expires_at
    keyring = runtime.of(session).keyring
    if value is not None and not keyring.mac_matches(rules.PURPOSE, value, row.value_hash):
        row.value_hash = rules.hash_secret(session, value)


def _check_claims(client: Client, reserved: Collection[str]) -> None:
    for index, row in enumerate(client.claims):
        name = client.client_claims_prefix + row.type
        if name in reserved:
            raise Unprocessable.at(
                f"claims[{index}].type",
                filled(N_("%(name)s cannot be a claim of a client."), name=name),
            )


def _unasked_scopes(client: Client) -> set[str]:
    """Return the management scopes that the client may use without consent."""
    machine = any(row.grant_type == "client_credentials" for row in client.grant_types)
    if client.require_consent and not machine:
        return set()
    return _management_scopes(client)


def _check_unasked_scopes(session: Session, actor: Actor, scopes: Collection[str]) -> None:
    """Refuse a client that may do without consent what the actor may not."""
    missing = actor.lacking_codes(session, None, scopes)
    if missing:
        raise Unprocessable.at(
            "scopes",
            filled(
                N_(
                    "A client that works without consent can have only scopes that you hold;"
                    " missing: %(names)s."
                ),
                names=", ".join(missing),
            ),
        )


def _check_grantable(
    session: Session, actor: Actor, codes: Collection[str], field: str = "properties"
) -> None:
    """Refuse a client that may grant people what its maker may not."""
    missing = actor.lacking_codes(session, None, codes)
    if missing:
        raise Unprocessable.at(
            field,
            filled(
                N_("A client cannot grant permissions that you do not hold: %(names)s."),
                names=", ".join(missing[:10]),
            ),
        )


def _record(session: Session, client: Client, before: State, after: State) -> None:
    audited.record(session, client, Tag.CLIENT_CHANGED, before, after)
    old, new = before["secrets"], after["secrets"]
    for tag, ids in (
        (Tag.CLIENT_SECRET_ADDED, new.keys() - old.keys()),
        (Tag.CLIENT_SECRET_REMOVED, old.keys() - new.keys()),
    ):
        for row_id in sorted(ids):
            audit.record(
                session,
                tag,
                tenant_id=client.tenant_id,
                target=f"client:{client.client_id}",
                details={"secret_id": row_id},
            )


@contextmanager
def _at(path: str, **others: str) -> Iterator[None]:
    """Prefix the fields of a problem with their place in the lists."""
    try:
        yield
    except (BadRequest, Unprocessable) as problem:
        named = {others.get(name, path): texts for name, texts in problem.fields.items()}
        raise type(problem)(problem.detail, fields=named) from None
