"""Branding of a tenant: read and replaced."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load

from idp.api.actor import current_actor, tenant_below_platform
from idp.api.admin.dialect import AdminShape, admin
from idp.directory.branding.models import Branding
from idp.directory.branding.rules import (
    LONGEST_LINK,
    LONGEST_NAME,
    LONGEST_TEXT,
    BrandingSpec,
)
from idp.directory.scopes import Scope
from idp.platform.web.views import database
from idp.platform.wire.shapes import Stamp, text
from idp.publishing import branding

PATH = "/tenants/<int:tenant>/branding"
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
    concurrency_stamp = Stamp()

    @post_load
    def to_spec(self, data: dict[str, Any], **_: Any) -> BrandingSpec:
        """Return the branding as the service takes it."""
        return BrandingSpec(**data)


BRANDING = BrandingShape()


@admin.operation(
    "branding-get",
    "GET",
    PATH,
    scope=Scope.ADMIN_BRANDING_READ,
    tenant=tenant_below_platform(Scope.ADMIN_BRANDING_READ),
    gives=BRANDING,
)
def detail(tenant: int) -> Branding:
    """Read the branding of a tenant."""
    return branding.get(database(), current_actor().within(tenant), tenant)


@admin.operation(
    "branding-replace",
    "PUT",
    PATH,
    scope=Scope.ADMIN_BRANDING_WRITE,
    tenant=tenant_below_platform(Scope.ADMIN_BRANDING_WRITE),
    body=BRANDING,
    gives=BRANDING,
)
def replace(tenant: int, body: BrandingSpec) -> Branding:
    """Replace the branding of a tenant."""
    row = branding.replace(database(), current_actor().within(tenant), tenant, body)
    database().commit()
    return row
