"""Attacks on where answers, codes and people are sent."""

from __future__ import annotations

import pytest

from idp.platform.errors import Problem
from tests import protocol
from tests.attacks import forms
from tests.protocol import CALLBACK, add_person, authorize, register

pytestmark = pytest.mark.no_database

ISSUER = "http://127.0.0.1:8000"


def refused_on_a_page(answer, what):
    """Nothing is sent anywhere before client and address are proven."""
    assert answer.status_code == 400, what
    assert "Location" not in answer.headers, what
    assert "code=" not in answer.get_data(as_text=True), what


def test_only_the_registered_address_itself_gets_an_answer(client, session):
    # Rows 1 to 3: prefix, suffix, wildcard, sub-domain, user names, path tricks (CVE-2026-3872,
    # CVE-2026-7504).
    app = register(session, redirect_uris=(CALLBACK, "https://app.example/a?b=c"))
    protocol.sign_in(client, session, add_person(session))
    for address in (
        "https://app.example",
        "https://app.example/",
        "https://app.example/callbac",
        "https://app.example/callback/",
        "https://app.example/callback/deeper",
        "https://app.example/callback?x=1",
        "https://app.example/callback?",
        "https://app.example/callback#",
        "https://app.example/callback#x",
        "https://app.example/Callback",
        "https://APP.example/callback",
        "https://app.example:443/callback",
        "https://app.example./callback",
        "https://*.example/callback",
        "https://app.example.evil/callback",
        "https://evil.app.example/callback",
        "https://app.exampleevil/callback",
        "https://evil.example/https://app.example/callback",
        "https://app.example@evil.example/callback",
        "https://user@app.example/callback",
        "https://app.example:x@evil.example@app.example/callback",
        "https://evil.example\\@app.example/callback",
        "https://app.example\\callback",
        "https://app.example/x/../callback",
        "https://app.example/callback/../../evil",
        "https://app.example/callback/..;/evil",
        "https://app.example/callback/%2e%2e/evil",
        "https://app.example/%63allback",
        "https://app.example//callback",
        "https://app.example/callback%00",
        "https://app.example/callback%0d%0aX: y",
        "https://app.example/callback\t",
        " https://app.example/callback",
        "https://app.example/callback ",
        "//app.example/callback",
        "/callback",
        "callback",
        "http://app.example/callback",
        "javascript:alert(1)//https://app.example/callback",
        "data:text/html,https://app.example/callback",
        "https://app.example/a",
        "https://app.example/a?b=c&d=e",
        "https://app.example/a?b=C",
        "https://\u0430pp.example/callback",
    ):
        refused_on_a_page(authorize(client, app, redirect_uri=address), address)
        # The wrong address is no place to send an error to either.
        wrong = authorize(client, app, redirect_uri=address, scope="nonsense", prompt="none")
        refused_on_a_page(wrong, address)
    assert protocol.code_of(authorize(client, app))
    kept = authorize(client, app, redirect_uri="https://app.example/a?b=c")
    assert kept.location.startswith("https://app.example/a?b=c&code=")


def test_an_address_that_could_be_read_in_two_ways_cannot_be_registered(session):
    for number, address in enumerate(
        (
            "https://user@app.example/callback",
            "https://app.example:x@evil.example@app.example/callback",
            "https://app.example/a/../callback",
            "https://app.example/a/..;/callback",
            "https://app.example/a/%2e%2e/callback",
            "https://app.example/a/%252e%252e/callback",
            "https://app.example/a%2fcallback",
            "https://app.example\\callback",
            "https://*.example/callback",
            "https://app.example/callback#part",
            "http://app.example/callback",
            "javascript:alert(1)",
            "data:text/html,x",
            "//app.example/callback",
        )
    ):
        with pytest.raises(Problem) as refused:
            register(session, f"app-{number}", redirect_uris=(address,))
        assert refused.value.status == 400, address
        session.rollback()


