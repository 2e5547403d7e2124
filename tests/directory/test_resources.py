"""APIs, scopes and identity resources."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.directory.resources import rules, snapshot
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResourceOwner
from idp.directory.resources.service import NewApi, NewScope
from idp.platform import clock
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.runtime import Runtime


def test_an_api_is_made_with_scopes_claims_and_settings(session: Session) -> None:
    new = NewApi(
        "orders",
        scopes=[NewScope("orders.read", user_claims=["email"])],
        user_claims=["role", "permission"],
        properties={"permission_format": "text", "signing_alg": "ES256"},
        owner_id=1,
    )
    api = resources.create_api(session, new)
    session.commit()
    seen = snapshot.find_api(session, "orders")
    assert seen.permission_as_text
    assert seen.signing_alg == "ES256"
    assert seen.user_claims == {"role", "permission"}
    assert session.get(ApiResourceOwner, (1, api.id)) is not None
    resources.link_owner(session, api, 1)
    resources.set_properties(session, api, {"permission_format": "array"})
    session.commit()
    seen = snapshot.find_api(session, "orders")
    assert not seen.permission_as_text
    assert seen.signing_alg is None


@pytest.mark.no_database
@pytest.mark.parametrize(
    "name", ["openid", "ids4.ms.user.get", "offline_access", "", "a b", 'a"b', "a\\b", "é", "a\n"]
)
def test_scope_names_are_one_pool_and_plain(session: Session, name: str) -> None:
    api = resources.create_api(session, NewApi("orders"))
    with pytest.raises((BadRequest, Conflict)):
        resources.add_scope(session, api, NewScope(name))
    with pytest.raises((BadRequest, Conflict)):
        resources.create_identity(session, NewScope(name))
    with pytest.raises((BadRequest, Conflict)):
        resources.create_api(session, NewApi("other", scopes=[NewScope(name)]))


def test_a_scope_is_not_named_twice(session: Session) -> None:
    twice = [NewScope("orders.read"), NewScope("orders.read")]
    with pytest.raises(BadRequest):
        resources.create_api(session, NewApi("orders", scopes=twice))


def test_names_of_apis_are_audiences_of_nobody_else(session: Session, runtime: Runtime) -> None:
    clients.create(session, NewClient("app"))
    taken = ("ids4.ms", "app", runtime.settings.public_url, runtime.settings.public_url + "/")
    for name in (*taken, "123", "", "a b"):
        with pytest.raises((BadRequest, Conflict)):
            resources.create_api(session, NewApi(name))


@pytest.mark.no_database
@pytest.mark.parametrize(
    "wrong",
    [
        {"user_claims": ["a b"]},
        {"user_claims": [""]},
        {"properties": {"permission_format": "xml"}},
        {"properties": {"signing_alg": "HS256"}},
        {"properties": {"": "x"}},
        {"properties": {"x": "y" * 2001}},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(session: Session, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        resources.create_api(session, NewApi("orders", **wrong))


def test_an_unknown_tenant_is_named(session: Session) -> None:
    with pytest.raises(NotFound):
        resources.create_api(session, NewApi("orders", tenant_id=99))
    with pytest.raises(NotFound):
        resources.create_identity(session, NewScope("team"), tenant_id=99)


def test_the_faster_of_two_gets_the_name(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    resources.create_api(session, NewApi("orders"))
    monkeypatch.setattr(rules, "check_api_name", lambda *_arguments: None)
    with pytest.raises(Conflict):
        resources.create_api(session, NewApi("orders"))


def test_secrets_of_an_api_are_hashed_and_shown_once(session: Session, runtime: Runtime) -> None:
    api = resources.create_api(session, NewApi("orders"))
    soon = clock.now() + timedelta(days=1)
    clear = resources.add_secret(session, api, expires_at=soon)
    assert runtime.keyring.mac_matches("client secret", clear, api.secrets[0].value_hash)
    with pytest.raises(BadRequest):
        resources.add_secret(session, api, "short")
    with pytest.raises(BadRequest):
        resources.add_secret(session, api, expires_at=clock.now())


def test_a_new_scope_and_identity_resource_are_published(session: Session) -> None:
    api = resources.create_api(session, NewApi("orders"))
    resources.add_scope(session, api, NewScope("orders.read"))
    resources.create_identity(session, NewScope("team", user_claims=["team"]))
    session.commit()
    published = snapshot.published(session, 1)
    assert {"orders.read", "team", "openid"} <= set(published.scopes)
    assert "team" in published.claims
    found = session.scalars(
        select(ApiResourceOwner).where(ApiResourceOwner.api_resource_id == api.id)
    )
    assert found.all() == []
