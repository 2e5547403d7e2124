"""Refresh tokens from before there were families go on until they expire."""

from __future__ import annotations

import hmac
from datetime import timedelta

import pytest
from sqlalchemy import select

from idp.oauth.models import FormerRefreshToken, Grant, RefreshFamily
from idp.platform import clock as time_of
from idp.platform.secrets import b64url, digest
from tests import protocol
from tests.protocol import Tokens, add_person, obtain, refresh, register

FIRST = "rt_" + "f" * 43
DAY = 86_400


@pytest.fixture
def grant_id(session):
    """Return the id of the grant that `sign_in` makes."""
    return lambda: session.scalars(select(Grant.id)).one()


def sign_in(client, session, **settings):
    """Sign in, and forget the family that this began."""
    app = register(session, **settings)
    protocol.sign_in(client, session, add_person(session))
    obtain(client, app, "openid email offline_access")
    session.delete(session.scalars(select(RefreshFamily)).one())
    session.commit()
    return app


def keep(session, grant_id, text, generation=0, *, used_seconds_ago=None):
    """Write a row as it was written before."""
    now = time_of.now()
    session.add(
        FormerRefreshToken(
            token_hash=digest(text),
            grant_id=grant_id,
            generation=generation,
            scopes=["openid", "offline_access"],
            created_at=now - timedelta(days=1),
            expires_at=now + timedelta(days=10),
            absolute_expires_at=now + timedelta(days=20),
            used_at=None if used_seconds_ago is None else now - timedelta(seconds=used_seconds_ago),
        )
    )
    session.commit()


def followed(runtime, text, grant_id, generation):
    """Compute what followed a token before."""
    seed = f"{text}\n{grant_id}\n{generation}".encode()
    return "rt_" + b64url(hmac.digest(runtime.keyring.key("refresh token"), seed, "sha256"))


def renewed(client, app, token):
    answer = refresh(client, app, token)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return Tokens(answer.get_json()).refresh


def is_refused(answer):
    assert answer.status_code == 400, answer.get_data(as_text=True)
    return answer.get_json()["error"] == "invalid_grant"


def test_an_unspent_token_begins_a_family(client, session, clock, grant_id):
    app = sign_in(client, session)
    keep(session, grant_id(), FIRST, 4)
    assert protocol.is_active(client, app, FIRST)
    second = renewed(client, app, FIRST)
    family = protocol.family_of(session, second)
    assert (family.grant_id, family.generation) == (grant_id(), 5)
    assert family.scopes == ["openid", "offline_access"]
    # The end of its life is the one it was given at sign-in.
    assert family.absolute_expires_at == time_of.now() + timedelta(days=20)
    session.rollback()
    assert not protocol.is_active(client, app, FIRST)
    clock.shift(59)
    assert renewed(client, app, FIRST) == second
    third = renewed(client, app, second)
    assert protocol.is_active(client, app, third)


def test_a_spent_token_that_comes_late_ends_the_grant(client, session, clock, grant_id):
    app = sign_in(client, session)
    keep(session, grant_id(), FIRST)
    second = renewed(client, app, FIRST)
    clock.shift(60)
    assert is_refused(refresh(client, app, FIRST))
    assert is_refused(refresh(client, app, second))
    assert session.scalars(select(Grant.revoked_reason)).all() == ["refresh token reused"]


def test_one_that_was_spent_before_is_given_its_successor_or_ends_the_grant(
    client, session, clock, grant_id, runtime
):
    app = sign_in(client, session)
    second = followed(runtime, FIRST, grant_id(), 0)
    keep(session, grant_id(), FIRST, used_seconds_ago=30)
    keep(session, grant_id(), second, 1)
    assert renewed(client, app, FIRST) == second
    third = renewed(client, app, second)
    assert len(third) > len(second)
    assert renewed(client, app, FIRST) == second
    clock.shift(30)
    assert is_refused(refresh(client, app, FIRST))
    assert is_refused(refresh(client, app, third))
    assert session.scalars(select(Grant.revoked_reason)).all() == ["refresh token reused"]


def test_a_reusable_token_stays_and_lives_on(client, session, clock, grant_id):
    app = sign_in(
        client,
        session,
        refresh_token_usage=0,
        refresh_token_expiration=0,
        sliding_refresh_token_lifetime=12 * DAY,
    )
    keep(session, grant_id(), FIRST)
    for _ in range(2):
        assert renewed(client, app, FIRST) == FIRST
        clock.shift(9 * DAY)
    clock.shift(2 * DAY)
    assert is_refused(refresh(client, app, FIRST))


@pytest.mark.no_database
def test_it_expires_as_it_was_said(client, session, clock, grant_id):
    app = sign_in(client, session)
    keep(session, grant_id(), FIRST)
    clock.shift(10 * DAY)
    assert is_refused(refresh(client, app, FIRST))
    assert not protocol.is_active(client, app, FIRST)


@pytest.mark.no_database
@pytest.mark.parametrize("used_seconds_ago", [None, 10, DAY])
def test_its_client_can_revoke_it_and_nobody_else(client, session, grant_id, used_seconds_ago):
    app = sign_in(client, session)
    other = register(session, "other")
    keep(session, grant_id(), FIRST, used_seconds_ago=used_seconds_ago)
    for caller, ended in ((other, False), (app, True)):
        client.post("/connect/revocation", data={"token": FIRST, **caller.post})
        assert (session.scalars(select(Grant.revoked_at)).one() is not None) == ended
        session.rollback()
    assert is_refused(refresh(client, app, FIRST))


@pytest.mark.no_database
def test_another_client_can_neither_use_nor_see_it(client, session, grant_id):
    app = sign_in(client, session)
    other = register(session, "other")
    keep(session, grant_id(), FIRST)
    assert is_refused(refresh(client, other, FIRST))
    assert not protocol.is_active(client, other, FIRST)
    assert protocol.is_active(client, app, FIRST)
