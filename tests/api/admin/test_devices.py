"""Devices of users by our own API: listed and removed by those who may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from idp.account import devices as rules
from idp.account.devices import Sent
from idp.directory.devices import service as devices
from idp.directory.devices.models import DeviceUser
from idp.directory.tenants import service as tenants
from idp.platform import clock
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.api import admin, center
from tests.api.admin.test_sessions import events

READ = "ids4.ms.admin.sessions.read"
WRITE = "ids4.ms.admin.sessions.write"


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session, acme):
    return protocol.add_person(session, tenant_ids=[acme])


def devices_of(user, tenant_id):
    return f"/tenants/{tenant_id}/users/{user.id}/devices"


def add_device(session, user, *, is_remembered=False):
    """Note a sign-in with a device; return its id."""
    issuer = tenants.find_issuer(session, "127.0.0.1:8000")
    rules.note_sign_in(session, issuer, user, Sent(), is_remembered=is_remembered)
    session.commit()
    return devices.list_for(session, user)[-1].id


def test_a_device_is_shown_without_what_it_is_known_by(root, session, ann, acme):
    device_id = add_device(session, ann, is_remembered=True)
    session.execute(update(DeviceUser).values(user_agent="Firefox/140.0", remote_addr="192.0.2.7"))
    session.commit()
    (shown,) = admin.data(root, "GET", devices_of(ann, acme))["items"]
    for name in ("first_used_at", "last_used_at", "remembered_until"):
        assert shown.pop(name).endswith("Z")
    assert shown == {
        "id": device_id,
        "issuer": 1,
        "remote_addr": "192.0.2.7",
        "user_agent": "Firefox/140.0",
    }


def test_a_device_that_is_remembered_no_more_says_null(root, session, ann, acme):
    add_device(session, ann, is_remembered=True)
    add_device(session, ann)
    old = clock.now() - timedelta(days=31)
    session.execute(update(DeviceUser).values(remembered_at=old))
    session.commit()
    shown = admin.data(root, "GET", devices_of(ann, acme))["items"]
    assert [each["remembered_until"] for each in shown] == [None, None]


def test_devices_come_page_by_page(root, session, ann, acme):
    ids = [add_device(session, ann) for _ in range(3)]
    first = admin.data(root, "GET", devices_of(ann, acme), limit=2)
    assert [each["id"] for each in first["items"]] == ids[:2]
    rest = admin.data(root, "GET", devices_of(ann, acme), limit=2, after=first["next"])
    assert [each["id"] for each in rest["items"]] == ids[2:]


def test_a_removed_device_is_gone_once(root, session, ann, acme):
    device_id = add_device(session, ann)
    address = f"{devices_of(ann, acme)}/{device_id}/remove"
    admin.send(root, "POST", address)
    assert admin.send(root, "POST", address).status_code == 404
    (event,) = events(session, Tag.DEVICE_REVOKED)
    assert (event.target, event.tenant_id) == (f"user:{ann.id}", acme)
    assert devices.list_for(session, ann) == []


def test_a_tenant_sees_no_devices_of_others(client, session, ann, acme):
    other = protocol.add_tenant(session, "Other")
    boss = center.manager(client, session, READ, WRITE, tenant_id=other, scopes=[READ, WRITE])
    device_id = add_device(session, ann)
    for tenant_id in (other, acme):
        listed = admin.send(boss, "GET", devices_of(ann, tenant_id))
        removed = admin.send(boss, "POST", f"{devices_of(ann, tenant_id)}/{device_id}/remove")
        assert {listed.status_code, removed.status_code} <= {403, 404}
    assert len(devices.list_for(session, ann)) == 1


def test_the_device_of_another_user_is_not_removed(root, session, ann, acme):
    bob = protocol.add_person(session, "bob", tenant_ids=[acme])
    device_id = add_device(session, bob)
    answer = admin.send(root, "POST", f"{devices_of(ann, acme)}/{device_id}/remove")
    assert answer.status_code == 404
    assert len(devices.list_for(session, bob)) == 1
