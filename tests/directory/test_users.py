"""Accounts: names that stay unique, passwords, and the end of access."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.users import passwords
from idp.directory.users import service as users
from idp.directory.users.service import NewUser
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.runtime import Runtime


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(1, 64, 1))


def ann(session: Session) -> users.User:
    new = NewUser("Ann", "ann@example.com", "13800138000", password="correct horse")
    return users.create(session, new)


@pytest.mark.parametrize(
    "login", ["Ann", " ANN ", "ANN@EXAMPLE.COM", "13800138000", "+86 138-0013-8000"]
)
def test_a_person_is_found_by_any_name(session: Session, login: str) -> None:
    person = ann(session)
    assert users.find_by_login(session, login) is person


@pytest.mark.no_database
@pytest.mark.parametrize("login", ["", "bob", "bob@example.com", "13900139000", "a\0b", "x" * 5000])
def test_strangers_are_not_found(session: Session, login: str) -> None:
    ann(session)
    assert users.find_by_login(session, login) is None


@pytest.mark.parametrize(
    ("field", "new"),
    [
        ("username", NewUser("aNN")),
        ("email", NewUser("bob", "Ann@example.com")),
        ("mobile", NewUser("bob", None, "+8613800138000")),
    ],
)
def test_names_are_unique_also_over_deleted_accounts(
    session: Session, field: str, new: NewUser
) -> None:
    first = ann(session)
    users.delete(session, first)
    session.commit()
    with pytest.raises(Conflict) as refusal:
        users.create(session, new)
    assert list(refusal.value.fields) == [field]
    assert users.find_by_login(session, "ann") is None
    with pytest.raises(NotFound):
        users.get(session, first.id)


def test_the_faster_of_two_gets_the_name(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    ann(session)
    asked = []

    def blind(session: Session, user: users.User) -> None:
        asked.append(user)
        if len(asked) > 1:
            raise Conflict("taken")

    monkeypatch.setattr(users, "_refuse_taken", blind)
    with pytest.raises(Conflict):
        users.create(session, NewUser("ann"))
    assert users.find_by_login(session, "ann") is not None  # the transaction goes on


def test_passwords_match_only_the_person_who_has_one(session: Session) -> None:
    person, without = ann(session), users.create(session, NewUser("bob"))
    session.commit()
    assert users.verify_password(session, person, "correct horse")
    assert not users.verify_password(session, person, "Correct horse")
    assert not users.verify_password(session, without, "")
    assert not users.verify_password(session, None, "correct horse")


def test_an_old_hash_is_renewed_when_its_password_is_typed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = ann(session)
    session.commit()
    before = person.password_hash
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(2, 64, 1))
    assert not users.verify_password(session, person, "wrong")
    assert users.verify_password(session, person, "correct horse")
    session.commit()
    session.refresh(person)
    assert person.password_hash != before
    assert users.verify_password(session, person, "correct horse")


def test_a_new_password_ends_access(session: Session) -> None:
    person = ann(session)
    stamp = person.security_stamp
    with pytest.raises(BadRequest):
        users.set_password(session, person, "ann@example.com")
    assert person.security_stamp == stamp
    users.set_password(session, person, "battery staple")
    assert person.security_stamp != stamp
    assert users.verify_password(session, person, "battery staple")


def test_disabling_ends_access_and_enabling_does_not_restore_it(session: Session) -> None:
    person = ann(session)
    stamp = person.security_stamp
    users.disable(session, person)
    assert not person.may_sign_in
    disabled = person.security_stamp
    assert disabled != stamp
    users.disable(session, person)
    users.enable(session, person)
    assert person.may_sign_in
    assert person.security_stamp == disabled
    session.flush()
    tags = session.scalars(
        select(AuditEvent.tag).where(AuditEvent.target == f"user:{person.id}")
    ).all()
    assert sorted(tags) == ["admin:user:created", "admin:user:disabled", "admin:user:enabled"]


def test_mobile_numbers_are_national_on_the_wire(session: Session, runtime: Runtime) -> None:
    assert users.mobile_on_the_wire(session, ann(session)) == "13800138000"
    assert users.mobile_on_the_wire(session, users.create(session, NewUser("bob"))) is None
