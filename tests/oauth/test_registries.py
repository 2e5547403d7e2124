"""What is registered is what metadata says and what clients may be registered with."""

from __future__ import annotations

import pytest

from idp.directory import product
from idp.directory.clients import fields
from idp.oauth import server
from idp.oauth.authorization.request_object import PARAMETERS
from idp.oauth.request import KNOWN

pytestmark = pytest.mark.no_database

ADDRESSES = ("_endpoint", "_uri")


def test_every_entry_is_in_discovery_and_nothing_else(client):
    metadata = client.get("/.well-known/openid-configuration").get_json()
    offered = server.offer()
    registered = {
        endpoint.metadata: metadata["issuer"] + endpoint.path
        for endpoint in offered.endpoints.values()
        if endpoint.metadata is not None
    }
    written = {name: value for name, value in metadata.items() if name.endswith(ADDRESSES)}
    assert written == registered
    for endpoint in offered.endpoints.values():
        assert endpoint.more.items() <= metadata.items(), endpoint.path
    assert set(metadata["grant_types_supported"]) == set(offered.grants)
    proofs = {proof.name for proof in offered.proofs.values() if not proof.needs_certificate}
    assert set(metadata["token_endpoint_auth_methods_supported"]) == proofs
    assert metadata["response_types_supported"] == list(offered.response_types)
    assert metadata["response_modes_supported"] == list(offered.response_modes)


def test_clients_may_be_registered_with_what_there_is():
    offered = server.offer()
    assert set(product.GRANT_TYPES) == set(offered.grants)
    assert set(product.AUTH_METHODS) == set(offered.proofs)
    assert {*product.PLAIN_MODES, *product.SIGNED_MODES} == set(offered.response_modes)


def test_names_of_settings_are_reserved_once():
    assert set(fields.PROPERTIES) <= fields.FIELDS.keys()
    assert fields.RESERVED.keys().isdisjoint(fields.PROPERTIES)
    assert fields.FIELDS.keys() - {*fields.PROPERTIES} <= fields.RESERVED.keys()
    assert fields.FIXED.keys() <= fields.RESERVED.keys()


def test_parameters_of_requests_are_known_ones():
    assert PARAMETERS <= KNOWN
    assert PARAMETERS.isdisjoint({"request", "request_uri", "client_secret", "client_assertion"})
