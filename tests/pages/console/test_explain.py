"""Why a token says what it says, in the console: the services have tests of their own."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from idp.pages.console.explain import choices, code
from tests import protocol
from tests.api.center import statements
from tests.pages.browsing import HTML, readable, send
from tests.protocol import (
    add_api,
    add_person,
    add_role,
    add_tenant,
    register,
    register_machine,
)

PATH = "/console/platform/explain"
HOSTILE = "<b>\"\u202e'</b>"


@pytest.fixture
def shop(session):
    """Register a client with an API, and a person who may use it."""
    api = add_api(session, user_claims=["email"])
    user = add_person(session, email="ann@example.com")
    add_role(session, user, "clerk", ["orders.read", "orders.write"], api=api)
    register(session, scopes=("openid", "email", "orders.read"))
    return user


def ask(browser, path=PATH, /, **query):
    return browser.get(path, query_string=query, headers=HTML)


def paste(client, token, path=PATH):
    return send(client, client.get(f"{path}/token"), f"{path}/token", {"token": token})


def test_a_token_is_explained_with_the_origin_of_each_claim(client, session, root, shop):
    stock = add_api(session, "stock", ["stock.read"])
    add_role(session, shop, "keeper", ["stock.count"], api=stock)
    answer = ask(client, client="web", user="ann", scope="openid orders.read nonsense")
    page = readable(answer)
    assert answer.status_code == 200
    assert "Would be issued" in page
    assert "valid for 1 hour" in page
    assert "The role clerk has it." in page
    missing = page[page.index("Not in the token") : page.index("In the token")]
    assert "stock.count" in missing
    assert "Belongs to the API stock, which is not in the audience." in missing
    assert "There is no such scope; it is ignored." in missing
    assert f"--client web --tenant 1 --user {shop.username}" in page
    identity = readable(ask(client, client="web", user="ann", scope="openid", token="id"))
    assert "at_hash" in identity


@pytest.mark.parametrize("name", ["ann", "ann@example.com", "ANN"])
def test_a_person_is_named_by_what_they_sign_in_with_or_by_id(client, root, shop, name):
    for user in (name, str(shop.id)):
        page = readable(ask(client, client="web", user=user, scope="openid"))
        assert f'"{shop.id}"' in page


def test_a_refusal_of_the_protocol_is_an_explanation(client, root, shop):
    answer = ask(client, client="web", user="ann", scope="ids4.ms.all")
    assert answer.status_code == 200
    page = readable(answer)
    assert "Would be refused" in page
    assert "RFC 6749" in page


@pytest.mark.parametrize(
    "query",
    [
        {"client": "nobody"},
        {"client": "web", "user": "nobody"},
        {"client": "web", "user": "9" * 18},
        {"client": "web", "tenant": "777"},
        {"client": HOSTILE, "user": HOSTILE, "scope": HOSTILE},
    ],
)
def test_what_is_not_there_is_not_found_and_said_once(client, root, shop, query):
    answer = ask(client, **query)
    assert answer.status_code == 404
    page = answer.get_data(as_text=True)
    assert "There is no such client, person or organisation within your reach." in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    "query",
    [
        {"client": ""},
        {"client": "x" * 10_000},
        {"client": "web", "user": "x" * 10_000},
        {"client": "web", "scope": "x" * 10_000},
        {"client": "web", "tenant": "0"},
        {"client": "web", "tenant": "9" * 30},
        {"client": "web", "tenant": "x"},
    ],
)
def test_bad_input_is_refused_beside_its_field(client, root, shop, query):
    answer = ask(client, **query)
    assert answer.status_code == 400
    assert 'class="field-error"' in answer.get_data(as_text=True)


def test_in_a_tenant_only_its_clients_and_members_are_explained(client, session, boss, shop):
    path = f"/console/t/{boss}/explain"
    register(session, "ours", tenant_id=boss, scopes=("openid",))
    member = add_person(session, "member", tenant_ids=(boss,))
    assert ask(client, path, client="ours", user="member", scope="openid").status_code == 200
    other = add_tenant(session, "Other")
    register(session, "theirs", tenant_id=other, scopes=("openid",))
    for query in (
        {"client": "theirs", "user": "member"},
        {"client": "web", "user": "member"},
        {"client": "ours", "user": "ann"},
        {"client": "ours", "user": str(shop.id)},
    ):
        assert ask(client, path, **query).status_code == 404, query
    # The tenant of the address counts, whatever the form says.
    answer = ask(client, path, client="ours", user="member", scope="openid", tenant=str(other))
    assert answer.status_code == 200
    assert f"--tenant {boss} --user {member.username}" in readable(answer)


def test_a_refused_request_is_explained_by_its_id(client, session, root, shop):
    app = register_machine(session, "machine")
    refused = protocol.machine_token(client, app, scope="nonsense")
    page = readable(ask(client, f"{PATH}/request", request=f" {refused.headers['X-Request-Id']} "))
    assert "invalid_scope" in page
    assert "/connect/token" in page
    assert "machine" in page
    for name, status in (("unknown", 404), ("", 400), ("x" * 10_000, 400), (HOSTILE, 404)):
        answer = ask(client, f"{PATH}/request", request=name)
        assert answer.status_code == status, name
        assert b"<b>" not in answer.data


def test_refusals_of_other_tenants_are_not_explained(client, session, boss):
    app = register_machine(session, "everybodys")
    refused = protocol.machine_token(client, app, scope="nonsense").headers["X-Request-Id"]
    answer = ask(client, f"/console/t/{boss}/explain/request", request=refused)
    assert answer.status_code == 404


def test_a_pasted_token_is_verified_and_never_repeated(client, session, root, capfd):
    add_api(session)
    app = register_machine(session, "machine", scopes=["orders.read"])
    token = protocol.machine_token(client, app).get_json()["access_token"]
    answer = paste(client, token)
    page = readable(answer)
    assert answer.status_code == 200
    assert "Valid" in page
    assert "It would say the same." in page
    assert token not in page
    assert token.split(".")[2] not in page
    spoilt = readable(paste(client, token[:-4] + "AAAA"))
    assert "Not valid" in spoilt
    assert token not in "".join(capfd.readouterr())


@pytest.mark.parametrize("token", ["", "x" * 100_000, "a.b.c", HOSTILE, "\u0000", "e30.e30.e30"])
def test_a_pasted_text_of_any_kind_has_an_answer(client, root, token):
    answer = paste(client, token)
    assert answer.status_code in {200, 400}
    assert b"<b>" not in answer.data


def test_a_token_is_taken_from_the_body_alone(client, root):
    page = readable(client.get(f"{PATH}/token?token=a.b.c"))
    assert ">a.b.c<" not in page
    assert "Not valid" not in page


def test_readers_of_other_screens_do_not_explain(client, session, reader):
    assert ask(client).status_code == 403


def test_the_number_of_statements_does_not_grow(client, session, root, shop, runtime):
    query = {"client": "web", "user": "ann", "scope": "openid orders.read"}
    ask(client, **query)
    with statements(runtime.engine) as few:
        ask(client, **query)
    for number in range(20):
        add_role(session, shop, f"role{number}", [f"orders.p{number}"])
    ask(client, **query)
    with statements(runtime.engine) as many:
        assert ask(client, **query).status_code == 200
    assert len(many) == len(few)


@pytest.mark.no_database
def test_pieces_of_json_are_the_text_and_hide_nothing():
    claims = {"a": 'x"y\\', "b\u202e": ["中", "\x07", {"c": None}], "d": 1}
    parts = [*code.pieces(claims)]
    text = "".join(part.text for part in parts)
    assert json.loads(text) == claims
    assert "\u202e" not in text
    assert [part.text for part in parts if part.kind == "key"] == [
        '"a"',
        '"b\\u202e"',
        '"c"',
        '"d"',
    ]


def test_the_pages_are_readable_in_chinese(client, root, shop):
    client.set_cookie("lang", "zh", domain="127.0.0.1")
    page = unescape(ask(client, client="web", user="ann", scope="openid").get_data(as_text=True))
    assert "会签发" in page
    assert "协议要求此类令牌都包含。" in page


def suggested(page, what):
    """Read what a field of the question suggests."""
    (found,) = re.findall(rf'<datalist id="suggested-{what}">(.*?)</datalist>', page, re.DOTALL)
    return dict(re.findall(r'<option value="([^"]*)">([^<]*)</option>', found))


def test_the_question_suggests_people_clients_and_organisations(client, session, root, shop):
    odd = register(session, "odd", client_name=HOSTILE)
    acme = add_tenant(session)
    page = ask(client).get_data(as_text=True)
    assert 'list="suggested-clients"' in page
    assert suggested(page, "people")["ann"] == "ann"
    assert {"web", odd.client_id} <= suggested(page, "clients").keys()
    assert suggested(page, "tenants")[str(acme)] == "Acme"
    assert "<b>" not in page


def test_a_tenant_suggests_nothing_of_others(client, session, boss, shop):
    register(session, "mine", tenant_id=boss)
    page = ask(client, f"/console/t/{boss}/explain").get_data(as_text=True)
    assert suggested(page, "people") == {"boss": "boss"}
    assert "web" not in suggested(page, "clients")
    assert "suggested-tenants" not in page


def test_nothing_is_suggested_that_the_visitor_may_not_list(client, session, shop):
    clerk = add_person(session, "clerk")
    add_role(session, clerk, "explainer", ["ids4.ms.admin.explain.read"], tenant_id=None)
    protocol.sign_in(client, session, clerk)
    page = ask(client).get_data(as_text=True)
    for what in ("people", "clients", "tenants"):
        assert suggested(page, what) == {}


def test_suggestions_take_as_many_statements_however_many_there_are(
    client, session, root, shop, runtime, monkeypatch
):
    ask(client)
    with statements(runtime.engine) as few:
        ask(client)
    for number in range(5):
        register(session, f"client{number}")
        add_person(session, f"person{number}")
    monkeypatch.setattr(choices, "MOST", 3)
    ask(client)  # what is configured is read again
    with statements(runtime.engine) as many:
        page = ask(client).get_data(as_text=True)
    assert len(many) == len(few)
    assert len(suggested(page, "people")) == len(suggested(page, "clients")) == 3
