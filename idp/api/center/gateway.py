"""Microservices at the gateway: publishing, revisions, versions and releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import orjson
from marshmallow import fields, post_load, validate

from idp.api.answers import current_language
from idp.api.center.apiresource import in_reach
from idp.api.center.caller import Caller, current_caller
from idp.api.center.codes import Code
from idp.api.center.dialect import Page, Refusal, center
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.platform.errors import NotFound
from idp.platform.web.views import current_runtime, database
from idp.platform.wire.shapes import Shape, boolean, int32, text
from idp.publishing import slots
from idp.publishing.descriptions import fetching
from idp.publishing.descriptions.flaws import UnusableError
from idp.publishing.gateway import drivers, products, validation
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.drivers.azure import Azure
from idp.publishing.gateway.models import AuthorizationServer, Product
from idp.publishing.gateway.reasons import NotPublished, Reason
from idp.publishing.gateway.service import Author, Plan, PublishRequest
from idp.publishing.gateway.state import Published, Release, Revision, Version

MOST_PRODUCTS = 100
MOST_TEXT = 20_000
FETCHES_PER_HOUR = 120
"""Descriptions that one caller lets us fetch."""

_LISTS = frozenset(
    {
        *("authorizationMethods", "clientAuthenticationMethod", "grantTypes"),
        "bearerTokenSendingMethods",
    }
)

CHINESE = {
    Reason.BROKEN: "接口描述无法解析: {what}",
    Reason.CHANGED_MEANWHILE: "该发布已被他人同时修改, 请刷新后重试",
    Reason.EXTERNAL_REFERENCE: "接口描述引用了外部内容: {what}",
    Reason.GATEWAY_REFUSED: "网关拒绝了请求: {what}",
    Reason.GATEWAY_SILENT: "网关没有响应, 稍后将自动重试",
    Reason.GATEWAY_UNSET: "该租户尚未配置网关: {what}",
    Reason.INVALID: "接口描述不是有效的 OpenAPI 文档: {what}",
    Reason.MISSING: "缺少: {what}",
    Reason.NO_SUCH_API: "网关中没有该接口",
    Reason.NOT_FETCHED: "接口描述的地址没有返回可用内容",
    Reason.SUFFIX_TAKEN: "该后缀已被其他微服务使用",
    Reason.TOO_MANY_OPERATIONS: "接口描述的操作超过 {what} 个",
    Reason.UPSTREAM_REFUSED: "接口描述中的服务器地址不在运营方允许的列表中: {what}",
}


class PublishRequestShape(Shape):
    """What is published: where the description is, and what the gateway makes of it."""

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
        """Give the request as the service takes it."""
        return PublishRequest(**data)


class PublishRevisionRequestShape(Shape):
    """A description for a new revision."""

    aid = text(100, data_key="apiId", required=True)
    swagger_url = text(2000, allow_none=True, load_default=None, metadata={"format": "uri"})
    release_note = text(MOST_TEXT, allow_none=True, load_default=None)


class PublishVersionRequestShape(Shape):
    """The revision that a version is made of, and its name."""

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
    """An authorization server; its secrets are never told."""

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
    """Which gateway API is meant."""

    api_id = text(100, load_default=None)


@center.operation(
    "apiresource-publish",
    "PUT",
    "/ApiResource/<int:id>/Publish",
    scope=Scope.APIRESOURCE_PUBLISH,
    body=PublishRequestShape(),
    gives=fields.Boolean(),
    errors=("NotFound", "Publish_PublishFailed"),
)
def publish(id: int, body: PublishRequest) -> bool:
    """Publish a microservice to the gateway or update it.

    What failed because the gateway does not answer is tried again by the worker.
    """
    with_code = Code.Publish_PublishFailed
    caller = current_caller()
    try:
        api, description = _prepare(caller, id, body.swagger_url)
        author = _author(caller, Scope.APIRESOURCE_PUBLISH)
        _settle(gateway.publish(database(), api, body, description, author))
    except NotPublished as problem:
        raise _refusal(problem, with_code) from None
    return True


@center.operation(
    "apiresource-authservers",
    "GET",
    "/ApiResource/AuthServers",
    scope=Scope.APIRESOURCE_AUTHSERVERS,
    gives=GatewayAuthorizationServerCollectionShape(),
)
def authorization_servers() -> dict[str, Any] | None:
    """List authorization servers known to the gateway."""
    tenant_id = current_caller().tenant_id
    azure = _azure(tenant_id)
    if azure is not None:
        with slots.taken():
            return _passed_through(azure.authorization_servers())
    rows = products.list_servers(database(), tenant_id)
    return {"value": [_server(row) for row in rows], "count": len(rows), "next_link": None}


@center.operation(
    "apiresource-products",
    "GET",
    "/ApiResource/Products",
    scope=Scope.APIRESOURCE_PRODUCTS,
    gives=GatewayProductCollectionShape(),
)
def list_products() -> dict[str, Any] | None:
    """List gateway products."""
    tenant_id = current_caller().tenant_id
    azure = _azure(tenant_id)
    if azure is not None:
        with slots.taken():
            return _passed_through(azure.products())
    rows = products.list_products(database(), tenant_id)
    return {"value": [_product(row) for row in rows], "count": len(rows), "next_link": None}


@center.operation(
    "apiresource-publishrevision",
    "POST",
    "/ApiResource/<int:id>/PublishRevision",
    scope=Scope.APIRESOURCE_PUBLISHREVISION,
    body=PublishRevisionRequestShape(),
    gives=fields.Boolean(),
    errors=("NotFound", "PublishRevision_GetDetailFailed", "PublishRevision_PublishFailed"),
)
def publish_revision(id: int, body: Mapping[str, Any]) -> bool:
    """Create a gateway revision.

    It goes online when it is made the current one.
    """
    caller = current_caller()
    try:
        api, description = _prepare(caller, id, body["swagger_url"], aid=body["aid"])
        author = _author(caller, Scope.APIRESOURCE_PUBLISHREVISION)
        note = body["release_note"] or ""
        _settle(gateway.revise(database(), api, body["aid"], description, note, author))
    except NotPublished as problem:
        is_missing = problem.reason is Reason.NO_SUCH_API
        code = "PublishRevision_GetDetailFailed" if is_missing else "PublishRevision_PublishFailed"
        raise _refusal(problem, Code[code]) from None
    return True


@center.operation(
    "apiresource-publishversion",
    "POST",
    "/ApiResource/<int:id>/PublishVersion",
    scope=Scope.APIRESOURCE_PUBLISHVERSION,
    body=PublishVersionRequestShape(),
    gives=fields.Boolean(),
    errors=("NotFound", "Publish_PublishFailed"),
)
def publish_version(id: int, body: Mapping[str, Any]) -> bool:
    """Create a gateway API version.

    It is called with `api-version` and its name; products are those of its source.
    """
    caller = current_caller()
    api = _api(caller, id)
    author = _author(caller, Scope.APIRESOURCE_PUBLISHVERSION)
    source, name = body["revision_id"] or "", body["api_version_name"] or ""
    try:
        _settle(gateway.add_version(database(), api, source, name, author))
    except NotPublished as problem:
        raise _refusal(problem, Code.Publish_PublishFailed) from None
    return True


@center.operation(
    "apiresource-publishconfiguration",
    "GET",
    "/ApiResource/<int:id>/PublishConfiguration",
    scope=Scope.APIRESOURCE_PUBLISHCONFIGURATION,
    gives=PublishRequestShape(),
    errors=("NotFound",),
)
def publish_configuration(id: int) -> Mapping[str, Any] | None:
    """Read the last publish request."""
    api = _api(current_caller(), id)
    state = gateway.find(database(), api.id)
    return None if state is None else orjson.loads(state.configuration)


@center.operation(
    "apiresource-versions",
    "GET",
    "/ApiResource/<int:id>/Versions",
    scope=Scope.APIRESOURCE_VERSIONS,
    gives=GatewayApiVersionShape(),
    form="list",
    errors=("NotFound", "Versions_GetDetailFailed", "Versions_GetVersionListFailed"),
)
def versions(id: int) -> Page:
    """List gateway versions with their revisions."""
    api = _api(current_caller(), id)
    state = gateway.find(database(), api.id)
    if state is None:
        raise Refusal(Code.Versions_GetDetailFailed)
    return _all([_version(state, version) for version in state.versions])


@center.operation(
    "apiresource-setonlineversion",
    "POST",
    "/ApiResource/<int:id>/Versions/<revisionId>",
    scope=Scope.APIRESOURCE_SETONLINEVERSION,
    gives=fields.Boolean(),
    errors=("NotFound", "SetOnlineVersion_PostFailed"),
)
def set_online_version(id: int, revisionId: str) -> bool:  # noqa: N803 - the contract's name
    """Make a revision current.

    Calls go to it from then on, and a release tells what callers of the one before will miss.
    """
    caller = current_caller()
    api = _api(caller, id)
    author = _author(caller, Scope.APIRESOURCE_SETONLINEVERSION)
    try:
        _settle(gateway.go_online(database(), api, revisionId, author))
    except NotPublished as problem:
        raise _refusal(problem, Code.SetOnlineVersion_PostFailed) from None
    return True


@center.operation(
    "apiresource-releases",
    "GET",
    "/ApiResource/<int:id>/Releases",
    scope=Scope.APIRESOURCE_RELEASES,
    query=ReleasesQuery(),
    gives=GatewayReleaseShape(),
    form="list",
    errors=("NotFound", "Releases_IdCanNotBeNull", "Releases_GetVersionListFailed"),
)
def releases(id: int, query: Mapping[str, Any]) -> Page:
    """List release notes of a gateway API."""
    api = _api(current_caller(), id)
    wanted = (query["api_id"] or "").strip()
    if not wanted:
        raise Refusal(Code.Releases_IdCanNotBeNull)
    state = gateway.find(database(), api.id)
    version = state and state.find(gateway.split(wanted)[0])
    if not version:
        raise Refusal(Code.Releases_GetVersionListFailed)
    return _all([_release(version, release) for release in version.releases])


@center.operation(
    "apiresource-postrelease",
    "POST",
    "/ApiResource/<int:id>/Releases",
    scope=Scope.APIRESOURCE_POSTRELEASE,
    body=PostReleaseRequestShape(),
    gives=fields.Boolean(),
    errors=("NotFound",),
)
def post_release(id: int, body: Mapping[str, Any]) -> bool:
    """Create a release note.

    It puts nothing online. False: the gateway did not take it.
    """
    caller = current_caller()
    api = _api(caller, id)
    author = _author(caller, Scope.APIRESOURCE_POSTRELEASE)
    return _noted(lambda: gateway.add_release(database(), api, body["aid"], body["notes"], author))


@center.operation(
    "apiresource-putrelease",
    "PUT",
    "/ApiResource/<int:id>/Releases/<releaseId>",
    scope=Scope.APIRESOURCE_PUTRELEASE,
    body=PutReleaseRequestShape(),
    gives=fields.Boolean(),
    errors=("NotFound", "Releases_IdCanNotBeNull"),
)
def put_release(id: int, releaseId: str, body: Mapping[str, Any]) -> bool:  # noqa: N803 - as above
    """Update a release note.

    False: the gateway did not take it.
    """
    caller = current_caller()
    api = _api(caller, id)
    name = _release_name(releaseId)
    author = _author(caller, Scope.APIRESOURCE_PUTRELEASE)
    return _noted(lambda: gateway.change_release(database(), api, name, body["notes"], author))


@center.operation(
    "apiresource-deleterelease",
    "DELETE",
    "/ApiResource/<int:id>/Releases/<releaseId>",
    scope=Scope.APIRESOURCE_DELETERELEASE,
    gives=fields.Boolean(),
    errors=("NotFound", "Releases_IdCanNotBeNull"),
)
def delete_release(id: int, releaseId: str) -> bool:  # noqa: N803 - as above
    """Delete a release note.

    False: the gateway did not take it.
    """
    caller = current_caller()
    api = _api(caller, id)
    name = _release_name(releaseId)
    author = _author(caller, Scope.APIRESOURCE_DELETERELEASE)
    return _noted(lambda: gateway.remove_release(database(), api, name, author))


def _api(caller: Caller, id: int) -> ApiResource:
    return resources.get_api(database(), id, in_reach(caller))


def _prepare(
    caller: Caller, id: int, url: str | None, *, aid: str | None = None
) -> tuple[ApiResource, validation.Description]:
    """Look whether the microservice is the caller's, and only then fetch its description.

    No transaction is open meanwhile: on SQLite it would keep everybody from writing.
    """
    api = _api(caller, id)
    if aid is not None:
        gateway.get_version(database(), api.id, gateway.split(aid)[0])
    if not (url or "").strip():
        raise NotPublished(Reason.MISSING, "swaggerUrl")
    who = f"{caller.principal.client_id} {caller.user_id}"
    current_runtime().throttle.hit("gateway description", who, FETCHES_PER_HOUR, 3600)
    database().commit()
    address = (url or "").strip()
    try:
        document = fetching.download(current_runtime().fetcher, address)
    except UnusableError as problem:
        raise NotPublished.unusable(problem) from None
    return api, validation.check(document, address)


def _author(caller: Caller, permission: Scope) -> Author:
    principal = caller.principal
    return Author(caller.user_id, principal.own_tenant_id, permission.value, principal.at_platform)


def _settle(plan: Plan) -> None:
    """Ask the gateway between two commits; see `settling`."""
    # Where no more requests may wait for a gateway, nothing is written yet.
    with slots.taken() if plan.driver.is_remote else nullcontext():
        database().commit()
        refused = gateway.apply(plan)
    problem = gateway.finish(database(), plan, refused)
    database().commit()
    if problem is not None:
        raise problem


def _noted(plan: Any) -> bool:
    """Tell whether the gateway took a change of release notes."""
    try:
        _settle(plan())
    except NotPublished as problem:
        if problem.reason is Reason.NO_SUCH_API:
            raise NotFound from None
        return False
    return True


def _refusal(problem: NotPublished, code: Code) -> Refusal | NotFound:
    """Say in the caller's language why nothing was published."""
    if problem.reason is Reason.NO_SUCH_API and code.name != "PublishRevision_GetDetailFailed":
        return NotFound()
    language = current_language()
    why = problem.reason.value if language == "en" else CHINESE[problem.reason]
    return Refusal(code, f"{code.message(language)}: {why.format(what=problem.what)}")


