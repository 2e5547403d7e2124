"""A client as a whole: all its settings and lists at once, as the management API reads and writes.

Who is in reach is told by the caller: `reach` is a condition on `Client`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from idp.directory.clients import fields, service
from idp.directory.clients.models import (
    Client,
    ClientClaim,
    ClientCorsOrigin,
    ClientGrantType,
    ClientPostLogoutRedirectUri,
    ClientProperty,
    ClientRedirectUri,
    ClientScope,
    ClientSecret,
)
from idp.directory.product import RESERVED_PREFIX
from idp.platform import runtime, stamps
from idp.platform.audit import difference
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Conflict, NotFound, Unprocessable
from idp.platform.integers import INT32_MAX
from idp.platform.secrets import MASK, looks_like_digest

"""How the scopes of the management APIs begin."""

LONGEST_PROPERTY = 2000

Reach = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list; id 0: a new one."""

    id: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret as it is shown and written; without a value (or with the mask) it stays."""

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
class Description:
    """All that is said about a client; a list that is None stays as it is."""

    client_id: str
    settings: Mapping[str, Any]
    """Every single value, by the names that `fields.apply` knows."""
    lists: Mapping[str, Sequence[Row] | None]
    """By the names in `LISTS`."""
    secrets: Sequence[SecretRow] | None = None
    concurrency_stamp: str | None = None
    """State of the client that was looked at; None: whatever it is by now."""


@dataclass(frozen=True, slots=True)
class Editor:
    """Who writes."""

    user_id: int
    tenant_id: int | None
    """Tenant that new clients belong to."""
    lacking: Callable[[Collection[str]], list[str]]
    """Lists the privileges, by code, that he does not hold himself."""
    reserved_claims: Collection[str]
    """Names of claims that a client's own claims cannot have: they would never be sent."""


@dataclass(frozen=True, slots=True)
class List:
    """A list of a client: its table, what makes a row unique, and the rule about its values."""

    model: type[Any]
    key: tuple[str, ...]
    check: Callable[[Session, Client, Sequence[str]], Sequence[str]] | None = None


LISTS = {
    "grant_types": List(
        ClientGrantType, ("grant_type",), lambda _, client, names: service.grants_of(client, names)
    ),
    "scopes": List(ClientScope, ("scope",), service.scopes_of),
    "redirect_uris": List(ClientRedirectUri, ("redirect_uri",), service.redirects_of),
    "post_logout_redirect_uris": List(
        ClientPostLogoutRedirectUri,
        ("post_logout_redirect_uri",),
        service.post_logout_redirects_of,
    ),
    "cors_origins": List(ClientCorsOrigin, ("origin",), service.origins_of),
    "claims": List(ClientClaim, ("type", "value")),
    "properties": List(ClientProperty, ("key",)),
}


def listing(
    reach: Reach, *, client_id: str | None = None, client_name: str | None = None
) -> Select[Client]:
    """Ask for the clients in reach, with their lists; both filters are exact."""
    query = select(Client).where(reach).options(*_children())
    if client_id is not None:
        query = query.where(Client.client_id == client_id)
    if client_name is not None:
        query = query.where(Client.client_name == client_name)
    return query


def get(session: Session, row_id: int, reach: Reach) -> Client:
    """Give a client in reach with its lists, as the database has it now."""
    client = session.scalars(
        listing(reach).where(Client.id == _small(row_id)).execution_options(populate_existing=True)
    ).one_or_none()
    if client is None:
        raise NotFound
    return client


def create(session: Session, said: Description, editor: Editor) -> Client:
    """Create a client; who writes manages it."""
    client = service.blank(session, said.client_id, editor.tenant_id)
    with session.no_autoflush:
        _apply(session, client, said, editor)
    service.insert(session, client, editor.user_id)
    return client


def replace(
    session: Session, row_id: int, said: Description, editor: Editor, reach: Reach
) -> Client:
    """Replace what is said about a client; what says the same again changes nothing."""
    client = _hold(session, row_id, reach)
    stamps.check(client.concurrency_stamp, said.concurrency_stamp)
    before = _state(client)
    with session.no_autoflush:
        _rename(session, client, said.client_id)
        _apply(session, client, said, editor)
    session.flush()
    changes = _changes(before, _state(client))
    if changes:
        client.concurrency_stamp = stamps.new_stamp()
        session.flush()
        _record(session, client, changes)
    return client


