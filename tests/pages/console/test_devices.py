"""Devices on the page of a user in the console: shown and removed by those who may."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from idp.account import devices as rules
from idp.account.devices import Sent
from idp.directory.devices import service as devices
from idp.directory.devices.models import DeviceUser
from idp.directory.tenants import service as tenants
from tests.api.center import statements
from tests.pages.browsing import readable
from tests.pages.console.test_users import EVERYTHING, HOST, READING, post, tags
from tests.protocol import add_person, add_role, add_tenant, sign_in


@pytest.fixture
def acme(session):
    return add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    """Sign in somebody who manages the users of Acme."""
    user = add_person(session, "boss", tenant_ids=(acme,))
    add_role(session, user, "boss", EVERYTHING, tenant_id=acme)
    sign_in(client, session, user)
    return user


@pytest.fixture
def ann(session, acme):
    return add_person(session, tenant_ids=(acme,))


def add_device(session, user, *, is_remembered=False):
    """Note a sign-in with a device; return its id."""
    issuer = tenants.find_issuer(session, HOST)
    rules.note_sign_in(session, issuer, user, Sent(), is_remembered=is_remembered)
    session.commit()
    return devices.list_for(session, user)[-1].id


def test_a_device_is_shown_and_removed_once(client, session, boss, ann, acme):
    device_id = add_device(session, ann, is_remembered=True)
    session.execute(update(DeviceUser).values(remote_addr="192.0.2.7"))
    session.commit()
    base = f"/console/t/{acme}/users/{ann.id}"
    page = readable(client.get(f"{base}/sessions"))
    assert "192.0.2.7" in page
    assert "No second factor until" in page
    path = f"{base}/devices/{device_id}/remove"
    assert post(client, path).location == f"{base}/sessions?notice=device"
    assert post(client, path).status_code == 404  # sent twice
    assert tags(session, ann).count("admin:device:revoked") == 1
    assert "No device is known yet." in readable(client.get(f"{base}/sessions?notice=device"))


def test_the_devices_of_another_tenant_do_not_exist(client, session, boss, ann, acme):
    eve = add_person(session, "eve", tenant_ids=(add_tenant(session, "Other"),))
    foreign = add_device(session, eve)
    for owner in (eve, ann):
        path = f"/console/t/{acme}/users/{owner.id}/devices/{foreign}/remove"
        assert post(client, path).status_code == 404
    assert len(devices.list_for(session, eve)) == 1


@pytest.mark.parametrize("device_id", [0, 2**63, 10**30])
def test_an_id_that_cannot_be_is_not_found(client, boss, ann, acme, device_id):
    path = f"/console/t/{acme}/users/{ann.id}/devices/{device_id}/remove"
    assert post(client, path).status_code == 404


def test_devices_are_hidden_from_those_who_may_not_sign_the_user_out(client, session, ann, acme):
    reader = add_person(session, "reader", tenant_ids=(acme,))
    add_role(session, reader, "reader", READING, tenant_id=acme)
    sign_in(client, session, reader)
    device_id = add_device(session, ann)
    base = f"/console/t/{acme}/users/{ann.id}"
    assert client.get(f"{base}/sessions").status_code == 403
    assert post(client, f"{base}/devices/{device_id}/remove").status_code == 403
    assert len(devices.list_for(session, ann)) == 1


@pytest.mark.parametrize("name", ["<b>x</b>", "\u202e", "x" * 300])
def test_what_a_browser_says_of_itself_stays_text(client, session, boss, ann, acme, name):
    add_device(session, ann)
    session.execute(update(DeviceUser).values(user_agent=name))
    session.commit()
    text = client.get(f"/console/t/{acme}/users/{ann.id}/sessions").get_data(as_text=True)
    assert name not in text
    assert "Unknown browser" in text


def test_the_page_costs_the_same_for_many_devices(runtime, client, session, boss, ann, acme):
    path = f"/console/t/{acme}/users/{ann.id}/sessions"
    add_device(session, ann)
    client.get(path)
    with statements(runtime.engine) as few:
        client.get(path)
    for _ in range(20):
        add_device(session, ann)
    with statements(runtime.engine) as many:
        client.get(path)
    assert len(many) == len(few)
