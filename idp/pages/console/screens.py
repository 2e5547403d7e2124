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


OVERVIEW = Screen("overview", Group.TOP, _("Overview"), "home", Scope.ADMIN_OVERVIEW_READ)
USERS = Screen("users", Group.PEOPLE, _("Users"), "users", Scope.ADMIN_USERS_READ)
SESSIONS = Screen(
    "sessions", Group.PEOPLE, _("Sessions and grants"), "session", Scope.ADMIN_SESSIONS_READ
)
EXPLAIN = Screen("explain", Group.MONITOR, _("Explain"), "branch", Scope.ADMIN_EXPLAIN_READ)
MESSAGES = Screen(
    "messages",
    Group.MONITOR,
    _("Messages"),
    "mail",
    Scope.ADMIN_MESSAGES_READ,
    Where.PLATFORM,
)
JOBS = Screen("jobs", Group.MONITOR, _("Jobs"), "job", Scope.ADMIN_JOBS_READ, Where.PLATFORM)
HEALTH = Screen(
    "health", Group.MONITOR, _("Health"), "health", Scope.ADMIN_OVERVIEW_READ, Where.PLATFORM
)
KEYS = Screen("keys", Group.SYSTEM, _("Keys"), "keys", Scope.ADMIN_KEYS_READ, Where.PLATFORM)
SETTINGS = Screen(
    "settings",
    Group.SYSTEM,
    _("Settings"),
    "settings",
    Scope.ADMIN_SETTINGS_READ,
    Where.PLATFORM,
)
FILES = Screen("files", Group.SYSTEM, _("Files"), "file", Scope.ADMIN_FILES_READ, Where.PLATFORM)
CLIENTS = Screen("clients", Group.APPLICATIONS, _("Clients"), "client", Scope.CLIENT_GET)
MENUS = Screen("menus", Group.APPLICATIONS, _("Menus & resources"), "menu", Scope.US_APP_PAGE)
ROLES = Screen("roles", Group.PEOPLE, _("Roles & permissions"), "role", Scope.ROLE_GET)
APIS = Screen("apis", Group.APIS, _("API resources"), "api", Scope.APIRESOURCE_GET)
IDENTITIES = Screen(
    "identities",
    Group.APIS,
    _("Identity resources"),
    "idres",
    Scope.IDENTITYRESOURCE_GET,
    Where.PLATFORM,
)
GATEWAY = Screen("gateway", Group.APIS, _("Gateway"), "gateway", Scope.APIRESOURCE_VERSIONS)
SDKS = Screen("sdks", Group.APIS, _("SDKs & packages"), "sdk", Scope.APIRESOURCE_GET)
TENANTS = Screen(
    "tenants",
    Group.ORGANISATIONS,
    _("All organisations"),
    "tenant",
    Scope.TENANT_GET,
    Where.PLATFORM,
)
BUNDLES = Screen(
    "bundles",
    Group.ORGANISATIONS,
    _("Types & bundles"),
    "bundle",
    Scope.US_BUNDLE_LIST,
    Where.PLATFORM,
)
BRANDING = Screen(
    "branding", Group.ORGANISATIONS, _("Branding"), "brand", Scope.ADMIN_BRANDING_READ
)
POLICY = Screen("policy", Group.ORGANISATIONS, _("Policies"), "lock", Scope.ADMIN_POLICY_READ)
AUDIT = Screen("audit", Group.MONITOR, _("Audit log"), "audit", Scope.ADMIN_AUDIT_READ)

SCREENS = (
    OVERVIEW,
    USERS,
    SESSIONS,
    ROLES,
    CLIENTS,
    MENUS,
    APIS,
    IDENTITIES,
    GATEWAY,
    SDKS,
    TENANTS,
    BUNDLES,
    BRANDING,
    POLICY,
    AUDIT,
    EXPLAIN,
    MESSAGES,
    JOBS,
    HEALTH,
    KEYS,
    SETTINGS,
    FILES,
)
"""In the order of the navigation."""
