"""What the audit log compares of a resource; no values of secrets and settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.platform.audit.difference import Rows, State

PRIVATE = ("properties", "secrets")
_TEXTS = ("name", "display_name", "description")
_SCOPE = ("display_name", "description", "required", "emphasize", "show_in_discovery_document")


def of_api(api: ApiResource) -> State:
    """Return the fields and lists of an API."""
    return {
        **_fields(api, ("enabled", *_TEXTS, "open_to_strangers")),
        **_of_scopes(api.scopes),
        "default_scopes": Rows({name: name for name in api.default_scopes or ()}),
        "user_claims": Rows({row.id: row.type for row in api.user_claims}),
        "properties": Rows({row.id: (row.key, row.value) for row in api.properties}),
        "secrets": Rows(
            {
                row.id: (row.id, row.description, row.expires_at, row.value_hash)
                for row in api.secrets
            }
        ),
    }


def of_identity(resource: IdentityResource) -> State:
    """Return the fields and claims of an identity resource."""
    return {
        **_fields(resource, ("enabled", "name", *_SCOPE)),
        "user_claims": Rows({row.id: row.type for row in resource.user_claims}),
    }


def _of_scopes(scopes: Iterable[ApiScope]) -> dict[str, Any]:
    """Return the names of scopes, and a list for each field of theirs: `name=value`."""
    rows = [*scopes]
    state: dict[str, Any] = {"scopes": Rows({row.id: row.name for row in rows})}
    for field in _SCOPE:
        state[f"scopes.{field}"] = Rows({row.id: (row.name, getattr(row, field)) for row in rows})
    state["scopes.user_claims"] = Rows(
        {(row.id, claim.id): (row.name, claim.type) for row in rows for claim in row.user_claims}
    )
    return state


def _fields(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
