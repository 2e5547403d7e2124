"""OAuth clients and their secrets; a fresh token for the caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import fields, post_load, validate

from idp.api.actor import current_actor
from idp.api.center.codes import CodeShape
from idp.api.center.dialect import Page, center
from idp.api.center.paging import Paging, fetch
from idp.claims import registry
from idp.directory.clients import fields as settings
from idp.directory.clients import management as clients
from idp.directory.clients.management import ClientSpec, Row, SecretRow
from idp.directory.clients.models import Client
from idp.directory.clients.rules import MOST_ROWS
from idp.directory.scopes import Scope
from idp.oauth import operator_tokens
from idp.platform.secrets import MASK
from idp.platform.web.principal import current_principal
from idp.platform.web.views import current_issuer, database
from idp.platform.wire.shapes import (
    KeptList,
    MaskedText,
    Moment,
    Shape,
    Stamp,
    boolean,
    int32,
    int64,
    text,
)

LISTS = tuple(clients.LISTS)
Field = fields.Field[Any]


class RowShape(Shape):
    """A row of a client's list."""

    id = int32(load_default=0)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> Row:
        """Return the row as the service takes it."""
        return Row(data.pop("id"), data)


class GrantTypeShape(RowShape):
    """A grant type that the client may use."""

    grant_type = text(250, required=True)


class ScopeShape(RowShape):
    """A scope that the client may ask for."""

    scope = text(200, required=True)


class RedirectUriShape(RowShape):
    """An address to which codes may be sent."""

    redirect_uri = text(2000, required=True)


class PostLogoutRedirectUriShape(RowShape):
    """An address to which users may return after signing out."""

    post_logout_redirect_uri = text(2000, required=True)


class CorsOriginShape(RowShape):
    """An origin whose scripts may call."""

    origin = text(150, required=True)


class ClaimShape(RowShape):
    """A claim about the client itself."""

    type = text(250, minimum=1, required=True)
    value = text(250, required=True)


class PropertyShape(RowShape):
    """A free key and value, or a setting of RFC 7591 under its own name."""

    key = text(250, minimum=1, required=True)
    value = text(settings.LONGEST_KEYS + 100, required=True)


class RestrictionShape(RowShape):
    """An external identity provider."""

    provider = text(200, required=True)


class SecretShape(Shape):
    """A secret; its value is accepted in clear text and never returned."""

    id = int32(load_default=0)
    description = text(2000, allow_none=True, load_default=None)
    value = MaskedText(2000, MASK)
    expires_at = Moment(ends=True, data_key="expiration", allow_none=True, load_default=None)
    type = text(
        250,
        allow_none=True,
        load_default="SharedSecret",
        dump_default="SharedSecret",
        checks=[validate.OneOf(["SharedSecret"])],
    )

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> SecretRow:
        """Return the secret as the service takes it."""
        return SecretRow(data["id"], data["description"], data["value"], data["expires_at"])


def rows(shape: type[Shape], name: str, **options: Any) -> KeptList:
    """Return a field for a list of child rows."""
    return KeptList(shape, MOST_ROWS, data_key=name, **options)


def only(make: Callable[..., Field], value: Any, **options: Any) -> Field:
    """Return a field with one allowed value; the service refuses others."""
    return make(load_default=value, dump_default=value, **options)


