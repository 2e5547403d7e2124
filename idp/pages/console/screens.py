"""The screens of the console: one table, from which navigation, gate and search follow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from flask_babel import lazy_gettext as _

from idp.directory.scopes import Scope


class Group(Enum):
    """A heading of the navigation, in this order."""

    TOP = ""
    PEOPLE = _("People")
    APPLICATIONS = _("Apps")
    APIS = _("APIs")
    ORGANISATIONS = _("Organisations")
    MONITOR = _("Monitor")
    SYSTEM = _("System")


class Where(Enum):
    """In which workspaces a screen is shown."""

    EVERYWHERE = "everywhere"
    TENANTS = "tenants"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Screen:
    """A line of the navigation, and what a person needs to see it."""

    name: str
    """Its package, and its part of the address."""
    group: Group
    title: Any
    """In the visitor's language."""
    icon: str
    permission: Scope
    """Held in the workspace that is shown: what the REST operation of its list asks for."""
    where: Where = Where.EVERYWHERE

    def is_shown_in(self, *, platform: bool) -> bool:
        """Return whether the platform, or a tenant, has this screen."""
        return self.where in {Where.EVERYWHERE, Where.PLATFORM if platform else Where.TENANTS}


CLIENTS = Screen("clients", Group.APPLICATIONS, _("Clients"), "client", Scope.CLIENT_GET)
BRANDING = Screen(
    "branding", Group.ORGANISATIONS, _("Branding"), "brand", Scope.ADMIN_BRANDING_READ
)

SCREENS = (CLIENTS, BRANDING)
"""In the order of the navigation."""