def delete(session: Session, row_id: int, reach: Reach) -> None:
    """Delete a client in reach."""
    service.delete(session, _hold(session, row_id, reach))


def add_secret(
    session: Session,
    row_id: int,
    reach: Reach,
    value: str | None,
    *,
    description: str | None,
    expires_at: datetime | None,
) -> str:
    """Give a client in reach one more secret, made by us unless given."""
    client = _hold(session, row_id, reach)
    return service.add_secret(
        session, client, value, description=description, expires_at=expires_at
    )


def properties(client: Client) -> list[Property]:
    """List the properties: free ones, then settings that have no member of their own."""
    return [
        *(Property(row.id, row.key, row.value) for row in client.properties),
        *(Property(0, key, value) for key, value in fields.own_properties(client).items()),
    ]


def _children() -> list[Any]:
    return [selectinload(getattr(Client, name)) for name in (*LISTS, "secrets")]


def _small(row_id: int) -> int:
    if row_id > INT32_MAX:
        raise NotFound
    return row_id


def _hold(session: Session, row_id: int, reach: Reach) -> Client:
    """Lock a client until the end of the transaction, then read it: writers take turns."""
    # Without its key, so that people can go on signing in; SQLite has one writer anyway.
    lock = select(Client.id).where(Client.id == _small(row_id), reach)
    if session.scalar(lock.with_for_update(key_share=True)) is None:
        raise NotFound
    return get(session, row_id, reach)


def _rename(session: Session, client: Client, client_id: str) -> None:
    if client.client_id == client_id:
        return
    client.client_id = service.check_client_id(session, client_id, client.tenant_id)
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError:
        raise Conflict("This client id is taken.", fields={"client_id": ["taken"]}) from None


def _apply(session: Session, client: Client, said: Description, editor: Editor) -> None:
    unasked, grantable = _unasked_scopes(client), {*(client.grantable_privileges or ())}
    free = said.lists["properties"]
    if free is not None:
        # First of all: what kind of client it is decides about addresses.
        _set_properties(session, client, free)
    service.set_fields(session, client, said.settings)
    for name, wanted in said.lists.items():
        if wanted is not None and name != "properties":
            rows = _checked(session, client, name, wanted)
            _synchronise(session, client, name, [*enumerate(rows)])
    if said.lists["grant_types"] is None:
        service.follow_offline_access(client)
    if said.secrets is not None:
        _set_secrets(session, client, said.secrets)
    service.check(client)
    service.check_addresses(session, client)
    _check_claims(client, editor.reserved_claims)
    _check_gift(_unasked_scopes(client) - unasked, editor)
    _check_grantable({*(client.grantable_privileges or ())} - grantable, editor)


def _checked(session: Session, client: Client, name: str, wanted: Sequence[Row]) -> list[Row]:
    """Check the values of a list by its rule, which may add some."""
    rule = LISTS[name]
    if rule.check is None:
        if len(wanted) > service.MOST_ROWS:
            raise BadRequest.at(name, f"At most {service.MOST_ROWS} values.")
        return [*wanted]
    (column,) = rule.key
    given = [row.values[column] for row in wanted]
    added = [value for value in rule.check(session, client, given) if value not in given]
    return [*wanted, *(Row(0, {column: value}) for value in added)]


def _synchronise(
    session: Session, client: Client, name: str, wanted: Sequence[tuple[int, Row]]
) -> None:
    """Make a list what is wanted: by id, or by its value where a row has no id yet.

    Rows leave, change and come in this order, because no two may be equal at any time.
    """
    model, key = LISTS[name].model, LISTS[name].key
    rows = getattr(client, name)
    pairs = [(row, said.values) for row, said in _matched(rows, name, wanted)]
    staying = [row for row, _ in pairs if row is not None]
    for row in [row for row in rows if row not in staying]:
        rows.remove(row)
    session.flush()
    if len(key) == 1:
        _make_way(staying, pairs, key[0])
        session.flush()
    for row, values in pairs:
        for column, value in values.items() if row is not None else ():
            setattr(row, column, value)
    session.flush()
    rows.extend(model(**values) for row, values in pairs if row is None)


