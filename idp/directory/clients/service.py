"""The rules about clients: what they may register, and their secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory import product
from idp.directory.clients import addresses, fields
from idp.directory.clients.addresses import Rules
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
from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.directory.tenants.models import TenantHost
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import Base
from idp.platform.errors import BadRequest, Conflict, NotFound, Unprocessable
from idp.platform.secrets import random_token
from idp.platform.stamps import new_stamp

PURPOSE = "client secret"
SHORTEST_SECRET = 24
LONGEST_SECRET = 200
OFFLINE_ACCESS = "offline_access"
MOST_ROWS = 200
REUSABLE = 0
"""`refresh_token_usage` of refresh tokens that stay the same."""
# RFC 6749 A.1 allows more; these are what shells, URLs and logs carry unharmed.
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/~@+-]{0,199}")
_SECRET = re.compile(r"[\x21-\x7e]+")  # RFC 6749 A.2


@dataclass(frozen=True, slots=True)
class NewClient:
    """What a client starts with; `settings` by the names that `fields.apply` knows."""

    client_id: str
    client_name: str | None = None
    is_public: bool = False
    secret: str | None = None
    """Chosen by the caller; empty: made by us, where the client authenticates by one."""
    grant_types: Sequence[str] = ()
    scopes: Sequence[str] = ()
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    cors_origins: Sequence[str] = ()
    tenant_id: int | None = None
    owner_id: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def create(session: Session, new: NewClient) -> tuple[Client, str | None]:
    """Create a client; gives its secret in clear text too, for the one time it is shown."""
    client = blank(session, new.client_id, new.tenant_id)
    client.client_name = new.client_name or None
    client.require_client_secret = not new.is_public
    set_fields(session, client, new.settings)
    if new.is_public and client.require_client_secret:
        raise Unprocessable.at(
            "token_endpoint_auth_method", "A public client authenticates by none."
        )
    _allow_offline_access(client, new.settings, new.grant_types, new.scopes)
    set_grant_types(client, new.grant_types)
    set_scopes(session, client, new.scopes)
    set_redirect_uris(session, client, new.redirect_uris)
    set_post_logout_redirect_uris(session, client, new.post_logout_redirect_uris)
    set_cors_origins(session, client, new.cors_origins)
    check(client)
    secret = None
    if new.secret is not None or _needs_secret(client):
        secret = append_secret(session, client, new.secret)
    insert(session, client, new.owner_id)
    return client, secret


def blank(session: Session, client_id: str, tenant_id: int | None) -> Client:
    """Make a client that nothing was said about yet, under an identifier that is free."""
    client = Client(client_id=check_client_id(session, client_id, tenant_id), tenant_id=tenant_id)
    # Defaults of columns come with the insert; checks need them before.
    for column in Client.__table__.columns.keys():  # noqa: SIM118 - no dict
        if getattr(client, column) is None:
            setattr(client, column, fields.default_of(column))
    return client


def insert(session: Session, client: Client, owner_id: int | None) -> None:
    """Put a new client that was checked into the database, with who manages it."""
    try:
        with session.begin_nested():
            session.add(client)
    except IntegrityError:
        check_client_id(session, client.client_id, client.tenant_id)
        raise NotFound("There is no such tenant.") from None
    if owner_id is not None:
        session.add(ClientOwner(user_id=owner_id, client_id=client.id))
        session.flush()
    audit.record(
        session,
        Tag.CLIENT_CREATED,
        tenant_id=client.tenant_id,
        target=f"client:{client.client_id}",
        details={
            "grant_types": [row.grant_type for row in client.grant_types],
            "public": not client.require_client_secret,
        },
    )


def find(session: Session, client_id: str) -> Client | None:
    """Find a client, enabled or not, by its OAuth identifier."""
    return session.scalar(select(Client).where(Client.client_id == client_id))


def get(session: Session, client_id: str) -> Client:
    """Give a client, enabled or not, by its OAuth identifier."""
    client = find(session, client_id)
    if client is None:
        raise NotFound("There is no such client.")
    return client


def grantable(session: Session, row_id: int) -> frozenset[str]:
    """Give the codes of privileges that a client may give people by itself."""
    codes = session.scalar(select(Client.grantable_privileges).where(Client.id == row_id))
    return frozenset(codes or ())


def list(session: Session, *, tenant_id: int | None = None) -> Sequence[Client]:
    """List clients by identifier, of one tenant where one is named."""
    query = select(Client).order_by(Client.client_id)
    if tenant_id is not None:
        query = query.where(Client.tenant_id == tenant_id)
    return session.scalars(query).all()


def set_fields(session: Session, client: Client, values: Mapping[str, Any]) -> None:
    """Set single values by name (see `fields`); call `check` when all is set."""
    fields.apply(client, values, rules_of(session, client))


def set_grant_types(client: Client, grant_types: Iterable[str]) -> None:
    """Replace the grant types; what is not built is refused."""
    _replace(client.grant_types, ClientGrantType, "grant_type", grants_of(client, grant_types))


def follow_offline_access(client: Client) -> None:
    """Let refresh_token come and go with offline access."""
    names = [row.grant_type for row in client.grant_types]
    if not client.allow_offline_access:
        names = [name for name in names if name != "refresh_token"]
    set_grant_types(client, names)


def set_scopes(session: Session, client: Client, scopes: Iterable[str]) -> None:
    """Replace the scopes; each must exist on the platform or in the client's own tenant.

    `offline_access` is no row of this list but the setting `allow_offline_access`.
    """
    names = [name for name in scopes if name != OFFLINE_ACCESS]
    _replace(client.scopes, ClientScope, "scope", scopes_of(session, client, names))


def set_redirect_uris(session: Session, client: Client, uris: Iterable[str]) -> None:
    """Replace the addresses that codes may be sent to."""
    name = "redirect_uri"
    _replace(client.redirect_uris, ClientRedirectUri, name, redirects_of(session, client, uris))


def set_post_logout_redirect_uris(session: Session, client: Client, uris: Iterable[str]) -> None:
    """Replace the addresses that people may be sent to after signing out."""
    name = "post_logout_redirect_uri"
    wanted = post_logout_redirects_of(session, client, uris)
    _replace(client.post_logout_redirect_uris, ClientPostLogoutRedirectUri, name, wanted)


def set_cors_origins(session: Session, client: Client, origins: Iterable[str]) -> None:
    """Replace the origins whose scripts may call the token endpoint."""
    _replace(client.cors_origins, ClientCorsOrigin, "origin", origins_of(session, client, origins))


def grants_of(client: Client, grant_types: Iterable[str]) -> Sequence[str]:
    """Check grant types; refresh_token comes last, and with offline access by itself."""
    wanted = _distinct("grant_types", grant_types)
    for name in wanted:
        if name not in product.GRANT_TYPES:
            raise Unprocessable.at(
                "grant_types",
                f"{name!r} is not offered; known are {', '.join(product.GRANT_TYPES)}.",
            )
    if client.allow_offline_access and "authorization_code" in wanted:
        wanted = (*(name for name in wanted if name != "refresh_token"), "refresh_token")
    return wanted


def scopes_of(session: Session, client: Client, scopes: Iterable[str]) -> Sequence[str]:
    """Check that scopes exist on the platform or in the client's own tenant."""
    wanted = _distinct("scopes", scopes)
    unknown = sorted(set(wanted) - _existing_scopes(session, wanted, client.tenant_id))
    if unknown:
        raise BadRequest.at("scopes", f"There is no scope {', '.join(unknown)}.")
    return wanted


