"""Line ends in what is decoded out of a header: certificates, names of clients, addresses, cookies.

The server refuses line ends in a header itself (`server/test_connection.py`). Here they come inside
of an encoding, or through another server that lets them pass.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from idp.platform.web import certificates
from tests.certificates import DN, FORMS, Authority
from tests.conftest import changed
from tests.protocol import add_api, register_machine

TOKEN = "/connect/token"
WITH_LINES = {"nginx", "envoy", "header:X-Own:pem", "header:X-Own:urlpem"}
"""Forms in which a certificate has lines."""
ENDS = {
    "LF": "\n",
    "CR LF": "\r\n",
    "CR": "\r",
    "%0A": "%0A",
    "%0D%0A": "%0D%0A",
    "NEL": "\x85",
}
EVIL = "X-Evil: yes"

pytestmark = pytest.mark.settings(trusted_proxies="127.0.0.1", client_certificate="rfc9440")


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def settings(settings, authority, tmp_path):
    """Trust an authority."""
    return changed(settings, client_ca=authority.written(tmp_path))


@pytest.fixture
def bank(session):
    add_api(session)
    return register_machine(
        session,
        "bank",
        scopes=["orders.read"],
        token_endpoint_auth_method="tls_client_auth",
        tls_client_auth_subject_dn=DN,
    )


def spoilt(text, end):
    """Yield a value with a line end before, in and after it, and with a header beside it."""
    half = len(text) // 2
    yield from (end + text, text[:half] + end + text[half:], text + end)
    yield text + end + EVIL
    yield EVIL + end + text
    yield f"{text[:half]}{end}{EVIL}{end}{text[half:]}"


@pytest.mark.no_database
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ENDS)
def test_a_certificate_with_a_line_end_is_none_or_the_same(authority, form, end):
    good, foreign = authority.issue(), authority.issue("CN=other")
    passing = certificates.passing(form)
    (text,) = good.passed(form).values()
    assert passing.certificate({passing.variable: text}) == good.der
    for value in spoilt(text, ENDS[end]):
        found = passing.certificate({passing.variable: value})
        is_lines_alone = EVIL not in value and (form in WITH_LINES or value.strip() == text)
        # What stands beside the certificate in Envoy's list is text, and is not decoded.
        is_beside = form == "envoy" and "%" in end and text.split(";")[1] in value
        assert found in ({good.der, None} if is_lines_alone or is_beside else {None}), value
    # Of two certificates that a line end separates none is chosen.
    (other,) = foreign.passed(form).values()
    both = f"{text}{ENDS[end]}{other}"
    assert passing.certificate({passing.variable: both}) is None


@pytest.mark.parametrize("end", ENDS)
def test_a_certificate_with_a_line_end_authenticates_nobody(client, bank, authority, end):
    form = {"grant_type": "client_credentials", "client_id": "bank"}
    (text,) = authority.issue().passed().values()
    for value in spoilt(text, ENDS[end]):
        if value.strip() == text:
            continue  # space around a value is none of the value (RFC 9110 5.5)
        environ = {"HTTP_CLIENT_CERT": value}
        answer = client.post(TOKEN, data=form, environ_overrides=environ)
        assert answer.status_code in {400, 401}, value
        assert "X-Evil" not in answer.headers


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("end", ENDS)
def test_no_line_end_in_another_header_starts_a_header_or_a_line_of_the_log(
    client, session, end, capfd
):
    add_api(session)
    machine = register_machine(session, scopes=["orders.read"])
    forged = f"{ENDS[end]}{EVIL}{ENDS[end]}[info] request_served path=/forged"
    form = {"grant_type": "client_credentials"}
    right = basic(f"{machine.client_id}:{machine.secret}")
    spoilt_names = [
        basic(f"{machine.client_id}{forged}:{machine.secret}"),
        basic(f"{quote(machine.client_id + forged)}:{machine.secret}"),
        basic(f"{machine.client_id}:{machine.secret}{forged}"),
        right + forged,
    ]
    for value in spoilt_names:
        environ = {"HTTP_AUTHORIZATION": value}
        answer = client.post(TOKEN, data=form, environ_overrides=environ)
        assert answer.status_code in {400, 401}
        assert "X-Evil" not in answer.headers
    for name in ("X_REQUEST_ID", "X_FORWARDED_FOR", "X_FORWARDED_URI", "DPOP", "ORIGIN", "COOKIE"):
        for path in ("/login", "/connect/userinfo", "/gateway/verify?api=1"):
            value = f"https://a.example{forged}"
            answer = client.get(path, environ_overrides={f"HTTP_{name}": value})
            assert answer.status_code < 500, (name, path)
            assert "X-Evil" not in answer.headers
            assert EVIL not in "".join(answer.headers.values())
    logged = "".join(capfd.readouterr()).splitlines()
    assert [line for line in logged if line.startswith((EVIL, "[info] request_served"))] == []