def _make_way(
    rows: Sequence[Any], pairs: Sequence[tuple[Any, Mapping[str, str]]], key: str
) -> None:
    """Take their values from rows that exchange them."""
    held = {getattr(row, key) for row in rows}
    for row, values in pairs:
        if row is not None and getattr(row, key) != values[key] and values[key] in held:
            setattr(row, key, f"~{row.id}")


def _matched(
    rows: Sequence[Any], name: str, wanted: Sequence[tuple[int, Row]]
) -> list[tuple[Any, Row]]:
    """Find the row that each wanted one means; None: a new one."""
    key = LISTS[name].key
    by_id = {row.id: row for row in rows}
    seen: set[Any] = set()
    for index, said in wanted:
        if said.id != 0 and (said.id not in by_id or said.id in seen):
            raise BadRequest.at(
                f"{name}[{index}].id", "Is no row of this client, or is listed twice."
            )
        seen.add(said.id)
        value = tuple(said.values[column] for column in key)
        if value in seen:
            raise BadRequest.at(f"{name}[{index}].{key[-1]}", "Is listed twice.")
        seen.add(value)
    by_value = {
        tuple(getattr(row, column) for column in key): row for row in rows if row.id not in seen
    }
    return [
        (
            by_id[said.id]
            if said.id
            else by_value.get(tuple(said.values[column] for column in key)),
            said,
        )
        for _, said in wanted
    ]


def _set_properties(session: Session, client: Client, wanted: Sequence[Row]) -> None:
    """Set the settings among the properties, and keep the others as they are."""
    if len(wanted) > service.MOST_ROWS:
        raise BadRequest.at("properties", f"At most {service.MOST_ROWS} values.")
    settings: dict[str, Any] = {name: fields.default_of(name) for name in fields.PROPERTIES}
    said, free = set(), []
    for index, row in enumerate(wanted):
        key, value = row.values["key"], row.values["value"]
        if key in fields.RESERVED:
            raise Unprocessable.at(f"properties[{index}].key", fields.RESERVED[key])
        if key not in fields.PROPERTIES:
            if len(value) > LONGEST_PROPERTY:
                message = f"At most {LONGEST_PROPERTY} characters."
                raise BadRequest.at(f"properties[{index}].value", message)
            free.append((index, row))
        elif key in said:
            raise BadRequest.at(f"properties[{index}].key", "Is listed twice.")
        else:
            said.add(key)
            with _at(f"properties[{index}].value"):
                service.set_fields(session, client, {key: value})
    for name in settings.keys() - said:
        setattr(client, name, settings[name])
    _synchronise(session, client, "properties", free)


def _set_secrets(session: Session, client: Client, wanted: Sequence[SecretRow]) -> None:
    """Describe, end, add and drop secrets; none is ever read back."""
    if len(wanted) > service.MOST_ROWS:
        raise BadRequest.at("secrets", f"At most {service.MOST_ROWS} secrets.")
    by_id = {row.id: row for row in client.secrets}
    known = set(by_id)
    for index, said in enumerate(wanted):
        if said.id != 0 and said.id not in known:
            message = "Is no secret of this client, or is listed twice."
            raise BadRequest.at(f"secrets[{index}].id", message)
        known.discard(said.id)
        value = None if said.value in {None, MASK} else said.value
        if value is not None and looks_like_digest(value):
            raise Unprocessable.at(
                f"secrets[{index}].value",
                "This looks like a digest. Send the secret in clear text: it is hashed here.",
            )
        with _at(f"secrets[{index}].value", expires_at=f"secrets[{index}].expires_at"):
            if said.id == 0:
                _new_secret(session, client, said, value)
            else:
                _change_secret(session, by_id[said.id], said, value)
    for row_id in known:
        client.secrets.remove(by_id[row_id])


