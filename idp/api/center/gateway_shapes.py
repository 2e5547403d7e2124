"""Shapes of microservices at the gateway, in requests and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from marshmallow import fields, post_load, validate

from idp.platform.wire.shapes import Shape, boolean, int32, text
from idp.publishing.gateway.models import AuthorizationServer, Product
from idp.publishing.gateway.service import PublishRequest
from idp.publishing.gateway.state import Published, Release, Revision, Version

Row = TypeVar("Row")

MOST_PRODUCTS = 100
MOST_TEXT = 20_000

_LISTS = frozenset(
    {
        *("authorizationMethods", "clientAuthenticationMethod", "grantTypes"),
        "bearerTokenSendingMethods",
    }
)
_SECRETS = frozenset({"clientSecret", "resourceOwnerUsername", "resourceOwnerPassword"})


class PublishRequestShape(Shape):
    """A publish request: the address of the description, and settings of the gateway."""

    name = text(200, allow_none=True, load_default=None)
    description = text(MOST_TEXT, allow_none=True, load_default=None)
    aid = text(100, data_key="apiId", required=True)
    suffix = text(
        allow_none=True,
        load_default=None,
        checks=[validate.Regexp(r"\A[a-zA-Z0-9]{1,32}\Z", error="Up to 32 letters and digits.")],
    )
    swagger_url = text(2000, allow_none=True, load_default=None, metadata={"format": "uri"})
    product_ids = fields.List(
        text(100), load_default=list, validate=validate.Length(max=MOST_PRODUCTS)
    )
    authorization_server_id = text(100, allow_none=True, load_default=None)
    scope = text(200, allow_none=True, load_default=None)
    openid = text(100, allow_none=True, load_default=None)
    policy = text(MOST_TEXT, allow_none=True, load_default=None)

    @post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> PublishRequest:
        """Return the request as the service takes it."""
        return PublishRequest(**data)


class PublishRevisionRequestShape(Shape):
    """A description for a new revision."""

    aid = text(100, data_key="apiId", required=True)
    swagger_url = text(2000, allow_none=True, load_default=None, metadata={"format": "uri"})
    release_note = text(MOST_TEXT, allow_none=True, load_default=None)


class PublishVersionRequestShape(Shape):
    """The revision from which a version is made, and its name."""

    revision_id = text(100, allow_none=True, load_default=None)
    api_version_name = text(100, allow_none=True, load_default=None)


class PostReleaseRequestShape(Shape):
    """A note about a revision."""

    aid = text(100, required=True)
    notes = text(MOST_TEXT, required=True)


class PutReleaseRequestShape(Shape):
    """The new text of a note."""

    notes = text(MOST_TEXT, required=True)


class GatewayRevisionShape(Shape):
    """A revision of a gateway API."""

    api_id = text(allow_none=True)
    api_revision = text(allow_none=True)
    created_date_time = text(allow_none=True)
    updated_date_time = text(allow_none=True)
    description = text(allow_none=True)
    private_url = text(allow_none=True)
    is_online = boolean(load_default=False)
    is_current = boolean(load_default=False)


class GatewayApiVersionShape(Shape):
    """A gateway API with its revisions."""

    id = text(allow_none=True)
    name = text(allow_none=True)
    api_revision = text(allow_none=True)
    description = text(allow_none=True)
    api_version = text(allow_none=True)
    service_url = text(allow_none=True)
    is_current = boolean(load_default=False)
    path = text(allow_none=True)
    protocols = fields.List(fields.String())
    api_revision_description = text(allow_none=True)
    api_version_set_id = text(allow_none=True)
    authentication_settings = fields.Dict(allow_none=True)
    subscription_key_parameter_names = fields.Dict(allow_none=True)
    revisions = fields.List(fields.Nested(GatewayRevisionShape))


class GatewayReleaseShape(Shape):
    """A release note."""

    id = text(allow_none=True)
    created_date_time = text(allow_none=True)
    updated_date_time = text(allow_none=True)
    notes = text(allow_none=True)


class GatewayProductShape(Shape):
    """A product; its numbers and truth values are texts, as the gateway writes them."""

    id = text(allow_none=True)
    name = text(allow_none=True)
    description = text(allow_none=True)
    terms = text(allow_none=True)
    subscription_required = text(allow_none=True)
    approval_required = text(allow_none=True)
    subscriptions_limit = text(allow_none=True)
    state = text(allow_none=True)


class GatewayProductCollectionShape(Shape):
    """The products of a gateway."""

    value = fields.List(fields.Nested(GatewayProductShape))
    count = int32()
    next_link = text(allow_none=True)


class GatewayAuthorizationServerShape(Shape):
    """An authorization server; its secrets are never shown."""

    id = text(allow_none=True)
    name = text(allow_none=True)
    description = text(allow_none=True)
    client_registration_endpoint = text(allow_none=True)
    authorization_endpoint = text(allow_none=True)
    authorization_methods = fields.List(fields.String())
    client_authentication_method = fields.List(fields.String())
    token_body_parameters = fields.List(fields.String())
    token_endpoint = text(allow_none=True)
    support_state = boolean(load_default=False)
    default_scope = text(allow_none=True)
    grant_types = fields.List(fields.String())
    bearer_token_sending_methods = fields.List(fields.String())
    client_id = text(allow_none=True)
    client_secret = text(allow_none=True)
    resource_owner_username = text(allow_none=True)
    resource_owner_password = text(allow_none=True)


class GatewayAuthorizationServerCollectionShape(Shape):
    """The authorization servers of a gateway."""

    value = fields.List(fields.Nested(GatewayAuthorizationServerShape))
    count = int32()
    next_link = text(allow_none=True)


class ReleasesQuery(Shape):
    """The gateway API."""

    api_id = text(100, load_default=None)


def collection(
    found: Sequence[Row] | Mapping[str, Any] | None, written: Callable[[Row], dict[str, Any]]
) -> dict[str, Any] | None:
    """Return rows, or the list of a gateway, as a collection; null if it is not responding."""
    if found is None:
        return None
    if isinstance(found, Mapping):
        return _passed_through(found)
    return {"value": [written(row) for row in found], "count": len(found), "next_link": None}


def _passed_through(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the list of a gateway without its secrets."""
    listed = found.get("value")
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    values = [{_snake(name): _plain(name, item) for name, item in row.items()} for row in rows]
    return {"value": values, "count": len(values), "next_link": found.get("nextLink")}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _plain(name: str, value: Any) -> Any:
    if name in _SECRETS:
        return None
    if name in _LISTS and not isinstance(value, list):
        return None
    if isinstance(value, bool) and name != "supportState":
        return "true" if value else "false"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def server(row: AuthorizationServer) -> dict[str, Any]:
    """Return an authorization server of ours as gateways list them."""
    return {
        "id": f"/authorizationServers/{row.sid}",
        "name": row.name,
        "description": row.description,
        "client_registration_endpoint": row.client_registration_endpoint,
        "authorization_endpoint": row.authorization_endpoint,
        "authorization_methods": ["GET", "POST"],
        "client_authentication_method": ["Basic", "Body"],
        "token_body_parameters": [],
        "token_endpoint": row.token_endpoint,
        "support_state": True,
        "default_scope": row.default_scope,
        "grant_types": row.grant_types,
        "bearer_token_sending_methods": ["authorizationHeader"],
        "client_id": row.client_id,
        "client_secret": None,
        "resource_owner_username": None,
        "resource_owner_password": None,
    }


