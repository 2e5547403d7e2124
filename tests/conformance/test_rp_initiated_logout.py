"""RP-initiated logout OP."""

from __future__ import annotations

import secrets
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conformance.browser import Arrival, Browser, Page, Person, Stop
from tests.conformance.metadata import check_metadata
from tests.conformance.relying_party import RelyingParty, SignedIn
from tests.protocol import AFTER_LOGOUT


@pytest.fixture
def signed_in(party: RelyingParty, browser: Browser, person: Person) -> SignedIn:
    """Sign in, and forget which pages that took."""
    result = party.sign_in(browser, person)
    browser.seen.clear()
    return result


def log_out(
    party: RelyingParty, browser: Browser, signed_in: SignedIn, **changes: Any
) -> tuple[Stop, dict[str, str]]:
    """Send the browser to the end-session endpoint; None leaves a parameter out."""
    complete = {
        "id_token_hint": signed_in.id_token,
        "post_logout_redirect_uri": AFTER_LOGOUT,
        "state": secrets.token_urlsafe(96),  # 128 characters
        **changes,
    }
    parameters = {name: value for name, value in complete.items() if value is not None}
    return browser.open(party.provider.metadata["end_session_endpoint"], parameters), parameters


def is_signed_in(party: RelyingParty, browser: Browser) -> bool:
    """Ask for a code without any page."""
    parameters = party.parameters(prompt="none")
    stop = party.authorize(browser, parameters)
    assert isinstance(stop, Arrival)
    if "code" in stop.fields:
        party.check_callback(stop, parameters)
        return True
    assert party.check_refusal(stop, parameters) == "login_required"
    return False


def check_signed_out_page(stop: Stop) -> None:
    """Check that the person is told."""
    assert isinstance(stop, Page)
    assert stop.status == 200
    assert stop.path == "/signed-out"
    assert "You are signed out" in stop.text


def check_refused(stop: Stop, sentence: str) -> None:
    """Check that the person reads why, and is sent nowhere."""
    assert isinstance(stop, Page)
    assert stop.status == 400
    assert sentence in stop.text
    assert AFTER_LOGOUT not in stop.text


def test_oidcc_rp_initiated_logout(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    cookies = browser.cookies
    stop, parameters = log_out(party, browser, signed_in)
    assert isinstance(stop, Arrival)
    assert stop.address == AFTER_LOGOUT
    assert stop.fields == {"state": parameters["state"]}
    # The ID token is of this very session: nothing was asked.
    assert browser.seen == []
    assert browser.cookies < cookies
    assert not is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(party: RelyingParty) -> None:
    metadata = party.provider.metadata
    check_metadata(metadata, party.provider.url)
    assert metadata["end_session_endpoint"] == f"{party.provider.url}/connect/endsession"


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    stop, _ = log_out(
        party, browser, signed_in, post_logout_redirect_uri=f"{AFTER_LOGOUT}/unregistered"
    )
    check_refused(stop, "registered. Tell the people who run it")
    assert is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_modified_id_token_hint(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    head, claims, signature = signed_in.id_token.split(".")
    middle = len(signature) // 2
    other = "B" if signature[middle] == "A" else "A"
    modified = f"{head}.{claims}.{signature[:middle]}{other}{signature[middle + 1 :]}"
    stop, _ = log_out(party, browser, signed_in, id_token_hint=modified)
    check_refused(stop, "id_token_hint is not an ID token of this issuer")
    assert is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_bad_id_token_hint(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    """The hint is right and is signed with a foreign key."""
    now = int(time.time())
    claims = dict(signed_in.identity) | {"iat": now, "exp": now + 300}
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header = {"kid": jwt.get_unverified_header(signed_in.id_token)["kid"]}
    forged = jwt.encode(claims, key, algorithm="RS256", headers=header)
    stop, _ = log_out(party, browser, signed_in, id_token_hint=forged)
    check_refused(stop, "id_token_hint is not an ID token of this issuer")
    assert is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_no_id_token_hint(
    party: RelyingParty, browser: Browser, signed_in: SignedIn, person: Person
) -> None:
    """Nothing vouches for the address: the person is asked, and not sent back."""
    stop, _ = log_out(party, browser, signed_in, id_token_hint=None)
    assert isinstance(stop, Page)
    assert stop.path == "/logout"
    assert is_signed_in(party, browser)
    check_signed_out_page(browser.answer(stop, person))
    assert not is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_no_params(
    party: RelyingParty, browser: Browser, signed_in: SignedIn, person: Person
) -> None:
    stop = browser.open(party.provider.metadata["end_session_endpoint"])
    assert isinstance(stop, Page)
    assert stop.path == "/logout"
    check_signed_out_page(browser.answer(stop, person))
    assert not is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    stop, _ = log_out(party, browser, signed_in, post_logout_redirect_uri=None)
    check_signed_out_page(stop)
    assert not is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_no_state(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    stop, _ = log_out(party, browser, signed_in, state=None)
    assert isinstance(stop, Arrival)
    assert stop.url == AFTER_LOGOUT
    assert not is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_only_state(
    party: RelyingParty, browser: Browser, signed_in: SignedIn, person: Person
) -> None:
    stop, _ = log_out(party, browser, signed_in, id_token_hint=None, post_logout_redirect_uri=None)
    assert isinstance(stop, Page)
    assert stop.path == "/logout"
    check_signed_out_page(browser.answer(stop, person))
    assert not is_signed_in(party, browser)


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(
    party: RelyingParty, browser: Browser, signed_in: SignedIn
) -> None:
    stop, _ = log_out(party, browser, signed_in, post_logout_redirect_uri=f"{AFTER_LOGOUT}?foo=bar")
    check_refused(stop, "registered. Tell the people who run it")
    assert is_signed_in(party, browser)