def _new_secret(session: Session, client: Client, said: SecretRow, value: str | None) -> None:
    if value is None:
        raise BadRequest.at(
            "client_secret", "A new secret needs its value; client-postsecretkey makes one."
        )
    service.append_secret(session, client, value, said.description, said.expires_at)


def _change_secret(session: Session, row: ClientSecret, said: SecretRow, value: str | None) -> None:
    row.description = said.description
    row.expires_at = said.expires_at
    keyring = runtime.of(session).keyring
    if value is not None and not keyring.mac_matches(service.PURPOSE, value, row.value_hash):
        row.value_hash = service.hash_secret(session, value)


def _check_claims(client: Client, reserved: Collection[str]) -> None:
    for index, row in enumerate(client.claims):
        name = client.client_claims_prefix + row.type
        if name in reserved:
            raise Unprocessable.at(
                f"claims[{index}].type", f"{name} is no claim that a client can have of its own."
            )


def _unasked_scopes(client: Client) -> set[str]:
    """List the management scopes that the client may use without asking a person."""
    machine = any(row.grant_type == "client_credentials" for row in client.grant_types)
    if client.require_consent and not machine:
        return set()
    return {row.scope for row in client.scopes if row.scope.startswith(RESERVED_PREFIX)}


def _check_gift(scopes: Collection[str], editor: Editor) -> None:
    """Refuse a client that may do, asking nobody, what its maker may not."""
    missing = editor.lacking(scopes)
    if missing:
        raise Unprocessable.at(
            "scopes",
            "With client_credentials, or without consent, you can give only what you may do: "
            f"{', '.join(missing)}.",
        )


def _check_grantable(codes: Collection[str], editor: Editor) -> None:
    """Refuse a client that may give people what its maker may not."""
    missing = editor.lacking(codes)
    if missing:
        raise Unprocessable.at(
            "properties",
            f"A client can give only what you hold: {', '.join(missing[:10])}.",
        )


def _state(client: Client) -> dict[str, Any]:
    """Describe a client for the comparison of before and after."""
    state: dict[str, Any] = {name: getattr(client, name) for name in ("client_id", *fields.FIELDS)}
    for name, rule in LISTS.items():
        columns = ("key", "value") if rule.model is ClientProperty else rule.key
        state[name] = {
            row.id: tuple(getattr(row, column) for column in columns)
            for row in getattr(client, name)
        }
    state["secrets"] = {
        row.id: (row.description, row.expires_at, row.value_hash) for row in client.secrets
    }
    return state


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what differs, for the audit trail: no secret, no value of a property."""
    told = {name: value for name, value in before.items() if name != "secrets"}
    changes = difference.between(told, after, lists=LISTS, private=("properties",))
    if before["secrets"] != after["secrets"]:
        changes.append({"field": "secrets", **_different_ids(before["secrets"], after["secrets"])})
    return changes


def _different_ids(old: Mapping[int, Any], new: Mapping[int, Any]) -> dict[str, list[int]]:
    return {
        "removed": sorted(old.keys() - new.keys()),
        "added": sorted(new.keys() - old.keys()),
        "changed": sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
    }


def _record(session: Session, client: Client, changes: Sequence[Mapping[str, Any]]) -> None:
    target = f"client:{client.client_id}"
    details: dict[str, Any] = {"changes": changes}
    audit.record(
        session, Tag.CLIENT_CHANGED, tenant_id=client.tenant_id, target=target, details=details
    )
    for change in changes:
        if change["field"] != "secrets":
            continue
        for tag, ids in (
            (Tag.CLIENT_SECRET_ADDED, change["added"]),
            (Tag.CLIENT_SECRET_REMOVED, change["removed"]),
        ):
            for row_id in ids:
                audit.record(
                    session,
                    tag,
                    tenant_id=client.tenant_id,
                    target=target,
                    details={"secret_id": row_id},
                )


@contextmanager
def _at(path: str, **others: str) -> Iterator[None]:
    """Say where in the lists a refused value stands."""
    try:
        yield
    except (BadRequest, Unprocessable) as problem:
        named = {others.get(name, path): texts for name, texts in problem.fields.items()}
        raise type(problem)(problem.detail, fields=named) from None
