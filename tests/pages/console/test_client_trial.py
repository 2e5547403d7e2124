"""Try it: the console as the relying party of a client, and those who would abuse it."""

from __future__ import annotations

import logging
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select, update

from idp.directory.clients import service as clients
from idp.directory.clients.models import Client, ClientRedirectUri
from idp.directory.tenants import service as tenants
from idp.directory.users.models import User
from idp.oauth.models import AuthorizationCode, Grant
from idp.platform.audit.tags import Tag
from tests.api.center import whole_database
from tests.pages.browsing import HTML, csrf_token, events, readable, statements
from tests.protocol import (
    add_api,
    add_person,
    add_role,
    add_tenant,
    grant_of,
    register,
    register_machine,
    sign_in,
)

JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")
UNKNOWN = "This answer belongs to no sign-in"


@pytest.fixture
def web(session, root):
    """Register a client of the platform that Root manages."""
    add_api(session)
    return register(session, scopes=("openid", "profile", "orders.read"))


@pytest.fixture
def path(web):
    return f"/console/platform/clients/{web.row_id}/try"


def post(browser, path, /, **form):
    token = csrf_token(browser.get("/login?prompt=login"))
    return browser.post(path, data={"csrf_token": token, **form}, headers=HTML)


def registered(browser, path):
    assert post(browser, f"{path}/address", act="add").status_code == 303


def begin(browser, path, scope=("openid",), **form):
    """Begin a sign-in and return where the browser is sent."""
    answer = post(browser, path, scope=list(scope), prompt="", tenant="", **form)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return answer.location


def sign_in_at(browser, location):
    """Follow the sign-in; return the address that the answer came to."""
    answer = browser.get(location, headers=HTML)
    assert answer.status_code in {302, 303}, answer.get_data(as_text=True)
    return answer.location


def origins(answer) -> dict[str, str]:
    """Read where each claim comes from."""
    cells = r'class="mono">([^<]+)</th>\s*<td[^>]*>[^<]*</td>\s*<td[^>]*>([^<]*)</td>'
    return dict(re.findall(cells, answer.get_data(as_text=True)))


def to_code(browser, path, **options):
    registered(browser, path)
    back = sign_in_at(browser, begin(browser, path, **options))
    answer = browser.get(back, headers=HTML)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return back


def test_the_flow_ends_with_tokens_beside_the_origin_of_their_claims(client, path, web, root):
    page = client.get(path)
    assert "Register this address" in readable(page)
    back = to_code(client, path, scope=["openid", "profile", "orders.read"])
    # The answer leads back to the tab; neither code nor state stays in the address.
    page = client.get(path)
    assert "Redeem the code" in readable(page)
    assert parse_qs(urlsplit(back).query)["code"][0] not in page.get_data(as_text=True)
    answer = post(client, f"{path}/redeem", secret=web.secret)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    text = readable(answer)
    assert "Tokens were issued." in text
    assert f'"{root.id}"' in text
    assert "orders" in text
    for word in ("Access token", "ID token", "Valid", "nonce", "Where each claim comes from"):
        assert word in text
    assert "Not valid" not in text
    # Once more: nothing waits, and the page has forgotten the tokens.
    assert post(client, f"{path}/redeem", secret=web.secret).status_code == 409
    assert not JWT.search(client.get(path).get_data(as_text=True))


def test_a_public_client_redeems_without_a_secret(client, session, root):
    app = register(session, "spa", public=True)
    path = f"/console/platform/clients/{app.row_id}/try"
    to_code(client, path)
    page = client.get(path).get_data(as_text=True)
    assert 'name="secret"' not in page
    assert "Tokens were issued." in readable(post(client, f"{path}/redeem"))


