"""What the audit trail tells about a change: fields before and after, never a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource

MOST_ROWS = 50
"""How many child rows of a kind one event names."""

_SILENT = {"value", "value_hash"}
_TEXTS = ("name", "display_name", "description")
_SCOPE = (*_TEXTS, "required", "emphasize", "show_in_discovery_document")

Snapshot = Mapping[str, Any]
"""Fields by name; child rows by id."""


def of_api(api: ApiResource) -> Snapshot:
    """Take down an API with its children."""
    return {
        **_fields(api, ("enabled", *_TEXTS)),
        "scopes": {row.id: _scope(row) for row in api.scopes},
        "user_claims": {row.id: {"type": row.type} for row in api.user_claims},
        "properties": {row.id: _fields(row, ("key", "value")) for row in api.properties},
        "secret_ids": {
            row.id: _fields(row, ("id", "description", "expires_at", "value_hash"))
            for row in api.secrets
        },
    }


def of_identity(resource: IdentityResource) -> Snapshot:
    """Take down an identity resource with its claims."""
    return {
        **_fields(resource, ("enabled", *_SCOPE)),
        "user_claims": {row.id: {"type": row.type} for row in resource.user_claims},
    }


def difference(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """Tell what changed; of values and secrets only that they did."""
    changed = [name for name in after if before[name] != after[name]]
    return {
        "before": {name: _told(before[name], after[name]) for name in changed},
        "after": {name: _told(after[name], before[name]) for name in changed},
    }


def _told(side: Any, other: Any) -> Any:
    if not isinstance(side, Mapping):
        return side
    rows = [row for row_id, row in side.items() if other.get(row_id) != row]
    told: list[Any] = [
        {name: value for name, value in row.items() if name not in _SILENT}
        for row in rows[:MOST_ROWS]
    ]
    if len(rows) > MOST_ROWS:
        told.append(f"and {len(rows) - MOST_ROWS} more")
    return told


def _scope(scope: ApiScope) -> dict[str, Any]:
    return {
        **_fields(scope, _SCOPE),
        "user_claims": sorted(row.type for row in scope.user_claims),
        "user_claim_ids": sorted(row.id for row in scope.user_claims),
    }


def _fields(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}
