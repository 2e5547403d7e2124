"""Resources as forms hold them: every field, and child rows by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """The name of a user claim; id 0 is a new row, here as in every other child."""

    type: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """A setting of an API."""

    key: str
    value: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A secret of an API; without a value the stored one stays."""

    value: str | None = None
    description: str | None = None
    expires_at: datetime | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope of an API; without a list of claims the stored ones stay."""

    name: str
    display_name: str | None = None
    description: str | None = None
    required: bool = False
    emphasize: bool = False
    show_in_discovery_document: bool = True
    user_claims: Sequence[ClaimRow] | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class ApiSpec:
    """An API resource; a list that is None stays as it is, an empty one clears."""

    name: str
    enabled: bool = True
    display_name: str | None = None
    description: str | None = None
    secrets: Sequence[SecretRow] | None = None
    scopes: Sequence[ScopeRow] | None = None
    user_claims: Sequence[ClaimRow] | None = None
    properties: Sequence[PropertyRow] | None = None
    default_scopes: Sequence[str] | None = None
    open_to_strangers: bool | None = None
    """None: it stays as it is."""
    id: int = 0
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""


@dataclass(frozen=True, slots=True)
class IdentitySpec:
    """An identity resource; without a list of claims the stored ones stay."""

    name: str
    enabled: bool = True
    display_name: str | None = None
    description: str | None = None
    required: bool = False
    emphasize: bool = False
    show_in_discovery_document: bool = True
    user_claims: Sequence[ClaimRow] | None = None
    id: int = 0
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""