def _release_name(text: str) -> str:
    name = text.strip()
    if not name:
        raise Refusal(Code.Releases_IdCanNotBeNull)
    return name


def _all(rows: Sequence[Any]) -> Page:
    return Page(rows, take=len(rows), skip=0, total=len(rows))


def _azure(tenant_id: int) -> Azure | None:
    """Give the tenant's own gateway, where products are kept there; no transaction stays open."""
    try:
        driver = drivers.of(database(), tenant_id)
    except NotPublished:
        return None
    database().commit()
    return driver if isinstance(driver, Azure) else None


def _passed_through(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give what the gateway listed, without the secrets in it; null when it does not answer."""
    if found is None:
        return None
    listed = found.get("value")
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    values = [{_snake(name): _plain(name, item) for name, item in row.items()} for row in rows]
    return {"value": values, "count": len(values), "next_link": found.get("nextLink")}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _plain(name: str, value: Any) -> Any:
    if name in {"clientSecret", "resourceOwnerUsername", "resourceOwnerPassword"}:
        return None
    if name in _LISTS and not isinstance(value, list):
        return None
    if isinstance(value, bool) and name != "supportState":
        return "true" if value else "false"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _server(row: AuthorizationServer) -> dict[str, Any]:
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


def _product(row: Product) -> dict[str, Any]:
    limit = row.subscriptions_limit
    return {
        "id": f"/products/{row.pid}",
        "name": row.name,
        "description": row.description,
        "terms": row.terms,
        "subscription_required": "true" if row.subscription_required else "false",
        # Who subscribes is the operator's decision, each time.
        "approval_required": "true" if row.subscription_required else "false",
        "subscriptions_limit": None if limit is None else str(limit),
        "state": "published" if row.is_published else "notPublished",
    }


def _version(state: Published, version: Version) -> dict[str, Any]:
    current = version.current
    original = state.versions[0].aid
    oauth = None
    if state.authorization_server or state.scope:
        oauth = {"authorizationServerId": state.authorization_server, "scope": state.scope}
    openid = {"openidProviderId": state.openid} if state.openid else None
    return {
        "id": f"/apis/{version.aid}",
        "name": state.name or state.suffix,
        "api_revision": str(current.number),
        "description": state.description,
        "api_version": version.name or None,
        "service_url": current.upstream,
        "is_current": True,
        "path": state.suffix,
        "protocols": ["https"],
        "api_revision_description": current.note,
        "api_version_set_id": f"/api-version-sets/{original}",
        "authentication_settings": {"oAuth2": oauth, "openid": openid},
        "subscription_key_parameter_names": None,
        "revisions": [_revision(state, version, row) for row in reversed(version.revisions)],
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


def _release(version: Version, row: Release) -> dict[str, Any]:
    return {
        "id": f"/apis/{version.aid}/releases/{row.name}",
        "created_date_time": _moment(row.created_at),
        "updated_date_time": _moment(row.updated_at),
        "notes": row.notes,
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
