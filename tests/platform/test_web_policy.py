"""The content policy of pages."""

from __future__ import annotations

import pytest
from flask import render_template_string, request

from idp.platform.web import policy

pytestmark = pytest.mark.no_database


def directives(answer):
    text = answer.headers["Content-Security-Policy"]
    return dict(part.strip().partition(" ")[::2] for part in text.split(";"))


def test_a_page_with_inline_code_gets_a_fresh_nonce_each_time(app, client):
    @app.get("/inline")
    def inline():
        return render_template_string("<script nonce='{{ csp_nonce() }}'>1</script>")

    seen = set()
    for _ in range(3):
        answer = client.get("/inline")
        nonce = answer.get_data(as_text=True).partition("nonce='")[2].partition("'")[0]
        assert len(nonce) >= 20
        for name in ("script-src", "style-src"):
            assert directives(answer)[name] == f"'self' 'nonce-{nonce}'"
        seen.add(nonce)
    assert len(seen) == 3


def test_a_page_names_what_it_needs_and_the_next_one_does_not_have_it(app, client):
    @app.get("/allowing")
    def allowing():
        policy.allow("form-action", "https://app.example:8443")
        policy.allow("img-src", "https://cdn.example")
        return "page"

    found = directives(client.get("/allowing"))
    assert found["form-action"] == "'self' https://app.example:8443"
    assert found["img-src"] == "'self' data: https://cdn.example"
    assert "form-action" not in directives(client.get("/login", headers={"Accept": "text/html"}))


@pytest.mark.parametrize(
    "source", ["https://a.example; script-src *", "*", "https://a b", "'unsafe-inline'", "", "a,b"]
)
def test_a_source_cannot_smuggle_a_directive(app, source):
    with app.test_request_context(), pytest.raises(ValueError, match="not a source"):
        policy.allow("form-action", source)


def test_a_custom_scheme_of_a_native_application_is_a_source(app):
    with app.test_request_context():
        policy.allow("form-action", "com.example.app:")
        assert "form-action 'self' com.example.app:" in policy.header()


def test_a_page_may_be_framed_where_it_says_by_whom(app, client):
    @app.get("/framed")
    def framed():
        policy.allow_framing(*request.args.getlist("by"))
        return "page"

    answer = client.get("/framed?by=https://app.example&by=http://localhost:3000")
    ancestors = directives(answer)["frame-ancestors"]
    assert ancestors == "https://app.example http://localhost:3000"
    assert "X-Frame-Options" not in answer.headers
    answer = client.get("/framed")
    assert directives(answer)["frame-ancestors"] == "*"
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    # The next page, and one that says nothing, cannot.
    for path in ("/login", "/nothing", "/connect/userinfo"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert directives(answer)["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("origin", ["*", "'none'", "https:", "https://a.example/x", "https://a; b"])
def test_only_origins_can_frame(app, origin):
    with app.test_request_context(), pytest.raises(ValueError, match="not origins"):
        policy.allow_framing(origin)
