"""Config OP."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conformance.metadata import check_keys, check_metadata
from tests.conformance.provider import DISCOVERY, Provider, running


@pytest.fixture(scope="module")
def public_provider(
    provider_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """Run a provider as the world would see it: by https, here without the proxy in front."""
    folder = tmp_path_factory.mktemp("public")
    with running(provider_database, folder, public_url="https://op.example") as provider:
        yield provider


def test_oidcc_discovery_endpoint_verification(
    provider: Provider, public_provider: Provider
) -> None:
    answer = provider.http.get(provider.url + DISCOVERY)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    check_metadata(answer.json(), provider.url)
    keys = provider.http.get(answer.json()["jwks_uri"])
    assert keys.status_code == 200
    for public in (answer, keys):
        assert public.headers["Cache-Control"] == "public, max-age=300"
    check_keys(keys.json()["keys"])

    host = {"Host": "op.example"}
    public = public_provider.http.get(public_provider.url + DISCOVERY, headers=host)
    assert public.status_code == 200, public.text
    check_metadata(public.json(), "https://op.example")
    path = urlsplit(public.json()["jwks_uri"]).path
    assert public_provider.http.get(public_provider.url + path, headers=host).json() == keys.json()
