"""Initial access tokens: with one, clients register themselves as far as its policy goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, post_load, validate

from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page, row_id
from idp.directory import product
from idp.directory.clients import registration_tokens
from idp.directory.clients.metadata import CODE, REFRESH
from idp.directory.clients.models import RegistrationToken
from idp.directory.clients.registration_tokens import (
    LONGEST_NOTE,
    MOST_HOSTS,
    MOST_USES,
    NewToken,
    Policy,
    Statements,
)
from idp.directory.levels import MFA
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, boolean, int32, int64, text

PATH = "/tenants/<int:tenant>/registration-tokens"
READ, WRITE = Scope.ADMIN_CLIENTS_READ, Scope.ADMIN_CLIENTS_WRITE
MOST = 200
ALGORITHMS = ("RS256", "ES256")


def _values(longest: int, most: int = MOST, **options: Any) -> fields.List[Any]:
    return fields.List(text(longest, minimum=1), validate=validate.Length(max=most), **options)


class PolicyShape(AdminShape):
    """What clients may be that register with a token."""

    redirect_hosts = _values(253, MOST_HOSTS, load_default=())
    scopes = _values(200, load_default=())
    grant_types = _values(250, load_default=(CODE, REFRESH))
    auth_methods = _values(50, load_default=product.AUTH_METHODS)
    trusted = boolean(load_default=False)
    requires_pkce = boolean(load_default=True)
    statement_issuer = text(2000, allow_none=True, load_default=None)
    statement_jwks_uri = text(2000, allow_none=True, load_default=None)
    statement_algorithms = _values(20, load_default=ALGORITHMS)
    statement_required = boolean(load_default=False)


class TokenShape(PolicyShape):
    """A token, without its value."""

    schema_name = "RegistrationToken"

    id = int64()
    tenant = int64(attribute="tenant_id", allow_none=True)
    note = text(allow_none=True)
    state = text()
    uses_left = int32(allow_none=True)
    expires_at = Moment(allow_none=True)
    created_at = Moment()
    revoked_at = Moment(allow_none=True)


class IssuedTokenShape(TokenShape):
    """A new token, with its value."""

    schema_name = "IssuedRegistrationToken"

    token = text()


class NewTokenShape(PolicyShape):
    """A token to be issued."""

    schema_name = "NewRegistrationToken"

    note = text(LONGEST_NOTE, allow_none=True, load_default=None)
    uses = int32(minimum=1, maximum=MOST_USES, allow_none=True, load_default=None)
    expires_at = Moment(allow_none=True, load_default=None)

    @post_load
    def to_new(self, data: dict[str, Any], **_: Any) -> NewToken:
        """Return what the view takes."""
        issuer = data["statement_issuer"]
        trusted = None
        if issuer is not None:
            trusted = Statements(
                issuer,
                data["statement_jwks_uri"] or "",
                data["statement_algorithms"],
                data["statement_required"],
            )
        policy = Policy(
            data["redirect_hosts"],
            data["scopes"],
            data["grant_types"],
            data["auth_methods"],
            data["trusted"],
            data["requires_pkce"],
            trusted,
        )
        return NewToken(policy, data["note"], data["uses"], data["expires_at"])


class ListQuery(Paging):
    """Where the page starts."""

    after = row_id(minimum=0, load_default=0)


@admin.operation(
    "clients-registration-token-list",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=TokenShape(),
    form="page",
)
def list_(tenant: int, query: Mapping[str, Any]) -> Page:
    """List tokens in the order in which they were issued."""
    limit = query["limit"]
    rows = registration_tokens.list_page(
        database(), acting(READ, tenant), after_id=query["after"], limit=limit + 1
    )
    return page([shown(row) for row in rows], limit, lambda row: row["id"])


@admin.operation(
    "clients-registration-token-issue",
    "POST",
    PATH,
    level=MFA,
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    body=NewTokenShape(),
    body_required=False,
    result=IssuedTokenShape(),
    location="/tenants/{tenant}/registration-tokens/{id}",
)
def issue(tenant: int, body: NewToken) -> dict[str, Any]:
    """Issue a token; its value is answered this once."""
    actor = acting(WRITE, tenant)
    row, value = registration_tokens.issue(database(), actor, actor.owner_tenant, body)
    issued = {**shown(row), "token": value}
    database().commit()
    return issued


@admin.operation(
    "clients-registration-token-get",
    "GET",
    f"{PATH}/<int:id>",
    scope=READ,
    tenant=tenant_or_platform(READ),
    result=TokenShape(),
)
def detail(tenant: int, id: int) -> dict[str, Any]:
    """Read a token; never its value."""
    return shown(registration_tokens.get(database(), acting(READ, tenant), id))


@admin.operation(
    "clients-registration-token-revoke",
    "POST",
    f"{PATH}/<int:id>/revoke",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=TokenShape(),
)
def revoke(tenant: int, id: int) -> dict[str, Any]:
    """Revoke a token: nobody registers with it any more; its clients stay."""
    row = registration_tokens.revoke(database(), acting(WRITE, tenant), id)
    database().commit()
    return shown(row)


def shown(row: RegistrationToken) -> dict[str, Any]:
    """Return what is known of a token."""
    policy = registration_tokens.policy_of(row)
    trusted = policy.statements
    return {
        **{name: getattr(row, name) for name in _SAME},
        "state": registration_tokens.state_of(row),
        "redirect_hosts": list(policy.redirect_hosts),
        "scopes": list(policy.scopes),
        "grant_types": list(policy.grant_types),
        "auth_methods": list(policy.auth_methods),
        "trusted": policy.is_trusted,
        "requires_pkce": policy.requires_pkce,
        "statement_issuer": None if trusted is None else trusted.issuer,
        "statement_jwks_uri": None if trusted is None else trusted.jwks_uri,
        "statement_algorithms": [] if trusted is None else list(trusted.algorithms),
        "statement_required": trusted is not None and trusted.is_required,
    }


_SAME = (
    *("id", "tenant_id", "note", "uses_left"),
    *("expires_at", "created_at", "revoked_at"),
)