def test_a_native_client_may_choose_the_port_of_a_loopback_and_nothing_else(client, session):
    # Row 4, CVE-2024-8883; RFC 8252 7.3.
    app = register(
        session,
        "native",
        public=True,
        application_type="native",
        redirect_uris=(
            "http://127.0.0.1/callback",
            "http://[::1]:1/callback",
            "http://localhost:5000/callback",
            "com.example.app:/callback",
        ),
    )
    protocol.sign_in(client, session, add_person(session))
    for address in (
        "http://127.0.0.1/callback",
        "http://127.0.0.1:61234/callback",
        "http://[::1]:61234/callback",
        "http://localhost:5000/callback",
        "http://localhost:61234/callback",
        "http://localhost/callback",
        "com.example.app:/callback",
    ):
        answer = authorize(client, app, redirect_uri=address)
        assert answer.location.startswith(address + "?code="), address
    for address in (
        "http://localhost:65536/callback",
        "http://localhost.evil.example:61234/callback",
        "http://localhost:61234@evil.example/callback",
        "http://LOCALHOST:61234/callback",
        "http://localhost.:61234/callback",
        "https://localhost:61234/callback",
        "http://127.0.0.2:61234/callback",
        "http://127.1:61234/callback",
        "http://2130706433:61234/callback",
        "http://0x7f000001/callback",
        "http://127.0.0.1.evil.example:61234/callback",
        "http://127.0.0.1:61234@evil.example/callback",
        "http://evil.example@127.0.0.1:61234/callback",
        "http://127.0.0.1:123456/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:00080/callback",
        "http://[::1]:99999/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:-1/callback",
        "http://127.0.0.1:6१/callback",
        "http://127.0.0.1:61234/callback/x",
        "http://127.0.0.1:61234/callback?x=1",
        "http://127.0.0.1:61234/callback#x",
        "http://127.0.0.1:61234/callback\n",
        "http://127.0.0.1:61234/",
        "https://127.0.0.1:61234/callback",
        "http://[::]:61234/callback",
        "http://[::ffff:127.0.0.1]:61234/callback",
        "com.example.app:/other",
        "com.example.app://callback",
        "com.example.app.evil:/callback",
    ):
        refused_on_a_page(authorize(client, app, redirect_uri=address), address)


def test_a_web_client_gets_no_free_port(client, session):
    hosts = ("127.0.0.1", "localhost")
    app = register(session, redirect_uris=[f"http://{host}:5000/callback" for host in hosts])
    protocol.sign_in(client, session, add_person(session))
    for host in hosts:
        changed = authorize(client, app, redirect_uri=f"http://{host}:5001/callback")
        refused_on_a_page(changed, host)


def test_signing_in_leads_nowhere_but_home(client, session):
    # Row 5, CVE-2024-39694.
    user = add_person(session)
    for address in (
        "/\\evil.example",
        "//evil.example",
        "///evil.example",
        "/\t/evil.example",
        "/%09/evil.example",
        "/%5cevil.example",
        "/%2f%2fevil.example",
        "https:evil.example",
        "https://evil.example",
        "https://127.0.0.1:8000/account",
        "javascript:alert(1)",
        "account",
        ".evil.example",
        "@evil.example",
        "/@evil.example",
        "/account\r\nSet-Cookie: a=b",
        "/account#@evil",
        "/..//evil.example",
        " //evil.example",
    ):
        page = client.get("/login", query_string={"return_to": address})
        answer = client.post(
            "/login",
            query_string={"return_to": address},
            data={
                "csrf_token": forms.token_in(page),
                "login": user.username,
                "password": protocol.PASSWORD,
            },
        )
        assert answer.status_code == 400, address
        assert "Location" not in answer.headers, address
    assert forms.sign_in(client, user, "/login?return_to=/account").location == "/account"