def redirects_of(session: Session, client: Client, uris: Iterable[str]) -> Sequence[str]:
    """Check addresses that codes may be sent to."""
    rules = rules_of(session, client)
    return [addresses.redirect_uri(uri, rules) for uri in _distinct("redirect_uris", uris)]


def post_logout_redirects_of(
    session: Session, client: Client, uris: Iterable[str]
) -> Sequence[str]:
    """Check addresses that people may be sent to after signing out."""
    name = "post_logout_redirect_uris"
    rules = rules_of(session, client)
    return [addresses.redirect_uri(uri, rules, name) for uri in _distinct(name, uris)]


def origins_of(session: Session, client: Client, origins: Iterable[str]) -> Sequence[str]:
    """Check web origins."""
    rules = rules_of(session, client)
    return [addresses.origin(text, rules) for text in _distinct("cors_origins", origins)]


def check(client: Client) -> None:
    """Refuse settings that contradict each other; call it after every change."""
    grants = {row.grant_type for row in client.grant_types}
    method = client.token_endpoint_auth_method
    if client.require_client_secret:
        if method == product.NO_AUTHENTICATION:
            raise Unprocessable.at(
                "token_endpoint_auth_method", "Only a public client authenticates by none."
            )
    else:
        _check_public(client, grants, method)
    if client.jwks is not None and client.jwks_uri is not None:
        # RFC 7591 2
        raise BadRequest.at("jwks", "Either jwks or jwks_uri, not both.")
    if method == product.PRIVATE_KEY_JWT and client.jwks is None and client.jwks_uri is None:
        raise BadRequest.at("jwks", "private_key_jwt needs jwks or jwks_uri.")
    if "authorization_code" in grants and not client.redirect_uris:
        raise BadRequest.at("redirect_uris", "authorization_code needs a redirect address.")
    if "refresh_token" in grants and "authorization_code" not in grants:
        raise Unprocessable.at("grant_types", "refresh_token comes with authorization_code.")
    if "refresh_token" in grants and not client.allow_offline_access:
        raise Unprocessable.at("grant_types", "refresh_token needs allow_offline_access.")


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
    set_fields(session, client, settings)
    _allow_offline_access(client, settings, lists.get("grant_types", ()), lists.get("scopes", ()))
    for name, values in lists.items():
        _SETTERS[name](session, client, values)
    if "grant_types" not in lists:
        follow_offline_access(client)
    check(client)
    check_addresses(session, client)
    client.concurrency_stamp = new_stamp()
    session.flush()
    audit.record(
        session,
        Tag.CLIENT_CHANGED,
        tenant_id=client.tenant_id,
        target=f"client:{client.client_id}",
        details={"fields": sorted([*settings, *lists])},
    )


