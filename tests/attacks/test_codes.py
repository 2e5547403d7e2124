"""Attacks on authorization codes and on the proof that goes with them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from idp.oauth.models import AuthorizationCode, Grant
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests import protocol
from tests.protocol import CHALLENGE, VERIFIER, add_person, authorize, obtain, redeem, register

PARALLEL = 8


def error_of(answer):
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return answer.get_json()["error"]


@pytest.mark.no_database
def test_a_request_without_a_good_challenge_gets_no_code(client, session):
    # Row 7, RFC 7636 4.3 and RFC 9700 2.1.1 (CVE-2023-48228).
    protocol.sign_in(client, session, add_person(session))
    for app in (register(session), register(session, "spa", public=True)):
        for changed in (
            {"code_challenge": None, "code_challenge_method": None},
            {"code_challenge": None},
            {"code_challenge_method": None},
            {"code_challenge_method": "plain", "code_challenge": VERIFIER},
            {"code_challenge_method": "s256"},
            {"code_challenge_method": "S512"},
            {"code_challenge": CHALLENGE[:-1]},
            {"code_challenge": CHALLENGE + "="},
            {"code_challenge": CHALLENGE + "A"},
            {"code_challenge": "*" * 43},
            {"code_challenge": "é" * 43},
        ):
            fields = protocol.returned(authorize(client, app, **changed))
            assert fields["error"] == "invalid_request", changed
            assert "code" not in fields, changed


@pytest.mark.no_database
def test_a_wrong_verifier_is_refused(client, session):
    protocol.sign_in(client, session, add_person(session))
    app = register(session, "spa", public=True)
    code = protocol.code_of(authorize(client, app))
    for verifier in (
        None,
        "",
        "x" * 43,
        CHALLENGE,
        VERIFIER[:-1],
        VERIFIER + "x",
        VERIFIER.upper(),
        VERIFIER + " ",
        "é" * 43,
        "x" * 129,
        "x" * 42,
    ):
        refused = redeem(client, app, code, code_verifier=verifier)
        assert error_of(refused) == "invalid_grant", verifier
    assert redeem(client, app, code).status_code == 200


@pytest.mark.no_database
def test_a_verifier_for_a_code_without_challenge_is_refused(client, session):
    # RFC 9700 4.8.2: the downgrade, where an attacker took the challenge away.
    protocol.sign_in(client, session, add_person(session))
    app = register(session, require_pkce=False)
    bare = {"code_challenge": None, "code_challenge_method": None}
    code = protocol.code_of(authorize(client, app, **bare))
    assert error_of(redeem(client, app, code)) == "invalid_grant"
    assert redeem(client, app, code, code_verifier=None).status_code == 200
    # A challenge that was sent is enforced although the client needs none.
    code = protocol.code_of(authorize(client, app))
    assert error_of(redeem(client, app, code, code_verifier=None)) == "invalid_grant"
    assert error_of(redeem(client, app, code, code_verifier="x" * 43)) == "invalid_grant"
    assert redeem(client, app, code).status_code == 200


def test_a_replayed_code_ends_everything_it_gave(client, session):
    # Row 9, RFC 6749 4.1.2.
    app = register(session)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    code = protocol.code_of(authorize(client, app, scope="openid offline_access"))
    tokens = redeem(client, app, code).get_json()
    newer = protocol.refresh(client, app, tokens["refresh_token"]).get_json()
    other = obtain(client, app, "openid offline_access")

    assert error_of(redeem(client, app, code)) == "invalid_grant"
    for access in (tokens["access_token"], newer["access_token"]):
        assert not protocol.is_active(client, app, access)
        userinfo = client.get("/connect/userinfo", headers=protocol.bearer(access))
        assert userinfo.status_code == 401
    for token in (tokens["refresh_token"], newer["refresh_token"]):
        assert error_of(protocol.refresh(client, app, token)) == "invalid_grant"
    # The other sign-in of the same person at the same client is not touched.
    assert protocol.is_active(client, app, other.access)
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.CODE_REUSED))
    assert [event.user_id for event in events] == [user.id]


def test_a_replay_by_somebody_else_ends_nothing(client, session):
    app, thief = register(session), register(session, "thief")
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app))
    tokens = redeem(client, app, code).get_json()
    assert error_of(redeem(client, thief, code)) == "invalid_grant"
    assert redeem(client, app, code, client_secret="x" * 30).status_code == 401
    assert protocol.is_active(client, app, tokens["access_token"])


@pytest.mark.no_database
def test_each_thing_that_binds_a_code_is_checked_alone(client, session, new_client):
    # Row 10, CVE-2026-28513: everything else is right each time.
    app = register(session, redirect_uris=(protocol.CALLBACK, "https://app.example/other"))
    thief = register(session, "thief")
    spa = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app))
    for stranger in (thief, spa):
        assert error_of(redeem(client, stranger, code)) == "invalid_grant"
    for address in (
        "https://app.example/other",
        "https://app.example/callback/",
        "https://app.example/callback?",
        "HTTPS://app.example/callback",
        "https://app.example/callback%20",
    ):
        refused = redeem(client, app, code, redirect_uri=address)
        assert error_of(refused) == "invalid_grant", address
    for changed in (code[:-1], code + "x", code + " ", code.swapcase(), "x" * 100_000):
        assert error_of(redeem(client, app, changed)) == "invalid_grant"
    assert redeem(client, app, code).status_code == 200
    # OAuth 2.1 10.2: where a proof key binds the code, the address may be left out; else not.
    code = protocol.code_of(authorize(client, app))
    assert redeem(client, app, code, redirect_uri=None).status_code == 200
    plain = register(session, "plain", require_pkce=False)
    without = {"code_challenge": None, "code_challenge_method": None}
    code = protocol.code_of(authorize(client, plain, **without))
    refused = redeem(client, plain, code, redirect_uri=None, code_verifier=None)
    assert error_of(refused) == "invalid_request"
    assert redeem(client, plain, code, code_verifier=None).status_code == 200


@pytest.mark.no_database
def test_a_code_lives_for_as_long_as_its_client_says(client, session, clock):
    app = register(session, authorization_code_lifetime=30)
    protocol.sign_in(client, session, add_person(session))
    early = protocol.code_of(authorize(client, app))
    late = protocol.code_of(authorize(client, app))
    clock.shift(29)
    assert redeem(client, app, early).status_code == 200
    clock.shift(1)
    assert error_of(redeem(client, app, late)) == "invalid_grant"


@pytest.mark.no_database
def test_a_code_is_no_other_credential(client, session):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, app, scope="openid offline_access"))
    assert error_of(protocol.refresh(client, app, code)) == "invalid_grant"
    assert not protocol.is_active(client, app, code)
    assert client.get("/connect/userinfo", headers=protocol.bearer(code)).status_code == 401
    tokens = redeem(client, app, code).get_json()
    for token in tokens["access_token"], tokens["refresh_token"], tokens["id_token"]:
        assert error_of(redeem(client, app, token)) == "invalid_grant"


def test_one_of_many_parallel_redemptions_wins_and_its_tokens_die(app, client, session, new_client):
    # Row 9: the first gets tokens, the second is a replay and ends them.
    web = register(session)
    protocol.sign_in(client, session, add_person(session))
    code = protocol.code_of(authorize(client, web, scope="openid offline_access"))
    session.close()
    barrier = Barrier(PARALLEL)

    def attempt(_):
        browser = new_client()
        browser._database = None
        barrier.wait()
        return redeem(browser, web, code)

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(attempt, range(PARALLEL)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (PARALLEL - 1)
    losers = [answer.get_json()["error"] for answer in answers if answer.status_code == 400]
    assert losers == ["invalid_grant"] * (PARALLEL - 1)
    [won] = [answer.get_json() for answer in answers if answer.status_code == 200]
    assert not protocol.is_active(client, web, won["access_token"])
    assert error_of(protocol.refresh(client, web, won["refresh_token"])) == "invalid_grant"
    assert session.scalar(select(func.count()).select_from(Grant)) == 1
    assert session.scalars(select(AuthorizationCode)).one().used_at is not None
    assert session.scalars(select(Grant)).one().revoked_at is not None


def test_an_answered_request_gives_one_code_however_often_it_is_continued(
    client, session, new_client
):
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    posted = client.post("/connect/authorize", data=protocol.authorization_parameters(app))
    cookie = client.get_cookie("idp_1", domain="127.0.0.1").value
    session.close()
    barrier = Barrier(PARALLEL)

    def attempt(_):
        browser = new_client()
        browser._database = None
        browser.set_cookie("idp_1", cookie, domain="127.0.0.1")
        barrier.wait()
        return browser.get(posted.location).status_code

    with ThreadPoolExecutor(PARALLEL) as pool:
        statuses = sorted(pool.map(attempt, range(PARALLEL)))
    assert statuses == [303] + [400] * (PARALLEL - 1)
    assert session.scalar(select(func.count()).select_from(AuthorizationCode)) == 1
