"""API resources in the console: the list, scopes, secrets, privileges, and the end of one."""

from __future__ import annotations

from html import unescape

import pytest
from sqlalchemy import select

from idp.directory.clients.models import ClientScope
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource, ApiSecret
from idp.directory.roles.models import Privilege
from idp.pages.console import gate
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events
from tests.protocol import add_api, add_person, add_role, add_tenant, register, sign_in

PATH = "/console/platform/apis"
ACTS = ("get", "detail", "put", "post", "delete")


@pytest.fixture
def root(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def ann(client, session):
    """Sign in somebody who manages APIs in Acme; return them and the tenant."""
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    codes = [*(f"ids4.ms.apiresource.{act}" for act in ACTS), "ids4.ms.admin.privileges.write"]
    add_role(session, user, "manager", codes, tenant_id=acme)
    sign_in(client, session, user)
    return user, acme


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(address, data={"csrf_token": token, **form}, headers=HTML)

    return post


def page_of(client, address: str) -> str:
    answer = client.get(address, headers=HTML)
    assert answer.status_code == 200
    return " ".join(unescape(answer.get_data(as_text=True)).split())


def owned(session, user, name: str, tenant_id: int) -> ApiResource:
    """Add an API of a tenant that somebody manages."""
    api = add_api(session, name, [f"{name}.read"], tenant_id=tenant_id)
    resources.link_owner(session, api, user.id)
    session.commit()
    return api


def test_a_tenant_shows_the_apis_that_one_manages_alone(client, session, ann, send):
    user, acme = ann
    owned(session, user, "mine", acme)
    others = [
        add_api(session, "unlinked", ["unlinked.read"], tenant_id=acme),
        owned(session, user, "elsewhere", add_tenant(session, "Bluefen")),
        add_api(session, "platform", ["platform.read"]),
    ]
    base = f"/console/t/{acme}/apis"
    page = page_of(client, base)
    assert "mine" in page
    for api in others:
        assert api.name not in page.partition('id="rows"')[2]
        secret = resources.add_secret(session, api)
        session.commit()
        row = session.scalar(select(ApiSecret.id).where(ApiSecret.api_resource_id == api.id))
        assert secret
        for address in ("", "/delete"):
            assert client.get(f"{base}/{api.id}{address}", headers=HTML).status_code == 404
        for address in ("", "/scopes", "/secrets", "/privileges", "/delete"):
            answer = send(f"{base}/{api.id}{address}", scope="x", code="x", title="x", typed="x")
            assert answer.status_code == 404, address
        assert send(f"{base}/{api.id}/secrets/{row}/remove").status_code == 404
    assert session.scalar(select(ApiSecret.id).limit(1)) is not None


def test_an_api_is_registered_with_scopes(client, session, ann, send):
    user, acme = ann
    base = f"/console/t/{acme}/apis"
    answer = send(f"{base}/new", name="orders", scopes="orders.read\r\norders.write orders.read")
    api = resources.find_api(session, "orders")
    assert answer.location == f"{base}/{api.id}"
    assert api.tenant_id == acme
    assert [scope.name for scope in api.scopes] == ["orders.read", "orders.write"]
    assert events(session, Tag.API_RESOURCE_CREATED)[-1].user_id == user.id
    for form, status in (
        ({"name": ""}, 400),
        ({"name": "a b"}, 400),
        ({"name": "orders"}, 409),
        ({"name": "x" * 10_000}, 400),
        ({"name": "ids4.other"}, 400),
        ({"name": "other", "scopes": "orders.read"}, 409),
        ({"name": "other", "scopes": "\u202e"}, 400),
    ):
        assert send(f"{base}/new", **form).status_code == status, form


def test_settings_are_changed_once(client, session, root, send):
    api = add_api(session)
    form = {"display_name": "Orders", "description": "", "enabled": "y"}
    form["stamp"] = api.concurrency_stamp
    assert send(f"{PATH}/{api.id}", **form).location == f"{PATH}/{api.id}"
    answer = send(f"{PATH}/{api.id}", **form | {"display_name": "Other"})
    assert answer.status_code == 409
    assert "changed by someone else" in unescape(answer.get_data(as_text=True))
    session.expire_all()
    assert session.get(ApiResource, api.id).display_name == "Orders"
    assert send(f"{PATH}/{api.id}", display_name="x" * 10_000).status_code == 400
    built_in = resources.find_api(session, "ids4.ms")
    sent = {"display_name": "x", "stamp": built_in.concurrency_stamp}
    assert send(f"{PATH}/{built_in.id}", **sent).status_code == 422


def test_default_scopes_and_openness_are_settings(client, session, root, send):
    name = "https://mcp.example/mcp"
    api = add_api(session, name, ["mcp.read", "mcp.write"])
    path = f"{PATH}/{api.id}"
    form = {"enabled": "y", "open_to_strangers": "y", "default_scopes": "mcp.read\r\nmcp.write"}
    page = page_of(client, path)
    assert "https://mcp.example/.well-known/oauth-protected-resource/mcp" in page
    assert send(path, stamp=api.concurrency_stamp, **form).status_code == 303
    session.expire_all()
    assert (api.default_scopes, api.open_to_strangers) == (["mcp.read", "mcp.write"], True)
    page = page_of(client, path)
    assert "mcp.read mcp.write</textarea>" in page
    refused = send(path, stamp=api.concurrency_stamp, **form | {"default_scopes": "openid"})
    assert refused.status_code == 400
    assert "openid is not a scope of this API." in unescape(refused.get_data(as_text=True))
    assert send(path, stamp=api.concurrency_stamp, enabled="y").status_code == 303
    session.expire_all()
    assert (api.default_scopes, api.open_to_strangers) == (None, False)
    answer = send(f"{PATH}/new", name="HTTPS://MCP.example/mcp")
    assert answer.status_code == 409
    assert f"The name {name} is taken." in unescape(answer.get_data(as_text=True))
    own = resources.find_api(session, "ids4.ms")
    assert "open_to_strangers" not in page_of(client, f"{PATH}/{own.id}")
    sent = {"stamp": own.concurrency_stamp, "enabled": "y", "open_to_strangers": "y"}
    assert send(f"{PATH}/{own.id}", **sent).status_code == 422


def test_scopes_and_privileges_are_added(client, session, root, send):
    api = add_api(session, "orders", ["orders.read"])
    register(session, scopes=("openid", "orders.read"))
    assert "1 client" in page_of(client, f"{PATH}/{api.id}")
    assert send(f"{PATH}/{api.id}/scopes", scope="orders.write", title="Write").status_code == 303
    assert send(f"{PATH}/{api.id}/scopes", scope="orders.write").status_code == 409
    assert send(f"{PATH}/{api.id}/scopes", scope="").status_code == 400
    assert send(f"{PATH}/{api.id}/scopes", scope="a b").status_code == 400
    sent = {"code": "orders.print", "title": "Print"}
    assert send(f"{PATH}/{api.id}/privileges", **sent).status_code == 303
    assert send(f"{PATH}/{api.id}/privileges", **sent).status_code == 409
    assert send(f"{PATH}/{api.id}/privileges", code="1", title="x").status_code == 400
    made = session.scalar(select(Privilege).where(Privilege.code == "orders.print"))
    assert (made.name, made.api_resource_id) == ("Print", api.id)
    page = page_of(client, f"{PATH}/{api.id}")
    for text in ("orders.write", "orders.print", "0 roles"):
        assert text in page


def test_privileges_are_created_at_the_platform_alone(client, session, ann, send):
    user, acme = ann
    api = owned(session, user, "mine", acme)
    address = f"/console/t/{acme}/apis/{api.id}"
    assert "Add a privilege" not in page_of(client, address)
    assert send(f"{address}/privileges", code="mine.x", title="X").status_code == 404


def test_a_secret_is_shown_once(client, session, root, send):
    api = add_api(session)
    assert send(f"{PATH}/{api.id}/secrets", purpose="For tests").status_code == 303
    page = page_of(client, f"{PATH}/{api.id}")
    assert "It is shown only now." in page
    secret = page.partition('<div class="once"> <code>')[2].partition("<")[0]
    assert len(secret) > 20
    again = page_of(client, f"{PATH}/{api.id}")
    assert secret not in again
    assert "For tests" in again
    (row,) = session.scalars(select(ApiSecret))
    assert secret not in row.value_hash
    other = add_api(session, "other", ["other.read"])
    assert send(f"{PATH}/{other.id}/secrets/{row.id}/remove").status_code == 404
    removal = f"{PATH}/{api.id}/secrets/{row.id}/remove"
    assert send(removal).status_code == 303
    assert send(removal).status_code == 404
    assert session.scalars(select(ApiSecret)).all() == []


def test_what_is_sensitive_needs_a_recent_sign_in(client, session, root, clock, send):
    api = add_api(session)
    clock.shift(gate.RECENT.total_seconds() + 1)
    for answer in (
        send(f"{PATH}/{api.id}/secrets"),
        send(f"{PATH}/{api.id}/secrets/1/remove"),
        send(f"{PATH}/{api.id}/delete", typed="orders"),
        client.get(f"{PATH}/{api.id}/delete"),
    ):
        assert answer.location.startswith("/login?prompt=login")
    assert session.scalars(select(ApiSecret)).all() == []


def test_an_api_is_deleted_when_nothing_uses_it(client, session, root, send):
    api = add_api(session, "orders", ["orders.read"])
    register(session, scopes=("openid", "orders.read"))
    page = page_of(client, f"{PATH}/{api.id}/delete")
    assert "cannot be deleted" in page
    assert send(f"{PATH}/{api.id}/delete", typed="orders").status_code == 409
    for row in session.scalars(select(ClientScope).where(ClientScope.scope == "orders.read")).all():
        session.delete(row)
    session.commit()
    address = f"{PATH}/{api.id}/delete"
    assert send(address, typed="Orders").status_code == 400
    assert send(address, typed="orders").location == PATH
    assert send(address, typed="orders").status_code == 404
    built_in = resources.find_api(session, "ids4.ms")
    assert send(f"{PATH}/{built_in.id}/delete", typed="ids4.ms").status_code == 422


def test_names_are_text(client, session, root):
    api = add_api(session)
    api.display_name = "<b>Bold</b>\u202e" + "x" * 150
    session.add(Privilege(code="c" * 200, name="<u>" + "n" * 190, api_resource_id=api.id))
    session.commit()
    for address in ("", f"/{api.id}", f"/{api.id}/delete", "?q=bold"):
        answer = client.get(PATH + address, headers=HTML)
        assert answer.status_code == 200
        for letters in (b"<b>Bold", b"<u>nn"):
            assert letters not in answer.data


def test_the_number_of_queries_does_not_grow(client, session, root, runtime):
    counts = []
    for many in (1, 15):
        for number in range(many):
            tenant = add_tenant(session, f"T {many} {number}")
            name = f"api-{many}-{number}"
            add_api(session, name, [f"{name}.read", f"{name}.write"], tenant_id=tenant)
        client.get(PATH)
        with statements(runtime.engine) as sent:
            assert client.get(PATH).status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1] < 40