def check_addresses(session: Session, client: Client) -> None:
    """Look at every address again: what suits a native client may not suit a web client."""
    redirects_of(session, client, [row.redirect_uri for row in client.redirect_uris])
    post_logout_redirects_of(
        session, client, [row.post_logout_redirect_uri for row in client.post_logout_redirect_uris]
    )


def add_secret(
    session: Session,
    client: Client,
    value: str | None = None,
    *,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Give a client one more secret, made by us unless given; older ones stay valid."""
    if not client.require_client_secret:
        raise Unprocessable.at("client_secret", "A public client has no secret.")
    if client.token_endpoint_auth_method == product.PRIVATE_KEY_JWT:
        raise Unprocessable.at("client_secret", "This client authenticates by its own keys.")
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


def remove_secret(session: Session, client: Client, secret_id: int) -> None:
    """Take a secret away from a client."""
    row = next((row for row in client.secrets if row.id == secret_id), None)
    if row is None:
        raise NotFound("The client has no such secret.")
    client.secrets.remove(row)
    client.concurrency_stamp = new_stamp()
    session.flush()
    audit.record(
        session,
        Tag.CLIENT_SECRET_REMOVED,
        tenant_id=client.tenant_id,
        target=f"client:{client.client_id}",
        details={"secret_id": secret_id},
    )


def delete(session: Session, client: Client) -> None:
    """Delete a client with everything that hangs on it."""
    session.delete(client)
    session.flush()
    audit.record(
        session,
        Tag.CLIENT_DELETED,
        tenant_id=client.tenant_id,
        target=f"client:{client.client_id}",
    )


def link_owner(session: Session, client: Client, user_id: int) -> None:
    """Let a person manage a client."""
    if session.get(ClientOwner, (user_id, client.id)) is None:
        session.add(ClientOwner(user_id=user_id, client_id=client.id))
        session.flush()


def hash_secret(session: Session, value: str) -> str:
    """Check and hash a secret that a caller chose."""
    if len(value) < SHORTEST_SECRET:
        raise BadRequest.at("client_secret", f"A secret has {SHORTEST_SECRET} characters or more.")
    if len(value) > LONGEST_SECRET or not _SECRET.fullmatch(value):
        raise BadRequest.at("client_secret", "A secret has 200 printable ASCII characters at most.")
    return runtime.of(session).keyring.mac(PURPOSE, value)


def rules_of(session: Session, client: Client) -> Rules:
    """Tell what kind of addresses a client may register here."""
    settings = runtime.of(session).settings
    return Rules(
        native=client.application_type == "native",
        development=settings.environment == "development",
    )


def append_secret(
    session: Session,
    client: Client,
    value: str | None,
    description: str | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Put one more secret to a client that is checked and written afterwards."""
    if not client.require_client_secret:
        raise Unprocessable.at("client_secret", "A public client has no secret.")
    if expires_at is not None and expires_at <= clock.now():
        raise BadRequest.at("expires_at", "The expiry lies in the past.")
    secret = random_token() if value is None else value
    client.secrets.append(
        ClientSecret(
            description=description,
            value_hash=hash_secret(session, secret),
            expires_at=expires_at,
        )
    )
    return secret


def _allow_offline_access(
    client: Client, settings: Mapping[str, Any], grant_types: Sequence[str], scopes: Sequence[str]
) -> None:
    """Allow offline access where the grant or the scope asks for it and no setting decides."""
    if "allow_offline_access" not in map(fields.snake_case, settings) and (
        OFFLINE_ACCESS in scopes or "refresh_token" in grant_types
    ):
        client.allow_offline_access = True


def _needs_secret(client: Client) -> bool:
    return (
        client.require_client_secret
        and client.token_endpoint_auth_method != product.PRIVATE_KEY_JWT
    )


def _check_public(client: Client, grants: set[str], method: str | None) -> None:
    if method not in {None, product.NO_AUTHENTICATION}:
        raise Unprocessable.at(
            "token_endpoint_auth_method", "A public client authenticates by none."
        )
    if "client_credentials" in grants:
        # RFC 6749 4.4
        raise Unprocessable.at("grant_types", "client_credentials needs a confidential client.")
    if not client.require_pkce:
        # RFC 9700 2.1.1
        raise Unprocessable.at("require_pkce", "A public client always uses PKCE.")
    if client.refresh_token_usage == REUSABLE:
        # RFC 9700 4.14.2
        raise Unprocessable.at(
            "refresh_token_usage", "The refresh tokens of a public client must be one-time."
        )
    if client.secrets:
        raise Unprocessable.at("client_secret", "A public client has no secret.")


def check_client_id(session: Session, client_id: str, tenant_id: int | None) -> str:
    """Check that a client id is well-formed, free, and one that a client of the tenant may have."""
    if not _CLIENT_ID.fullmatch(client_id):
        raise BadRequest.at(
            "client_id", "A client id has 1 to 200 letters, digits and . _ : / ~ @ + - characters."
        )
    if client_id.isdigit():
        # `sub` of a machine's token is its client id; it must never read as a person's.
        raise BadRequest.at("client_id", "A client id needs something besides digits.")
    if tenant_id is not None and "://" in client_id:
        # People take an address for a proof of who asks; no tenant proves that it is its own.
        raise Unprocessable.at(
            "client_id", "Only a client of the platform may have a URL as its id."
        )
    if is_issuer(session, client_id):
        # It is the audience of tokens for the issuer itself.
        raise BadRequest.at("client_id", "The address of an issuer cannot be the id of a client.")
    if find(session, client_id) is not None:
        raise Conflict("This client id is taken.", fields={"client_id": ["taken"]})
    if session.scalar(select(ApiResource.id).where(ApiResource.name == client_id)):
        # Both call the introspection endpoint by name; both are audiences.
        raise Conflict("An API has this name.", fields={"client_id": ["taken"]})
    return client_id


def is_issuer(session: Session, name: str) -> bool:
    """Whether a name is the address of an issuer, which is the audience of its own tokens."""
    address = name.rstrip("/").lower()
    if address == runtime.of(session).settings.public_url:
        return True
    try:
        host = urlsplit(address).netloc
    except ValueError:
        return False
    if not host or address.partition("://")[2] != host:
        return False
    return session.scalar(select(TenantHost.id).where(TenantHost.host == host)) is not None


def _existing_scopes(session: Session, names: Sequence[str], tenant_id: int | None) -> set[str]:
    apis = (
        select(ApiScope.name)
        .join(ApiResource)
        .where(
            ApiScope.name.in_(names),
            or_(ApiResource.tenant_id.is_(None), ApiResource.tenant_id == tenant_id),
        )
    )
    identities = select(IdentityResource.name).where(
        IdentityResource.name.in_(names),
        or_(IdentityResource.tenant_id.is_(None), IdentityResource.tenant_id == tenant_id),
    )
    with session.no_autoflush:
        return {*session.scalars(apis), *session.scalars(identities)}


def _distinct(name: str, values: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(values))
    if len(wanted) > MOST_ROWS:
        raise BadRequest.at(name, f"At most {MOST_ROWS} values.")
    return wanted


def _replace(
    rows: Any,
    model: Callable[..., Base],
    column: str,
    wanted: Sequence[str],
) -> None:
    """Keep the rows that stay, so that their ids do; drop the others, add the new ones."""
    have = {getattr(row, column): row for row in rows}
    for value, row in have.items():
        if value not in wanted:
            rows.remove(row)
    rows.extend(model(**{column: value}) for value in wanted if value not in have)


_SETTERS: Mapping[str, Callable[[Session, Client, Sequence[str]], None]] = {
    "grant_types": lambda _, client, names: set_grant_types(client, names),
    "scopes": set_scopes,
    "redirect_uris": set_redirect_uris,
    "post_logout_redirect_uris": set_post_logout_redirect_uris,
    "cors_origins": set_cors_origins,
}
