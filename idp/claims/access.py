"""Claims for access decisions: tenant, role and permission."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from idp.claims.subject import Subject
from idp.directory.permissions import Permission
from idp.directory.resources.snapshot import ApiView
from idp.platform.permission_codes import ALL_SUFFIX

BUDGET_BYTES = 4096
"""Maximum size of `permission`, of `role` and of all other claims together in a token."""

LISTS = ("role", "permission")
"""Claims with a budget of their own."""


def tenant(subject: Subject) -> dict[str, Any]:
    """Tenant of the sign-in."""
    return {"id": subject.tenant_id, "name": subject.tenant_name}


def role(subject: Subject) -> list[str]:
    """Role codes in the tenant; at issuer 1 also those of the platform."""
    return subject.roles


def permission(subject: Subject) -> list[str]:
    """Every effective permission, of any owner."""
    return sorted({held.code for held in subject.permissions})


def permissions_for(held: Iterable[Permission], apis: Iterable[ApiView]) -> list[str]:
    """Return the codes for an audience, sorted.

    Those owned by its APIs, and ownerless ones when one of them lists `permission` as user claim.
    """
    audience = list(apis)
    owners: set[int | None] = {api.row_id for api in audience}
    if any("permission" in api.user_claims for api in audience):
        owners.add(None)
    return sorted({code for code, owner in held if owner in owners})


def permission_claims(codes: list[str], *, as_text: bool, budget: int | None) -> dict[str, Any]:
    """Return the codes as a claim within the budget.

    Too large: codes that a held `.all` covers are folded into it. Still too large:
    `permission_ref` says that introspection delivers them.
    """
    value = _written(codes, as_text=as_text)
    if not _fits(value, budget):
        value = _written(fold(codes), as_text=as_text)
        if not _fits(value, budget):
            return {"permission_ref": True}
    return {"permission": value}


def role_claims(codes: list[str], *, budget: int) -> dict[str, Any]:
    """Return role codes as a claim within the budget; `role_ref`: introspection delivers them."""
    return {"role": codes} if _fits(codes, budget) else {"role_ref": True}


def other_claims(claims: dict[str, Any], *, budget: int) -> dict[str, Any]:
    """Return claims other than roles and permissions if all of them fit the budget.

    `claims_ref` stands for those of an access token at introspection, and for those of an ID token
    at userinfo.
    """
    return claims if _fits(claims, budget) else {"claims_ref": True}


def identity_claims(found: dict[str, Any], *, budget: int) -> dict[str, Any]:
    """Return the claims of an ID token, each kind within its budget."""
    claims = other_claims(
        {name: value for name, value in found.items() if name not in LISTS}, budget=budget
    )
    if "role" in found:
        claims |= role_claims(found["role"], budget=budget)
    if "permission" in found:
        claims |= permission_claims(found["permission"], as_text=False, budget=budget)
    return claims


def fold(codes: Iterable[str]) -> list[str]:
    """Return the codes without those that a `P.all` covers: all others starting with `P.`."""
    codes = sorted(set(codes))
    prefixes = {code.removesuffix("all") for code in codes if code.endswith(ALL_SUFFIX)}

    def is_covered(code: str) -> bool:
        own = code.removesuffix("all") if code.endswith(ALL_SUFFIX) else None
        parts = code.split(".")
        starts = {".".join(parts[:count]) + "." for count in range(1, len(parts))}
        return bool((starts - {own}) & prefixes)

    return [code for code in codes if not is_covered(code)]


def _fits(value: Any, budget: int | None) -> bool:
    return not value or budget is None or len(orjson.dumps(value)) <= budget


def _written(codes: list[str], *, as_text: bool) -> list[str] | str:
    return ",".join(codes) if as_text else codes
