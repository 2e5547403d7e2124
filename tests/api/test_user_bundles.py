"""Bundles: who may do what with them, and what comes of it."""

from __future__ import annotations

import pytest

from idp.api.userservice.codes import Code
from tests.api import userservice


@pytest.fixture
def root(client, session):
    return userservice.administrator(client, session)


def test_no_bundle_is_an_empty_list(root):
    assert root.data("GET", "/bundles/bundle-list") == []
    assert root.second("GET", "/bundles/bundle-list")["data"] == []


def test_an_unknown_bundle_is_not_found(root):
    assert root.refused("GET", "/bundles/none") == (404, "not_found", [])
    assert root.code("GET", "/bundles/none") is Code.not_found


def test_nowhere_is_an_envelope_too(root):
    assert root.code("GET", "/nowhere") is Code.not_found
    assert root.code("DELETE", "/bundles/bundle-list") is Code.not_found
    assert root.send("GET", "/nowhere").status_code == 404
    assert root.send("DELETE", "/bundles/bundle-list").status_code == 405
    stranger = userservice.Service(root.browser, None)
    assert stranger.code("GET", "/bundles/none") is Code.unauthenticated


def test_a_machine_of_the_platform_reads_bundles(client, session):
    robot = userservice.machine(client, session)
    assert robot.data("GET", "/bundles/bundle-list") == []
    assert robot.code("GET", "/bundles/none") is Code.not_found
