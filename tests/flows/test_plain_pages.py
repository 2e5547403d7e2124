"""The page that is shown where there is no tenant, no template or no database."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from idp.platform.errors import Problem
from idp.platform.web import problems
from idp.platform.web.visit import Answer

pytestmark = pytest.mark.no_database

UNKNOWN = {"Host": "nobody.example"}
PAGE = {"Accept": "text/html,application/xhtml+xml"}
STYLE = "/static/plain.css"


def policies(answer):
    return answer.headers.getlist("Content-Security-Policy")


@pytest.fixture
def without_database(app, monkeypatch):
    """Make every look at the database fail."""

    def lost(*_args):
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(app.extensions["idp"].cache, "refresh", lost)


@pytest.mark.parametrize(
    ("languages", "tag", "heading"),
    [
        ("", "en", "This address is not in use"),
        ("de", "en", "This address is not in use"),
        ("fr, en;q=0.5, zh;q=0.4", "en", "This address is not in use"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans", "此地址未启用"),
        ("en;q=0.1, zh-TW", "zh-Hans", "此地址未启用"),
    ],
)
def test_an_unknown_host_is_a_page_in_the_visitors_language(client, languages, tag, heading):
    answer = client.get("/login", headers={**UNKNOWN, **PAGE, "Accept-Language": languages})
    text = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert f'<html lang="{tag}">' in text
    assert f"<h1>{heading}</h1>" in text
    assert answer.headers["X-Request-Id"] in text
    assert "Accept-Language" in answer.headers["Vary"]
    assert "Set-Cookie" not in answer.headers


def test_its_style_is_allowed_and_served_where_nothing_else_is(client, without_database):
    for headers in (UNKNOWN, {}):
        page = client.get("/login", headers={**headers, **PAGE})
        (policy,) = policies(page)
        assert "default-src 'none'" in policy
        assert "style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert f'href="{STYLE}"' in page.get_data(as_text=True)
        with client.get(STYLE, headers=headers) as style:
            assert (style.status_code, style.mimetype) == (200, "text/css")
            assert "prefers-color-scheme: dark" in style.get_data(as_text=True)


def test_no_other_file_is_served_at_an_unknown_host(client):
    assert client.get("/static/idp.css", headers=UNKNOWN).status_code == 400


def test_a_database_that_is_away_is_a_page_too(client, without_database):
    answer = client.get("/login", headers=PAGE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert "<h1>Temporarily unavailable</h1>" in answer.get_data(as_text=True)


def test_a_browser_is_known_by_what_it_does_and_programs_get_json(client):
    navigating = client.get("/login", headers={**UNKNOWN, "Sec-Fetch-Mode": "navigate"})
    assert navigating.mimetype == "text/html"
    for headers in ({}, {"Accept": "application/json"}, {"Accept": "*/*"}):
        answer = client.get("/login", headers={**UNKNOWN, **headers})
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["code"] == "unknown_host"
    machine = client.post("/connect/token", headers={**UNKNOWN, **PAGE})
    assert machine.mimetype == "application/json"


@pytest.mark.parametrize("status", [400, 404, 405, 408, 413, 414, 429, 431, 500, 503])
def test_every_status_has_words_in_both_languages(status):
    problem = Problem("<b>inner detail</b>", headers={"Allow": "GET"})
    problem.status, problem.title = status, "<b>inner title</b>"
    english = problems.plain_page(problem, "id-1", "en")
    chinese = problems.plain_page(problem, "id-1", "zh")
    for answer in (english, chinese):
        assert isinstance(answer, Answer)
        assert (answer.status, dict(answer.headers)["Allow"]) == (status, "GET")
        assert "inner" not in answer.body.decode()
    assert "请" in chinese.body.decode()
    assert english.body != chinese.body


def test_what_has_no_words_of_its_own_is_escaped():
    problem = Problem("<script>1</script>")
    problem.status, problem.title = 418, "<i>"
    page = problems.plain_page(problem, "<x>").body.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;1&lt;/script&gt;" in page
    assert "<x>" not in page
