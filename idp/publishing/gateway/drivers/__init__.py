"""How publications reach a gateway: one driver for each kind of gateway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.orm import Session

from idp.directory.tenants import service as tenants
from idp.platform import runtime
from idp.publishing.gateway.drivers.azure import Azure, Connection
from idp.publishing.gateway.drivers.caddy import Caddy as Caddy
from idp.publishing.gateway.reasons import NotPublished
from idp.publishing.gateway.state import Difference, Published


class Driver(Protocol):
    """Brings a gateway to a state; a driver uses no database."""

    takes_policies: bool
    """Whether policy documents have an effect."""
    keeps_products: bool
    """Whether products and authorization servers are the gateway's own instead of rows."""
    is_remote: bool
    """Whether there is a remote gateway that may fail to respond."""

    def apply(self, before: Published | None, after: Published | None) -> None:
        """Bring a publication from one state to another; None: it is not at the gateway.

        It may be repeated, also after a partial run. NotPublished if the gateway refuses it.
        """

    def differences(self, states: Sequence[Published], /) -> list[Difference]:
        """Compare publications with what the gateway has; NotPublished if it does not respond."""


class Local:
    """No gateway: only the tables, which callers of `/gateway/verify` enforce."""

    takes_policies = False
    keeps_products = False
    is_remote = False

    def apply(self, before: Published | None, after: Published | None) -> None:
        """Do nothing: the rows are the publication."""

    def differences(self, _states: Sequence[Published], /) -> list[Difference]:
        """Return nothing: there is no gateway that could differ."""
        return []


def of(session: Session, tenant_id: int) -> Driver:
    """Return the driver of a tenant's publications."""
    process = runtime.of(session)
    setting = process.settings.gateway
    if setting.startswith("caddy+"):
        return Caddy.from_settings(process.settings)
    if setting == "azure":
        properties = tenants.properties(session, tenant_id)
        return Azure(Connection.from_properties(properties), process.fetcher)
    return Local()


def find_caddy(session: Session) -> Caddy | None:
    """Return the driver of the one Caddy, where there is one."""
    process = runtime.of(session)
    if not process.settings.gateway.startswith("caddy+"):
        return None
    return Caddy.from_settings(process.settings)


def find_azure(session: Session, tenant_id: int) -> Azure | None:
    """Return the driver of a tenant's own Azure gateway, where one is configured."""
    try:
        driver = of(session, tenant_id)
    except NotPublished:
        return None
    return driver if isinstance(driver, Azure) else None
