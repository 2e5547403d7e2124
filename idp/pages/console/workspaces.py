"""Workspaces: the platform or a tenant, as a person manages it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.actor import Actor
from idp.directory.scopes import Scope
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.oauth.visitor import Visitor
from idp.pages.console.screens import SCREENS, Screen
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer

CODES = frozenset(Scope)
MOST_LISTED = 8
"""Organisations in the tenant switch; more of them have a page with a search."""
MOST_READ = 50


@dataclass(frozen=True, slots=True)
class Workspace:
    """The tenant, or the platform, that a page shows, and what its visitor may do there."""

    visitor: Visitor
    issuer: Issuer
    tenant: Tenant | None
    """None: the platform itself."""
    actor: Actor
    held: frozenset[str]
    """Codes of the management API that the person holds here."""

    @property
    def tenant_id(self) -> int | None:
        """The tenant of the address; None: the platform."""
        return None if self.tenant is None else self.tenant.id

    @property
    def name(self) -> str:
        """What the workspace is called."""
        return self.issuer.name if self.tenant is None else self.tenant.name

    def may(self, permission: str) -> bool:
        """Return whether the person holds a permission here."""
        return permission in self.held

    @property
    def confined_actor(self) -> Actor:
        """The person as an actor whose permission opens the rows of this workspace alone."""
        return replace(self.actor, permitted="platform" if self.tenant is None else "tenant")

    def url(self, endpoint: str, **values: Any) -> str:
        """Return the address of a page of the console in this workspace."""
        return url_for(f"console.{endpoint}", tenant_id=self.tenant_id, **values)

    def link(self, name: str, **values: Any) -> str | None:
        """Return the address of a screen by its name; None where the person does not see it."""
        is_seen = any(screen.name == name for screen in self.screens())
        return self.url(f"{name}.index", **values) if is_seen else None

    def screens(self) -> Iterator[Screen]:
        """List the screens that the person may see here."""
        for screen in SCREENS:
            if screen.is_shown_in(platform=self.tenant is None) and self.may(screen.permission):
                yield screen


def find(
    session: Session, issuer: Issuer, visitor: Visitor, tenant_id: int | None
) -> Workspace | None:
    """Return a workspace; None where there is none that the person may see a screen of.

    Members manage enabled tenants that sign in at this issuer. What a role of the platform holds,
    it holds in every tenant, at issuer 1.
    """
    tenant = None if tenant_id is None else tenants.find(session, tenant_id)
    if tenant is None and (tenant_id is not None or not issuer.is_platform):
        return None
    if tenant is not None and not _is_in_reach(session, issuer, visitor.user.id, tenant):
        return None
    workspace = _open(session, issuer, visitor, tenant)
    return workspace if any(workspace.screens()) else None


def _is_in_reach(session: Session, issuer: Issuer, user_id: int, tenant: Tenant) -> bool:
    if tenant.id == PLATFORM_TENANT_ID:
        return False  # has the workspace of the platform
    if tenant.is_enabled and tenant.issuer_tenant_id == issuer.tenant_id:
        return True
    return acts_everywhere(session, issuer, user_id)


def _open(session: Session, issuer: Issuer, visitor: Visitor, tenant: Tenant | None) -> Workspace:
    user_id, at_platform = visitor.user.id, issuer.is_platform
    tenant_id = None if tenant is None else tenant.id
    is_admin = at_platform and permissions.is_platform_administrator(session, user_id)
    actor = Actor(
        user_id,
        tenant_id or PLATFORM_TENANT_ID,
        is_platform_admin=is_admin,
        at_platform=at_platform,
        # Administrators of the platform act in the tenant shown, and in no other.
        permitted="tenant" if is_admin and tenant is not None else "links",
    )
    held = permissions.management_codes(session, user_id, tenant_id, CODES, platform=at_platform)
    return Workspace(visitor, issuer, tenant, actor, held)


def acting(session: Session, workspace: Workspace, permission: str) -> Actor:
    """Return the person as an actor by where they hold a permission (see `Actor.permitted`)."""
    actor = workspace.actor
    is_everywhere = workspace.tenant is None or permissions.has_permission(
        session, actor.person_id, None, permission, platform=actor.at_platform
    )
    return actor.permitted_at("platform" if is_everywhere else "tenant")


def memberships(
    session: Session, issuer: Issuer, user_id: int, text: str = ""
) -> tuple[list[Tenant], bool]:
    """Return the first tenants that a person belongs to and manages, and whether there may be more.

    By name, and of those whose name holds a text.
    """
    found = tenants.memberships(session, user_id, issuer, text=text, limit=MOST_READ)
    own = [tenant for tenant in found if tenant.id != PLATFORM_TENANT_ID]
    managed = permissions.tenants_with_any(
        session,
        user_id,
        [tenant.id for tenant in own],
        _codes(platform=False),
        platform=issuer.is_platform,
    )
    return [tenant for tenant in own if tenant.id in managed], len(found) == MOST_READ


def acts_everywhere(session: Session, issuer: Issuer, user_id: int) -> bool:
    """Return whether a person manages every tenant, by a role of the platform."""
    return issuer.is_platform and permissions.holds_everywhere(
        session, user_id, _codes(platform=False)
    )


def manages_platform(session: Session, issuer: Issuer, user_id: int) -> bool:
    """Return whether a person may see a screen of the platform."""
    codes = _codes(platform=True)
    return issuer.is_platform and bool(
        permissions.management_codes(session, user_id, None, codes, platform=True)
    )


def search(session: Session, text: str, *, limit: int) -> list[Tenant]:
    """List tenants whose name holds a text, by name; only for those who manage all."""
    query = select(Tenant).where(Tenant.id != PLATFORM_TENANT_ID)
    if text:
        query = query.where(Tenant.name.icontains(text, autoescape=True))
    return [*session.scalars(query.order_by(Tenant.name, Tenant.id).limit(limit))]


def _codes(*, platform: bool) -> frozenset[str]:
    return frozenset(
        screen.permission for screen in SCREENS if screen.is_shown_in(platform=platform)
    )
