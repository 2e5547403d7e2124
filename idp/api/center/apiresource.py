"""Microservices: protected APIs with their scopes, secrets and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from idp.api.actor import current_actor
from idp.api.answers import current_language
from idp.api.center.codes import MICROSERVICE_CODES, CodeShape, listed
from idp.api.center.dialect import Page, center
from idp.api.center.paging import Paging, fetch
from idp.claims import registry
from idp.directory.resources import service as resources
from idp.directory.resources.content import (
    ApiSpec,
    ClaimRow,
    PropertyRow,
    ScopeRow,
    SecretRow,
)
from idp.directory.resources.models import ApiResource, ApiScope
from idp.directory.scopes import Scope
from idp.platform.secrets import MASK
from idp.platform.web.views import database
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

MOST_ROWS = 200
MOST_SCOPES = 1000


def check_spelling(name: str) -> None:
    """Refuse `Permission` and the like: it would be a second claim beside the known one."""
    if registry.is_misspelled(name):
        message = f"This claim is spelled {name.strip().lower()}."
        raise ValidationError(message)


class ClaimShape(Shape):
    """A user claim, by name."""

    id = int32(minimum=0, load_default=0)
    type = text(200, required=True, checks=[check_spelling])

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> ClaimRow:
        """Return the claim as the service takes it."""
        return ClaimRow(**data)


class PropertyShape(Shape):
    """A setting of an API; some have an effect, such as `permission_format`."""

    id = int32(minimum=0, load_default=0)
    key = text(250, required=True)
    value = text(2000, required=True)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> PropertyRow:
        """Return the setting as the service takes it."""
        return PropertyRow(**data)


class SecretShape(Shape):
    """A secret for introspection; its value is accepted in clear text and never returned."""

    id = int32(minimum=0, load_default=0)
    description = text(1000, allow_none=True, load_default=None)
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
        del data["type"]
        return SecretRow(**data)


class ScopeShape(Shape):
    """A scope of an API."""

    id = int32(minimum=0, load_default=0)
    name = text(200, required=True)
    display_name = text(200, allow_none=True, load_default=None)
    description = text(1000, allow_none=True, load_default=None)
    required = boolean(load_default=False)
    emphasize = boolean(load_default=False)
    show_in_discovery_document = boolean(load_default=True)
    user_claims = KeptList(ClaimShape, MOST_ROWS)

    @post_load
    def to_row(self, data: dict[str, Any], **_: Any) -> ScopeRow:
        """Return the scope as the service takes it."""
        return ScopeRow(**data)


class ApiResourceShape(Shape):
    """An API; a list that is absent or null is not changed, an empty one clears."""

    id = int32(minimum=0, load_default=0)
    enabled = boolean(load_default=True)
    name = text(200, required=True)
    display_name = text(200, allow_none=True, load_default=None)
    description = text(1000, allow_none=True, load_default=None)
    secrets = KeptList(SecretShape, MOST_ROWS)
    scopes = KeptList(ScopeShape, MOST_SCOPES)
    user_claims = KeptList(ClaimShape, MOST_ROWS)
    properties = KeptList(PropertyShape, MOST_ROWS)
    concurrency_stamp = Stamp()

    @post_load
    def to_content(self, data: dict[str, Any], **_: Any) -> ApiSpec:
        """Return the API as the service takes it."""
        return ApiSpec(**data)


class ListQuery(Paging):
    """The name, exactly, and which lists to load."""

    name = text(data_key="q.name", load_default=None)
    scopes = fields.Boolean(data_key="q.expandScopes", load_default=False)
    user_claims = fields.Boolean(data_key="q.expandClaims", load_default=False)


class ScopeCodeShape(Shape):
    """A scope that clients may ask for."""

    name = text(data_key="code")
    display_name = text(data_key="name", allow_none=True)
    description = text(allow_none=True)
    emphasize = boolean()


COLUMNS = {
    "id": ApiResource.id,
    "enabled": ApiResource.enabled,
    "name": ApiResource.name,
    "displayName": ApiResource.display_name,
    "description": ApiResource.description,
}
SCALARS = ("id", "enabled", "name", "display_name", "description", "concurrency_stamp")


@center.operation(
    "apiresource-get",
    "GET",
    "/ApiResource",
    scope=Scope.APIRESOURCE_GET,
    query=ListQuery(),
    result=ApiResourceShape(),
    form="list",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List microservices."""
    expanded = [name for name in ("scopes", "user_claims") if query[name]]
    statement = resources.select_apis(current_actor(), name=query["name"], load=expanded)
    return fetch(
        database(),
        statement,
        query,
        COLUMNS,
        key=ApiResource.id,
        load=lambda rows: [only(row, expanded) for row in rows],
    )


@center.operation(
    "apiresource-put",
    "PUT",
    "/ApiResource",
    scope=Scope.APIRESOURCE_PUT,
    body=ApiResourceShape(),
    result=int64(),
    errors=("NotFound",),
)
def update(body: ApiSpec) -> int:
    """Update a microservice."""
    api = resources.replace_api(database(), current_actor(), body)
    database().commit()
    return api.id


@center.operation(
    "apiresource-post",
    "POST",
    "/ApiResource",
    scope=Scope.APIRESOURCE_POST,
    body=ApiResourceShape(),
    result=int64(),
)
def create(body: ApiSpec) -> int:
    """Create a microservice."""
    api = resources.add_api(database(), current_actor(), body)
    database().commit()
    return api.id


@center.operation(
    "apiresource-detail",
    "GET",
    "/ApiResource/<int:id>",
    scope=Scope.APIRESOURCE_DETAIL,
    result=ApiResourceShape(),
    errors=("NotFound",),
)
def detail(id: int) -> ApiResource:
    """Read a microservice."""
    return resources.get_api(database(), current_actor(), id)


@center.operation(
    "apiresource-delete",
    "DELETE",
    "/ApiResource/<int:id>",
    scope=Scope.APIRESOURCE_DELETE,
    result=int64(),
    errors=("NotFound",),
)
def delete(id: int) -> int:
    """Delete a microservice."""
    resources.delete_api(database(), current_actor(), id)
    database().commit()
    return id


@center.operation("apiresource-codes", "GET", "/ApiResource/Codes", result=CodeShape(), form="bare")
def codes() -> list[dict[str, Any]]:
    """Error codes of the microservice module."""
    return listed(MICROSERVICE_CODES, current_language())


@center.operation(
    "apiresource-scopes",
    "GET",
    "/ApiResource/Scopes",
    scope=Scope.APIRESOURCE_SCOPES,
    result=fields.Dict(keys=fields.String(), values=fields.List(fields.Nested(ScopeCodeShape()))),
)
def scopes() -> Mapping[str, Sequence[ApiScope]]:
    """List scope codes grouped by API."""
    return resources.published_scopes(database(), current_actor().owner_tenant)


def only(api: ApiResource, expanded: Sequence[str]) -> dict[str, Any]:
    """Return a row of the list: a list that was not requested is absent, so that PUT keeps it."""
    return {name: getattr(api, name) for name in (*SCALARS, *expanded)}
