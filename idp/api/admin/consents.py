"""Consents that people gave to clients, of a user and of a client: listed and ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields
from sqlalchemy import Select

from idp.account import client_access, live_access
from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import AdminShape, Page, admin, page_of
from idp.api.admin.grants import ENDED, READ, WRITE, ListQuery
from idp.directory.clients import management as clients
from idp.directory.scopes import Scope
from idp.directory.users import management as people
from idp.oauth.models import Consent
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int64, text

OF_USER = "/tenants/<int:tenant>/users/<int:user>/consents"
OF_CLIENT = "/tenants/<int:tenant>/clients/<int:client>/consents"


class ConsentShape(AdminShape):
    """What a person allows a client in a tenant."""

    schema_name = "Consent"

    id = int64()
    user = int64(attribute="user_id")
    client = int64(attribute="client_id")
    tenant = int64(attribute="tenant_id")
    scopes = fields.List(text())
    created_at = Moment()
    expires_at = Moment(allow_none=True)


CONSENT = ConsentShape()


@admin.operation(
    "sessions-user-consent-list",
    "GET",
    OF_USER,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=CONSENT,
    form="page",
)
def list_of_user(tenant: int, user: int, query: Mapping[str, Any]) -> Page:
    """List the consents of a user, the oldest first."""
    return page_of(_of_user(READ, tenant, user), Consent, query)


@admin.operation(
    "sessions-user-consent-end",
    "POST",
    f"{OF_USER}/<int:id>/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def end_of_user(tenant: int, user: int, id: int) -> None:
    """End a consent of a user, with the tokens of the client for them."""
    _end(_of_user(WRITE, tenant, user), id)


@admin.operation(
    "sessions-user-consent-end-all",
    "POST",
    f"{OF_USER}/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ENDED,
)
def end_all_of_user(tenant: int, user: int) -> dict[str, int]:
    """End the consents of a user, 500 at a time."""
    return _end_all(_of_user(WRITE, tenant, user))


@admin.operation(
    "sessions-client-consent-list",
    "GET",
    OF_CLIENT,
    scope=READ,
    tenant=tenant_or_platform(READ),
    query=ListQuery(),
    result=CONSENT,
    form="page",
)
def list_of_client(tenant: int, client: int, query: Mapping[str, Any]) -> Page:
    """List the consents to a client, the oldest first."""
    return page_of(_of_client(READ, tenant, client), Consent, query)


@admin.operation(
    "sessions-client-consent-end",
    "POST",
    f"{OF_CLIENT}/<int:id>/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    form="empty",
)
def end_of_client(tenant: int, client: int, id: int) -> None:
    """End a consent to a client, with the tokens of the client for the person."""
    _end(_of_client(WRITE, tenant, client), id)


@admin.operation(
    "sessions-client-consent-end-all",
    "POST",
    f"{OF_CLIENT}/end",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    result=ENDED,
)
def end_all_of_client(tenant: int, client: int) -> dict[str, int]:
    """End the consents to a client, 500 at a time."""
    return _end_all(_of_client(WRITE, tenant, client))


def _of_user(permission: Scope, tenant: int, user_id: int) -> Select[Consent]:
    actor = acting(permission, tenant)
    user = people.get_member(database(), actor, user_id)
    return client_access.consents_query(actor, user_id=user.id)


def _of_client(permission: Scope, tenant: int, row_id: int) -> Select[Consent]:
    actor = acting(permission, tenant)
    client = clients.get(database(), actor, row_id)
    return client_access.consents_query(actor, client_row_id=client.id)


def _end(found: Select[Consent], consent_id: int) -> None:
    client_access.end_consent(database(), found, consent_id)
    database().commit()


def _end_all(found: Select[Consent]) -> dict[str, int]:
    ended = client_access.end_consents(database(), found, live_access.MOST_ENDED)
    remaining = live_access.count(database(), found)
    database().commit()
    return {"ended": ended, "remaining": remaining}
