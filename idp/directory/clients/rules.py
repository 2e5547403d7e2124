"""Checks of clients: names, lists, addresses, secrets, and contradictions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from idp.directory import api_names, product
from idp.directory.clients import addresses, profiles
from idp.directory.clients.addresses import Rules
from idp.directory.clients.models import Client
from idp.directory.clients.snapshot import certificate_names
from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.directory.tenants.models import TenantHost
from idp.platform import runtime
from idp.platform.errors import BadRequest, Conflict, Unprocessable
from idp.platform.translation import N_, filled

PURPOSE = "client secret"
SHORTEST_SECRET = 24
LONGEST_SECRET = 200
OFFLINE_ACCESS = "offline_access"
MOST_ROWS = 200
REUSABLE = 0
"""`refresh_token_usage` of refresh tokens that are not rotated."""
_OF_PEOPLE = frozenset({"authorization_code", product.DEVICE_CODE})
"""Grant types by which people sign in."""
# RFC 6749 A.1 allows more; these pass through shells, URLs and logs unchanged.
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/~@+-]{0,199}")
_SECRET = re.compile(r"[\x21-\x7e]+")  # RFC 6749 A.2


def grants_of(client: Client, grant_types: Iterable[str]) -> Sequence[str]:
    """Check grant types; refresh_token comes last, and is added for offline access."""
    distinct = _distinct("grant_types", grant_types)
    for name in distinct:
        if name not in product.GRANT_TYPES:
            raise Unprocessable.at(
                "grant_types",
                filled(
                    N_("%(name)s is not supported. Supported: %(names)s."),
                    name=repr(name),
                    names=", ".join(product.GRANT_TYPES),
                ),
            )
    if client.allow_offline_access and not _OF_PEOPLE.isdisjoint(distinct):
        distinct = (*(name for name in distinct if name != "refresh_token"), "refresh_token")
    return distinct


def scopes_of(session: Session, client: Client, scopes: Iterable[str]) -> Sequence[str]:
    """Check that scopes exist on the platform or in the client's own tenant."""
    distinct = _distinct("scopes", scopes)
    unknown = sorted(set(distinct) - existing_scopes(session, distinct, client.tenant_id))
    if unknown:
        raise BadRequest.at(
            "scopes", filled(N_("There is no scope %(names)s."), names=", ".join(unknown))
        )
    return distinct


def redirects_of(session: Session, client: Client, uris: Iterable[str]) -> Sequence[str]:
    """Check addresses that codes may be sent to."""
    rules = address_rules(session, client)
    return [addresses.redirect_uri(uri, rules) for uri in _distinct("redirect_uris", uris)]


def post_logout_redirects_of(
    session: Session, client: Client, uris: Iterable[str]
) -> Sequence[str]:
    """Check addresses that people may be sent to after signing out."""
    name = "post_logout_redirect_uris"
    rules = address_rules(session, client)
    return [addresses.redirect_uri(uri, rules, name) for uri in _distinct(name, uris)]


def origins_of(session: Session, client: Client, origins: Iterable[str]) -> Sequence[str]:
    """Check web origins."""
    rules = address_rules(session, client)
    return [addresses.origin(text, rules) for text in _distinct("cors_origins", origins)]


def check(client: Client) -> None:
    """Refuse settings that contradict each other; call it after every change."""
    grants = {row.grant_type for row in client.grant_types}
    method = client.token_endpoint_auth_method
    if client.require_client_secret:
        if method == product.NO_AUTHENTICATION:
            raise Unprocessable.at(
                "token_endpoint_auth_method",
                N_("Only a public client can have the authentication method none."),
            )
    else:
        _check_public(client, grants, method)
    if client.jwks is not None and client.jwks_uri is not None:
        # RFC 7591 2
        raise BadRequest.at("jwks", N_("Set either jwks or jwks_uri, not both."))
    if client.jwks is None and client.jwks_uri is None:
        if method == product.PRIVATE_KEY_JWT:
            raise BadRequest.at("jwks", N_("private_key_jwt requires jwks or jwks_uri."))
        if client.require_signed_request_object or profiles.is_signing(client):
            raise BadRequest.at(
                "jwks", N_("require_signed_request_object requires jwks or jwks_uri.")
            )
    _check_certificates(client, method)
    if "authorization_code" in grants and not client.redirect_uris:
        raise BadRequest.at("redirect_uris", N_("authorization_code requires a redirect URI."))
    if "refresh_token" in grants and _OF_PEOPLE.isdisjoint(grants):
        raise Unprocessable.at("grant_types", N_("refresh_token requires authorization_code."))
    if "refresh_token" in grants and not client.allow_offline_access:
        raise Unprocessable.at("grant_types", N_("refresh_token requires allow_offline_access."))
    profiles.check(client)


