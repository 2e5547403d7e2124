"""Which entries of a menu a person sees, and why they do not see the others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.applications import editing, menus
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles import service as bundles
from idp.directory.permissions import Origin


class Reason(Enum):
    """Why an entry is shown, or is not."""

    HELD = "held"
    """The person holds its privilege."""
    LEADS = "leads"
    """An entry below it is shown."""
    DISABLED = "disabled"
    BELOW_DISABLED = "below_disabled"
    PRIVILEGE_DISABLED = "privilege_disabled"
    OUTSIDE_BUNDLE = "outside_bundle"
    """The person lacks its privilege, and the bundle of the tenant does not contain it."""
    LACKING = "lacking"
    EMPTY = "empty"
    """It has no privilege, and nothing below it is shown."""

    @property
    def is_shown(self) -> bool:
        """Whether the person sees the entry."""
        return self in {Reason.HELD, Reason.LEADS}


@dataclass(frozen=True, slots=True)
class Sight:
    """An entry as a person meets it."""

    menu: Menu
    level: int
    reason: Reason
    origins: Sequence[Origin]
    """Where the person has the privilege from."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A menu as a person sees it."""

    sights: Sequence[Sight]
    bundle: str | None
    """Name of the bundle of the tenant."""


def of(
    session: Session, application: Application, user_id: int, tenant_id: int, *, platform: bool
) -> Preview:
    """Judge every entry for a person in a tenant, by the function that renders menus."""
    entries = editing.read(session, application)
    origins = permissions.origins(session, user_id, tenant_id, platform=platform)
    opening = menus.granting(session, entries, {origin.code for origin in origins})
    bundle = bundles.of_tenant(session, tenant_id)
    beyond: Collection[str] = ()
    if bundle is not None:
        asked = {entry.privilege for entry in entries if entry.privilege is not None}
        beyond = set(permissions.outside(session, bundle.privilege_codes, asked))
    reasons = _reasons(entries, opening, beyond)
    depth = editing.levels(entries)
    sights = [
        Sight(
            entry,
            depth[entry.id],
            reasons[entry.id],
            [origin for origin in origins if origin.code in opening.get(entry.id, ())],
        )
        for entry in entries
    ]
    return Preview(sights, None if bundle is None else bundle.name)


def _reasons(
    entries: Sequence[Menu], opening: dict[int, set[str]], beyond: Collection[str]
) -> dict[int, Reason]:
    hidden: set[int] = set()
    found: dict[int, Reason] = {}
    for entry in entries:
        if entry.parent_id in hidden:
            found[entry.id] = Reason.BELOW_DISABLED
        elif entry.status != menus.ENABLED:
            found[entry.id] = Reason.DISABLED
        else:
            found[entry.id] = _reason(entry, opening.get(entry.id, ()), beyond)
            continue
        hidden.add(entry.id)
    leading: set[int | None] = set()
    for entry in reversed(entries):  # those below come first
        if entry.id in leading and not found[entry.id].is_shown:
            found[entry.id] = Reason.LEADS
        if found[entry.id].is_shown:
            leading.add(entry.parent_id)
    return found


def _reason(entry: Menu, opening: Collection[str], beyond: Collection[str]) -> Reason:
    if opening:
        return Reason.HELD
    if entry.privilege is None:
        return Reason.EMPTY
    if entry.privilege.status != menus.ENABLED:
        return Reason.PRIVILEGE_DISABLED
    return Reason.OUTSIDE_BUNDLE if entry.privilege.code in beyond else Reason.LACKING
