"""Microservices at the gateway: publishing, revisions, versions and releases."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from marshmallow import fields

from idp.api.actor import current_actor
from idp.api.answers import current_language
from idp.api.center import gateway_shapes as shapes
from idp.api.center.codes import Code
from idp.api.center.dialect import Page, Refusal, center
from idp.directory.actor import Actor
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.directory.scopes import Scope
from idp.platform.errors import NotFound
from idp.platform.web.views import database
from idp.publishing.gateway import service as gateway
from idp.publishing.gateway.reasons import NotPublished, Reason, in_words
from idp.publishing.gateway.service import Plan, PublishRequest


@center.operation(
    "apiresource-publish",
    "PUT",
    "/ApiResource/<int:id>/Publish",
    scope=Scope.APIRESOURCE_PUBLISH,
    body=shapes.PublishRequestShape(),
    result=fields.Boolean(),
    errors=("NotFound", "Publish_PublishFailed"),
)
def publish(id: int, body: PublishRequest) -> bool:
    """Publish a microservice to the gateway or update it.

    If the gateway does not respond, the worker tries again.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    with _refusals(Code.Publish_PublishFailed):
        gateway.carry_out(session, gateway.publish(session, actor, api, body))
    return True


@center.operation(
    "apiresource-authservers",
    "GET",
    "/ApiResource/AuthServers",
    scope=Scope.APIRESOURCE_AUTHSERVERS,
    result=shapes.GatewayAuthorizationServerCollectionShape(),
)
def authorization_servers() -> dict[str, Any] | None:
    """List authorization servers known to the gateway."""
    found = gateway.list_servers(database(), current_actor().tenant_id)
    return shapes.collection(found, shapes.server)


@center.operation(
    "apiresource-products",
    "GET",
    "/ApiResource/Products",
    scope=Scope.APIRESOURCE_PRODUCTS,
    result=shapes.GatewayProductCollectionShape(),
)
def list_products() -> dict[str, Any] | None:
    """List gateway products."""
    found = gateway.list_products(database(), current_actor().tenant_id)
    return shapes.collection(found, shapes.product)


@center.operation(
    "apiresource-publishrevision",
    "POST",
    "/ApiResource/<int:id>/PublishRevision",
    scope=Scope.APIRESOURCE_PUBLISHREVISION,
    body=shapes.PublishRevisionRequestShape(),
    result=fields.Boolean(),
    errors=("NotFound", "PublishRevision_GetDetailFailed", "PublishRevision_PublishFailed"),
)
def publish_revision(id: int, body: Mapping[str, Any]) -> bool:
    """Create a gateway revision.

    It goes online when it is made the current one.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    with _refusals(
        Code.PublishRevision_PublishFailed, missing=Code.PublishRevision_GetDetailFailed
    ):
        plan = gateway.revise(
            session,
            actor,
            api,
            body["aid"],
            url=body["swagger_url"],
            note=body["release_note"] or "",
        )
        gateway.carry_out(session, plan)
    return True


@center.operation(
    "apiresource-publishversion",
    "POST",
    "/ApiResource/<int:id>/PublishVersion",
    scope=Scope.APIRESOURCE_PUBLISHVERSION,
    body=shapes.PublishVersionRequestShape(),
    result=fields.Boolean(),
    errors=("NotFound", "Publish_PublishFailed"),
)
def publish_version(id: int, body: Mapping[str, Any]) -> bool:
    """Create a gateway API version.

    It is called with `api-version` and its name; products are those of its source.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    source, name = body["revision_id"] or "", body["api_version_name"] or ""
    with _refusals(Code.Publish_PublishFailed):
        gateway.carry_out(session, gateway.add_version(session, actor, api, source, name))
    return True


@center.operation(
    "apiresource-publishconfiguration",
    "GET",
    "/ApiResource/<int:id>/PublishConfiguration",
    scope=Scope.APIRESOURCE_PUBLISHCONFIGURATION,
    result=shapes.PublishRequestShape(),
    errors=("NotFound",),
)
def publish_configuration(id: int) -> Mapping[str, Any] | None:
    """Read the last publish request."""
    state = gateway.find(database(), _api(current_actor(), id).id)
    return None if state is None else orjson.loads(state.configuration)


@center.operation(
    "apiresource-versions",
    "GET",
    "/ApiResource/<int:id>/Versions",
    scope=Scope.APIRESOURCE_VERSIONS,
    result=shapes.GatewayApiVersionShape(),
    form="list",
    errors=("NotFound", "Versions_GetDetailFailed", "Versions_GetVersionListFailed"),
)
def versions(id: int) -> Page:
    """List gateway versions with their revisions."""
    state = gateway.find(database(), _api(current_actor(), id).id)
    if state is None:
        raise Refusal(Code.Versions_GetDetailFailed)
    return _all([shapes.version(state, version) for version in state.versions])


