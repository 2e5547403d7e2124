"""The frame of the console: ways in, workspaces, navigation, search, sign-in again."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from idp.directory.clients.models import ClientOwner
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant, TenantStatus
from idp.directory.users.models import User
from idp.pages.console import gate, workspaces
from idp.pages.console.screens import SCREENS
from idp.platform.audit.tags import Tag
from idp.platform.sessions.models import BrowserSession
from tests.api.center import statements
from tests.pages.browsing import HTML, events, readable, submit
from tests.protocol import (
    PASSWORD,
    add_person,
    add_role,
    add_tenant,
    grant_directly,
    register,
    sign_in,
)

READING = ["ids4.ms.client.get", "ids4.ms.client.detail"]


@pytest.fixture
def admin(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def ann(client, session):
    """Sign in somebody who reads clients in Acme; return them and the tenant."""
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    add_role(session, user, "clerk", READING, tenant_id=acme)
    sign_in(client, session, user)
    return user, acme


def own(session, user, app):
    """Make somebody an owner of a client."""
    session.add(ClientOwner(user_id=user.id, client_id=app.row_id))
    session.commit()


def test_a_visitor_signs_in_and_comes_back(client, session, ann):
    _, acme = ann
    client.delete_cookie("idp_1", domain="127.0.0.1")
    path = f"/console/t/{acme}/clients?sort=-name"
    answer = client.get(path)
    assert answer.status_code == 303
    assert submit(client, answer.location, {"login": "ann", "password": PASSWORD}).location == path
    assert client.get(path).status_code == 200


def test_a_page_that_cannot_be_named_in_a_return_address_leads_back_without_its_search(client):
    answer = client.get("/console/platform/clients?q=a%22b")
    assert answer.location == "/login?return_to=%2Fconsole%2Fplatform%2Fclients"


def test_someone_who_manages_nothing_has_no_console(client, session):
    user = add_person(session, tenant_ids=(1, add_tenant(session)))
    add_role(session, user, "users", tenant_id=None)
    sign_in(client, session, user)
    paths = ("", "/organisations", "/organisations?q=a", "/platform", "/platform/search")
    for path in (*paths, "/t/1", "/t/2"):
        assert client.get(f"/console{path}").status_code == 404, path


def test_the_console_opens_the_organisation_of_the_sign_in(client, session, ann):
    user, acme = ann
    other = add_tenant(session, "A different one")
    add_role(session, user, "clerk", READING, tenant_id=other)
    tenants.add_member(session, other, user.id)
    session.commit()
    assert client.get("/console").location == f"/console/t/{other}"  # first by name
    session.execute(update(BrowserSession).values(tenant_id=acme))
    assert client.get("/console").location == f"/console/t/{acme}"


def test_the_console_opens_the_platform_for_its_administrators(client, admin):
    assert client.get("/console").location == "/console/platform"
    first = next(screen for screen in SCREENS if screen.is_shown_in(platform=True))
    assert client.get("/console/platform").location == f"/console/platform/{first.name}"


def test_the_platform_is_no_organisation(client, admin):
    assert client.get("/console/t/1/clients").status_code == 404


@pytest.mark.parametrize("path", ["t/99999", "t/99999999999999999999", "t/0", "t/-1", "t/x"])
def test_a_tenant_that_is_not_there_is_not_found(client, admin, path):
    assert client.get(f"/console/{path}/clients").status_code == 404


def test_a_disabled_tenant_is_managed_by_the_platform_alone(client, new_client, session, ann):
    _, acme = ann
    boss = new_client()
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(boss, session, user)
    session.execute(
        update(Tenant).where(Tenant.id == acme).values(status=int(TenantStatus.DISABLED))
    )
    path = f"/console/t/{acme}/clients"
    assert client.get(path).status_code == 404
    assert boss.get(path).status_code == 200


def test_a_tenant_with_hosts_is_managed_by_its_members_there(new_client, client, session):
    host = "login.acme.example"
    acme = add_tenant(session, hosts=[host])
    other = add_tenant(session, "Other")
    user = add_person(session, tenant_ids=(acme, other))
    for tenant in (acme, other):
        add_role(session, user, "clerk", READING, tenant_id=tenant)
    add_role(session, user, "administrators", tenant_id=None)
    at_home = new_client(f"http://{host}")
    sign_in(at_home, session, user)
    assert at_home.get(f"/console/t/{acme}/clients").status_code == 200
    # Roles of the platform count at issuer 1 alone, and other tenants sign in elsewhere.
    assert at_home.get("/console/platform/clients").status_code == 404
    assert at_home.get(f"/console/t/{other}/clients").status_code == 404
    session.execute(update(User).values(security_stamp="new"))
    assert at_home.get(f"/console/t/{acme}/clients").status_code == 303


def test_rights_of_a_member_do_not_count_at_another_issuer(client, session):
    acme = add_tenant(session, hosts=["login.acme.example"])
    user = add_person(session, tenant_ids=(1, acme))
    add_role(session, user, "clerk", READING, tenant_id=acme)
    sign_in(client, session, user)
    assert client.get(f"/console/t/{acme}/clients").status_code == 404


def test_a_former_member_manages_nothing(client, session, ann):
    user, acme = ann
    tenants.remove_member(session, acme, user.id)
    assert client.get(f"/console/t/{acme}/clients").status_code == 404


def test_a_role_of_the_platform_manages_every_tenant(client, session):
    user = add_person(session)
    add_role(session, user, "support", READING, tenant_id=None)
    sign_in(client, session, user)
    acme = add_tenant(session)
    assert client.get(f"/console/t/{acme}/clients").status_code == 200
    page = readable(client.get("/console/organisations?q=ACM"))
    assert "Acme" in page
    assert "Acme" not in readable(client.get("/console/organisations?q=nothing"))


def test_a_grant_at_the_platform_counts_in_no_tenant_of_others(client, session):
    user = add_person(session)
    grant_directly(session, user, "ids4.ms.client.get")
    sign_in(client, session, user)
    assert client.get("/console/platform/clients").status_code == 200
    assert client.get(f"/console/t/{add_tenant(session)}/clients").status_code == 404


def test_the_navigation_and_the_switch_show_what_the_person_manages(client, session, ann):
    _, acme = ann
    add_tenant(session, "Bluefen")
    page = readable(client.get(f"/console/t/{acme}/clients"))
    assert f'href="/console/t/{acme}/clients"' in page
    assert "Bluefen" not in page
    assert "/console/platform" not in page
    assert "All organisations" not in page


def test_many_organisations_have_a_page_with_a_search(client, session, ann):
    user, _ = ann
    for number in range(workspaces.MOST_READ + 5):
        tenant = add_tenant(session, f"Branch {number:02}")
        tenants.add_member(session, tenant, user.id)
        add_role(session, user, f"clerk-{number}", READING, tenant_id=tenant)
    page = readable(client.get("/console/organisations"))
    assert "There are more" in page
    assert "Branch 54" not in page
    assert "Branch 54" in readable(client.get("/console/organisations?q=54"))
    page = readable(client.get("/console/t/2/clients"))
    assert "All organisations" in page
    assert "Branch 30" not in page


def test_a_missing_permission_is_named(client, session):
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    add_role(session, user, "clerk", ["ids4.ms.client.get"], tenant_id=acme)
    sign_in(client, session, user)
    app = register(session, tenant_id=acme)
    own(session, user, app)
    listed = readable(client.get(f"/console/t/{acme}/clients"))
    assert "web" in listed
    assert f"/clients/{app.row_id}" not in listed
    answer = client.get(f"/console/t/{acme}/clients/{app.row_id}", headers=HTML)
    assert answer.status_code == 403
    assert "ids4.ms.client.detail" in readable(answer)
    (event,) = events(session, Tag.OPERATION_REFUSED)
    assert (event.user_id, event.tenant_id) == (user.id, acme)
    assert event.target == "page:console.clients.show"
    for _ in range(20):
        client.get(f"/console/t/{acme}/clients/{app.row_id}")
    assert len(events(session, Tag.OPERATION_REFUSED)) == gate.TRACES_PER_MINUTE


def test_the_search_finds_what_the_person_may_see(client, session, ann):
    user, acme = ann
    mine = register(session, "orders-mine", tenant_id=acme, client_name="Mine")
    own(session, user, mine)
    register(session, "orders-theirs", tenant_id=acme)
    register(session, "orders-elsewhere", tenant_id=add_tenant(session, "Other"))
    page = readable(client.get(f"/console/t/{acme}/search?q=ORDERS"))
    assert "<mark>orders</mark>-mine" in page
    assert "theirs" not in page
    assert "elsewhere" not in page
    assert f"/console/t/{acme}/clients/{mine.row_id}" in page
    assert "Clients" in readable(client.get(f"/console/t/{acme}/search?q=clie"))


def test_what_is_searched_for_is_text(client, session, ann):
    _, acme = ann
    page = client.get(f"/console/t/{acme}/search", query_string={"q": "<b>.*(%_"})
    assert page.status_code == 200
    assert b"<b>" not in page.data


def test_colours_are_remembered(client, admin):
    answer = client.get("/console/colours/dark?return_to=/console/platform/clients")
    assert answer.location == "/console/platform/clients"
    assert '<html lang="en"\n      data-bs-theme="dark"' in client.get(answer.location).get_data(
        as_text=True
    )
    client.get("/console/colours/system")
    assert b"data-bs-theme" not in client.get("/console/platform/clients").data
    assert client.get("/console/colours/pink").status_code == 404
    answer = client.get("/console/colours/dark?return_to=https://evil.example/")
    assert answer.location == "/console"


def test_language_and_colours_lead_back_to_the_page_whatever_was_searched_for(client, admin):
    path = "/console/platform/clients"
    for query, back in (("q=demo", f"{path}?q=demo"), ("q=a%20b%22", path)):
        page = readable(client.get(f"{path}?{query}"))
        encoded = back.replace("/", "%2F").replace("?", "%3F").replace("=", "%3D")
        assert f"/language/zh?return_to={encoded}" in page
        assert f"/console/colours/dark?return_to={back}" in (
            page.replace("%2F", "/").replace("%3F", "?").replace("%3D", "=")
        )


def test_the_content_policy_stays_strict(client, admin):
    answer = client.get("/console/platform/clients")
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert policy.endswith("style-src 'self'")
    assert answer.headers["Cache-Control"] == "no-store"
    page = answer.get_data(as_text=True)
    assert "style=" not in page
    assert "hx-on" not in page
    assert "<script>" not in page


def test_a_page_asks_the_database_as_often_for_many_rows_as_for_few(
    client, session, admin, runtime
):
    acme = add_tenant(session)
    register(session, "app-0", tenant_id=acme)
    paths = (f"/console/t/{acme}/clients", f"/console/t/{acme}/search?q=app")
    counts = []
    for path in paths:
        client.get(path)
        with statements(runtime.engine) as sent:
            client.get(path)
        counts.append(len(sent))
    for number in range(1, 25):
        register(session, f"app-{number}", tenant_id=acme)
    for path, before in zip(paths, counts, strict=True):
        client.get(path)  # what is configured has changed, and is read anew
        with statements(runtime.engine) as sent:
            assert client.get(path).status_code == 200
        assert len(sent) == before, path
        assert before < 40, path


def test_an_old_sign_in_is_confirmed_with_the_password(client, session, admin, clock):
    visitor_is_recent = gate.RECENT.total_seconds()
    assert visitor_is_recent == 300
    asked = "/login?prompt=login&return_to=%2Fconsole%2Fplatform%2Fclients"
    page = client.get(asked)
    assert page.status_code == 200
    assert "confirm that it's you" in readable(page)
    answer = submit(client, asked, {"login": "root", "password": PASSWORD})
    assert answer.location == "/console/platform/clients"
