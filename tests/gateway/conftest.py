"""What tests of publications share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from idp.directory.resources import service as resources
from idp.platform.fetch import Fetcher
from idp.publishing.gateway import products
from tests import protocol
from tests.api import center
from tests.gateway.sites import Site, description, open_site

MODULE = "ids4.ms.apiresource.all"


@pytest.fixture(scope="session")
def backends() -> Iterator[tuple[Site, Site]]:
    """Return two services that may stand behind a gateway."""
    with open_site("one") as one, open_site("two") as two:
        yield one, two


@pytest.fixture
def site(backends: tuple[Site, Site]) -> Site:
    """Return the first service, with nothing described yet."""
    for backend in backends:
        backend.files.clear()
        backend.fetched.clear()
    return backends[0]


@pytest.fixture
def fetching(runtime: Any, backends: tuple[Site, Site]) -> None:
    """Allow both services to be fetched from."""
    runtime.fetcher.close()
    runtime.fetcher = Fetcher(",".join(f"127.0.0.1:{backend.port}" for backend in backends))


@pytest.fixture
def mary(client: Any, session: Any) -> center.Caller:
    """Return a person who may do everything with their microservices."""
    return center.manager(client, session, MODULE)


@dataclass(frozen=True)
class Orders:
    """A microservice of Mary's that may be published."""

    caller: center.Caller
    id: int
    url: str

    def body(self, **changes: Any) -> dict[str, Any]:
        """Write a publish request."""
        return {
            "apiId": str(self.id),
            "suffix": "orders",
            "swaggerUrl": self.url,
            "name": "Orders",
            "description": "What was ordered",
            **changes,
        }

    def publish(self, **changes: Any) -> dict[str, Any]:
        """Publish it and give the envelope."""
        return self.caller.call("PUT", f"/ApiResource/{self.id}/Publish", self.body(**changes))

    def versions(self) -> Any:
        """List its versions."""
        return self.caller.data("GET", f"/ApiResource/{self.id}/Versions")


@pytest.fixture
def new_orders(
    session: Any, mary: center.Caller, site: Site, fetching: None
) -> Callable[..., Orders]:
    """Make microservices that may be published: described, and with an upstream allowed."""

    def make(name: str = "orders", **paths: Any) -> Orders:
        api = protocol.add_api(session, name, [f"{name}.read", f"{name}.write"], tenant_id=1)
        resources.link_owner(session, api, mary.user.id)
        products.allow_upstream(session, 1, site.origin)
        session.commit()
        url = site.describe(f"/{name}.json", description(site.origin, **paths))
        return Orders(mary, api.id, url)

    return make


@pytest.fixture
def orders(new_orders: Callable[..., Orders]) -> Orders:
    """Return a microservice that may be published."""
    return new_orders()