@center.operation(
    "apiresource-setonlineversion",
    "POST",
    "/ApiResource/<int:id>/Versions/<revisionId>",
    scope=Scope.APIRESOURCE_SETONLINEVERSION,
    result=fields.Boolean(),
    errors=("NotFound", "SetOnlineVersion_PostFailed"),
)
def set_online_version(id: int, revisionId: str) -> bool:  # noqa: N803 - the contract's name
    """Make a revision current.

    Calls go to it from then on, and a release note lists what breaks for existing callers.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    with _refusals(Code.SetOnlineVersion_PostFailed):
        gateway.carry_out(session, gateway.go_online(session, actor, api, revisionId))
    return True


@center.operation(
    "apiresource-releases",
    "GET",
    "/ApiResource/<int:id>/Releases",
    scope=Scope.APIRESOURCE_RELEASES,
    query=shapes.ReleasesQuery(),
    result=shapes.GatewayReleaseShape(),
    form="list",
    errors=("NotFound", "Releases_IdCanNotBeNull", "Releases_GetVersionListFailed"),
)
def releases(id: int, query: Mapping[str, Any]) -> Page:
    """List release notes of a gateway API."""
    api = _api(current_actor(), id)
    aid = (query["api_id"] or "").strip()
    if not aid:
        raise Refusal(Code.Releases_IdCanNotBeNull)
    state = gateway.find(database(), api.id)
    version = state and state.find(gateway.split(aid)[0])
    if not version:
        raise Refusal(Code.Releases_GetVersionListFailed)
    return _all([shapes.release(version, release) for release in version.releases])


@center.operation(
    "apiresource-postrelease",
    "POST",
    "/ApiResource/<int:id>/Releases",
    scope=Scope.APIRESOURCE_POSTRELEASE,
    body=shapes.PostReleaseRequestShape(),
    result=fields.Boolean(),
    errors=("NotFound",),
)
def post_release(id: int, body: Mapping[str, Any]) -> bool:
    """Create a release note.

    It puts nothing online. False: the gateway did not accept it.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    return _noted(lambda: gateway.add_release(session, actor, api, body["aid"], body["notes"]))


@center.operation(
    "apiresource-putrelease",
    "PUT",
    "/ApiResource/<int:id>/Releases/<releaseId>",
    scope=Scope.APIRESOURCE_PUTRELEASE,
    body=shapes.PutReleaseRequestShape(),
    result=fields.Boolean(),
    errors=("NotFound", "Releases_IdCanNotBeNull"),
)
def put_release(id: int, releaseId: str, body: Mapping[str, Any]) -> bool:  # noqa: N803 - as above
    """Update a release note.

    False: the gateway did not accept it.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    name = _release_name(releaseId)
    return _noted(lambda: gateway.change_release(session, actor, api, name, body["notes"]))


@center.operation(
    "apiresource-deleterelease",
    "DELETE",
    "/ApiResource/<int:id>/Releases/<releaseId>",
    scope=Scope.APIRESOURCE_DELETERELEASE,
    result=fields.Boolean(),
    errors=("NotFound", "Releases_IdCanNotBeNull"),
)
def delete_release(id: int, releaseId: str) -> bool:  # noqa: N803 - as above
    """Delete a release note.

    False: the gateway did not accept it.
    """
    session, actor = database(), current_actor()
    api = _api(actor, id)
    name = _release_name(releaseId)
    return _noted(lambda: gateway.remove_release(session, actor, api, name))


def _api(actor: Actor, id: int) -> ApiResource:
    return resources.get_api(database(), actor, id)


@contextmanager
def _refusals(code: Code, *, missing: Code | None = None) -> Iterator[None]:
    """Answer refusals of the service with a code, an API unknown to the gateway with another."""
    try:
        yield
    except NotPublished as problem:
        if problem.reason is Reason.NO_SUCH_API:
            if missing is None:
                raise NotFound from None
            code = missing
        language = current_language()
        message = f"{code.message(language)}: {in_words(problem, language)}"
        raise Refusal(code, message) from None


def _noted(make_plan: Callable[[], Plan]) -> bool:
    """Return whether the gateway accepted a change of release notes."""
    try:
        gateway.carry_out(database(), make_plan())
    except NotPublished as problem:
        if problem.reason is Reason.NO_SUCH_API:
            raise NotFound from None
        return False
    return True


def _release_name(text: str) -> str:
    name = text.strip()
    if not name:
        raise Refusal(Code.Releases_IdCanNotBeNull)
    return name


def _all(rows: Sequence[Any]) -> Page:
    return Page(rows, take=len(rows), skip=0, total=len(rows))
