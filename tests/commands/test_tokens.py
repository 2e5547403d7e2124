"""`idp token`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.clients import service as clients
from idp.directory.clients.service import NewClient
from idp.directory.tenants import service as tenants
from idp.directory.tenants.service import NewTenant
from idp.directory.users import service as users
from idp.directory.users.service import NewUser
from idp.platform.audit.models import AuditEvent
from idp.platform.runtime import Runtime
from idp.platform.signing import signer

Run = Callable[..., Result]
ASK = ("token", "--user", "ann", "--client", "app")


@pytest.fixture(autouse=True)
def ann(session: Session) -> int:
    """Make a person, a client, a tenant of its own with a client of its own."""
    person = users.create(session, NewUser("ann"))
    tenants.add_member(session, 1, person.id)
    own = tenants.create(session, NewTenant("own", hosts=["own.example"]))
    clients.create(session, NewClient("app", scopes=["openid", "ids4.ms.user.get"]))
    clients.create(session, NewClient("theirs", tenant_id=own.id, scopes=["openid"]))
    session.commit()
    return person.id


def test_a_token_lives_15_minutes_and_is_audited(
    idp_json: Callable[..., Any], session: Session, ann: int
) -> None:
    made = idp_json(*ASK, "--scope", "openid ids4.ms.user.get")
    assert (made["token_type"], made["expires_in"]) == ("Bearer", 900)
    claims = signer.keys(session).verify(made["access_token"], typ="at+jwt")
    assert claims["sub"] == str(ann)
    assert claims["client_id"] == "app"
    assert claims["exp"] - claims["iat"] == 900
    assert claims["tenant"]["id"] == 1
    assert claims["acr"] == "0"
    assert "ids4.ms" in claims["aud"]
    event = session.scalar(select(AuditEvent).where(AuditEvent.tag == "system:token:made"))
    assert event.target == f"user:{ann}"
    assert made["access_token"] not in str(event.details)


def test_the_token_dies_with_the_access_of_the_person(
    idp: Run, session: Session, client: Any
) -> None:
    token = idp(*ASK, "--scope", "openid").stdout.strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/connect/userinfo", headers=headers).status_code == 200
    users.end_access(session, users.find_by_login(session, "ann"))
    session.commit()
    assert client.get("/connect/userinfo", headers=headers).status_code == 401


def test_the_tenant_must_be_clear(idp: Run, session: Session, ann: int, runtime: Runtime) -> None:
    own = clients.get(session, "theirs").tenant_id
    tenants.add_member(session, own, ann)
    session.commit()
    for tenant, issuer in ((None, "http://127.0.0.1:8000"), (own, "http://own.example")):
        named = ("--tenant", str(tenant)) if tenant else ()
        token = idp(*ASK, "--scope", "openid", *named).stdout.strip()
        claims = signer.keys(session).verify(token, typ="at+jwt")
        session.commit()
        assert claims["iss"] == issuer
    tenants.remove_member(session, 1, ann)
    other = tenants.create(session, NewTenant("third")).id
    tenants.add_member(session, other, ann)
    session.commit()
    assert "several tenants" in idp(*ASK, "--scope", "openid", code=1).stderr


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--user", "bob", "--client", "app", "--scope", "openid"), "no user bob"),
        (("--user", "ann", "--client", "none", "--scope", "openid"), "no enabled client none"),
        (("--user", "ann", "--client", "app", "--scope", "email"), "may not have the scope"),
        (("--user", "ann", "--client", "app", "--scope", "offline_access"), "no refresh token"),
        (("--user", "ann", "--client", "theirs", "--scope", "openid"), "does not serve"),
        (
            ("--user", "ann", "--client", "app", "--scope", "openid", "--tenant", "2"),
            "may not sign",
        ),
        (("--user", "ann", "--client", "app", "--scope", "openid", "--tenant", "99"), "no such"),
    ],
)
def test_refusals_are_sentences(idp: Run, arguments: tuple[str, ...], part: str) -> None:
    result = idp("token", *arguments, code=1)
    assert part in result.stderr
    assert result.stdout == ""


def test_a_disabled_person_gets_no_token(idp: Run, session: Session) -> None:
    users.disable(session, users.find_by_login(session, "ann"))
    session.commit()
    assert "no user ann" in idp(*ASK, "--scope", "openid", code=1).stderr
