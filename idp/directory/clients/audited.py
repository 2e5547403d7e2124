"""What the audit log compares of a client; no values of secrets and properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from idp.directory.clients import fields
from idp.directory.clients.models import Client
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows, State
from idp.platform.audit.tags import Tag

_LISTS: Mapping[str, tuple[str, ...]] = {
    "grant_types": ("grant_type",),
    "scopes": ("scope",),
    "redirect_uris": ("redirect_uri",),
    "post_logout_redirect_uris": ("post_logout_redirect_uri",),
    "cors_origins": ("origin",),
    "claims": ("type", "value"),
    "properties": ("key", "value"),
    "secrets": ("id", "description", "expires_at", "value_hash"),
}
_PRIVATE = ("properties", "secrets")


def state_of(client: Client) -> dict[str, Any]:
    """Return the settings and lists of a client."""
    return {
        "client_id": client.client_id,
        "origin": client.origin,
        **{name: getattr(client, name) for name in fields.FIELDS},
        **{
            name: Rows(
                {
                    row.id: tuple(getattr(row, column) for column in columns)
                    for row in getattr(client, name)
                }
            )
            for name, columns in _LISTS.items()
        },
    }


def blank() -> dict[str, Any]:
    """Return the state of a client without any values."""
    return {name: fields.default_of(name) for name in (*fields.FIELDS, "origin")}


def record(session: Session, client: Client, tag: Tag, before: State, after: State) -> None:
    """Record a change of a client."""
    target = f"client:{client.client_id}"
    audit.record_change(
        session, tag, target, before, after, private=_PRIVATE, tenant_id=client.tenant_id
    )