class ClientShape(Shape):
    """An OAuth client; an absent member has the default of the contract."""

    id = int32(load_default=0)
    enabled = boolean(load_default=True)
    client_id = text(200, required=True)
    protocol_type = only(text, "oidc", maximum=200)
    secrets = rows(SecretShape, "clientSecrets")
    require_client_secret = boolean(load_default=True)
    client_name = text(200, allow_none=True, load_default=None)
    description = text(1000, allow_none=True, load_default=None)
    client_uri = text(2000, allow_none=True, load_default=None)
    logo_uri = text(2000, allow_none=True, load_default=None)
    require_consent = boolean(load_default=True)
    allow_remember_consent = boolean(load_default=True)
    always_include_user_claims_in_id_token = boolean(load_default=False)
    grant_types = rows(GrantTypeShape, "allowedGrantTypes")
    require_pkce = boolean(load_default=True)
    allow_plain_text_pkce = only(boolean, value=False)
    allow_access_tokens_via_browser = only(boolean, value=False)
    redirect_uris = rows(RedirectUriShape, "redirectUris")
    post_logout_redirect_uris = rows(PostLogoutRedirectUriShape, "postLogoutRedirectUris")
    front_channel_logout_uri = only(text, None, maximum=2000, allow_none=True)
    front_channel_logout_session_required = only(boolean, value=True)
    back_channel_logout_uri = only(text, None, maximum=2000, allow_none=True)
    back_channel_logout_session_required = only(boolean, value=True)
    allow_offline_access = boolean(load_default=False)
    scopes = rows(ScopeShape, "allowedScopes")
    identity_token_lifetime = int32(load_default=300)
    access_token_lifetime = int32(load_default=3600)
    authorization_code_lifetime = int32(load_default=300)
    consent_lifetime = int32(allow_none=True, load_default=None)
    absolute_refresh_token_lifetime = int32(load_default=2_592_000)
    sliding_refresh_token_lifetime = int32(load_default=1_296_000)
    refresh_token_usage = int32(minimum=0, maximum=1, load_default=1)
    update_access_token_claims_on_refresh = only(boolean, value=True)
    refresh_token_expiration = int32(minimum=0, maximum=1, load_default=1)
    access_token_type = int32(minimum=0, maximum=1, load_default=0)
    enable_local_login = only(boolean, value=True)
    identity_provider_restrictions = rows(
        RestrictionShape, "identityProviderRestrictions", dump_default=[]
    )
    include_jwt_id = only(boolean, value=True)
    claims = rows(ClaimShape, "claims")
    always_send_client_claims = boolean(load_default=False)
    client_claims_prefix = text(200, allow_none=True, load_default="client_")
    pair_wise_subject_salt = only(text, None, maximum=200, allow_none=True)
    cors_origins = rows(CorsOriginShape, "allowedCorsOrigins")
    properties = rows(PropertyShape, "properties")
    concurrency_stamp = Stamp()

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Add settings without a member of their own to the properties."""
        if attr == "properties":
            return clients.properties(obj)
        return super().get_attribute(obj, attr, default)

    def wire_name(self, path: str) -> str:
        """Translate names of settings that are properties, and of secrets."""
        if path in settings.PROPERTIES:
            return "properties"
        return super().wire_name("secrets" if path == "client_secret" else path)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> tuple[int, ClientSpec]:
        """Return the id and the client as the service takes it."""
        row_id = data.pop("id")
        spec = ClientSpec(
            client_id=data.pop("client_id"),
            secrets=data.pop("secrets"),
            concurrency_stamp=data.pop("concurrency_stamp"),
            lists={name: data.pop(name) for name in LISTS},
            settings={
                **data,
                # An empty prefix and none are the same; an empty list is no restriction.
                "client_claims_prefix": data["client_claims_prefix"] or "",
                "identity_provider_restrictions": data["identity_provider_restrictions"] or None,
            },
        )
        return row_id, spec


class ListQuery(Paging):
    """Filters of the list, both exact."""

    client_id = text(data_key="q.ClientID", load_default=None)
    client_name = text(data_key="q.ClientName", load_default=None)


class NewSecretShape(Shape):
    """The value of a new secret."""

    key_type = int32(minimum=0, maximum=1, load_default=1)
    client_secret = text(2000, data_key="plaintext", allow_none=True, load_default=None)
    description = text(2000, allow_none=True, load_default=None)
    expires_at = Moment(ends=True, data_key="expiration", allow_none=True, load_default=None)


class LifetimeShape(Shape):
    """The lifetime of the fresh token in seconds."""

    lifetime = int32(load_default=3600)


SORTABLE = {
    name: getattr(Client, column)
    for column, name in {
        column: field.data_key or column for column, field in ClientShape().fields.items()
    }.items()
    if column in {"id", "client_id", *settings.FIELDS}
}


@center.operation(
    "client-get",
    "GET",
    "/Client",
    scope=Scope.CLIENT_GET,
    query=ListQuery(),
    result=ClientShape(),
    form="list",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List OAuth clients."""
    statement = clients.list_query(
        current_actor(),
        client_id=query["client_id"],
        client_name=query["client_name"],
    )
    return fetch(database(), statement, query, SORTABLE, key=Client.id)


@center.operation(
    "client-put",
    "PUT",
    "/Client",
    scope=Scope.CLIENT_PUT,
    body=ClientShape(),
    result=int64(),
    errors=("NotFound",),
)
def update(body: tuple[int, ClientSpec]) -> int:
    """Update an OAuth client."""
    client = clients.replace(database(), current_actor(), *body, reserved_claims=registry.RESERVED)
    database().commit()
    return client.id


@center.operation(
    "client-post",
    "POST",
    "/Client",
    scope=Scope.CLIENT_POST,
    body=ClientShape(),
    result=int64(),
)
def create(body: tuple[int, ClientSpec]) -> int:
    """Create an OAuth client."""
    _, spec = body
    client = clients.create(database(), current_actor(), spec, reserved_claims=registry.RESERVED)
    database().commit()
    return client.id


@center.operation(
    "client-detail",
    "GET",
    "/Client/<int:id>",
    scope=Scope.CLIENT_DETAIL,
    result=ClientShape(),
    errors=("NotFound",),
)
def detail(id: int) -> Client:
    """Read an OAuth client."""
    return clients.get(database(), current_actor(), id)


@center.operation(
    "client-delete",
    "DELETE",
    "/Client/<int:id>",
    scope=Scope.CLIENT_DELETE,
    result=int64(),
    errors=("NotFound",),
)
def delete(id: int) -> int:
    """Delete an OAuth client."""
    clients.delete(database(), current_actor(), id)
    database().commit()
    return id


@center.operation("client-codes", "GET", "/Client/Codes", result=CodeShape(), form="bare")
def codes() -> list[Any]:
    """Error codes of the client module."""
    return []


@center.operation(
    "client-issuetoken",
    "POST",
    "/Client/IssueToken",
    scope=Scope.CLIENT_ISSUETOKEN,
    body=LifetimeShape(),
    result=fields.String(),
)
def issue_token(body: Mapping[str, int]) -> str:
    """Issue a fresh token to the caller."""
    token = operator_tokens.issue_again(
        database(), current_issuer(), current_principal(), body["lifetime"]
    )
    database().commit()
    return token


@center.operation(
    "client-postsecretkey",
    "POST",
    "/Client/<int:id>/Secretkey",
    scope=Scope.CLIENT_POSTSECRETKEY,
    body=NewSecretShape(),
    result=fields.String(),
    errors=("NotFound",),
)
def post_secret_key(id: int, body: Mapping[str, Any]) -> str:
    """Add a secret to an OAuth client."""
    secret = clients.add_secret(
        database(),
        current_actor(),
        id,
        body["client_secret"] or None,
        description=body["description"],
        expires_at=body["expires_at"],
    )
    database().commit()
    return secret