def test_nothing_secret_is_logged_or_kept(client, session, path, web, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    back = to_code(client, path, scope=["openid", "orders.read"])
    answer = post(client, f"{path}/redeem", secret=web.secret)
    tokens = JWT.findall(answer.get_data(as_text=True))
    assert len(set(tokens)) == 2
    captured = capfd.readouterr()
    log = caplog.text + captured.out + captured.err
    secrets = [*tokens, web.secret, parse_qs(urlsplit(back).query)["code"][0]]
    session.rollback()
    database = repr(whole_database(session))
    cookies = repr(client._cookies)
    for value in secrets:
        assert value not in log
        assert value not in database
        assert value not in cookies
        assert value not in (answer.location or "")


def test_a_wrong_secret_leaves_its_trace_and_the_code(client, session, path, web):
    to_code(client, path)
    answer = post(client, f"{path}/redeem", secret="wrong-secret")
    assert "invalid_client" in readable(answer)
    assert not JWT.search(answer.get_data(as_text=True))
    assert "wrong-secret" not in answer.get_data(as_text=True)
    assert len(events(session, Tag.CLIENT_REFUSED)) == 1
    assert "Tokens were issued." in readable(post(client, f"{path}/redeem", secret=web.secret))


def test_a_code_that_was_redeemed_elsewhere_is_refused_and_its_tokens_end(
    client, session, path, web
):
    to_code(client, path)
    session.execute(update(AuthorizationCode).values(used_at=AuthorizationCode.expires_at))
    session.commit()
    answer = post(client, f"{path}/redeem", secret=web.secret)
    assert "invalid_grant" in readable(answer)
    session.rollback()
    assert session.scalars(select(Grant.revoked_reason)).one() == "code reused"
    assert post(client, f"{path}/redeem", secret=web.secret).status_code == 409


@pytest.mark.parametrize("state", ["", "other", "x" * 10_000])
def test_a_foreign_state_is_refused_and_does_not_end_the_sign_in(client, path, state):
    registered(client, path)
    back = sign_in_at(client, begin(client, path))
    answer = client.get(f"{path}/answer?code=abc&state={state}&iss=x", headers=HTML)
    assert answer.status_code == 400
    assert client.get(back, headers=HTML).status_code == 303


def test_an_answer_counts_once_even_from_a_copied_cookie(client, path):
    registered(client, path)
    location = begin(client, path)
    copied = [(cookie.key, cookie.value) for cookie in client._cookies.values()]
    back = sign_in_at(client, location)
    assert client.get(back, headers=HTML).status_code == 303
    assert client.get(back, headers=HTML).status_code == 400
    for name, value in copied:
        client.set_cookie(name, value)
    answer = client.get(back, headers=HTML)
    assert answer.status_code == 400
    assert UNKNOWN in readable(answer)


def test_an_answer_of_another_issuer_or_doubled_is_refused(client, path):
    registered(client, path)
    back = sign_in_at(client, begin(client, path))
    assert client.get(f"{back}&state=x", headers=HTML).status_code == 400
    foreign = re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", back)
    assert client.get(foreign, headers=HTML).status_code == 400
    assert "Redeem the code" not in readable(client.get(path))


def test_another_person_cannot_use_a_sign_in_that_was_begun(client, session, path):
    registered(client, path)
    back = sign_in_at(client, begin(client, path))
    other = add_person(session, "other")
    add_role(session, other, "administrators", tenant_id=None)
    sign_in(client, session, other)  # the same browser, with all its cookies
    assert client.get(back, headers=HTML).status_code == 400
    assert post(client, f"{path}/redeem").status_code == 409


def test_another_browser_cannot_use_it(client, new_client, session, root, path):
    registered(client, path)
    back = sign_in_at(client, begin(client, path))
    stranger = new_client()
    sign_in(stranger, session, root)
    assert stranger.get(back, headers=HTML).status_code == 400
    assert client.get(back, headers=HTML).status_code == 303


def test_a_code_of_one_client_is_not_redeemed_at_another(client, session, path, web):
    other = register(session, "other")
    there = f"/console/platform/clients/{other.row_id}/try"
    registered(client, there)
    to_code(client, path)
    assert post(client, f"{there}/redeem", secret=other.secret).status_code == 409
    back = sign_in_at(client, begin(client, path))
    crossed = back.replace(path, there)
    assert client.get(crossed, headers=HTML).status_code == 400


def test_clients_of_another_tenant_do_not_exist(client, session, boss):
    far = add_tenant(session, "Far")
    for app in (register(session, "theirs", tenant_id=far), register(session, "shared")):
        base = f"/console/t/{boss}/clients/{app.row_id}/try"
        assert client.get(base).status_code == 404
        assert client.get(f"{base}/answer?state=x").status_code == 404
        for path in (base, f"{base}/address", f"{base}/redeem", f"{base}/service"):
            assert post(client, path, act="add").status_code == 404
    session.rollback()
    addresses = session.scalars(select(ClientRedirectUri.redirect_uri)).all()
    assert not [uri for uri in addresses if "/console/" in uri]


def test_a_person_in_a_tenant_tries_its_client(client, session, boss):
    app = register(session, "shop", tenant_id=boss)
    user = session.scalars(select(User).where(User.username == "boss")).one()
    clients.link_owner(session, clients.get(session, app.client_id), user.id)
    session.commit()
    path = f"/console/t/{boss}/clients/{app.row_id}/try"
    to_code(client, path)
    answer = post(client, f"{path}/redeem", secret=app.secret)
    assert "Tokens were issued." in readable(answer)
    rows = origins(answer)
    assert {"sub", "iss", "client_id"} <= rows.keys()
    assert all(rows[name] for name in ("sub", "client_id"))
    assert "permissions of the platform" not in readable(answer)


def test_a_person_with_rights_of_the_platform_learns_where_a_tenant_shows_no_origin(
    client, session, root
):
    acme = add_tenant(session)
    tenants.add_member(session, acme, root.id)
    app = register(session, "shop", tenant_id=acme)
    path = f"/console/t/{acme}/clients/{app.row_id}/try"
    to_code(client, path)
    answer = post(client, f"{path}/redeem", secret=app.secret)
    assert "Tokens were issued." in readable(answer)
    assert "shown in the workspace of the platform alone" in readable(answer)
    assert "No origin is known" not in readable(answer)
    assert origins(answer) == {}
    path = f"/console/platform/clients/{app.row_id}/try"
    to_code(client, path)
    answer = post(client, f"{path}/redeem", secret=app.secret)
    assert origins(answer)["sub"]
    assert "in the workspace of the platform alone" not in readable(answer)


def test_the_address_is_registered_and_removed_by_those_who_may_change(client, session, path, web):
    def uris():
        session.expire_all()
        found = clients.get(session, web.client_id).redirect_uris
        return [row.redirect_uri for row in found if "/console/" in row.redirect_uri]

    registered(client, path)
    registered(client, path)
    assert uris() == [f"http://127.0.0.1:8000{path}/answer"]
    changed = events(session, Tag.CLIENT_CHANGED)
    assert len(changed) == 1
    assert post(client, f"{path}/address", act="remove").status_code == 303
    assert uris() == []
    assert post(client, f"{path}/address", act="other").status_code == 400
    # Without the address no sign-in begins.
    assert post(client, path, prompt="", tenant="").status_code == 409


def test_the_last_address_is_not_removed(client, session, path, web):
    registered(client, path)
    row = clients.get(session, web.client_id)
    for uri in list(row.redirect_uris):
        if "/console/" not in uri.redirect_uri:
            row.redirect_uris.remove(uri)
    session.commit()
    answer = post(client, f"{path}/address", act="remove")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.get_data(as_text=True)


def test_a_reader_tries_it_but_cannot_register_the_address(client, session, boss):
    shop = register(session, "shop", tenant_id=boss)
    user = session.scalars(select(User).where(User.username == "boss")).one()
    reader = add_person(session, "reader", tenant_ids=(boss,))
    codes = ["ids4.ms.client.get", "ids4.ms.client.detail"]
    add_role(session, reader, "reader", codes, tenant_id=boss)
    for each in (user, reader):
        clients.link_owner(session, clients.get(session, "shop"), each.id)
    session.commit()
    path = f"/console/t/{boss}/clients/{shop.row_id}/try"
    registered(client, path)
    sign_in(client, session, reader)
    assert post(client, f"{path}/address", act="remove").status_code == 403
    back = sign_in_at(client, begin(client, path))
    assert client.get(back, headers=HTML).status_code == 303
    answer = post(client, f"{path}/redeem", secret=shop.secret)
    assert "Tokens were issued." in readable(answer)
    # What they may not see elsewhere is not explained here.
    assert "ids4.ms.admin.explain.read" in readable(answer)


def test_scopes_and_choices_that_are_not_offered_are_refused(client, path):
    registered(client, path)
    assert post(client, path, scope="ids4.ms.all", prompt="", tenant="").status_code == 400
    for wrong in ({"prompt": "x", "tenant": ""}, {"prompt": "", "tenant": "999"}):
        assert post(client, path, scope="openid", **wrong).status_code == 400
    for text in ("<script>", "\u202e", "x" * 10_000):
        assert post(client, path, scope=text, prompt="", tenant="").status_code == 400


def test_a_sign_in_begins_where_there_is_no_organisation_to_choose(client, session, boss):
    shop = register(session, "shop", tenant_id=boss)
    user = session.scalars(select(User).where(User.username == "boss")).one()
    clients.link_owner(session, clients.get(session, "shop"), user.id)
    session.commit()
    path = f"/console/t/{boss}/clients/{shop.row_id}/try"
    registered(client, path)
    assert 'name="tenant"' not in client.get(path).get_data(as_text=True)
    assert post(client, path, scope="openid", prompt="").status_code == 303


def test_prompt_and_tenant_are_passed_on(client, session, root, path):
    registered(client, path)
    answer = post(client, path, scope="openid", prompt="login", tenant="1")
    query = parse_qs(urlsplit(answer.location).query)
    assert (query["prompt"], query["tenant"]) == (["login"], ["1"])
    assert query["code_challenge_method"] == ["S256"]
    answer = post(client, path, scope="openid", prompt="none", tenant="")
    back = sign_in_at(client, answer.location)
    assert client.get(back, headers=HTML).status_code == 303


def test_a_refused_sign_in_is_shown(client, session, path, web):
    session.execute(
        update(Client).where(Client.client_id == web.client_id).values(require_consent=True)
    )
    session.commit()
    registered(client, path)
    answer = post(client, path, scope="openid", prompt="none", tenant="")
    page = client.get(sign_in_at(client, answer.location), headers=HTML)
    assert page.status_code == 200
    assert "consent_required" in readable(page)


def test_a_service_gets_a_token_for_its_secret(client, session, root):
    add_api(session)
    robot = register_machine(session, scopes=["orders.read"])
    path = f"/console/platform/clients/{robot.row_id}/try"
    page = client.get(path)
    assert "A token of the client itself" in readable(page)
    answer = post(client, f"{path}/service", secret=robot.secret, scope="orders.read")
    assert "Tokens were issued." in readable(answer)
    assert "Valid" in readable(answer)
    assert robot.secret not in answer.get_data(as_text=True)
    answer = post(client, f"{path}/service", secret="wrong", scope="orders.read")
    assert "invalid_client" in readable(answer)
    assert post(client, f"{path}/service", secret="x" * 10_000).status_code == 400


def test_tries_are_counted(client, session, root):
    add_api(session)
    robot = register_machine(session, scopes=["orders.read"])
    path = f"/console/platform/clients/{robot.row_id}/try/service"
    for _ in range(20):
        assert post(client, path, secret="wrong").status_code == 200
    assert post(client, path, secret=robot.secret).status_code == 429


@pytest.mark.settings(dpop_nonce=True)
def test_tokens_that_must_be_bound_are_bound_to_a_key_of_the_console(client, session, path, web):
    add_api(session, "bank", ("bank.pay",), properties={"dpop_required": "true"})
    clients.get(session, web.client_id).dpop_bound_access_tokens = True
    session.commit()
    to_code(client, path)
    answer = post(client, f"{path}/redeem", secret=web.secret)
    assert "bound to a key that the console made" in readable(answer)
    assert '"jkt"' in readable(answer)
    # A machine whose API asks for it.
    robot = register_machine(session, scopes=["bank.pay"])
    answer = post(
        client,
        f"/console/platform/clients/{robot.row_id}/try/service",
        scope="bank.pay",
        secret=robot.secret,
    )
    assert '"jkt"' in readable(answer)


def test_a_client_with_a_certificate_or_pushed_requests_is_not_tried(client, session, path, web):
    row = clients.get(session, web.client_id)
    row.tls_client_certificate_bound_access_tokens = True
    session.commit()
    assert "certificate, which the console does not have" in readable(client.get(path))
    row.tls_client_certificate_bound_access_tokens = False
    row.require_pushed_authorization_requests = True
    session.commit()
    assert "push or sign its requests" in readable(client.get(path))


def test_a_disabled_client_and_one_with_a_key_are_not_tried(client, session, path, web):
    registered(client, path)
    clients.get(session, web.client_id).enabled = False
    session.commit()
    assert "disabled" in readable(client.get(path))
    assert post(client, path, scope="openid", prompt="", tenant="").status_code == 409
    row = clients.get(session, web.client_id)
    row.enabled, row.token_endpoint_auth_method = True, "private_key_jwt"
    session.commit()
    assert "private key" in readable(client.get(path))


def test_it_takes_a_constant_number_of_queries(client, session, runtime, root, path, web):
    def count():
        return len(statements(runtime, client, path, "consent", "user", "tenant", "client"))

    count()
    before = count()
    for number in range(5):
        user = add_person(session, f"u{number}")
        session.add(grant_of(user, client_id=web.row_id, tenant_id=1))
    session.commit()
    count()
    assert count() == before