def test_the_address_of_a_request_under_way_leads_nowhere_else(client, session):
    register(session)
    protocol.sign_in(client, session, add_person(session))
    for handle in ("//evil.example", "https://evil.example", "x" * 32, "", "\\"):
        for path in ("/connect/authorize", "/connect/endsession"):
            answer = client.get(path, query_string={"continue": handle, "redirect_uri": CALLBACK})
            assert "evil" not in answer.headers.get("Location", ""), (path, handle)
            assert "app.example" not in answer.headers.get("Location", ""), (path, handle)
            assert answer.status_code in {303, 400}, (path, handle)


def test_an_error_before_the_address_is_proven_is_a_page(client, session):
    # Row 6: bad scope, bad response type, doubled parameters must not open a redirect.
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    evil = "https://evil.example/callback"
    for parameters in (
        {"scope": "nonsense"},
        {"response_type": "token"},
        {"response_type": None},
        {"response_mode": "fragment", "scope": "nonsense"},
        {"response_mode": "form_post", "scope": "nonsense"},
        {"prompt": "none"},
        {"request": "e30.e30."},
        {"code_challenge": None},
        {"claims": "{"},
        {"max_age": "x"},
    ):
        refused_on_a_page(authorize(client, app, redirect_uri=evil, **parameters), parameters)
        unknown = authorize(client, app, client_id="nobody", **parameters)
        refused_on_a_page(unknown, parameters)
        posted = client.post(
            "/connect/authorize",
            data=protocol.authorization_parameters(app, redirect_uri=evil, **parameters),
        )
        refused_on_a_page(posted, parameters)


def test_every_answer_names_its_issuer(client, session):
    # Row 11, RFC 9207: codes and refusals, in every response mode.
    app = register(session)
    asked = authorize(client, app, prompt="none")
    assert protocol.returned(asked)["error"] == "login_required"
    assert protocol.returned(asked)["iss"] == ISSUER
    protocol.sign_in(client, session, add_person(session))
    for mode in ("query", "fragment", "form_post"):
        for scope in ("openid", "nonsense"):
            answer = authorize(client, app, response_mode=mode, scope=scope)
            if mode == "form_post":
                page = answer.get_data(as_text=True)
                assert 'name="iss" value="http://127.0.0.1:8000"' in page, page
            else:
                assert protocol.returned(answer)["iss"] == ISSUER
    metadata = client.get("/.well-known/openid-configuration").get_json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["issuer"] == ISSUER


def test_no_answer_to_a_post_is_sent_again_as_a_post(client, session):
    # Row 12: 307 and 308 would carry the password on; 303 never does (RFC 9700 4.12).
    app = register(session, require_consent=True)
    user = add_person(session)
    asked = authorize(client, app)
    assert asked.status_code == 303
    signed_in = forms.sign_in(client, user, asked.location)
    consent = client.get(signed_in.location)
    allowed = forms.allow(client, consent.location, "openid")
    code = client.get(allowed.location)
    posted = client.post("/connect/authorize", data=protocol.authorization_parameters(app))
    ended = client.post("/connect/endsession", data={"state": "x"})
    signed_out = forms.send(client, "/logout", answer="yes")
    for answer in (signed_in, consent, allowed, code, posted, ended, signed_out):
        assert answer.status_code == 303
    assert protocol.code_of(code)


def test_a_host_of_somebody_elses_never_appears_in_an_address(client, session):
    app = register(session)
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:8000@evil.example"},
        {"Host": "127.0.0.1:8000, evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example"},
        {"X-Original-URL": "/evil"},
    ):
        discovery = client.get("/.well-known/openid-configuration", headers=headers)
        assert "evil" not in discovery.get_data(as_text=True)
        assert discovery.status_code == 400 or discovery.get_json()["issuer"] == ISSUER
        answer = client.get(
            "/connect/authorize",
            query_string=protocol.authorization_parameters(app, prompt="none"),
            headers=headers,
        )
        assert "evil" not in answer.headers.get("Location", ""), headers
