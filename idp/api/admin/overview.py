"""What an administrator looks at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from idp import __version__
from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import AdminShape, admin
from idp.directory import overview
from idp.directory.overview import Day, Installation
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int32, int64, number_in_query, text

MOST_DAYS = 90


class TokensShape(AdminShape):
    """Tokens of people by grant type; those of machines leave no trace to count."""

    schema_name = "TokenFigures"

    authorization_code = int64()
    refresh_token = int64()


class DayShape(AdminShape):
    """What happened on a day."""

    schema_name = "DayFigures"

    day = fields.Date()
    sign_ins = int64()
    sign_in_refusals = int64()
    tokens = fields.Nested(TokensShape)
    new_users = int64()


class ActiveKeyShape(AdminShape):
    """The key that an algorithm signs by."""

    schema_name = "ActiveKey"

    kid = text()
    alg = text()
    activated_at = Moment(allow_none=True)


class MessagesShape(AdminShape):
    """Messages and jobs that are not done."""

    schema_name = "OpenMessages"

    waiting = int32()
    failed = int32()


class InstallationShape(AdminShape):
    """How the installation is."""

    schema_name = "Installation"

    version = text()
    messages = fields.Nested(MessagesShape)
    active_keys = fields.List(fields.Nested(ActiveKeyShape))
    to_do = fields.List(text())


class OverviewShape(AdminShape):
    """Figures by day, and how the installation is."""

    schema_name = "Overview"

    days = fields.List(fields.Nested(DayShape))
    counted_at = Moment(allow_none=True)
    installation = fields.Nested(InstallationShape, allow_none=True)


class OverviewQuery(AdminShape):
    """How many days are shown."""

    days = number_in_query(minimum=1, maximum=MOST_DAYS, load_default=30)


@admin.operation(
    "overview-get",
    "GET",
    "/tenants/<int:tenant>/overview",
    scope=Scope.ADMIN_OVERVIEW_READ,
    tenant=tenant_or_platform(Scope.ADMIN_OVERVIEW_READ),
    query=OverviewQuery(),
    result=OverviewShape(),
)
def read(tenant: int, query: Mapping[str, int]) -> dict[str, Any]:
    """Read the figures of a tenant, or at the platform of all."""
    found = overview.read(database(), acting(Scope.ADMIN_OVERVIEW_READ, tenant), query["days"])
    return {
        "days": [_day(day) for day in found.days],
        "counted_at": found.counted_at,
        "installation": found.installation and _installation(found.installation),
    }


def _day(day: Day) -> dict[str, Any]:
    return {
        "day": day.day,
        "sign_ins": day.sign_ins,
        "sign_in_refusals": day.sign_in_refusals,
        "tokens": {
            "authorization_code": day.tokens_by_code,
            "refresh_token": day.tokens_by_refresh,
        },
        "new_users": day.new_users,
    }


def _installation(found: Installation) -> dict[str, Any]:
    return {
        "version": __version__,
        "messages": {"waiting": found.messages_waiting, "failed": found.messages_failed},
        "active_keys": found.active_keys,
        "to_do": found.to_do,
    }
