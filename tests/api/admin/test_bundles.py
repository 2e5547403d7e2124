"""Bundles by our own API: who has one, and the end of one that nobody has."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.bundles.models import Bundle
from idp.directory.tenants.models import Tenant
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import admin
from tests.pages.browsing import events

EMPTY = '{"roles": [], "adminRoleCodes": []}'


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def small(session):
    session.add(Bundle(code="small", name="Small", tenant_type_code="shop", ability=EMPTY))
    session.commit()


def test_a_bundle_is_read_and_deleted(root, session, small):
    read = admin.send(root, "GET", "/bundles/small")
    assert read.get_json() == {
        "code": "small",
        "name": "Small",
        "tenant_type": "shop",
        "initialize": False,
        "tenants": 0,
    }
    session.scalar(select(Bundle)).name = "Tiny"
    session.commit()
    stale = {"If-Match": read.headers["ETag"]}
    assert admin.send(root, "DELETE", "/bundles/small", headers=stale).status_code == 412
    seen = {"If-Match": admin.send(root, "GET", "/bundles/small").headers["ETag"]}
    assert admin.send(root, "DELETE", "/bundles/small", headers=seen).status_code == 204
    assert admin.refused(root, "GET", "/bundles/small") == (404, {})
    assert len(events(session, Tag.BUNDLE_DELETED)) == 1


def test_a_bundle_that_tenants_have_stays(root, session, small):
    for name in ("Acme", "Bluefen"):
        session.get_one(Tenant, protocol.add_tenant(session, name)).bundle_code = "small"
    session.commit()
    assert admin.send(root, "GET", "/bundles/small").get_json()["tenants"] == 2
    answer = admin.send(root, "DELETE", "/bundles/small", headers={"If-Match": "*"})
    assert answer.status_code == 409
    assert answer.get_json()["detail"] == "This bundle is still used by: Acme, Bluefen"
    assert session.scalar(select(Bundle.code)) == "small"
