"""Why a token says what it says, and why a request was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from idp.api.actor import acts_for_platform, tenant_or_platform
from idp.api.admin.dialect import AdminShape, admin, row_id
from idp.directory.scopes import Scope
from idp.explain import presented, refusals, service
from idp.explain.results import Explanation, PresentedToken, RefusedRequest
from idp.explain.service import Question
from idp.oauth.refused_requests import LONGEST_ID
from idp.oauth.signed_tokens import MAX_TOKEN_LENGTH
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int32, int64, text

PATH = "/tenants/<int:tenant>/explain"
LONGEST_LIST = 8000
READ = Scope.ADMIN_EXPLAIN_READ


class ReasonShape(AdminShape):
    """Where something comes from, or why it is missing."""

    schema_name = "Reason"

    code = text()
    subject = text(allow_none=True)
    text = text()


class ScopeLineShape(AdminShape):
    """A scope that was asked for."""

    schema_name = "ExplainedScope"

    name = text()
    granted = fields.Boolean(attribute="is_granted")
    api = text(allow_none=True)
    reasons = fields.List(fields.Nested(ReasonShape))


class ClaimLineShape(AdminShape):
    """A claim of a token, or one that it could have."""

    schema_name = "ExplainedClaim"

    token = text()
    name = text()
    present = fields.Boolean(attribute="is_present")
    reasons = fields.List(fields.Nested(ReasonShape))


class RoleLineShape(AdminShape):
    """A role of the person."""

    schema_name = "ExplainedRole"

    code = text()
    present = fields.Boolean(attribute="is_present")
    platform = fields.Boolean(attribute="is_of_platform")
    reasons = fields.List(fields.Nested(ReasonShape))


class PermissionLineShape(AdminShape):
    """A permission that the access token has, or could have."""

    schema_name = "ExplainedPermission"

    code = text()
    present = fields.Boolean(attribute="is_present")
    api = text(allow_none=True)
    reasons = fields.List(fields.Nested(ReasonShape))


class RefusedShape(AdminShape):
    """The check that refuses, and the rule behind it."""

    schema_name = "Refusal"

    error = text()
    description = text()
    check = text()
    rule = text(allow_none=True)


class ContentShape(AdminShape):
    """What a token would say."""

    schema_name = "TokenContent"

    format = text()
    algorithm = text(allow_none=True)
    audience = fields.List(text())
    expires_in = int32()
    claims = fields.Dict()


class ExplanationShape(AdminShape):
    """The tokens that a client would get now, and why."""

    schema_name = "Explanation"

    issuer = text()
    client = text(attribute="client_id")
    tenant = int64(attribute="tenant_id")
    user = int64(attribute="user_id", allow_none=True)
    grant_type = text()
    consent = text()
    refused = fields.Nested(RefusedShape, allow_none=True)
    access_token = fields.Nested(ContentShape, allow_none=True)
    id_token = fields.Nested(ContentShape, allow_none=True)
    refresh_token = fields.Boolean(attribute="has_refresh_token")
    scopes = fields.List(fields.Nested(ScopeLineShape))
    claims = fields.List(fields.Nested(ClaimLineShape))
    roles = fields.List(fields.Nested(RoleLineShape))
    permissions = fields.List(fields.Nested(PermissionLineShape))
    more_permissions = fields.Boolean(attribute="has_more_permissions")


class CheckShape(AdminShape):
    """One thing that a token must satisfy."""

    schema_name = "TokenCheck"

    name = text()
    state = text()
    text = text()


class PresentedShape(AdminShape):
    """A token that somebody has, taken apart and verified."""

    schema_name = "PresentedToken"

    kind = text()
    active = fields.Boolean(attribute="is_active")
    checks = fields.List(fields.Nested(CheckShape))
    header = fields.Dict()
    claims = fields.Dict()
    differences = fields.List(text())
    now = fields.Nested(ExplanationShape, allow_none=True)


class RefusedRequestShape(AdminShape):
    """A request that the protocol refused."""

    schema_name = "RefusedRequest"

    request = text(attribute="request_id")
    at = Moment()
    path = text()
    client = text(attribute="client_id", allow_none=True)
    refused = fields.Nested(RefusedShape)
    reason = text(allow_none=True)


class TokenShape(AdminShape):
    """A token to be explained."""

    schema_name = "TokenToExplain"

    token = text(MAX_TOKEN_LENGTH, minimum=1, required=True)


class TokenQuery(AdminShape):
    """Which token is to be explained."""

    client = text(200, minimum=1, required=True)
    user = row_id(load_default=None)
    scope = text(LONGEST_LIST, load_default="")
    resource = text(LONGEST_LIST, load_default="")
    permission = text(LONGEST_LIST, load_default="")


class RequestQuery(AdminShape):
    """Which request is to be explained."""

    request = text(LONGEST_ID, minimum=1, required=True)


@admin.operation(
    "explain-token",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=TokenQuery(),
    result=ExplanationShape(),
)
def token(tenant: int, query: Mapping[str, Any]) -> Explanation:
    """Explain the tokens that a client would get now, for a person or for itself."""
    question = Question(
        client_id=query["client"],
        tenant_id=tenant,
        user_id=query["user"],
        scopes=_names(query["scope"]),
        resources=_names(query["resource"]),
        permissions=_names(query["permission"]),
    )
    return service.explain(database(), question, within=_within(tenant))


@admin.operation(
    "explain-presented",
    "POST",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    body=TokenShape(),
    result=PresentedShape(),
)
def present(tenant: int, body: Mapping[str, Any]) -> PresentedToken:
    """Take a token apart, verify it, and compare it with what would be issued now."""
    return presented.explain(database(), body["token"], within=_within(tenant))


@admin.operation(
    "explain-request",
    "GET",
    f"{PATH}/request",
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=RequestQuery(),
    result=RefusedRequestShape(),
)
def request(tenant: int, query: Mapping[str, Any]) -> RefusedRequest:
    """Explain why a request was refused."""
    return refusals.explain(database(), query["request"], within=_within(tenant))


def _within(tenant_id: int) -> int | None:
    """Return the tenant whose clients and people the caller may explain; None: all."""
    return None if acts_for_platform(READ) else tenant_id


def _names(listed: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(listed.split()))
