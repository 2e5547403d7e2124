"""Languages of the pages, and the frame around them."""

from __future__ import annotations

import re

import pytest

from tests.pages.browsing import HTML, page_of_flow, readable
from tests.protocol import register

pytestmark = pytest.mark.no_database


def is_chinese(page):
    text = page.get_data(as_text=True)
    assert ('lang="zh-Hans"' in text.partition("<body")[0]) is ("登录" in text)
    return "登录" in text


@pytest.mark.parametrize(
    ("asked", "chinese"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", True),
        ("zh-TW", True),
        ("en-GB,en;q=0.9,zh;q=0.8", False),
        ("fr,zh;q=0.5", True),
        ("fr", False),
        ("", False),
        ("*", False),
        ("%%%;q=x", False),
    ],
)
def test_the_browser_is_asked_for_the_language(client, asked, chinese):
    page = client.get("/login", headers={"Accept-Language": asked})
    assert is_chinese(page) is chinese


def test_the_application_may_ask_for_a_language(client, session):
    app = register(session)
    address = page_of_flow(client, app, "/login", ui_locales="fr zh-CN en")
    assert is_chinese(client.get(address))
    assert not is_chinese(client.get("/login"))


def test_the_visitor_chooses_and_it_is_remembered(client):
    answer = client.get("/language/zh?return_to=/login")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert is_chinese(client.get("/login", headers={"Accept-Language": "en"}))
    assert not is_chinese(client.get(client.get("/language/en?return_to=/login").location))


def test_a_choice_during_a_sign_in_beats_the_application_there_and_only_there(client, session):
    app = register(session)
    first = page_of_flow(client, app, "/login", ui_locales="zh")
    back = client.get(f"/language/en?return_to=/login?{first.partition('?')[2]}")
    assert back.location == first
    assert not is_chinese(client.get(first))
    second = page_of_flow(client, app, "/login", ui_locales="zh")
    assert is_chinese(client.get(second))


def test_a_handle_is_not_kept_in_the_cookie(client, session):
    address = page_of_flow(client, register(session), "/login")
    answer = client.get(f"/language/zh?return_to={address}")
    assert address.partition("request=")[2] not in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("goal", ["//evil.example", "/\\evil.example", "https:evil.example", ""])
def test_a_choice_leads_nowhere_else(client, goal):
    answer = client.get("/language/zh", query_string={"return_to": goal})
    assert (answer.status_code, answer.location) == (303, "/account")


def test_there_is_no_third_language(client):
    assert client.get("/language/xx").status_code == 404
    client.set_cookie("lang", "xx.abc", domain="127.0.0.1")
    assert client.get("/login").status_code == 200


def test_an_error_page_is_in_the_visitors_language_and_names_the_request(client):
    answer = client.get("/nowhere", headers={**HTML, "Accept-Language": "zh"})
    assert answer.status_code == 404
    assert "页面不存在" in answer.get_data(as_text=True)
    assert answer.headers["X-Request-Id"] in answer.get_data(as_text=True)


def test_the_tenant_is_named_on_every_page(new_client, session):
    from tests.protocol import add_tenant

    add_tenant(session, "Acme & Sons", hosts=["acme.example"])
    page = new_client("http://acme.example").get("/login")
    assert "Acme & Sons" in readable(page)
    assert "Acme &amp; Sons" in page.get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("idp.css", "text/css"),
        ("tabler/pages.css", "text/css"),
        ("idp.svg", "image/svg+xml"),
        ("form_post.js", "text/javascript"),
    ],
)
def test_our_own_files_are_served(client, path, kind):
    answer = client.get(f"/static/{path}")
    assert answer.status_code == 200
    assert answer.mimetype == kind
    answer.close()


def test_caches_keep_a_file_whose_address_names_its_content(client):
    page = client.get("/login").get_data(as_text=True)
    addresses = re.findall(r'"(/static/[^"]+)"', page)
    assert len(addresses) == 6
    for address in addresses:
        answer = client.get(address)
        assert "immutable" in answer.headers["Cache-Control"]
        answer.close()
        other = client.get(address.partition("=")[0] + "=0")
        assert "immutable" not in other.headers["Cache-Control"]
        other.close()


def test_pages_load_nothing_from_elsewhere(client):
    page = client.get("/login").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page
    assert "<style" not in page
    assert "style=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/') == 1


def test_what_is_wrong_with_a_parameter_is_said_in_the_visitors_language(client):
    headers = {**HTML, "Accept-Language": "zh"}
    doubled = client.get("/connect/authorize?client_id=a&client_id=b", headers=headers)
    assert "参数重复: client_id" in doubled.text
    missing = client.get("/connect/authorize", headers=headers)
    assert "缺少参数: client_id" in missing.text
    hostile = client.get("/connect/authorize?client_id=a&response_mode=<i>&x=1", headers=headers)
    assert "<i>" not in hostile.text
