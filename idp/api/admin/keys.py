"""Signing keys: listed, rotated, imported, and revoked when they are stolen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from idp.api.actor import platform
from idp.api.admin.dialect import AdminShape, Page, Paging, admin, page, row_id
from idp.directory.levels import MFA
from idp.directory.scopes import Scope
from idp.platform.signing import service as signing
from idp.platform.signing.algorithms import ALGORITHMS
from idp.platform.signing.models import SigningKey
from idp.platform.web.views import database
from idp.platform.wire.shapes import Moment, text

STATES = ("next", "active", "retired", "gone", "revoked")
LONGEST_KID = 64


class KeyShape(AdminShape):
    """A signing key, without what signs."""

    schema_name = "SigningKey"

    kid = text()
    alg = text()
    state = text()
    public_jwk = fields.Dict()
    on_former_secret = fields.Boolean()
    created_at = Moment()
    activated_at = Moment(allow_none=True)
    retired_at = Moment(allow_none=True)
    publish_until = Moment(allow_none=True)


class RotationShape(AdminShape):
    """Which keys are rotated."""

    schema_name = "KeyRotation"

    alg = text(allow_none=True, load_default=None, checks=[validate.OneOf(list(ALGORITHMS))])


class ImportShape(AdminShape):
    """A private key in PEM form, without a passphrase; no answer repeats it."""

    schema_name = "NewSigningKey"

    pem = text(signing.MOST_PEM_BYTES, minimum=1, required=True, load_only=True)
    alg = text(allow_none=True, load_default=None, checks=[validate.OneOf(list(ALGORITHMS))])


class RotatedShape(AdminShape):
    """The keys that sign from now on."""

    schema_name = "RotatedKeys"

    keys = fields.List(fields.Nested(KeyShape))


class ListQuery(Paging):
    """What the list is narrowed by."""

    state = text(load_default=None, checks=[validate.OneOf(STATES)])
    after = row_id(load_default=None)


KEY = KeyShape()


@admin.operation(
    "keys-list",
    "GET",
    "/keys",
    scope=Scope.ADMIN_KEYS_READ,
    tenant=platform,
    query=ListQuery(),
    result=KEY,
    form="page",
)
def list_(query: Mapping[str, Any]) -> Page:
    """List signing keys, the newest first."""
    found = signing.list_page(
        database(), status=query["state"], before_id=query["after"], limit=query["limit"] + 1
    )
    listed = page(found, query["limit"], lambda key: key.id)
    return Page([shown(key) for key in listed.rows], listed.next)


@admin.operation(
    "keys-get",
    "GET",
    "/keys/<kid>",
    scope=Scope.ADMIN_KEYS_READ,
    tenant=platform,
    result=KEY,
)
def detail(kid: str) -> dict[str, Any]:
    """Read a signing key."""
    return shown(signing.get(database(), kid))


@admin.operation(
    "keys-rotate",
    "POST",
    "/keys/rotate",
    level=MFA,
    scope=Scope.ADMIN_KEYS_WRITE,
    tenant=platform,
    body=RotationShape(),
    body_required=False,
    result=RotatedShape(),
)
def rotate(body: Mapping[str, str | None]) -> dict[str, Any]:
    """Sign by the next key from now on; the former one stays published."""
    rotated = [shown(key) for key in signing.rotate_now(database(), body["alg"])]
    database().commit()
    return {"keys": rotated}


@admin.operation(
    "keys-import",
    "POST",
    "/keys/import",
    scope=Scope.ADMIN_KEYS_WRITE,
    tenant=platform,
    body=ImportShape(),
    result=KEY,
    location="/keys/{kid}",
)
def import_(body: Mapping[str, str | None]) -> dict[str, Any]:
    """Make a private key the next one of its algorithm; it signs after the next rotation."""
    imported = shown(signing.import_one(database(), (body["pem"] or "").encode(), body["alg"]))
    database().commit()
    return imported


@admin.operation(
    "keys-revoke",
    "POST",
    "/keys/<kid>/revoke",
    level=MFA,
    scope=Scope.ADMIN_KEYS_WRITE,
    tenant=platform,
    result=KEY,
)
def revoke(kid: str) -> dict[str, Any]:
    """Take a stolen key out of use; tokens that it signed stop verifying."""
    signing.revoke(database(), kid)
    revoked = shown(signing.get(database(), kid))
    database().commit()
    return revoked


def shown(key: SigningKey) -> dict[str, Any]:
    """Show a key."""
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": key.status,
        "public_jwk": key.public_jwk,
        "on_former_secret": signing.is_on_former_secret(database(), key),
        "created_at": key.created_at,
        "activated_at": key.activated_at,
        "retired_at": key.retired_at,
        "publish_until": key.publish_until,
    }
