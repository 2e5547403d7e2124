"""`idp keys`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.directory.factors import recovery
from idp.directory.resources import service as resources
from idp.directory.resources.service import NewApi
from idp.directory.tenants import service as tenants
from idp.platform.jobs import service as jobs
from idp.platform.signing.models import SigningKey
from tests.conftest import SECRET_KEY
from tests.protocol import add_authenticator, add_person

Run = Callable[..., Result]
RunJson = Callable[..., Any]
NEW_KEY = "another root secret made by the operator"


def statuses(idp_json: RunJson) -> dict[str, tuple[str, str]]:
    return {key["kid"]: (key["alg"], key["status"]) for key in idp_json("keys", "list")}


def test_rotation_activates_what_was_published(idp_json: RunJson) -> None:
    before = statuses(idp_json)
    rotated = idp_json("keys", "rotate", "--alg", "ES256")
    assert [row["alg"] for row in rotated] == ["ES256"]
    kid = rotated[0]["kid"]
    assert before[kid] == ("ES256", "next")
    after = statuses(idp_json)
    assert after[kid] == ("ES256", "active")
    assert ("ES256", "retired") in after.values()
    assert ("ES256", "next") in after.values()
    assert len(idp_json("keys", "rotate")) == 4


def test_a_stolen_key_is_revoked(idp_json: RunJson, idp: Run) -> None:
    kid = next(k for k, found in statuses(idp_json).items() if found == ("RS256", "active"))
    assert idp_json("keys", "revoke", kid)["status"] == "revoked"
    after = statuses(idp_json)
    assert after[kid] == ("RS256", "revoked")
    assert ("RS256", "active") in after.values()
    assert "There is no signing key none." in idp("keys", "revoke", "none", code=1).stderr


def test_rewrap_moves_on_and_says_what_cannot(
    idp_json: RunJson, idp: Run, session: Session
) -> None:
    clients.create(session, NewClient("app"))
    api = resources.create_api(session, NewApi("orders"))
    resources.add_secret(session, api)
    tenants.set_properties(session, tenants.get(session, 1), {"ApiKey": "x"})
    jobs.enqueue(session, "mail", {"to": "a@b.example"})
    ann = add_person(session)
    add_authenticator(session, ann)
    recovery.replace_all(session, ann.id)
    session.commit()
    both = {"IDP_SECRET_KEY": f"{NEW_KEY},{SECRET_KEY}"}
    moved = idp_json("keys", "rewrap", **both)
    assert moved == {
        "signing_keys": 8,
        "tenant_properties": 1,
        "publish_tokens": 0,
        "outbox": 1,
        "publish_requests": 0,
        "authenticator_apps": 1,
        "client_secrets": ["app"],
        "api_secrets": ["orders"],
        "people_with_older_recovery_codes": 1,
    }
    again = idp("keys", "rewrap", **both)
    assert "signing_keys: 0" in again.stdout
    assert "Hashes cannot be moved" in again.stdout
    assert idp_json("keys", "rotate", IDP_SECRET_KEY=NEW_KEY)
    lost = idp("keys", "rewrap", code=1)
    assert "IDP_SECRET_KEY does not hold" in lost.stderr


def test_a_kid_may_begin_with_a_hyphen(idp_json: RunJson, session: Session) -> None:
    key = session.scalars(select(SigningKey).where(SigningKey.alg == "ES256")).first()
    key.kid = "-K0" + key.kid[3:]
    session.commit()
    assert idp_json("keys", "revoke", key.kid) == {"kid": key.kid, "status": "revoked"}
