"""Signing keys by our own API: listed, rotated, imported, revoked."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from sqlalchemy import select

from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.signing import service as signing
from idp.platform.signing.models import SigningKey
from tests.api import admin, center
from tests.protocol import add_authenticator, obtain, register, sign_in


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


def published(client):
    document = client.get("/.well-known/openid-configuration/jwks").get_json()
    return {key["kid"] for key in document["keys"]}


def listed(root, **query):
    return [*chain(*admin.pages(root, "/keys", **query))]


def test_keys_are_listed_without_what_signs(root, session, client):
    rows = listed(root, limit=3)
    assert {row["kid"] for row in rows} == published(client)
    assert [row["alg"] for row in listed(root, state="active")] == [
        row["alg"] for row in rows if row["state"] == "active"
    ]
    for row in rows:
        assert not {"d", "p", "q", "dp", "dq", "qi"} & row["public_jwk"].keys()
        assert row["on_former_secret"] is False
        assert admin.data(root, "GET", f"/keys/{row['kid']}") == row
    stored = session.scalars(select(SigningKey.private_encrypted))
    text = admin.send(root, "GET", "/keys").text
    assert not any(sealed in text for sealed in stored)


def test_a_key_on_a_former_secret_is_named(root, session):
    (key,) = session.scalars(select(SigningKey).where(SigningKey.alg == "ES256").limit(1))
    key.private_encrypted = "00000000" + (key.private_encrypted or "")[8:]
    session.commit()
    assert [row["kid"] for row in listed(root) if row["on_former_secret"]] == [key.kid]


def test_the_next_key_signs_after_a_rotation(root, client):
    before = {row["state"]: row["kid"] for row in listed(root) if row["alg"] == "ES256"}
    (rotated,) = admin.data(root, "POST", "/keys/rotate", {"alg": "ES256"})["keys"]
    assert (rotated["kid"], rotated["state"]) == (before["next"], "active")
    after = {row["kid"]: row["state"] for row in listed(root) if row["alg"] == "ES256"}
    assert after[before["active"]] == "retired"
    assert before["active"] in published(client)
    assert sorted(after.values()) == ["active", "next", "retired"]


def test_all_algorithms_are_rotated_where_none_is_named(root):
    rotated = admin.data(root, "POST", "/keys/rotate")["keys"]
    assert len({key["alg"] for key in rotated}) == len(rotated) == 4


def test_rotations_are_limited(root):
    for _ in range(signing.ROTATIONS_PER_HOUR):
        assert admin.send(root, "POST", "/keys/rotate", {"alg": "EdDSA"}).status_code == 200
    assert admin.send(root, "POST", "/keys/rotate", {"alg": "EdDSA"}).status_code == 429


def test_a_revoked_key_is_published_no_more_and_replaced(root, client, session):
    (active,) = [row for row in listed(root, state="active") if row["alg"] == "ES256"]
    path = f"/keys/{active['kid']}/revoke"
    assert admin.data(root, "POST", path)["state"] == "revoked"
    assert active["kid"] not in published(client)
    (successor,) = [row for row in listed(root, state="active") if row["alg"] == "ES256"]
    assert successor["kid"] != active["kid"]
    assert admin.data(root, "POST", path)["state"] == "revoked"
    session.rollback()
    noted = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.KEY_REVOKED)).all()
    assert [(event.target, event.user_id) for event in noted] == [
        (f"key:{active['kid']}", root.user.id)
    ]


def test_a_token_of_a_revoked_key_is_refused(root, client, session):
    (active,) = [row for row in listed(root, state="active") if row["alg"] == "RS256"]
    assert admin.send(root, "GET", "/keys").status_code == 200
    admin.data(root, "POST", f"/keys/{active['kid']}/revoke")
    assert admin.send(root, "GET", "/keys").status_code == 401
    renewed = center.Caller(client, root.user, center.token_for(session, root.user))
    assert admin.send(renewed, "GET", "/keys").status_code == 200


def test_an_imported_key_becomes_the_next_one_and_signs_after_a_rotation(root, client, session):
    pem = admin.make_pem()
    before = {row["state"]: row["kid"] for row in listed(root) if row["alg"] == "ES256"}
    made = admin.send(root, "POST", "/keys/import", {"pem": pem})
    assert made.status_code == 201
    key = made.get_json()
    assert (key["alg"], key["state"]) == ("ES256", "next")
    assert made.headers["Location"] == f"/admin/v1/keys/{key['kid']}"
    assert admin.data(root, "GET", f"/keys/{key['kid']}") == key
    assert "d" not in key["public_jwk"]
    assert "PRIVATE" not in made.text
    after = {row["kid"]: row["state"] for row in listed(root) if row["alg"] == "ES256"}
    assert (after[before["active"]], after[key["kid"]]) == ("active", "next")
    (rotated,) = admin.data(root, "POST", "/keys/rotate", {"alg": "ES256"})["keys"]
    assert rotated["kid"] == key["kid"]
    assert key["kid"] in published(client)
    session.rollback()
    noted = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.KEY_IMPORTED)).all()
    assert [(event.target, event.user_id) for event in noted] == [
        (f"key:{key['kid']}", root.user.id)
    ]


@pytest.mark.parametrize("state", ["next", "revoked"])
def test_a_key_that_was_ever_known_is_not_imported_again(root, state):
    pem = admin.make_pem()
    kid = admin.data(root, "POST", "/keys/import", {"pem": pem})["kid"]
    if state == "revoked":
        admin.data(root, "POST", f"/keys/{kid}/revoke")
    assert admin.refused(root, "POST", "/keys/import", {"pem": pem})[0] == 409
    assert admin.data(root, "GET", f"/keys/{kid}")["state"] == state


def test_an_import_that_comes_again_under_its_key_is_one_import(root):
    named = {"Idempotency-Key": "import-1"}
    body = {"pem": admin.make_pem()}
    first, second = (
        admin.send(root, "POST", "/keys/import", body, headers=named) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "pem"),
        ({"pem": ""}, 400, "pem"),
        ({"pem": "SECRET-" + "x" * 100}, 400, "pem"),
        ({"pem": "x" * 10_000}, 400, "pem"),
        ({"pem": 1}, 400, "pem"),
        ({"pem": "x", "alg": "HS256"}, 400, "alg"),
        ({"pem": "x", "kid": "mine"}, 400, "kid"),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(root, body, status, field):
    answer = admin.send(root, "POST", "/keys/import", body)
    assert (answer.status_code, list(answer.get_json()["fields"])) == (status, [field])
    assert "SECRET-" not in answer.text


def test_a_key_of_another_type_than_the_algorithm_is_refused(root):
    body = {"pem": admin.make_pem(), "alg": "RS256"}
    assert admin.refused(root, "POST", "/keys/import", body)[0] == 422


@pytest.mark.parametrize("kid", ["none", "-", "a%00b", "x" * 300])
def test_a_key_that_is_not_there_is_not_found(root, kid):
    assert admin.send(root, "GET", f"/keys/{kid}").status_code in {400, 404}
    assert admin.send(root, "POST", f"/keys/{kid}/revoke").status_code in {400, 404}


@pytest.mark.parametrize("body", [{"alg": "HS256"}, {"alg": 1}, {"kid": "x"}])
def test_what_cannot_be_rotated_is_refused(root, body):
    assert admin.refused(root, "POST", "/keys/rotate", body)[0] == 400


# Attack 79: a token of a lower level


def challenge(answer):
    assert answer.status_code == 401
    assert answer.get_json()["code"] == "insufficient_user_authentication"
    return answer.headers["WWW-Authenticate"]


def test_a_key_is_not_rotated_by_a_token_without_the_second_factor_of_its_person(
    root, session, client
):
    before = listed(root)
    add_authenticator(session, root.user)
    for path in ("/keys/rotate", f"/keys/{before[0]['kid']}/revoke"):
        answer = admin.send(root, "POST", path, {"alg": "ES256"} if "rotate" in path else None)
        assert 'acr_values="mfa"' in challenge(answer)
    assert listed(root) == before
    app = register(session, "cli", scopes=("openid", "ids4.ms.admin.all"))
    sign_in(client, session, root.user, has_both=True)
    high = replace(root, token=obtain(client, app, "openid ids4.ms.admin.all").access)
    assert admin.send(high, "POST", "/keys/rotate", {"alg": "ES256"}).status_code == 200


@pytest.mark.settings(second_factor="required")
def test_a_level_is_asked_of_everybody_where_everybody_must_have_a_factor(root):
    assert 'acr_values="mfa"' in challenge(admin.send(root, "POST", "/keys/rotate", {}))
    assert admin.send(root, "GET", "/keys").status_code == 200
