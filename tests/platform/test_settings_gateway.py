"""`IDP_GATEWAY`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from idp.config import Settings
from idp.publishing.gateway.drivers import Caddy

pytestmark = pytest.mark.no_database


def settings(gateway: str) -> Settings:
    return Settings(environment="development", gateway=gateway)


@pytest.mark.parametrize("value", ["", "local", "azure", "caddy+http://127.0.0.1:2019"])
def test_gateways_that_there_are(value: str) -> None:
    assert settings(value).gateway == value


@pytest.mark.parametrize(
    "value", ["caddy", "caddy+http://", "http://127.0.0.1:2019", "nginx", "caddy+http://a/config"]
)
def test_another_gateway_is_refused_at_start(value: str) -> None:
    with pytest.raises(ValidationError, match="caddy\\+http"):
        settings(value)


def test_a_caddy_is_told_where_to_listen_and_whom_to_ask() -> None:
    plain = Caddy.from_settings(settings("caddy+http://127.0.0.1"))
    assert plain == Caddy("127.0.0.1", 2019, ":8080", "http://127.0.0.1:8000")
    given = "caddy+http://[::1]:2020?listen=:443&verify=https://id.internal"
    assert Caddy.from_settings(settings(given)) == Caddy("::1", 2020, ":443", "https://id.internal")
