"""Attacks on refresh tokens: stolen, raced, used elsewhere."""

from __future__ import annotations

import hmac
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from idp.app import create_app
from idp.oauth import refresh_rules
from idp.oauth.models import Grant, RefreshFamily
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.runtime import of as runtime_of
from tests import protocol
from tests.conftest import SECRET_KEY, IssuerClient
from tests.protocol import add_person, obtain, refresh, register

PARALLEL = 8
DAY = 86_400


def offline(client, session, **settings):
    app = register(session, **settings)
    user = add_person(session)
    protocol.sign_in(client, session, user)
    return app, user, obtain(client, app, "openid offline_access")


def is_refused(answer):
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return answer.get_json()["error"] == "invalid_grant"


def test_a_stolen_token_used_late_ends_the_family(client, session, clock):
    # Row 17, RFC 9700 4.14.2 (CVE-2026-1035): nobody can tell who is the thief, so both lose.
    app, user, tokens = offline(client, session)
    newer = refresh(client, app, tokens.refresh).get_json()
    newest = refresh(client, app, newer["refresh_token"]).get_json()
    clock.shift(61)
    assert is_refused(refresh(client, app, tokens.refresh))
    assert is_refused(refresh(client, app, newest["refresh_token"]))
    for access in (tokens.access, newer["access_token"], newest["access_token"]):
        assert not protocol.is_active(client, app, access)
    events = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.REFRESH_REUSED))
    assert [event.user_id for event in events] == [user.id]
    assert session.scalars(select(Grant)).one().revoked_reason == "refresh token reused"


def test_a_used_token_is_judged_also_after_its_own_time(client, session, clock):
    # One that lives on by being used: its family outlives each of its tokens.
    app, _, tokens = offline(
        client, session, refresh_token_expiration=0, sliding_refresh_token_lifetime=600
    )
    clock.shift(590)
    newer = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    clock.shift(20)
    again = refresh(client, app, tokens.refresh)
    assert again.status_code == 200, again.get_data(as_text=True)
    assert again.get_json()["refresh_token"] == newer
    clock.shift(60)
    assert is_refused(refresh(client, app, tokens.refresh))
    assert session.scalars(select(Grant)).one().revoked_reason == "refresh token reused"
    assert is_refused(refresh(client, app, newer))


def test_inside_the_window_the_same_token_comes_again_also_after_a_restart(
    client, session, clock, settings
):
    app, _, tokens = offline(client, session)
    first = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    clock.shift(59)
    restarted = create_app(settings)
    again = refresh(IssuerClient(restarted, settings.public_url, session), app, tokens.refresh)
    restarted.extensions["idp"].engine.dispose()
    assert again.get_json()["refresh_token"] == first
    assert first != tokens.refresh
    assert session.scalars(select(RefreshFamily.generation)).all() == [1]
    # The window belongs to the first use; a retry does not make it longer.
    clock.shift(1)
    assert is_refused(refresh(client, app, tokens.refresh))


def test_the_successor_can_be_computed_after_the_root_secret_changed(client, session, settings):
    app = register(session, "spa", public=True)
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app, "openid offline_access")
    first = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    roots = SecretStr(f"a newer root secret of the same tests,{SECRET_KEY}")
    changed = create_app(settings.model_copy(update={"secret_key": roots}))
    browser = IssuerClient(changed, settings.public_url, session)
    assert refresh(browser, app, tokens.refresh).get_json()["refresh_token"] == first
    assert refresh(browser, app, first).status_code == 200
    changed.extensions["idp"].engine.dispose()


