"""The `jti` of access tokens: it leads back to the grant, for this server alone."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from idp.oauth import access_tokens, token_ids
from idp.oauth.models import Grant
from idp.platform.errors import InvalidToken
from idp.platform.secrets import Keyring
from idp.platform.signing import signer
from tests import protocol
from tests.protocol import add_person, obtain, register

NEW = "new-" + "n" * 40


@pytest.fixture
def scene(client, session):
    """Return a client that a person is signed in for."""
    app = register(session)
    protocol.sign_in(client, session, add_person(session))
    return app


def userinfo(client, token):
    return client.get("/connect/userinfo", headers=protocol.bearer(token)).status_code


def revoke(client, app, token):
    answer = client.post("/connect/revocation", data={"token": token, **app.post})
    assert answer.status_code == 200


def test_nobody_can_count_sign_ins_by_it(client, session, runtime, scene):
    sign_ins = [obtain(client, scene, "openid offline_access") for _ in range(3)]
    ids = [sign_in.claims["jti"] for sign_in in sign_ins]
    answer = protocol.refresh(client, scene, sign_ins[-1].refresh)
    again = protocol.payload(answer.get_json()["access_token"])["jti"]
    heads = {jti.partition(".")[0] for jti in (*ids, again)}
    assert len(heads) == 4
    assert all(re.fullmatch(r"[\w-]{22}", head) for head in heads)
    grants = list(session.scalars(select(Grant.id).order_by(Grant.id)))
    read = [token_ids.grant_id_of(runtime.keyring, jti) for jti in (*ids, again)]
    assert read == [*grants, grants[-1]]
    for number in (0, 1, 2**31, 2**63 - 1):
        assert token_ids.grant_id_of(runtime.keyring, token_ids.make(runtime.keyring, number)) == (
            number
        )


def test_tokens_of_the_old_root_secret_are_found_while_it_is_kept(client, runtime, scene):
    before = obtain(client, scene).access
    runtime.keyring = Keyring([NEW, *runtime.settings.secret_keys])
    runtime.cache.clear()
    after = obtain(client, scene).access
    assert before.count(".") == 2
    for token in (before, after):
        assert protocol.is_active(client, scene, token)
        assert userinfo(client, token) == 200
    revoke(client, scene, before)
    assert userinfo(client, before) == 401
    assert userinfo(client, after) == 200


def test_a_token_of_a_root_secret_that_is_gone_is_no_token(client, runtime, scene):
    token = obtain(client, scene).access
    runtime.keyring = Keyring([NEW])
    assert userinfo(client, token) == 401
    with pytest.raises(InvalidToken):
        token_ids.grant_id_of(runtime.keyring, protocol.payload(token)["jti"])


def test_tokens_with_the_number_of_the_grant_are_read_until_they_expire(client, session, scene):
    claims = obtain(client, scene).claims
    [number] = session.scalars(select(Grant.id))
    old = []
    for end in ("a", "b"):
        numbered = {**claims, "jti": f"{number}.{end * 22}"}
        old.append(signer.keys(session).sign(numbered, alg=None, typ="at+jwt"))
    assert all(protocol.is_active(client, scene, token) for token in old)
    revoke(client, scene, old[0])
    assert [protocol.is_active(client, scene, token) for token in old] == [False, True]
    assert access_tokens.revoke_grant(session, number, "for a test")
    session.commit()
    assert userinfo(client, old[1]) == 401
