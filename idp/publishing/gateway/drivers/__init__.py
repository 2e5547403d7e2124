"""What stands between publications and the world: one driver for each kind of gateway."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy.orm import Session

from idp.directory.tenants import service as tenants
from idp.platform import runtime
from idp.publishing.gateway.drivers.azure import Azure, Connection
from idp.publishing.gateway.drivers.caddy import Caddy as Caddy
from idp.publishing.gateway.reasons import NotPublished
from idp.publishing.gateway.state import Published


class Driver(Protocol):
    """Makes a gateway look like a state; all of it works without a database."""

    takes_policies: bool
    """Whether policy documents have an effect there."""
    keeps_products: bool
    """Whether products and authorization servers are the gateway's own, and not rows of ours."""
    is_remote: bool
    """Whether there is a gateway that may fail to answer."""

    def apply(self, before: Published | None, after: Published | None) -> None:
        """Bring a publication from one state to another; None: it is not at the gateway.

        May be done twice, and in part before. NotPublished when the gateway does not take it.
        """


class Local:
    """No gateway: the tables are all there is, and whoever asks `/gateway/verify` enforces them."""

    takes_policies = False
    keeps_products = False
    is_remote = False

    def apply(self, before: Published | None, after: Published | None) -> None:
        """Do nothing: the rows are the publication."""


def of(session: Session, tenant_id: int) -> Driver:
    """Give the driver that a tenant's publications go through."""
    process = runtime.of(session)
    setting = process.settings.gateway
    if setting.startswith("caddy+"):
        return Caddy.from_settings(process.settings)
    if setting == "azure":
        properties = tenants.properties(session, tenant_id)
        return Azure(Connection.from_properties(properties), process.fetcher)
    return Local()


def find_caddy(session: Session) -> Caddy | None:
    """Give the driver of the one Caddy, where there is one."""
    process = runtime.of(session)
    if not process.settings.gateway.startswith("caddy+"):
        return None
    return Caddy.from_settings(process.settings)


def find_azure(session: Session, tenant_id: int) -> Azure | None:
    """Return the driver of a tenant's own Azure gateway, where there is one that is set up."""
    try:
        driver = of(session, tenant_id)
    except NotPublished:
        return None
    return driver if isinstance(driver, Azure) else None