def product(row: Product) -> dict[str, Any]:
    """Return a product of ours as gateways list them."""
    limit = row.subscriptions_limit
    return {
        "id": f"/products/{row.pid}",
        "name": row.name,
        "description": row.description,
        "terms": row.terms,
        "subscription_required": "true" if row.subscription_required else "false",
        # The operator decides about each subscription.
        "approval_required": "true" if row.subscription_required else "false",
        "subscriptions_limit": None if limit is None else str(limit),
        "state": "published" if row.is_published else "notPublished",
    }


def version(state: Published, row: Version) -> dict[str, Any]:
    """Return a version with its revisions."""
    current = row.current
    original = state.versions[0].aid
    oauth = None
    if state.authorization_server or state.scope:
        oauth = {"authorizationServerId": state.authorization_server, "scope": state.scope}
    openid = {"openidProviderId": state.openid} if state.openid else None
    return {
        "id": f"/apis/{row.aid}",
        "name": state.name or state.suffix,
        "api_revision": str(current.number),
        "description": state.description,
        "api_version": row.name or None,
        "service_url": current.upstream,
        "is_current": True,
        "path": state.suffix,
        "protocols": ["https"],
        "api_revision_description": current.note,
        "api_version_set_id": f"/api-version-sets/{original}",
        "authentication_settings": {"oAuth2": oauth, "openid": openid},
        "subscription_key_parameter_names": None,
        "revisions": [_revision(state, row, each) for each in reversed(row.revisions)],
    }


def _revision(state: Published, version: Version, row: Revision) -> dict[str, Any]:
    return {
        "api_id": f"/apis/{version.aid};rev={row.number}",
        "api_revision": str(row.number),
        "created_date_time": _moment(row.created_at),
        "updated_date_time": _moment(row.updated_at),
        "description": row.note,
        "private_url": f"/{state.suffix}" if row.is_current else None,
        "is_online": row.is_current,
        "is_current": row.is_current,
    }


def release(of: Version, row: Release) -> dict[str, Any]:
    """Return a release note."""
    return {
        "id": f"/apis/{of.aid}/releases/{row.name}",
        "created_date_time": _moment(row.created_at),
        "updated_date_time": _moment(row.updated_at),
        "notes": row.notes,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
