"""Explanations as plain data, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """Where something comes from, or why it is missing."""

    code: str
    """Stable, for programs and translations; see `reasons.TEXTS`."""
    subject: str | None
    """What it names: a role, a scope, an API, a bundle, a permission."""
    text: str


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """A scope that was asked for."""

    name: str
    is_granted: bool
    api: str | None
    """API that it belongs to; None: to none."""
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class ClaimLine:
    """A claim of a token, or one that it could have."""

    token: str
    """`access_token` or `id_token`."""
    name: str
    is_present: bool
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class RoleLine:
    """A role of the person."""

    code: str
    is_present: bool
    is_of_platform: bool
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class PermissionLine:
    """A permission that the access token has, or could have."""

    code: str
    is_present: bool
    api: str | None
    """API that owns it; None: no API does."""
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class Refused:
    """The check that refuses, and the rule behind it."""

    error: str
    description: str
    check: str
    rule: str | None


@dataclass(frozen=True, slots=True)
class TokenContent:
    """What a token would say."""

    format: str
    """`jwt` or `reference`."""
    algorithm: str | None
    audience: Sequence[str]
    expires_in: int
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The tokens that a client would get now, and why."""

    issuer: str
    client_id: str
    tenant_id: int
    user_id: int | None
    grant_type: str
    consent: str
    """`not_needed`, `given`, or `needed`: the person is asked first."""
    refused: Refused | None
    """None: tokens would be issued."""
    access_token: TokenContent | None
    id_token: TokenContent | None
    has_refresh_token: bool
    scopes: Sequence[ScopeLine]
    claims: Sequence[ClaimLine]
    roles: Sequence[RoleLine]
    permissions: Sequence[PermissionLine]
    has_more_permissions: bool
    """Whether further permissions are missing that are not listed."""


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """One thing that a token must satisfy."""

    name: str
    """`form`, `signature`, `issuer`, `expiry` or `revocation`."""
    state: str
    """`passed`, `failed` or `skipped`."""
    text: str


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token that somebody has, taken apart and verified."""

    kind: str
    """`access_token`, `id_token`, `reference_token` or `unknown`."""
    is_active: bool
    checks: Sequence[TokenCheck]
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    """Unverified, unless the signature passed."""
    differences: Sequence[str]
    """Claims that would be other ones if it were issued now."""
    now: Explanation | None
    """What would be issued now; None: it is not ours, or out of reach."""


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """A request that an endpoint of the protocol refused."""

    request_id: str
    at: datetime
    path: str
    client_id: str | None
    refused: Refused
    reason: str | None
    """What the caller was not told."""
