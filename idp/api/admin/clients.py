"""OAuth clients of a tenant, or at the platform of all: by preset, with secrets shown once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from marshmallow import fields, post_load, validate

from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import (
    AdminShape,
    Page,
    Paging,
    Tagged,
    admin,
    page,
    row_id,
    yes_or_no,
)
from idp.directory.actor import Actor
from idp.directory.clients import kinds, presets
from idp.directory.clients import management as clients
from idp.directory.clients.fields import FIELDS
from idp.directory.clients.management import Filters
from idp.directory.clients.models import DOCUMENT, OPERATOR, REGISTERED, Client
from idp.directory.clients.service import NewClient, get_secret
from idp.directory.levels import MFA
from idp.directory.scopes import Scope
from idp.oauth import grant_state
from idp.platform.errors import BadRequest
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, boolean, int32, int64, text

PATH = "/tenants/<int:tenant>/clients"
READ, WRITE = Scope.ADMIN_CLIENTS_READ, Scope.ADMIN_CLIENTS_WRITE
PRESETS = {"single_page" if name == "spa" else name: name for name in presets.PRESETS}
"""Names of presets in this API, and those by which the rules know them."""
KINDS = {rule: name for name, rule in PRESETS.items()}
ORIGINS = (OPERATOR, REGISTERED, DOCUMENT)
LISTS = ("grant_types", "scopes", "redirect_uris", "post_logout_redirect_uris", "cors_origins")
LONGEST_URI = 2000
LONGEST_ID = 200
MOST = 200


def _values(longest: int, **options: Any) -> fields.List[Any]:
    return fields.List(text(longest, minimum=1), validate=validate.Length(max=MOST), **options)


def _kind() -> fields.String:
    return text(required=True, checks=[validate.OneOf(list(PRESETS))])


class SecretShape(AdminShape):
    """A secret, without its value."""

    schema_name = "ClientSecret"

    id = int64(dump_only=True)
    description = text(2000, allow_none=True)
    expires_at = Moment(allow_none=True)
    created_at = Moment(dump_only=True)
    last_used_at = Moment(allow_none=True, dump_only=True)


class NewSecretShape(AdminShape):
    """A secret to be generated."""

    schema_name = "NewClientSecret"

    description = text(2000, allow_none=True, load_default=None)
    expires_at = Moment(allow_none=True, load_default=None)


class IssuedSecretShape(SecretShape):
    """A new secret, with its value."""

    schema_name = "IssuedClientSecret"

    value = text(dump_only=True)


class ListedClientShape(AdminShape):
    """What a list shows of a client."""

    schema_name = "ListedClient"

    id = int64()
    client_id = text()
    client_name = text(allow_none=True)
    kind = text()
    origin = text()
    tenant = int64(attribute="tenant_id", allow_none=True)
    enabled = fields.Boolean()
    grant_types = fields.List(text())
    secrets = fields.List(fields.Nested(SecretShape))
    created_at = Moment()
    updated_at = Moment()


class ClientShape(AdminShape):
    """A client with all settings; a change names only what it changes."""

    schema_name = "Client"

    id = int64(dump_only=True)
    client_id = text(dump_only=True)
    kind = text(dump_only=True)
    origin = text(dump_only=True)
    tenant = int64(attribute="tenant_id", allow_none=True, dump_only=True)
    secrets = fields.List(fields.Nested(SecretShape), dump_only=True)
    live_grants = int32(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)

    grant_types = _values(250)
    scopes = _values(LONGEST_ID)
    redirect_uris = _values(LONGEST_URI)
    post_logout_redirect_uris = _values(LONGEST_URI)
    cors_origins = _values(150)

    enabled = boolean()
    client_name = text(200, allow_none=True)
    description = text(1000, allow_none=True)
    client_uri = text(LONGEST_URI, allow_none=True)
    logo_uri = text(LONGEST_URI, allow_none=True)
    policy_uri = text(LONGEST_URI, allow_none=True)
    tos_uri = text(LONGEST_URI, allow_none=True)
    initiate_login_uri = text(LONGEST_URI, allow_none=True)
    application_type = text(20)
    require_client_secret = boolean()
    token_endpoint_auth_method = text(50, allow_none=True)
    token_endpoint_auth_signing_alg = text(20, allow_none=True)
    jwks = fields.Dict(allow_none=True)
    jwks_uri = text(LONGEST_URI, allow_none=True)
    strict_assertion_audience = boolean()
    security_profile = text(30, allow_none=True)
    dpop_bound_access_tokens = boolean()
    tls_client_certificate_bound_access_tokens = boolean()
    tls_client_auth_subject_dn = text(1000, allow_none=True)
    tls_client_auth_san_dns = text(253, allow_none=True)
    tls_client_auth_san_uri = text(1000, allow_none=True)
    tls_client_auth_san_ip = text(45, allow_none=True)
    tls_client_auth_san_email = text(320, allow_none=True)
    require_pushed_authorization_requests = boolean()
    require_signed_request_object = boolean()
    request_object_signing_alg = text(20, allow_none=True)
    response_modes = fields.List(text(20), allow_none=True)
    require_pkce = boolean()
    require_consent = boolean()
    allow_remember_consent = boolean()
    consent_lifetime = int32(allow_none=True)
    allow_offline_access = boolean()
    default_max_age = int32(allow_none=True)
    require_acr = text(20, allow_none=True)
    default_acr_values = fields.List(text(20), allow_none=True)
    device_requires_login = boolean()
    second_factor_exempt = boolean()
    authorization_code_lifetime = int32()
    identity_token_lifetime = int32()
    access_token_lifetime = int32()
    absolute_refresh_token_lifetime = int32()
    sliding_refresh_token_lifetime = int32()
    refresh_token_usage = int32()
    refresh_token_expiration = int32()
    refresh_token_reuse_seconds = int32()
    access_token_type = int32()
    id_token_signed_response_alg = text(20, allow_none=True)
    userinfo_signed_response_alg = text(20, allow_none=True)
    introspection_signed_response_alg = text(20, allow_none=True)
    authorization_signed_response_alg = text(20, allow_none=True)
    always_include_user_claims_in_id_token = boolean()
    always_send_client_claims = boolean()
    client_claims_prefix = text(200)
    grantable_privileges = fields.List(text(200), allow_none=True)


class CreatedClientShape(ClientShape):
    """A new client, with its secret where it has one."""

    schema_name = "CreatedClient"

    client_secret = text(allow_none=True, dump_only=True)


class NewClientShape(AdminShape):
    """A client to be created by a preset."""

    schema_name = "NewClient"

    kind = _kind()
    client_id = text(LONGEST_ID, minimum=1, load_default=None, allow_none=True)
    client_name = text(200, load_default=None, allow_none=True)
    scopes = _values(LONGEST_ID, load_default=())
    redirect_uris = _values(LONGEST_URI, load_default=())
    post_logout_redirect_uris = _values(LONGEST_URI, load_default=())
    cors_origins = _values(150, load_default=())

    @post_load
    def to_new(self, data: dict[str, Any], **_: Any) -> NewClient:
        """Return what the view takes."""
        kind = PRESETS[data.pop("kind")]
        client_id = data.pop("client_id") or generated_id()
        return presets.fill(NewClient(client_id=client_id, **data), kind)


class CopyShape(AdminShape):
    """What a copy of a client is called."""

    schema_name = "ClientCopy"

    client_id = text(LONGEST_ID, minimum=1, load_default=None, allow_none=True)
    client_name = text(200, load_default=None, allow_none=True)


class ListQuery(Paging):
    """What the list is narrowed by."""

    search = text(200, load_default=None)
    kind = text(load_default=None, checks=[validate.OneOf(list(PRESETS))])
    enabled = yes_or_no()
    origin = text(load_default=None, checks=[validate.OneOf(ORIGINS)])
    in_tenant = row_id(load_default=None)
    after = text(LONGEST_ID, load_default="")


@admin.operation(
    "clients-list",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=ListedClientShape(),
    form="page",
)
def list_(tenant: int, query: Mapping[str, Any]) -> Page:
    """List clients by client id."""
    actor = acting(READ, tenant)
    if query["in_tenant"] is not None and not actor.reaches_all:
        raise BadRequest.at("in_tenant", "Only for tenant 1, with the permission at the platform.")
    filters = Filters(
        search=query["search"],
        kind=PRESETS.get(query["kind"]),
        is_enabled=query["enabled"],
        origin=query["origin"],
        tenant_id=query["in_tenant"],
    )
    limit = query["limit"]
    found = clients.list_page(database(), actor, filters, after=query["after"], limit=limit + 1)
    return page([listed(client) for client in found], limit, lambda row: row["client_id"])


@admin.operation(
    "clients-create",
    "POST",
    PATH,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=NewClientShape(),
    result=CreatedClientShape(),
    location="/tenants/{tenant}/clients/{id}",
)
def create(tenant: int, body: NewClient) -> Tagged:
    """Create a client by a preset; its secret is answered this once."""
    client, secret = clients.register(database(), acting(WRITE, tenant), body)
    return committed(client, client_secret=secret)


@admin.operation(
    "clients-get",
    "GET",
    f"{PATH}/<int:id>",
    scope=READ,
    tenant=tenant_or_platform(READ),
    result=ClientShape(),
)
def detail(tenant: int, id: int) -> Tagged:
    """Read a client with all settings."""
    client = clients.get(database(), acting(READ, tenant), id)
    return Tagged(shown(client), client.concurrency_stamp)


@admin.operation(
    "clients-change",
    "PATCH",
    f"{PATH}/<int:id>",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=ClientShape(partial=True),
    result=ClientShape(),
)
def change(tenant: int, id: int, body: dict[str, Any], stamp: str | None) -> Tagged:
    """Change settings and lists of a client; what is not sent stays as it is."""
    lists = {name: body.pop(name) for name in LISTS if name in body}
    actor = acting(WRITE, tenant)
    return committed(clients.change(database(), actor, id, body, lists, stamp=stamp))


@admin.operation(
    "clients-delete",
    "DELETE",
    f"{PATH}/<int:id>",
    level=MFA,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def delete(tenant: int, id: int, stamp: str | None) -> None:
    """Delete a disabled client with everything that belongs to it."""
    clients.delete(database(), acting(WRITE, tenant), id, stamp=stamp, only_disabled=True)
    database().commit()


@admin.operation(
    "clients-duplicate",
    "POST",
    f"{PATH}/<int:id>/duplicate",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=CopyShape(),
    body_required=False,
    result=CreatedClientShape(),
    location="/tenants/{tenant}/clients/{id}",
)
def duplicate(tenant: int, id: int, body: Mapping[str, str | None]) -> Tagged:
    """Create a client like another, with a secret of its own."""
    client, secret = clients.duplicate(
        database(),
        acting(WRITE, tenant),
        id,
        body["client_id"] or generated_id(),
        body["client_name"],
    )
    return committed(client, client_secret=secret)


@admin.operation(
    "clients-disable",
    "POST",
    f"{PATH}/<int:id>/disable",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ClientShape(),
)
def disable(tenant: int, id: int) -> Tagged:
    """Refuse a client everywhere from now on."""
    return _set_enabled(acting(WRITE, tenant), id, enabled=False)


@admin.operation(
    "clients-enable",
    "POST",
    f"{PATH}/<int:id>/enable",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ClientShape(),
)
def enable(tenant: int, id: int) -> Tagged:
    """Enable a disabled client again."""
    return _set_enabled(acting(WRITE, tenant), id, enabled=True)


@admin.operation(
    "clients-promote",
    "POST",
    f"{PATH}/<int:id>/promote",
    level=MFA,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ClientShape(),
)
def promote(tenant: int, id: int) -> Tagged:
    """Register a client that came by itself."""
    return committed(clients.promote(database(), acting(WRITE, tenant), id))


@admin.operation(
    "clients-secret-add",
    "POST",
    f"{PATH}/<int:client>/secrets",
    level=MFA,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=NewSecretShape(),
    body_required=False,
    result=IssuedSecretShape(),
    location="/tenants/{tenant}/clients/{client}/secrets/{id}",
)
def add_secret(tenant: int, client: int, body: Mapping[str, Any]) -> Tagged:
    """Generate one more secret; its value is answered this once."""
    owner, row, value = clients.issue_secret(database(), acting(WRITE, tenant), client, **body)
    database().commit()
    issued = {
        "id": row.id,
        "description": row.description,
        "expires_at": row.expires_at,
        "created_at": row.created_at,
        "last_used_at": None,
        "value": value,
    }
    return Tagged(issued, owner.concurrency_stamp)


@admin.operation(
    "clients-secret-get",
    "GET",
    f"{PATH}/<int:client>/secrets/<int:id>",
    scope=READ,
    tenant=tenant_or_platform(READ),
    result=SecretShape(),
)
def read_secret(tenant: int, client: int, id: int) -> Tagged:
    """Read what is known of a secret; never its value."""
    owner = clients.get(database(), acting(READ, tenant), client)
    return Tagged(get_secret(owner, id), owner.concurrency_stamp)


@admin.operation(
    "clients-secret-change",
    "PATCH",
    f"{PATH}/<int:client>/secrets/<int:id>",
    level=MFA,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=SecretShape(partial=True),
    result=SecretShape(),
)
def change_secret(
    tenant: int, client: int, id: int, body: Mapping[str, Any], stamp: str | None
) -> Tagged:
    """Describe a secret, or set when it expires; a time that is past ends it at once."""
    owner, row = clients.change_secret(
        database(), acting(WRITE, tenant), client, id, body, stamp=stamp
    )
    database().commit()
    return Tagged(row, owner.concurrency_stamp)


@admin.operation(
    "clients-secret-remove",
    "DELETE",
    f"{PATH}/<int:client>/secrets/<int:id>",
    level=MFA,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def remove_secret(tenant: int, client: int, id: int, stamp: str | None) -> None:
    """Remove a secret, which is refused from now on."""
    clients.remove_secret(database(), acting(WRITE, tenant), client, id, stamp=stamp)
    database().commit()


def _set_enabled(actor: Actor, id: int, *, enabled: bool) -> Tagged:
    return committed(clients.change(database(), actor, id, {"enabled": enabled}, {}))


def committed(client: Client, **members: Any) -> Tagged:
    """Commit, and show what became of a client."""
    content = {**shown(client), **members}
    database().commit()
    return Tagged(content, client.concurrency_stamp)


def listed(client: Client) -> dict[str, Any]:
    """Return what a list shows of a client."""
    return {
        "id": client.id,
        "client_id": client.client_id,
        "client_name": client.client_name,
        "kind": KINDS[kinds.kind_of(client)],
        "origin": client.origin,
        "tenant_id": client.tenant_id,
        "enabled": client.enabled,
        "grant_types": [row.grant_type for row in client.grant_types],
        "secrets": list(client.secrets),
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    }


def shown(client: Client) -> dict[str, Any]:
    """Return a client with all settings."""
    return {
        **listed(client),
        **{name: getattr(client, name) for name in FIELDS},
        "scopes": [row.scope for row in client.scopes],
        "redirect_uris": [row.redirect_uri for row in client.redirect_uris],
        "post_logout_redirect_uris": [
            row.post_logout_redirect_uri for row in client.post_logout_redirect_uris
        ],
        "cors_origins": [row.origin for row in client.cors_origins],
        "live_grants": grant_state.count_live(database(), client.id)[0],
    }


def generated_id() -> str:
    """Return a client id for a client that was given none."""
    return f"client-{secrets.token_hex(8)}"
