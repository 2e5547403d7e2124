"""What policies require of passwords: at registration, when they are set, and of whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from idp.directory.actor import OPERATOR
from idp.directory.policies import management, rules, snapshot
from idp.directory.policies.models import Policy
from idp.directory.policies.rules import COLUMNS, PolicySpec, Required
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import password_age, passwords
from idp.directory.users import service as users
from idp.directory.users.models import PasswordHistory, User
from idp.directory.users.password_age import Due
from idp.directory.users.service import NewUser
from idp.platform.errors import BadRequest
from tests import protocol
from tests.api import center

PLATFORM = 1
FIRST, SECOND, THIRD = "first correct horse", "second correct horse", "third correct horse"
DOCUMENT = Path(__file__).parents[2] / "docs" / "policies.md"


@pytest.fixture
def acme(session: Session) -> int:
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session: Session, acme: int) -> User:
    return protocol.add_person(session, "ann", tenant_ids=(acme,))


def require(session: Session, tenant_id: int, **values: object) -> None:
    management.replace(session, OPERATOR, tenant_id, PolicySpec(**values))
    session.commit()


def refusal(session: Session, user: User, password: str, **options: bool) -> str:
    with pytest.raises(BadRequest) as caught:
        users.set_password(session, user, password, **options)
    session.rollback()
    assert list(caught.value.fields) == ["password"]
    return str(caught.value)


def choose(session: Session, user: User, password: str) -> None:
    users.set_password(session, user, password)
    session.commit()


def test_every_column_of_the_table_is_combined_and_documented() -> None:
    own = {column.name for column in Policy.__table__.columns}
    assert own - {"id", "tenant_id", "concurrency_stamp", "updated_at"} == set(COLUMNS)
    assert set(COLUMNS) == set(Required.__dataclass_fields__) == set(rules._STRICTEST)
    text = DOCUMENT.read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \|.*\| `(test_\w+)` \|$", text, re.MULTILINE))
    assert set(documented) == set(COLUMNS)
    assert set(documented.values()) <= set(globals())


def test_a_password_has_the_length_of_the_strictest_policy(
    session: Session, ann: User, acme: int
) -> None:
    require(session, PLATFORM, password_length=10)
    require(session, acme, password_length=14)
    assert "at least 14 characters" in refusal(session, ann, "x1y2z3a4b5c6d")
    assert "at least 14 characters" in refusal(session, ann, "aB1!xy", chosen_by_person=False)
    choose(session, ann, "x1y2z3a4b5c6de")


def test_a_password_has_as_many_kinds_of_characters(session: Session, ann: User, acme: int) -> None:
    require(session, acme, password_classes=3)
    for weak in ("correct horse", "correcthorse1", "CORRECT HORSE", "密码密码密码密码a"):
        assert "at least 3 of these" in refusal(session, ann, weak)
    for good in ("correct horse 1", "Correct horse", "CORRECT-HORSE-1", "密码密码密码密码a1"):
        choose(session, ann, good)


def test_people_do_not_choose_one_of_their_last_passwords(
    session: Session, ann: User, acme: int
) -> None:
    require(session, acme, password_history=3)
    for password in (FIRST, SECOND, THIRD):
        choose(session, ann, password)
    for used in (FIRST, SECOND, THIRD):
        assert "used this password before" in refusal(session, ann, used)
    choose(session, ann, "fourth correct horse")
    choose(session, ann, FIRST)


def test_the_history_is_as_long_as_the_policy_and_goes_with_it(
    session: Session, ann: User, acme: int
) -> None:
    def kept() -> int:
        return len(session.scalars(select(PasswordHistory)).all())

    choose(session, ann, FIRST)
    assert kept() == 0
    require(session, acme, password_history=3)
    for password in (SECOND, THIRD, "fourth correct horse", "fifth correct horse"):
        choose(session, ann, password)
    assert kept() == 2
    assert FIRST not in str(center.whole_database(session))
    require(session, acme, password_history=1)
    choose(session, ann, "sixth correct horse")
    assert kept() == 0
    require(session, acme, password_history=3)
    choose(session, ann, "seventh correct horse")
    assert kept() == 1
    users.delete(session, ann)
    assert kept() == 0


def test_who_sets_a_password_for_others_does_not_learn_which_they_had(
    session: Session, ann: User, acme: int
) -> None:
    require(session, acme, password_history=5)
    choose(session, ann, FIRST)
    users.set_password(session, ann, FIRST, chosen_by_person=False)


def test_a_password_set_by_somebody_else_is_marked_where_a_policy_wants_that(
    session: Session, ann: User, acme: int
) -> None:
    users.set_password(session, ann, FIRST, chosen_by_person=False)
    assert not ann.must_change_password
    require(session, acme, password_must_change=True)
    users.set_password(session, ann, SECOND, chosen_by_person=False)
    assert ann.must_change_password
    choose(session, ann, THIRD)
    assert not ann.must_change_password
    new = NewUser("bob", password=FIRST, chosen_by_person=False)
    assert users.create(session, new, tenant_id=acme).must_change_password
    assert not users.create(
        session, NewUser("carl", password=FIRST), tenant_id=acme
    ).must_change_password


def test_new_accounts_follow_the_policy_of_their_tenant(session: Session, acme: int) -> None:
    require(session, acme, password_length=20)
    with pytest.raises(BadRequest, match="20 characters"):
        users.create(session, NewUser("bob", password="correct horse"), tenant_id=acme)
    with pytest.raises(BadRequest, match="20 characters"):
        users.check_new_password(session, "correct horse", (), acme)
    users.create(session, NewUser("bob", password="correct horse"), tenant_id=PLATFORM)


def test_all_tenants_of_a_person_count_but_those_that_bound_them_unasked(
    session: Session, ann: User
) -> None:
    second, third = protocol.add_tenant(session, "Second"), protocol.add_tenant(session, "Third")
    tenants.add_member(session, second, ann.id)
    tenants.add_member(session, third, ann.id, is_bound=True)
    require(session, second, password_length=12)
    require(session, third, password_length=64, password_classes=4)
    assert snapshot.of_user(session, ann.id) == Required(password_length=12)
    session.execute(update(Membership).values(is_bound=False))
    assert snapshot.of_user(session, ann.id).password_length == 64


def test_nothing_is_read_where_no_policy_is_set(session: Session, runtime, ann: User) -> None:
    snapshot.of_user(session, ann.id)
    snapshot.any_expiry(session)
    session.commit()
    with center.statements(runtime.engine) as sent:
        assert snapshot.of_user(session, ann.id) == rules.NOTHING
        assert not snapshot.any_expiry(session)
    assert sent == []


def test_ten_thousand_tenants_with_policies_take_one_query(
    session: Session, runtime, ann: User, acme: int
) -> None:
    ids = range(100_000, 110_000)
    session.execute(
        insert(Tenant),
        [{"id": row, "name": f"T{row}", "issuer_tenant_id": PLATFORM} for row in ids],
    )
    session.execute(insert(Policy), [{"tenant_id": row, "password_length": 60} for row in ids])
    require(session, acme, password_length=11)
    snapshot.of_user(session, ann.id)
    session.commit()
    with center.statements(runtime.engine) as sent:
        assert snapshot.of_user(session, ann.id).password_length == 11
    reading = [statement for statement in sent if "sign_in_policy" in statement]
    assert len(reading) == 1


def test_generated_passwords_are_accepted_by_every_policy() -> None:
    for length in (0, 8, 64):
        for classes in range(5):
            required = Required(password_length=length, password_classes=classes)
            made = passwords.generate(required)
            passwords.check_policy(made, (), required, chosen_by_person=False)


def test_an_expired_password_is_due(session: Session, clock, ann: User, acme: int) -> None:
    require(session, acme, password_expiry_days=30, password_history=1)
    assert password_age.due(session, ann) is None
    clock.shift(30 * 86_400 - 1)
    assert password_age.due(session, ann) is None
    clock.shift(1)
    assert password_age.due(session, ann) is Due.EXPIRED
    choose(session, ann, FIRST)
    assert password_age.due(session, ann) is None
    clock.shift(31 * 86_400)
    assert password_age.due(session, ann) is Due.EXPIRED
    require(session, acme)
    assert password_age.due(session, ann) is None


def test_a_password_set_by_others_is_due_and_an_account_without_one_is_not(
    session: Session, ann: User
) -> None:
    ann.must_change_password = True
    assert password_age.due(session, ann) is Due.SET_BY_OTHERS
    ann.password_hash = None
    assert password_age.due(session, ann) is None
