"""The screen of clients: tabs, secrets, the wizard, and the end of a client."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from html import unescape

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from idp.directory.clients import fields
from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientOwner, ClientSecret
from idp.directory.product import DEVICE_CODE
from idp.oauth.models import Grant
from idp.platform.audit.tags import Tag
from tests.api.center import statements
from tests.client_keys import ClientKey
from tests.pages.browsing import HTML, csrf_token, events, readable, send, submit
from tests.protocol import (
    CALLBACK,
    PASSWORD,
    add_api,
    add_authenticator,
    add_person,
    add_role,
    add_tenant,
    app_code,
    obtain,
    register,
    register_machine,
    sign_in,
)

LIST = "/console/platform/clients"
FORM = re.compile(r'<form method="post"\s+class="stack"(.*?)</form>', re.DOTALL)
TABS = ("settings", "addresses", "scopes", "tokens")


@pytest.fixture
def admin(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root", nick_name="Root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


@pytest.fixture
def web(session, admin):
    """Register a client of the platform."""
    return register(session)


def row(session, client_id="web") -> Client:
    session.expire_all()
    return clients.get(session, client_id)


def fields_of(page: str) -> dict[str, list[str]]:
    """Read what a form would send as it stands."""
    form = FORM.search(page)[1]
    values: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(r'value="([^"]*)"', tag)
        if name is None or ('type="checkbox"' in tag and "checked" not in tag):
            continue
        values.setdefault(name[1], []).append(value[1] if value else "")
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)</textarea>', form):
        values[name] = [text.removeprefix("\r\n")]
    for select_ in re.findall(r"<select.*?</select>", form, re.DOTALL):
        name = re.search(r'name="([^"]*)"', select_)
        chosen = re.search(r'<option selected value="([^"]*)"', select_)
        values[name[1]] = [chosen[1] if chosen else ""]
    return values


def save(browser, path, **changes):
    """Open a tab, change some fields, and save."""
    page = browser.get(path, headers=HTML)
    form = {**fields_of(readable_html(page)), **changes}
    form = {name: value for name, value in form.items() if value is not None}
    return browser.post(path, data=form, headers=HTML)


def readable_html(page) -> str:
    return unescape(page.get_data(as_text=True))


# The list


def test_the_list_shows_kind_grants_and_what_needs_somebody(client, session, admin, clock):
    register(session, "shop")
    register(session, "phone", public=True, application_type="native")
    register(session, "old", require_pkce=False)
    register_machine(session, "job")
    page = readable(client.get(LIST))
    for text in ("PKCE off", "Native", "Service", "Web"):
        assert text in page
    assert "Unused for 90 days" not in page
    clock.shift(timedelta(days=400))
    sign_in(client, session, admin)
    page = readable(client.get(f"{LIST}?q=shop"))
    assert "Unused for 90 days" in page
    assert "Secret over a year old" in page
    page = readable(client.get(f"{LIST}?q=job"))
    assert "Secret over a year old" in page
    assert "Unused" not in page


def test_the_last_token_is_read_from_the_audit_log(client, session, admin, new_client):
    app = register(session)
    assert "never" in readable(client.get(f"{LIST}?q=web"))
    visitor = new_client()
    sign_in(visitor, session, add_person(session))
    obtain(visitor, app)
    page = client.get(f"{LIST}?q=web").get_data(as_text=True)
    assert "never" not in page
    assert "<time datetime=" in page


def test_several_clients_are_disabled_at_once(client, session, admin):
    apps = [register(session, f"app-{number}") for number in range(3)]
    page = client.get(LIST)
    answer = send(
        client, page, f"{LIST}/bulk", {"id": [apps[0].row_id, apps[2].row_id], "act": "disable"}
    )
    assert answer.location == f"{LIST}?notice=many_disabled&count=2"
    assert "2 clients were disabled." in readable(client.get(answer.location))
    assert [row(session, f"app-{number}").enabled for number in range(3)] == [False, True, False]
    for hostile in (["x"], ["-1"], ["99999999999999999999"], [str(apps[0].row_id), "999999"]):
        answer = send(client, page, f"{LIST}/bulk", {"id": hostile, "act": "enable"})
        assert answer.status_code in {303, 404}, hostile
    assert not row(session, "app-0").enabled  # all of them or none
    for address in (f"{LIST}/bulk", f"{LIST}/{apps[1].row_id}/state"):
        for act in ("", "delete"):
            answer = send(client, page, address, {"id": [apps[1].row_id], "act": act})
            assert answer.status_code == 400, address
    assert row(session, "app-1").enabled


def test_a_person_sees_the_clients_that_they_are_linked_to(client, session):
    acme = add_tenant(session)
    ann = add_person(session, tenant_ids=(acme,))
    add_role(session, ann, "clerk", ["ids4.ms.client.all"], tenant_id=acme)
    sign_in(client, session, ann)
    mine, other = (register(session, name, tenant_id=acme) for name in ("mine", "other"))
    session.add(ClientOwner(user_id=ann.id, client_id=mine.row_id))
    page = readable(client.get(f"/console/t/{acme}/clients"))
    assert "mine" in page
    assert "other" not in page
    path = f"/console/t/{acme}/clients"
    assert client.get(f"{path}/{mine.row_id}/settings").status_code == 200
    for tab in (*TABS, "secrets", "activity", "quick-start", "delete", "duplicate"):
        assert client.get(f"{path}/{other.row_id}/{tab}").status_code == 404, tab


def test_an_administrator_of_the_platform_keeps_to_the_tenant_that_is_shown(
    client, session, admin, web
):
    acme = add_tenant(session)
    register(session, "theirs", tenant_id=acme)
    page = readable(client.get(f"/console/t/{acme}/clients"))
    assert "theirs" in page
    assert "Web" not in page.partition("<tbody>")[2].partition("theirs")[0]
    assert client.get(f"/console/t/{acme}/clients/{web.row_id}/settings").status_code == 404


# Tabs


@pytest.mark.parametrize("tab", TABS)
def test_saving_what_is_shown_changes_nothing(client, session, web, tab):
    before = row(session)
    stamp = before.concurrency_stamp
    answer = save(client, f"{LIST}/{web.row_id}/{tab}")
    assert answer.status_code == 303, readable(answer)
    assert row(session).concurrency_stamp == stamp
    assert events(session, Tag.CLIENT_CHANGED) == []


@pytest.mark.parametrize("public", [True, False])
def test_a_client_keeps_its_way_to_authenticate_when_something_else_is_saved(
    client, session, admin, public
):
    app = register(session, public=public)
    answer = save(client, f"{LIST}/{app.row_id}/settings", client_name="New")
    assert answer.status_code == 303, readable(answer)
    changed = row(session)
    assert changed.client_name == "New"
    assert changed.require_client_secret is not public
    assert changed.token_endpoint_auth_method is None


def test_settings_are_saved_and_recorded_with_who_made_them(client, session, admin, web):
    path = f"{LIST}/{web.row_id}/settings"
    answer = save(
        client, path, client_name="Shop", allow_remember_consent=None, consent_lifetime="60"
    )
    assert answer.location == f"{path}?notice=saved"
    changed = row(session)
    assert (changed.client_name, changed.allow_remember_consent) == ("Shop", False)
    assert changed.consent_lifetime == 60
    (event,) = events(session, Tag.CLIENT_CHANGED)
    assert event.user_id == admin.id
    assert {change["field"] for change in event.details["changes"]} == {
        "client_name",
        "allow_remember_consent",
        "consent_lifetime",
    }
    page = readable(client.get(f"{LIST}/{web.row_id}/activity"))
    assert "Root" in page
    assert "client_name" in page


def test_lists_of_addresses_are_a_line_each(client, session, admin, web):
    path = f"{LIST}/{web.row_id}/addresses"
    answer = save(
        client,
        path,
        redirect_uris="https://one.example/a\r\n\r\n  https://two.example/b  ",
        cors_origins="https://one.example",
    )
    assert answer.status_code == 303, readable(answer)
    found = row(session)
    assert [uri.redirect_uri for uri in found.redirect_uris] == [
        "https://one.example/a",
        "https://two.example/b",
    ]
    assert [origin.origin for origin in found.cors_origins] == ["https://one.example"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("tab", "field", "value", "said"),
    [
        ("addresses", "redirect_uris", "javascript:alert(1)", "redirect_uris"),
        ("addresses", "redirect_uris", "https://a.example/#x", "redirect_uris"),
        ("addresses", "redirect_uris", "", "redirect_uris"),
        ("addresses", "cors_origins", "https://a.example/path", "cors_origins"),
        ("settings", "logo_uri", "data:text/html,x", "logo_uri"),
        ("settings", "jwks", "{", "jwks"),
        ("settings", "consent_lifetime", "many", "consent_lifetime"),
        ("settings", "token_endpoint_auth_method", "private_key_jwt", "jwks"),
        ("settings", "application_type", "nothing", "application_type"),
        ("settings", "client_name", "x" * 201, "client_name"),
        ("tokens", "access_token_lifetime", "0", "access_token_lifetime"),
        ("tokens", "access_token_lifetime", "", "access_token_lifetime"),
        ("scopes", "scopes", "nothing.of.this.name", "scopes"),
        ("scopes", "grant_types", "password", "grant_types"),
    ],
)
def test_a_refused_value_is_named_beside_its_field(
    client, session, admin, web, tab, field, value, said
):
    before = {name: getattr(row(session), name) for name in fields.FIELDS}
    answer = save(client, f"{LIST}/{web.row_id}/{tab}", **{field: value})
    assert answer.status_code in {400, 422}
    page = answer.get_data(as_text=True)
    assert f'id="{said}-error"' in page
    assert {name: getattr(row(session), name) for name in fields.FIELDS} == before
    if tab == "addresses" and value:
        assert value.split("#")[0][:10] in readable(answer)  # what was typed is there


def test_a_field_that_the_page_does_not_have_is_not_written(client, session, admin, web):
    acme = add_tenant(session)
    answer = save(
        client,
        f"{LIST}/{web.row_id}/settings",
        enabled="",
        tenant_id=str(acme),
        client_id="other",
        access_token_lifetime="5",
        grantable_privileges="ids4.ms.all",
    )
    assert answer.status_code == 303
    found = row(session)
    assert (found.enabled, found.tenant_id, found.access_token_lifetime) == (True, None, 3600)
    assert found.grantable_privileges is None


def test_scopes_that_a_machine_would_get_unasked_must_be_held(client, session):
    acme = add_tenant(session)
    ann = add_person(session, tenant_ids=(acme,))
    add_role(session, ann, "clerk", ["ids4.ms.client.all"], tenant_id=acme)
    sign_in(client, session, ann)
    app = register(session, tenant_id=acme)
    session.add(ClientOwner(user_id=ann.id, client_id=app.row_id))
    answer = save(
        client, f"/console/t/{acme}/clients/{app.row_id}/scopes", scopes=["openid", "ids4.ms.all"]
    )
    assert answer.status_code == 422
    assert "ids4.ms.all" in readable(answer)
    assert "ids4.ms.all" not in [scope.scope for scope in row(session).scopes]


def test_two_who_change_the_same_client_see_both_states(client, session, admin, web, new_client):
    path = f"{LIST}/{web.row_id}/settings"
    second = new_client()
    bob = add_person(session, "bob", nick_name="Bob")
    add_role(session, bob, "administrators", tenant_id=None)
    sign_in(second, session, bob)
    form = fields_of(readable_html(client.get(path)))
    assert save(second, path, client_name="Bob's").status_code == 303
    answer = client.post(path, data={**form, "client_name": "Root's"}, headers=HTML)
    assert answer.status_code == 409
    page = readable(answer)
    assert "Nothing was saved" in page
    assert "Changed by Bob" in page
    assert "Bob's" in page
    assert "Root's" in page
    assert row(session).client_name == "Bob's"
    again = fields_of(readable_html(answer))
    assert client.post(path, data=again, headers=HTML).status_code == 303
    assert row(session).client_name == "Root's"


def test_a_form_without_a_stamp_is_refused(client, session, admin, web):
    answer = save(client, f"{LIST}/{web.row_id}/settings", concurrency_stamp="", client_name="x")
    assert answer.status_code == 409
    assert row(session).client_name == "Web"


def test_whoever_may_only_read_sees_greyed_acts_and_cannot_save(client, session, admin):
    acme = add_tenant(session)
    ann = add_person(session, tenant_ids=(acme,))
    add_role(
        session, ann, "reader", ["ids4.ms.client.get", "ids4.ms.client.detail"], tenant_id=acme
    )
    sign_in(client, session, ann)
    app = register(session, tenant_id=acme)
    session.add(ClientOwner(user_id=ann.id, client_id=app.row_id))
    path = f"/console/t/{acme}/clients/{app.row_id}"
    page = readable(client.get(f"{path}/settings"))
    assert "Needs the permission ids4.ms.client.put" in page
    assert '<fieldset class="stack" disabled>' in page
    token = csrf_token(client.get(f"{path}/settings")) if "csrf_token" in page else ""
    for address in ("settings", "state", "secrets", "delete", "duplicate"):
        answer = client.post(f"{path}/{address}", data={"csrf_token": token}, headers=HTML)
        assert answer.status_code == 403, address


def test_keys_of_a_client_are_shown_and_saved_as_they_are(client, session, admin):
    keys = {"keys": [{**ECKey.generate_key("P-256").as_dict(private=False), "kid": "one"}]}
    app = register(session, token_endpoint_auth_method="private_key_jwt", jwks=keys)
    stamp = row(session).concurrency_stamp
    path = f"{LIST}/{app.row_id}/settings"
    page = readable_html(client.get(path))
    form = {
        name: [text.replace("\n", "\r\n") for text in texts]
        for name, texts in fields_of(page).items()
    }
    assert client.post(path, data=form, headers=HTML).status_code == 303
    assert row(session).concurrency_stamp == stamp


def test_whoever_may_change_a_client_but_not_read_it_sees_nothing_of_it(client, session):
    acme = add_tenant(session)
    ann = add_person(session, tenant_ids=(acme,))
    codes = [f"ids4.ms.client.{name}" for name in ("get", "put", "post", "delete", "postsecretkey")]
    add_role(session, ann, "blind", codes, tenant_id=acme)
    sign_in(client, session, ann)
    app = register(session, tenant_id=acme, description="Known to few")
    session.add(ClientOwner(user_id=ann.id, client_id=app.row_id))
    path = f"/console/t/{acme}/clients"
    page = client.get(path)
    for address in (*TABS, "secrets", "delete", "duplicate"):
        answer = send(client, page, f"{path}/{app.row_id}/{address}", {})
        assert answer.status_code == 403, address
        assert "Known to few" not in readable(answer)


# Secrets


def test_a_secret_is_shown_once_in_the_browser_that_made_it(client, session, admin, web):
    path = f"{LIST}/{web.row_id}/secrets"
    answer = submit(client, path, {"description": "second", "days": "90"})
    assert answer.location == path
    page = client.get(path).get_data(as_text=True)
    (secret,) = re.findall(r'<div class="once">\s*<code>([^<]+)</code>', page)
    assert secret not in client.get(path).get_data(as_text=True)
    assert 'class="once"' not in client.get(path).get_data(as_text=True)
    rows = session.scalars(select(ClientSecret).order_by(ClientSecret.id)).all()
    stored = [one for one in rows if one.client_id == web.row_id]
    assert [one.description for one in stored] == [None, "second"]
    assert secret not in stored[1].value_hash
    token = client.post(
        "/connect/token",
        data={"grant_type": "client_credentials", "client_id": "web", "client_secret": secret},
    )
    assert token.json["error"] == "unauthorized_client"  # authenticated, but not its grant


def test_a_secret_is_not_shown_on_the_page_of_another_client_or_to_another_session(
    client, session, admin, web
):
    other = register(session, "other")
    submit(client, f"{LIST}/{web.row_id}/secrets", {"days": ""})
    page = client.get(f"{LIST}/{other.row_id}/secrets").get_data(as_text=True)
    assert 'class="once"' not in page
    submit(client, f"{LIST}/{web.row_id}/secrets", {"days": ""})
    bob = add_person(session, "bob")
    add_role(session, bob, "administrators", tenant_id=None)
    sign_in(client, session, bob)
    page = client.get(f"{LIST}/{web.row_id}/secrets").get_data(as_text=True)
    assert 'class="once"' not in page


def test_a_secret_that_nobody_looked_at_is_gone_after_two_minutes(
    client, session, admin, web, clock
):
    submit(client, f"{LIST}/{web.row_id}/secrets", {"days": ""})
    clock.shift(121)
    page = client.get(f"{LIST}/{web.row_id}/secrets").get_data(as_text=True)
    assert 'class="once"' not in page


def test_sensitive_acts_need_a_sign_in_of_the_last_five_minutes(client, session, admin, web, clock):
    secret_id = row(session).secrets[0].id
    path = f"{LIST}/{web.row_id}"
    page = client.get(f"{path}/secrets")
    clock.shift(301)
    asked = [
        (f"{path}/secrets", f"{path}/secrets"),
        (f"{path}/secrets/{secret_id}/remove", f"{path}/secrets/{secret_id}/remove"),
        (f"{path}/secrets/{secret_id}/expire", f"{path}/secrets/{secret_id}/expire"),
        (f"{path}/delete", f"{path}/delete"),
    ]
    for address, back in asked:
        answer = send(client, page, address, {"days": "", "typed": "web"})
        assert answer.status_code == 303, address
        assert answer.location.startswith("/login?prompt=login&return_to="), address
        assert answer.location.endswith(back.replace("/", "%2F")), answer.location
    for address in ("delete", f"secrets/{secret_id}/remove", f"secrets/{secret_id}/expire"):
        assert client.get(f"{path}/{address}").location.startswith("/login?prompt=login")
    assert len(row(session).secrets) == 1
    login = client.get(f"{path}/delete").location
    assert submit(client, login, {"login": "root", "password": PASSWORD}).location == (
        f"{path}/delete"
    )
    assert client.get(f"{path}/delete").status_code == 200


def test_sensitive_acts_need_the_second_factor_of_people_who_have_one(client, session, admin, web):
    path = f"{LIST}/{web.row_id}/secrets"
    page = client.get(path)
    secret = add_authenticator(session, admin)
    asked = send(client, page, path, {"days": ""})
    assert asked.location.startswith("/login?prompt=login&return_to=")
    assert len(row(session).secrets) == 1
    step = submit(client, asked.location, {"login": "root", "password": PASSWORD})
    assert step.location.startswith("/login/factor?return_to=")
    assert submit(client, step.location, {"code": app_code(secret)}).location == path
    assert send(client, client.get(path), path, {"days": ""}).location == path
    session.expire_all()
    assert len(row(session).secrets) == 2


def test_a_secret_ends_when_it_is_told_to_and_is_removed(client, session, admin, web, clock):
    secret_id = row(session).secrets[0].id
    path = f"{LIST}/{web.row_id}/secrets"
    page = readable(client.get(f"{path}/{secret_id}/remove"))
    assert "No valid secret would be left" in page
    assert submit(client, f"{path}/{secret_id}/expire", {"days": "7"}).location == (
        f"{path}?notice=expiry"
    )
    assert "Expires soon" in readable(client.get(path))
    (event,) = events(session, Tag.CLIENT_CHANGED)
    assert event.user_id == admin.id
    clock.shift(timedelta(days=8))
    sign_in(client, session, admin)
    assert "Expired" in readable(client.get(path))
    assert submit(client, f"{path}/{secret_id}/remove", {}).location == f"{path}?notice=removed"
    assert row(session).secrets == []
    assert len(events(session, Tag.CLIENT_SECRET_REMOVED)) == 1
    assert client.get(f"{path}/{secret_id}/remove").status_code == 404


@pytest.mark.parametrize("days", ["3", "-1", "x", "365000000"])
def test_a_life_that_is_not_offered_is_refused(client, session, admin, web, days):
    assert submit(client, f"{LIST}/{web.row_id}/secrets", {"days": days}).status_code == 400
    assert len(row(session).secrets) == 1


def test_a_public_client_has_no_form_for_secrets(client, session, admin):
    app = register(session, "phone", public=True)
    path = f"{LIST}/{app.row_id}/secrets"
    page = client.get(path)
    assert "PKCE protects its codes" in readable(page)
    answer = send(client, client.get(LIST), path, {"days": ""})
    assert answer.status_code == 422


def test_a_secret_of_another_client_is_not_found(client, session, admin, web):
    other = register(session, "other")
    foreign = row(session, "other").secrets[0].id
    for act in ("remove", "expire"):
        path = f"{LIST}/{web.row_id}/secrets/{foreign}/{act}"
        assert client.get(path).status_code == 404
        assert send(client, client.get(LIST), path, {"days": "1"}).status_code == 404
    assert len(row(session, "other").secrets) == 1
    assert other.row_id != web.row_id


# New clients


@pytest.mark.parametrize("kind", ["web", "spa", "native", "device", "service"])
def test_the_wizard_makes_a_client_of_each_kind(client, session, admin, kind):
    acme = add_tenant(session)
    add_api(session, scopes=("orders.read",), tenant_id=acme)
    path = f"/console/t/{acme}/clients/new"
    assert f"{path}?kind={kind}" in readable(client.get(path))
    form = {
        "client_id": f"a-{kind}",
        "client_name": "A",
        "redirect_uris": CALLBACK,
        "scopes": ["orders.read"] if kind == "service" else ["openid", "orders.read"],
    }
    answer = submit(client, f"{path}?kind={kind}", form)
    assert answer.status_code == 303, readable(answer)
    made = row(session, f"a-{kind}")
    assert made.tenant_id == acme
    assert session.get(ClientOwner, (admin.id, made.id)) is not None
    grants = {grant.grant_type for grant in made.grant_types}
    page = client.get(answer.location).get_data(as_text=True)
    secrets = re.findall(r'<div class="once">\s*<code>([^<]+)</code>', page)
    assert len(secrets) == (kind in {"web", "service"})
    assert {
        "web": ({"authorization_code"}, True, "web"),
        "spa": ({"authorization_code"}, False, "web"),
        "native": ({"authorization_code", "refresh_token"}, False, "native"),
        "device": ({DEVICE_CODE, "refresh_token"}, False, "native"),
        "service": ({"client_credentials"}, True, "web"),
    }[kind] == (grants, made.require_client_secret, made.application_type)
    if kind == "service":
        token = client.post(
            "/connect/token",
            data={
                "grant_type": "client_credentials",
                "client_id": made.client_id,
                "client_secret": secrets[0],
            },
        )
        assert token.json["scope"] == "orders.read"
    if kind == "spa":
        assert [origin.origin for origin in made.cors_origins] == ["https://app.example"]


@pytest.mark.parametrize("kind", ["web", "service"])
@pytest.mark.parametrize("profile", ["fapi2", "fapi2_message_signing"])
def test_the_wizard_makes_a_client_for_a_bank(client, session, admin, kind, profile):
    add_api(session, scopes=("orders.read",))
    form = {
        "client_id": "bank",
        "redirect_uris": CALLBACK,
        "scopes": ["orders.read"],
        "security_profile": profile,
    }
    address = f"{LIST}/new?kind={kind}"
    refused = submit(client, address, form)
    assert refused.status_code == 400
    assert "private_key_jwt requires jwks" in readable(refused)
    answer = submit(client, address, {**form, "jwks": json.dumps(ClientKey().jwks)})
    assert answer.status_code == 303, readable(answer)
    made = row(session, "bank")
    assert made.security_profile == profile
    assert made.token_endpoint_auth_method == "private_key_jwt"
    assert made.secrets == []


def test_offline_access_is_a_choice(client, session, admin):
    form = {"client_id": "shop", "redirect_uris": CALLBACK, "scopes": "openid"}
    submit(client, f"{LIST}/new?kind=web", {**form, "allow_offline_access": "y"})
    grants = {grant.grant_type for grant in row(session, "shop").grant_types}
    assert grants == {"authorization_code", "refresh_token"}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_id": "12345"}, "client_id"),
        ({"client_id": "web"}, "client_id"),
        ({"client_id": "a b"}, "client_id"),
        ({"redirect_uris": "http://evil.example/"}, "redirect_uris"),
        ({"redirect_uris": ""}, "redirect_uris"),
        ({"scopes": "nothing.here"}, "scopes"),
    ],
)
def test_the_wizard_says_what_is_wrong(client, session, web, form, field):
    whole = {"client_id": "new", "redirect_uris": CALLBACK, "scopes": "openid", **form}
    answer = submit(client, f"{LIST}/new?kind=web", whole)
    assert answer.status_code in {400, 409, 422}
    assert f'id="{field}-error"' in answer.get_data(as_text=True)
    assert clients.find(session, "new") is None


@pytest.mark.parametrize("kind", ["nothing", "", "web/../x"])
def test_a_kind_that_is_not_offered_is_not_found(client, admin, kind):
    page = client.get(LIST)
    assert client.get(f"{LIST}/new", query_string={"kind": kind}).status_code == 404
    assert send(client, page, f"{LIST}/new?kind={kind}", {"client_id": "x"}).status_code == 404


def test_a_copy_has_everything_but_the_secrets(client, session, admin):
    app = register(session, description="First", cors_origins=["https://app.example"])
    answer = submit(
        client,
        f"{LIST}/{app.row_id}/duplicate",
        {"client_id": "web-2", "client_name": "Second"},
    )
    assert answer.status_code == 303, readable(answer)
    page = client.get(answer.location).get_data(as_text=True)
    assert 'class="once"' in page
    first, second = row(session), row(session, "web-2")
    for name in fields.FIELDS:
        if name != "client_name":
            assert getattr(first, name) == getattr(second, name), name
    for name, column in (
        ("redirect_uris", "redirect_uri"),
        ("scopes", "scope"),
        ("grant_types", "grant_type"),
        ("cors_origins", "origin"),
    ):
        values = [[getattr(one, column) for one in getattr(both, name)] for both in (first, second)]
        assert values[0] == values[1], name
    assert {one.value_hash for one in first.secrets}.isdisjoint(
        one.value_hash for one in second.secrets
    )
    again = submit(client, f"{LIST}/{app.row_id}/duplicate", {"client_id": "web-2"})
    assert again.status_code == 409


# Its end


def test_a_client_is_disabled_before_it_is_deleted(client, session, admin, web, new_client):
    visitor = new_client()
    sign_in(visitor, session, add_person(session))
    obtain(visitor, web)
    path = f"{LIST}/{web.row_id}"
    page = client.get(f"{path}/delete")
    assert "Disable Web first" in readable(page)
    assert send(client, page, f"{path}/delete", {"typed": "web"}).status_code == 409
    assert send(client, page, f"{path}/state", {"act": "disable"}).status_code == 303
    assert not row(session).enabled
    page = client.get(f"{path}/delete")
    assert re.search(r"<strong>1</strong>\s*<span>live sign-in ends", readable(page))
    for wrong in ("", "WEB", "webs"):
        answer = send(client, page, f"{path}/delete", {"typed": wrong})
        assert answer.status_code == 400
        assert 'id="typed-error"' in answer.get_data(as_text=True)
    answer = send(client, page, f"{path}/delete", {"typed": "web"})
    assert answer.location == f"{LIST}?notice=deleted"
    session.expire_all()
    assert clients.find(session, "web") is None
    assert session.scalars(select(Grant)).all() == []
    (event,) = events(session, Tag.CLIENT_DELETED)
    assert event.user_id == admin.id
    assert client.get(path).status_code in {303, 404}
    assert client.get(f"{path}/settings").status_code == 404


def test_a_client_is_enabled_again(client, session, admin, web):
    path = f"{LIST}/{web.row_id}"
    page = client.get(f"{path}/settings")
    send(client, page, f"{path}/state", {"act": "disable"})
    send(client, page, f"{path}/state", {"act": "disable"})  # twice is no change
    assert len(events(session, Tag.CLIENT_CHANGED)) == 1
    send(client, page, f"{path}/state", {"act": "enable"})
    assert row(session).enabled


# What it shows beside


def test_the_activity_does_not_say_who_signed_in(client, session, admin, web, new_client):
    visitor = new_client()
    person = add_person(session, "somebody", nick_name="Somebody Private")
    sign_in(visitor, session, person)
    obtain(visitor, web)
    page = readable(client.get(f"{LIST}/{web.row_id}/activity"))
    assert "Code issued" in page
    assert "Tokens issued" in page
    assert "Somebody" not in page
    assert "somebody" not in page


@pytest.mark.parametrize("tab", [*TABS, "secrets", "activity", "quick-start"])
def test_a_page_of_a_client_takes_as_many_statements_whatever_it_has(
    client, session, admin, runtime, tab
):
    small, large = register(session, "small"), register(session, "large")
    found = row(session, "large")
    for number in range(20):
        clients.add_secret(session, found)
        clients.update(session, found, {"description": str(number)})
    clients.update(
        session,
        found,
        {},
        {"redirect_uris": [f"https://app.example/{number}" for number in range(50)]},
    )
    session.commit()
    counts = []
    for app in (small, large):
        path = f"{LIST}/{app.row_id}/{tab}"
        client.get(path)
        with statements(runtime.engine) as sent:
            assert client.get(path).status_code == 200
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert counts[0] < 45


def test_the_client_as_code_makes_the_same_client(client, session, admin, web, runtime):
    register(
        session,
        "odd",
        client_name="It's; $(odd)",
        description="`x`",
        require_pkce=False,
        policy_uri="https://app.example/p",
    )
    app = row(session, "odd")
    page = readable_html(client.get(f"{LIST}/{app.id}/settings?code=curl"))
    text = page.partition('<pre class="code" tabindex="0">')[2].partition("</pre>")[0]
    arguments = shlex.split(text.replace("\\\n", " "))
    body = json.loads(arguments[arguments.index("-d") + 1])
    assert body["clientName"] == "It's; $(odd)"
    assert body["requirePkce"] is False
    assert {"key": "policy_uri", "value": "https://app.example/p"} in body["properties"]
    assert "secret" not in text.lower()
    page = readable_html(client.get(f"{LIST}/{app.id}/settings"))
    text = page.partition('<pre class="code" tabindex="0">')[2].partition("</pre>")[0]
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:5] == ["idp", "client", "add", "--id", "odd"]
    assert words[words.index("--name") + 1] == "It's; $(odd)"


def test_an_exemption_from_second_factors_is_shown_and_changed_by_the_platform_alone(
    client, session, admin
):
    acme = add_tenant(session)
    app = register(session, tenant_id=acme)
    path = f"/console/t/{acme}/clients/{app.row_id}/settings"
    assert save(client, path, second_factor_exempt="y").status_code == 303
    assert row(session).second_factor_exempt
    ann = add_person(session, tenant_ids=(acme,))
    add_role(session, ann, "clerk", ["ids4.ms.client.all"], tenant_id=acme)
    session.add(ClientOwner(user_id=ann.id, client_id=app.row_id))
    session.commit()
    sign_in(client, session, ann)
    page = readable(client.get(path))
    assert "Logs people in without their second factor" in page
    assert "Only platform administrators change this." in page
    assert 'name="second_factor_exempt"' not in page
    # What she does not see she does not switch off, nor on.
    assert save(client, path, client_name="Shop").status_code == 303
    assert row(session).second_factor_exempt
    clients.update(session, row(session), {"second_factor_exempt": False})
    session.commit()
    assert save(client, path, second_factor_exempt="y").status_code == 303
    assert not row(session).second_factor_exempt