def _check_certificates(client: Client, method: str | None) -> None:
    """Check what concerns the certificate of the client (RFC 8705)."""
    names = certificate_names(client)
    if method == product.BY_AUTHORITY and len(names) != 1:
        raise BadRequest.at(
            "token_endpoint_auth_method",
            N_("tls_client_auth requires exactly one name of the certificate."),
        )
    if method != product.BY_AUTHORITY and names:
        raise BadRequest.at(
            f"tls_client_auth_{names[0][0]}",
            N_("A name of the certificate is for tls_client_auth only."),
        )
    if method == product.BY_CERTIFICATE and client.jwks is None and client.jwks_uri is None:
        raise BadRequest.at("jwks", N_("self_signed_tls_client_auth requires jwks or jwks_uri."))
    if client.dpop_bound_access_tokens and client.tls_client_certificate_bound_access_tokens:
        raise Unprocessable.at(
            "tls_client_certificate_bound_access_tokens",
            N_("Tokens are bound to a key or to a certificate, not to both."),
        )


def _check_public(client: Client, grants: set[str], method: str | None) -> None:
    if method not in {None, product.NO_AUTHENTICATION}:
        raise Unprocessable.at(
            "token_endpoint_auth_method",
            N_("The authentication method of a public client must be none."),
        )
    if "client_credentials" in grants:
        # RFC 6749 4.4
        raise Unprocessable.at(
            "grant_types", N_("client_credentials requires a confidential client.")
        )
    if not client.require_pkce:
        # RFC 9700 2.1.1
        raise Unprocessable.at("require_pkce", N_("A public client must use PKCE."))
    is_bound = client.dpop_bound_access_tokens or client.tls_client_certificate_bound_access_tokens
    if client.refresh_token_usage == REUSABLE and not is_bound:
        # RFC 9700 4.14.2: one-time, or bound to a key
        raise Unprocessable.at(
            "refresh_token_usage", N_("The refresh tokens of a public client must be one-time.")
        )
    if client.secrets:
        raise Unprocessable.at("client_secret", N_("A public client cannot have a secret."))


def check_addresses(session: Session, client: Client) -> None:
    """Check every address again: those of a native client may not be allowed to a web client."""
    redirects_of(session, client, [row.redirect_uri for row in client.redirect_uris])
    post_logout_redirects_of(
        session, client, [row.post_logout_redirect_uri for row in client.post_logout_redirect_uris]
    )


def check_client_id(session: Session, client_id: str, tenant_id: int | None) -> str:
    """Check that a client id is well-formed, free, and one that a client of the tenant may have."""
    if not _CLIENT_ID.fullmatch(client_id):
        raise BadRequest.at(
            "client_id",
            N_("A client id must have 1 to 200 characters: letters, digits and . _ : / ~ @ + -"),
        )
    if client_id.isdigit():
        # `sub` of a machine's token is its client id; it must never read as a person's.
        raise BadRequest.at("client_id", N_("A client id must not consist of digits only."))
    if tenant_id is not None and "://" in client_id:
        # A URL as id looks like a proof of identity; no tenant proves that it owns the URL.
        raise Unprocessable.at(
            "client_id", N_("Only a client of the platform may have a URL as its id.")
        )
    if is_issuer(session, client_id):
        # It is the audience of tokens for the issuer itself.
        raise BadRequest.at(
            "client_id", N_("The address of an issuer cannot be the id of a client.")
        )
    if session.scalar(select(Client.id).where(Client.client_id == client_id)) is not None:
        raise Conflict(N_("This client id is taken."), fields={"client_id": [N_("taken")]})
    if api_names.find_equal(session, ApiResource.name, [client_id]) is not None:
        # Clients and APIs call the introspection endpoint by name, and both are audiences.
        raise Conflict(
            N_("This name is already used by an API."), fields={"client_id": [N_("taken")]}
        )
    return client_id


def is_issuer(session: Session, name: str) -> bool:
    """Return whether a name is the address of an issuer, the audience of its own tokens."""
    address = api_names.identity(name.rstrip("/")).lower()
    if address == runtime.of(session).settings.public_url:
        return True
    try:
        host = urlsplit(address).netloc
    except ValueError:
        return False
    if not host or address.partition("://")[2] != host:
        return False
    return session.scalar(select(TenantHost.id).where(TenantHost.host == host)) is not None


def hash_secret(session: Session, value: str) -> str:
    """Check and hash a secret that a caller chose."""
    if len(value) < SHORTEST_SECRET:
        raise BadRequest.at(
            "client_secret",
            filled(
                N_("A secret must have at least %(least)s characters."),
                least=SHORTEST_SECRET,
            ),
        )
    if len(value) > LONGEST_SECRET or not _SECRET.fullmatch(value):
        raise BadRequest.at(
            "client_secret", N_("A secret can have at most 200 printable ASCII characters.")
        )
    return runtime.of(session).keyring.mac(PURPOSE, value)


def address_rules(session: Session, client: Client) -> Rules:
    """Return what kind of addresses a client may register here."""
    settings = runtime.of(session).settings
    return Rules(
        native=client.application_type == "native",
        development=settings.environment == "development",
    )


def existing_scopes(session: Session, names: Sequence[str], tenant_id: int | None) -> set[str]:
    """Return which of these names are scopes of the platform or of a tenant."""
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
    distinct = tuple(dict.fromkeys(values))
    if len(distinct) > MOST_ROWS:
        raise BadRequest.at(name, filled(N_("At most %(most)s values."), most=MOST_ROWS))
    return distinct
