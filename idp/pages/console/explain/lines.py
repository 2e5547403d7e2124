"""An explanation as a page shows it: what is missing before what is there, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from idp.explain.reasons import TEXTS
from idp.explain.results import ClaimLine, Explanation, Reason
from idp.pages.console.explain import code
from idp.pages.messages import translate

ACCESS = "access_token"
HARMLESS = frozenset({"folded", "covered"})
"""Reasons of what is missing by its name only."""
LISTS = {"role": "roles", "permission": "permissions"}
"""Claims whose values are explained one by one."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What the token has not, and why."""

    name: str
    kind: str
    reasons: Sequence[str]
    is_harmless: bool


@dataclass(frozen=True, slots=True)
class Present:
    """What the token has, and where it comes from."""

    name: str
    value: str
    reasons: Sequence[str]


def missing(found: Explanation, token: str) -> list[Missing]:
    """List what was asked for or could be expected and is not there."""
    listed = [*_missing_scopes(found), *_missing_values(found)] if token == ACCESS else []
    listed.extend(
        _missing(claim.name, _("Claim"), claim.reasons)
        for claim in found.claims
        if claim.token == token and not claim.is_present
    )
    return listed


def present(found: Explanation, token: str) -> list[Present]:
    """List the claims of a token; roles and permissions one by one."""
    content = found.access_token if token == ACCESS else found.id_token
    if content is None:
        return []
    listed: list[Present] = []
    for claim in found.claims:
        if claim.token == token and claim.is_present:
            listed += _values(found, claim, content.claims[claim.name])
    return sorted(listed, key=lambda line: line.name not in LISTS)


def sentences(reasons: Sequence[Reason]) -> list[str]:
    """Return reasons in the visitor's language."""
    return [translate(TEXTS[reason.code]).format(reason.subject) for reason in reasons]


def _values(found: Explanation, claim: ClaimLine, value: Any) -> Iterator[Present]:
    if claim.name not in LISTS or claim.token != ACCESS:
        yield Present(claim.name, code.short(value), sentences(claim.reasons))
        return
    for line in getattr(found, LISTS[claim.name]):
        if line.is_present:
            yield Present(claim.name, line.code, sentences(line.reasons))


def _missing_scopes(found: Explanation) -> Iterator[Missing]:
    for scope in found.scopes:
        if not scope.is_granted and found.refused is None:
            yield _missing(scope.name, _("Scope"), scope.reasons)


def _missing_values(found: Explanation) -> Iterator[Missing]:
    for role in found.roles:
        if not role.is_present:
            yield _missing(role.code, _("Role"), role.reasons)
    for permission in found.permissions:
        if not permission.is_present:
            yield _missing(permission.code, _("Permission"), permission.reasons)


def _missing(name: str, kind: str, reasons: Sequence[Reason]) -> Missing:
    harmless = bool(reasons) and {reason.code for reason in reasons} <= HARMLESS
    return Missing(name, kind, sentences(reasons), harmless)
