"""Second factors of a user: listed, removed, reset, and set up anew by an enrolment code."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from idp.account import factor_administration
from idp.account.factor_administration import FactorsView
from idp.account.second_factors import PASSKEY
from idp.api.actor import acting, tenant_or_platform
from idp.api.admin.dialect import AdminShape, admin, matching
from idp.api.answers import current_language
from idp.directory.factors.enrolment import NewCode
from idp.directory.factors.models import Passkey, Totp
from idp.directory.factors.service import Factor
from idp.directory.levels import MFA
from idp.directory.scopes import Scope
from idp.platform.errors import NotFound
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, int32, text

USER_PATH = "/tenants/<int:tenant>/users/<int:user>"
PATH = f"{USER_PATH}/factors"
READ, WRITE = Scope.ADMIN_FACTORS_READ, Scope.ADMIN_FACTORS_WRITE
LONGEST_NUMBER = 18


class FactorShape(AdminShape):
    """A second factor, without its secret."""

    schema_name = "Factor"

    id = text()
    kind = text()
    name = text()
    created_at = Moment()
    last_used_at = Moment(allow_none=True)


class FactorsShape(AdminShape):
    """The second factors of a user."""

    schema_name = "Factors"

    factors = fields.List(fields.Nested(FactorShape))
    recovery_codes_left = int32()
    needs_enrolment_code = fields.Boolean(attribute="needs_code")
    enrolment_code_expires_at = Moment(attribute="code_expires_at", allow_none=True)
    codes_sent_to = fields.List(text(), attribute="targets")


class EnrolmentCodeShape(AdminShape):
    """A new enrolment code."""

    schema_name = "EnrolmentCode"

    code = text()
    expires_at = Moment()


FACTORS = FactorsShape()
CODE = EnrolmentCodeShape()


@admin.operation(
    "factors-get", "GET", PATH, scope=READ, tenant=tenant_or_platform(READ), result=FACTORS
)
def detail(tenant: int, user: int) -> dict[str, Any]:
    """Read the second factors of a user."""
    return shown(factor_administration.show(database(), acting(READ, tenant), user))


@admin.operation(
    "factors-remove",
    "DELETE",
    f"{PATH}/<factor>",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    level=MFA,
    form="empty",
)
def remove(tenant: int, user: int, factor: str, stamp: str | None) -> None:
    """Remove one of several second factors of a user."""
    kind, number = parts_of(factor)
    remove_it = {
        Factor.TOTP: factor_administration.remove_app,
        PASSKEY: factor_administration.remove_passkey,
    }
    remove_it[kind](
        database(),
        acting(WRITE, tenant),
        user,
        number,
        current_language(),
        lambda found: matching(FACTORS, stamp)(shown(found)),
    )
    database().commit()


@admin.operation(
    "factors-reset",
    "POST",
    f"{PATH}/reset",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    level=MFA,
    result=CODE,
)
def reset(tenant: int, user: int) -> NewCode:
    """Remove all second factors of a user who lost them."""
    new = factor_administration.reset(database(), acting(WRITE, tenant), user, current_language())
    database().commit()
    return new


@admin.operation(
    "factors-enrolment-code",
    "POST",
    f"{USER_PATH}/enrolment-codes",
    scope=WRITE,
    tenant=tenant_or_platform(WRITE),
    level=MFA,
    result=CODE,
)
def make_code(tenant: int, user: int) -> NewCode:
    """Make an enrolment code for a user without a second factor."""
    new = factor_administration.make_code(
        database(), acting(WRITE, tenant), user, current_language()
    )
    database().commit()
    return new


def shown(found: FactorsView) -> dict[str, Any]:
    """Return the second factors of a person as their shape reads them."""
    rows: list[tuple[str, Totp | Passkey]] = [
        *((Factor.TOTP.value, app) for app in found.apps),
        *((PASSKEY, passkey) for passkey in found.passkeys),
    ]
    listed = [
        {
            "id": f"{kind}-{row.id}",
            "kind": kind,
            "name": row.name,
            "created_at": row.created_at,
            "last_used_at": row.last_used_at,
        }
        for kind, row in rows
    ]
    return {
        "factors": listed,
        "recovery_codes_left": found.recovery_codes_left,
        "needs_code": found.needs_code,
        "code_expires_at": found.code_expires_at,
        "targets": [target.masked for target in found.targets],
    }


def parts_of(factor: str) -> tuple[str, int]:
    """Return the kind and the row that an id names; NotFound for any other text."""
    kind, _, number = factor.partition("-")
    is_number = number.isascii() and number.isdigit() and len(number) <= LONGEST_NUMBER
    if kind not in {Factor.TOTP, PASSKEY} or not is_number:
        raise NotFound
    return kind, int(number)
