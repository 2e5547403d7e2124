"""`idp user`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.claims.registry import CLAIMS
from idp.directory import permissions
from idp.directory.factors import recovery
from idp.directory.tenants import service as tenants
from idp.directory.tenants.service import NewTenant
from idp.directory.users import service as users
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from tests.protocol import add_authenticator, add_passkey, add_person

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_an_account_is_made_with_a_password_shown_once(idp_json: RunJson, session: Session) -> None:
    made = idp_json(
        *("user", "add", "--username", "ann", "--email", "ann@example.com"),
        *("--mobile", "13800138000", "--verified", "--role", "users", "--role", "developer"),
    )
    assert made["sub"].isdigit()
    assert (made["username"], made["phone_number"]) == ("ann", "+8613800138000")
    assert made["roles"] == ["users", "developer"]
    person = users.find_by_login(session, "ann@example.com")
    assert person.email_verified
    assert person.mobile_verified
    assert tenants.find_member(session, 1, person.id) is not None
    assert permissions.held_rights(session, person.id, 1, platform=True).roles == [
        "developer",
        "users",
    ]
    session.commit()
    assert users.verify_password(session, person, made["password"])


def test_a_given_password_is_not_repeated(idp: Run) -> None:
    out = idp("user", "add", "--username", "ann", "--password", "correct horse").output
    assert "correct horse" not in out
    assert "username: ann" in out


def test_a_member_of_another_tenant(idp_json: RunJson, session: Session) -> None:
    tenant = tenants.create(session, NewTenant("two")).id
    session.commit()
    made = idp_json("user", "add", "--username", "ann", "--tenant", str(tenant))
    assert made["tenant"] == tenant
    assert tenants.find_member(session, 1, int(made["sub"])) is None


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--username", "ADMIN"), "This user name is taken."),
        (("--username", "123"), "A user name must not consist of digits only."),
        (("--username", "ann", "--role", "boss"), "There is no role boss."),
        (("--username", "ann", "--tenant", "9"), "There is no such tenant."),
        (
            ("--username", "ann", "--password", "abc"),
            "The password must have at least 8 characters.",
        ),
    ],
)
def test_refusals_are_one_sentence_and_leave_nothing(
    idp: Run, session: Session, arguments: tuple[str, ...], sentence: str
) -> None:
    assert idp("user", "add", *arguments, code=1).stderr == f"Error: {sentence}\n"
    assert users.find_by_login(session, "ann") is None


def test_a_new_password_ends_access_and_is_audited(
    idp_json: RunJson, idp: Run, session: Session
) -> None:
    made = idp_json("user", "add", "--username", "ann")
    stamp = users.find_by_login(session, "ann").security_stamp
    session.commit()
    changed = idp_json("user", "password", "ann")
    assert changed["password"] != made["password"]
    idp("user", "password", "--username", "ann", "--password", "battery staple")
    session.expire_all()
    person = users.find_by_login(session, "ann")
    tags = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == f"user:{person.id}")
    ).all()
    assert person.security_stamp != stamp
    assert tags.count("admin:password:set") == 2
    session.commit()
    assert users.verify_password(session, person, "battery staple")
    assert "There is no user bob." in idp("user", "password", "bob", code=1).stderr
    assert "Name the user." in idp("user", "password", code=1).stderr


def test_a_disabled_person_stays_out(idp: Run, idp_json: RunJson, session: Session) -> None:
    idp("user", "add", "--username", "ann")
    assert idp_json("user", "disable", "ann")["disabled"] is True
    idp("user", "disable", "--username", "ann")
    assert not users.find_by_login(session, "ann").may_sign_in


ALL = {
    "name": "Ann B. Lee",
    "given_name": "Ann",
    "middle_name": "B.",
    "family_name": "Lee",
    "nickname": "Annie",
    "preferred_username": "annie",
    "profile": "https://pages.example/ann",
    "picture": "https://pages.example/ann.png",
    "website": "https://ann.example",
    "gender": "female",
    "birthdate": "1990-05-06",
    "zoneinfo": "Asia/Shanghai",
    "locale": "zh-CN",
    "address": "1 Main Street",
    "email": "annie@example.com",
    "email_verified": "true",
    "phone_number": "+8613900139000",
    "phone_number_verified": "true",
}


def as_options(values: dict[str, str]) -> list[str]:
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


def test_every_standard_claim_is_set_and_taken_away_by_command(
    idp_json: RunJson, session: Session
) -> None:
    idp_json("user", "add", "--username", "ann")
    shown = idp_json("user", "change", "ann", *as_options(ALL))
    flags = {name: True for name in ALL if name.endswith("_verified")}
    assert shown == {"sub": shown["sub"], **ALL, **flags}
    # What the registry of claims can deliver is what can be set, and nothing is left out.
    promised = set(CLAIMS) - {"updated_at", "tenant", "role", "permission"}
    assert promised == set(ALL)
    kept = {"preferred_username", "email_verified", "phone_number_verified"}
    empty = {name: "" for name in ALL if name not in kept}
    shown = idp_json("user", "change", "annie", *as_options(empty))
    assert {name for name, value in shown.items() if value} == {"sub", "preferred_username"}
    first, second = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.USER_CHANGED))
    zone = {"field": "zoneinfo", "before": None, "after": "Asia/Shanghai"}
    assert zone in first.details["changes"]
    assert {**zone, "before": "Asia/Shanghai", "after": None} in second.details["changes"]


def test_a_user_name_that_is_the_address_follows_it(idp_json: RunJson) -> None:
    idp_json("user", "add", "--username", "ann@example.com", "--email", "ann@example.com")
    shown = idp_json("user", "change", "ann@example.com", "--set", "email=ann@other.example")
    assert shown["preferred_username"] == shown["email"] == "ann@other.example"
    assert shown["email_verified"] is False


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("zoneinfo=Mars/Base", "not a time zone"),
        ("locale=no language", "not a language"),
        ("birthdate=06.05.1990", "YYYY-MM-DD, for example 1990-05-06"),
        ("birthdate=2999-01-01", "not possible"),
        ("website=javascript:alert(1)", "not an http(s) address"),
        ("name=a\u202eb", "Control characters"),
        ("address=" + "x" * 1001, "1000 characters"),
        ("email=nobody", "not an e-mail address"),
        ("email_verified=true", "no address to confirm"),
        ("phone_number_verified=maybe", "true or false"),
        ("sub=7", "no claim sub"),
        ("name", "NAME=VALUE"),
    ],
)
def test_a_wrong_claim_changes_nothing(
    idp: Run, idp_json: RunJson, session: Session, wrong: str, sentence: str
) -> None:
    idp_json("user", "add", "--username", "ann")
    out = idp("user", "change", "ann", "--set", "nickname=Annie", "--set", wrong, code=1)
    assert sentence in out.output
    assert users.find_by_login(session, "ann").nick_name is None


def test_the_last_administrator_is_not_disabled(idp: Run, session: Session) -> None:
    refusal = idp("user", "disable", "admin", code=1).stderr
    assert "The platform must have an administrator" in refusal
    assert users.find_by_login(session, "admin").may_sign_in


def test_a_disabled_person_is_let_in_again(idp_json: RunJson, session: Session) -> None:
    idp_json("user", "add", "--username", "ann")
    idp_json("user", "disable", "ann")
    assert idp_json("user", "enable", "ann")["disabled"] is False
    person = users.find_by_login(session, "ann")
    assert person.may_sign_in
    tags = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == f"user:{person.id}")
    ).all()
    assert tags.count("admin:user:enabled") == 1


def test_a_lock_is_ended(idp_json: RunJson, session: Session) -> None:
    idp_json("user", "add", "--username", "ann")
    person = users.find_by_login(session, "ann")
    person.lockout_end = clock.now() + timedelta(days=1)
    session.commit()
    assert idp_json("user", "show", "ann")["locked_until"] is not None
    assert idp_json("user", "unlock", "ann")["locked_until"] is None
    session.expire_all()
    assert person.may_sign_in
    tags = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == f"user:{person.id}")
    ).all()
    assert tags.count("admin:user:unlocked") == 1


def test_an_account_is_shown_with_tenants_and_roles(idp: Run, idp_json: RunJson) -> None:
    made = idp_json("user", "add", "--username", "ann", "--role", "users")
    shown = idp_json("user", "show", "ann")
    assert (shown["sub"], shown["tenants"]) == (made["sub"], [1])
    assert shown["roles"] == [{"role": "users", "tenant": None}]
    assert "password" not in shown
    assert "There is no user bob." in idp("user", "show", "bob", code=1).stderr


def test_accounts_are_found_by_part_of_a_name_and_page_by_page(idp_json: RunJson) -> None:
    for name in ("ann", "anna", "bert"):
        idp_json("user", "add", "--username", name, "--email", f"{name}@example.com")
    idp_json("user", "disable", "anna")
    found = idp_json("user", "list", "--search", "ANN")
    assert [row["username"] for row in found] == ["ann", "anna"]
    assert idp_json("user", "list", "--search", "a%a") == []
    assert [row["username"] for row in idp_json("user", "list", "--disabled")] == ["anna"]
    first = idp_json("user", "list", "--search", "example", "--limit", "2")
    rest = idp_json("user", "list", "--search", "example", "--after", first[-1]["sub"])
    assert [row["username"] for row in first + rest] == ["ann", "anna", "bert"]
    assert idp_json("user", "list", "--tenant", "77") == []


def test_lost_second_factors_are_removed_and_access_ends(
    idp: Run, idp_json: RunJson, session: Session, outbox: Callable[[], list[Any]]
) -> None:
    ann = add_person(session, email="ann@example.com")
    add_authenticator(session, ann, "Phone")
    recovery.replace_all(session, ann.id)
    session.commit()
    stamp = ann.security_stamp
    shown = idp_json("user", "factors", "ann")
    assert (shown["authenticator_apps"], shown["recovery_codes_left"]) == (["Phone"], 10)
    shown = idp_json("user", "factors", "ann", "--reset")
    assert (shown["authenticator_apps"], shown["recovery_codes_left"]) == ([], 0)
    session.expire_all()
    assert ann.security_stamp != stamp
    (event,) = session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.FACTORS_RESET))
    assert (event.target, event.details) == (f"user:{ann.id}", {"count": 1})
    assert "removed" in outbox()[0].subject
    # Again there is nothing to remove, and nobody is signed out for it.
    stamp = ann.security_stamp
    session.commit()
    idp_json("user", "factors", "ann", "--reset")
    session.expire_all()
    assert ann.security_stamp == stamp
    session.commit()
    assert "There is no user bob." in idp("user", "factors", "bob", code=1).stderr


def test_lost_passkeys_are_shown_and_removed(
    idp_json: RunJson, session: Session, outbox: Callable[[], list[Any]]
) -> None:
    ann = add_person(session, email="ann@example.com")
    add_passkey(session, ann, "https://login.acme.example")
    shown = idp_json("user", "factors", "ann")["passkeys"]
    assert shown == [{"name": "Laptop", "host": "login.acme.example", "suspended": False}]
    assert idp_json("user", "factors", "ann", "--reset")["passkeys"] == []
    assert "passkey was removed" in outbox()[0].subject
