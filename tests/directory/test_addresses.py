"""Which addresses a client may register."""

from __future__ import annotations

import pytest

from idp.directory.clients import addresses
from idp.directory.clients.addresses import Rules
from idp.platform.errors import BadRequest

pytestmark = pytest.mark.no_database

WEB = Rules(native=False, development=False)
NATIVE = Rules(native=True, development=False)
DEVELOPMENT = Rules(native=False, development=True)


@pytest.mark.parametrize(
    ("rules", "uri"),
    [
        (WEB, "https://app.example/cb"),
        (WEB, "https://app.example"),
        (WEB, "https://app.example:8443/cb?x=1&y=%20"),
        (WEB, "https://[2001:db8::1]/cb"),
        (WEB, "http://127.0.0.1:3000/callback"),
        (WEB, "http://[::1]/cb"),
        (DEVELOPMENT, "http://localhost:3000/cb"),
        (NATIVE, "com.example.app:/cb"),
        (NATIVE, "com.example.app://cb"),
        (NATIVE, "http://127.0.0.1/cb"),
        (NATIVE, "http://localhost/cb"),
        (NATIVE, "http://localhost:3000/cb"),
    ],
)
def test_good_redirect_addresses_are_kept_as_written(rules: Rules, uri: str) -> None:
    assert addresses.redirect_uri(uri, rules) == uri


@pytest.mark.parametrize("rules", [WEB, NATIVE, DEVELOPMENT])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/cb",
        "//app.example/cb",
        "app.example/cb",
        "https:",
        "https:app.example/cb",
        "https:///cb",
        "https:\\\\app.example",
        "HTTPS://app.example/",
        "http://app.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://localhost./cb",
        "http://127.1/cb",
        "http://2130706433/cb",
        "http://0x7f000001/cb",
        "javascript:alert(1)",
        "java.script:alert(1)//\n",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp:/cb",
        "https://app.example/cb#fragment",
        "https://app.example/#",
        "https://user@app.example/cb",
        "https://user:password@app.example/cb",
        "https://app.example@evil.example/cb",
        "https://*.example/cb",
        "https://app.example/*",
        "https://app.example\\@evil.example/",
        "https://app.example/\\..",
        "https://app.example/../cb",
        "https://app.example/a/..",
        "https://app.example/./cb",
        "https://app.example/..;/cb",
        "https://app.example/%2e%2e/cb",
        "https://app.example/%252e%252e/cb",
        "https://app.example/%2E%2E;x/cb",
        "https://app.example/a%2fb",
        "https://app.example/a%5cb",
        "https://app.example/a%00b",
        "https://app.example/a%0d%0ab",
        "https://app.example/%zz",
        "https://app.example/c b",
        "https://app.example/\ncb",
        "https://app.example:0/",
        "https://app.example:/",
        "https://app.example:99999/",
        "https://app.example:65536/",
        "https://app.example:00080/",
        "https://[2001:db8::1]:00080/",
        "com.example.app://host:00080/cb",
        "https://app.example:x/",
        "https://bücher.example/",
        "https://a..b/",
        "https://-a.example/",
        "https://[::1/",
        "https://[app.example]/",
        "https://app.example/" + "x" * 2000,
    ],
)
def test_hostile_redirect_addresses_are_refused(rules: Rules, uri: str) -> None:
    with pytest.raises(BadRequest):
        addresses.redirect_uri(uri, rules)


@pytest.mark.parametrize(
    "check",
    [
        lambda uri: addresses.redirect_uri(uri, WEB),
        lambda uri: addresses.origin(uri, WEB),
        lambda uri: addresses.document(uri, "jwks_uri", WEB),
    ],
)
def test_a_host_beyond_ascii_is_refused_with_the_form_that_browsers_send(check) -> None:
    with pytest.raises(BadRequest, match=r"as browsers send it: xn--bcher-kva\.example\."):
        check("https://Bücher.example")
    assert check("https://xn--bcher-kva.example") == "https://xn--bcher-kva.example"
    for wrong in ("https://bü_cher.example", "https://[ü]", "ü" * 2000):
        with pytest.raises(BadRequest) as refusal:
            check(wrong)
        assert "xn--" not in refusal.value.detail


def test_localhost_and_own_schemes_need_their_circumstances() -> None:
    for uri in ("http://localhost:3000/cb", "com.example.app:/cb"):
        with pytest.raises(BadRequest):
            addresses.redirect_uri(uri, WEB)


def test_origins_are_what_browsers_send() -> None:
    for good in ("https://app.example", "https://app.example:8443", "http://127.0.0.1:5173"):
        assert addresses.origin(good, WEB) == good
    for bad in (
        *("*", "null", "", "https://app.example/", "https://App.example", "http://app.example"),
        *("https://app.example:443", "http://127.0.0.1:80", "https://app.example?x"),
        *("com.example.app://x", "https://u@app.example", "https://" + "a" * 200),
    ):
        with pytest.raises(BadRequest):
            addresses.origin(bad, WEB)


def test_documents_are_https() -> None:
    assert addresses.document("https://app.example/jwks.json", "jwks_uri", WEB)
    assert addresses.document("http://127.0.0.1:1/jwks", "jwks_uri", DEVELOPMENT)
    for bad in ("http://app.example/", "javascript:alert(1)", "ftp://a.example/", "https://"):
        with pytest.raises(BadRequest):
            addresses.document(bad, "jwks_uri", WEB)
