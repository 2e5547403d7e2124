"""Branding of a tenant: read and replaced."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load

from idp.api.actor import acting, tenant_below_platform
from idp.api.admin.dialect import AdminShape, Tagged, admin
from idp.directory.branding.rules import (
    LONGEST_LINK,
    LONGEST_NAME,
    LONGEST_TEXT,
    BrandingSpec,
)
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import text
from idp.publishing import branding

PATH = "/tenants/<int:tenant>/branding"
READ, WRITE = Scope.ADMIN_BRANDING_READ, Scope.ADMIN_BRANDING_WRITE
LONGEST_FILE = 40
LONGEST_COLOUR = 7


def _optional(maximum: int) -> fields.String:
    return text(maximum, allow_none=True, load_default=None)


class BrandingTextsShape(AdminShape):
    """The texts of one language."""

    schema_name = "BrandingTexts"

    sign_in = _optional(LONGEST_TEXT)
    register = _optional(LONGEST_TEXT)
    mail = _optional(LONGEST_TEXT)


class BrandingLanguagesShape(AdminShape):
    """The texts by language."""

    schema_name = "BrandingLanguages"

    en = fields.Nested(BrandingTextsShape)
    zh = fields.Nested(BrandingTextsShape)


class BrandingShape(AdminShape):
    """What a tenant sets of the look of its pages and mails; null: the default."""

    schema_name = "Branding"

    name = _optional(LONGEST_NAME)
    accent = _optional(LONGEST_COLOUR)
    accent_dark = _optional(LONGEST_COLOUR)
    logo = _optional(LONGEST_FILE)
    icon = _optional(LONGEST_FILE)
    help_uri = _optional(LONGEST_LINK)
    privacy_uri = _optional(LONGEST_LINK)
    imprint_uri = _optional(LONGEST_LINK)
    texts = fields.Nested(BrandingLanguagesShape, load_default=dict)

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> BrandingSpec:
        """Return the branding as the service takes it."""
        return BrandingSpec(**data)


BRANDING = BrandingShape()


@admin.operation(
    "branding-get",
    "GET",
    PATH,
    scope=READ,
    tenant=tenant_below_platform(READ),
    result=BRANDING,
)
def detail(tenant: int) -> Tagged:
    """Read the branding of a tenant."""
    row = branding.get(database(), acting(READ, tenant), tenant)
    return Tagged(row, row.concurrency_stamp)


@admin.operation(
    "branding-replace",
    "PUT",
    PATH,
    scope=WRITE,
    tenant=tenant_below_platform(WRITE),
    body=BRANDING,
    result=BRANDING,
)
def replace(tenant: int, body: BrandingSpec, stamp: str | None) -> Tagged:
    """Replace the branding of a tenant."""
    row = branding.replace(database(), acting(WRITE, tenant), tenant, body, stamp=stamp)
    database().commit()
    return Tagged(row, row.concurrency_stamp)