def test_parallel_uses_of_one_token_make_one_successor(client, session, new_client):
    # Row 17 (CVE-2026-9802): the race between check and rotation.
    app, _, tokens = offline(client, session)
    session.close()
    barrier = Barrier(PARALLEL)

    def attempt(_):
        browser = new_client()
        browser._database = None
        barrier.wait()
        return refresh(browser, app, tokens.refresh)

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(attempt, range(PARALLEL)))
    assert [answer.status_code for answer in answers] == [200] * PARALLEL
    successors = {answer.get_json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert session.scalars(select(RefreshFamily.generation)).all() == [1]
    assert refresh(client, app, successors.pop()).status_code == 200


def test_another_client_can_neither_use_nor_revoke_it(client, session):
    # Row 18.
    app, _, tokens = offline(client, session)
    thief = register(session, "thief")
    spa = register(session, "spa", public=True)
    for stranger in (thief, spa):
        assert is_refused(refresh(client, stranger, tokens.refresh))
        for token in (tokens.refresh, tokens.access):
            answer = client.post("/connect/revocation", data={"token": token, **stranger.post})
            assert answer.status_code == 200
    assert protocol.is_active(client, app, tokens.access)
    used = refresh(client, app, tokens.refresh).get_json()
    # Nor does a foreign use of a spent token count as the reuse that ends the family.
    assert is_refused(refresh(client, thief, tokens.refresh))
    assert protocol.is_active(client, app, used["access_token"])


@pytest.mark.no_database
def test_a_changed_or_foreign_token_is_refused(client, session):
    app, _, tokens = offline(client, session)
    for changed in (
        tokens.refresh[:-1],
        tokens.refresh + "x",
        tokens.refresh + " ",
        tokens.refresh.swapcase(),
        tokens.refresh.removeprefix("rt_"),
        tokens.access,
        str(tokens.body["id_token"]),
        "x",
        "%",
        "ü" * 1000,
        "x" * 200_000,
    ):
        assert is_refused(refresh(client, app, changed)), changed[:50]
    assert refresh(client, app, tokens.refresh, client_secret="x" * 30).status_code == 401
    assert refresh(client, app, tokens.refresh).status_code == 200


@pytest.mark.no_database
def test_a_refresh_adds_nothing(client, session):
    # RFC 6749 6: scope and audience can become narrower, never wider.
    protocol.add_api(session)
    app = register(session, scopes=("openid", "email", "orders.read", "orders.write"))
    protocol.sign_in(client, session, add_person(session))
    tokens = obtain(client, app, "openid orders.read offline_access")
    for scope in ("orders.write", "openid email", "orders.read orders.write", "unknown"):
        answer = refresh(client, app, tokens.refresh, scope=scope)
        assert answer.status_code == 400
        assert answer.get_json()["error"] == "invalid_scope", scope
    for resource in ("ids4.ms", "http://127.0.0.1:8001", "web"):
        answer = refresh(client, app, tokens.refresh, resource=resource)
        assert answer.get_json()["error"] == "invalid_target", resource
    # A refusal spends nothing.
    assert refresh(client, app, tokens.refresh).get_json()["scope"] == tokens.body["scope"]


@pytest.mark.no_database
def test_a_client_that_lost_the_right_gets_nothing_more(client, session):
    from idp.directory.clients import service as clients

    app, _, tokens = offline(client, session)
    row = clients.get(session, app.client_id)
    clients.update(session, row, {"enabled": False})
    session.commit()
    assert refresh(client, app, tokens.refresh).status_code == 401
    clients.update(session, row, {"enabled": True})
    clients.set_scopes(session, row, [])
    session.commit()
    narrowed = refresh(client, app, tokens.refresh)
    assert narrowed.get_json()["scope"] == "offline_access"
    row.allow_offline_access = False
    clients.set_grant_types(session, row, ["authorization_code"])
    session.commit()
    refused = refresh(client, app, tokens.refresh)
    assert refused.get_json()["error"] == "unauthorized_client"


def test_our_keys_and_the_database_together_make_no_token(client, session, runtime, clock):
    # The row keeps a hash of the secret, and a successor needs the token before it.
    app, _, tokens = offline(client, session)
    newer = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    family = protocol.family_of(session, newer)
    grant_id, generation, kept = family.grant_id, family.generation, family.secret_hash
    session.rollback()
    guesses = [kept, bytes(32)]
    for seed in (kept, kept.hex().encode(), b""):
        guesses += [
            hmac.digest(runtime.keyring.key(purpose), seed, "sha256")
            for purpose in (refresh_rules.CHAIN, refresh_rules.BLOCK, refresh_rules.MAC)
        ]
    forged = [
        refresh_rules.write(runtime.keyring, grant_id, number, secret)
        for secret in guesses
        for number in (generation, generation + 1, generation - 1)
    ]
    forged += [refresh_rules.successor(runtime.keyring, token) for token in forged]
    for token in forged:
        if token.generation < generation - 1:
            continue
        assert refresh_rules.read(runtime.keyring, token.text) == token
        assert is_refused(refresh(client, app, token.text))
        assert not protocol.is_active(client, app, token.text)
    assert refresh(client, app, newer).status_code == 200


def test_a_token_that_we_did_not_write_says_nothing_about_its_family(client, session, clock):
    app, _, tokens = offline(client, session)
    newer = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    clock.shift(DAY)
    # Late, and with a single character changed: no replay, and no way to end a grant of others.
    for position in range(3, len(tokens.refresh), 7):
        letter = "A" if tokens.refresh[position] != "A" else "B"
        changed = tokens.refresh[:position] + letter + tokens.refresh[position + 1 :]
        assert is_refused(refresh(client, app, changed))
        revoked = client.post("/connect/revocation", data={"token": changed, **app.post})
        assert revoked.status_code == 200
    assert session.scalars(select(Grant.revoked_at)).all() == [None]
    assert refresh(client, app, newer).status_code == 200


def test_a_family_that_the_database_forgot_is_refused_and_not_ended(client, session):
    # A backup was restored: what was given since is of no use, what was there before is.
    app, _, tokens = offline(client, session)
    newer = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    newest = refresh(client, app, newer).get_json()["refresh_token"]
    family = protocol.family_of(session, tokens.refresh)
    family.generation, family.rotated_at = 0, None
    read = refresh_rules.read(runtime_of(session).keyring, tokens.refresh)
    family.secret_hash = read.secret_hash
    session.commit()
    for lost in (newer, newest):
        assert is_refused(refresh(client, app, lost))
        assert not protocol.is_active(client, app, lost)
        client.post("/connect/revocation", data={"token": lost, **app.post})
    assert refresh(client, app, tokens.refresh).get_json()["refresh_token"] == newer


def test_an_older_token_ends_the_family_also_inside_the_window(client, session, clock):
    # The window is for the answer that was lost last, and the family moved on since.
    app, _, tokens = offline(client, session)
    newer = refresh(client, app, tokens.refresh).get_json()["refresh_token"]
    newest = refresh(client, app, newer).get_json()["refresh_token"]
    assert is_refused(refresh(client, app, tokens.refresh))
    assert session.scalars(select(Grant.revoked_reason)).all() == ["refresh token reused"]
    assert is_refused(refresh(client, app, newest))
