"""What policies require of passwords: at registration, when they are set, and of whom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from idp.directory.actor import OPERATOR
from idp.directory.policies import management, rules, snapshot
from idp.directory.policies.models import Policy, RolePolicy
from idp.directory.policies.rules import (
    COLUMNS,
    COMBINED,
    EXEMPT,
    Required,
    RolePolicySpec,
)
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
from tests.protocol import require

PLATFORM = 1
FIRST, SECOND, THIRD = "first correct horse", "second correct horse", "third correct horse"
DOCUMENT = Path(__file__).parents[2] / "docs" / "policies.md"
TESTS = Path(__file__).parents[1]


@pytest.fixture
def acme(session: Session) -> int:
    return protocol.add_tenant(session)


@pytest.fixture
def ann(session: Session, acme: int) -> User:
    return protocol.add_person(session, "ann", tenant_ids=(acme,))


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
    assert set(COMBINED) == set(Required.__dataclass_fields__) == set(rules._STRICTEST)
    assert set(COLUMNS) - set(COMBINED) == {EXEMPT}
    text = DOCUMENT.read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \|.*\| `(test_\w+)` \|$", text, re.MULTILINE))
    assert set(documented) == set(COLUMNS)
    tests = "".join(path.read_text(encoding="utf-8") for path in TESTS.glob("*/test_*polic*.py"))
    assert [name for name in documented.values() if f"def {name}(" not in tests] == []


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


def asked(session: Session, user: User, tenant_id: int, issuer_tenant_id: int = PLATFORM) -> str:
    """Return the level that a person must reach to sign in for a tenant."""
    return snapshot.of_person(session, tenant_id, issuer_tenant_id, user.id).required.wanted


@pytest.mark.settings(public_url="https://login.example.com")
def test_the_strictest_of_second_factor_and_level_applies(
    session: Session, ann: User, acme: int
) -> None:
    assert asked(session, ann, acme) == "pwd"
    require(session, acme, level="phr")
    assert asked(session, ann, acme) == "pwd"
    require(session, PLATFORM, second_factor="required")
    assert asked(session, ann, acme) == "phr"
    assert asked(session, ann, PLATFORM) == "mfa"
    require(session, acme)
    assert asked(session, ann, acme) == "mfa"


def test_the_kinds_that_all_policies_allow_can_be_used(session: Session, acme: int) -> None:
    assert snapshot.of_tenant(session, acme).factors == ("passkey", "totp")
    require(session, acme, factors=["mail", "totp"])
    assert snapshot.of_tenant(session, acme).factors == ("totp", "mail")
    require(session, PLATFORM, factors=["passkey", "sms", "totp"])
    assert snapshot.of_tenant(session, acme).factors == ("totp",)
    require(session, PLATFORM, factors=["passkey", "sms"])
    assert snapshot.of_tenant(session, acme).factors == ("passkey",)


def test_who_requires_a_second_factor_says_how_long_it_may_be_put_off(
    session: Session, acme: int
) -> None:
    require(session, acme, second_factor="required", grace_days=7)
    assert snapshot.of_tenant(session, acme).grace_days == 7
    require(session, PLATFORM, second_factor="required", grace_days=3)
    assert snapshot.of_tenant(session, acme).grace_days == 3
    require(session, PLATFORM, second_factor="required")
    assert snapshot.of_tenant(session, acme).grace_days == 0


def test_the_settings_are_the_policy_of_the_platform_until_it_says_otherwise(
    session: Session, runtime, ann: User, acme: int
) -> None:
    runtime.settings = runtime.settings.model_copy(
        update={"second_factor": "required", "device_days": 20}
    )
    assert asked(session, ann, acme) == "mfa"
    assert snapshot.of_tenant(session, acme).device_days == 20
    require(session, acme, device_days=10)
    assert snapshot.of_tenant(session, acme).device_days == 10
    require(session, PLATFORM, second_factor="optional", device_days=90)
    assert asked(session, ann, acme) == "pwd"
    assert snapshot.of_tenant(session, PLATFORM).device_days == 90


@pytest.mark.parametrize(
    ("platform", "values", "field"),
    [
        ({"second_factor": "required"}, {"second_factor": "optional"}, "second_factor"),
        ({"second_factor": "optional"}, {"second_factor": "off"}, "second_factor"),
        ({"level": "phr"}, {"level": "mfa"}, "level"),
        ({"factors": ["passkey"]}, {"factors": ["passkey", "totp"]}, "factors"),
        ({"grace_days": 3}, {"grace_days": 4}, "grace_days"),
        ({"level_minutes": 60}, {"level_minutes": 61}, "level_minutes"),
        ({"level_minutes": 60}, {"level_minutes": 0}, "level_minutes"),
        ({"device_days": 0}, {"device_days": 1}, "device_days"),
        ({}, {"device_days": 31}, "device_days"),
    ],
)
def test_a_tenant_is_never_looser_than_the_platform(
    session: Session, acme: int, platform: dict, values: dict, field: str
) -> None:
    require(session, PLATFORM, **platform)
    with pytest.raises(BadRequest) as caught:
        require(session, acme, **values)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"level": "phr", "second_factor": "required", "factors": ["totp"]}, "level"),
        ({"second_factor": "required", "factors": ["sms", "mail"]}, "factors"),
        ({"level": "phr", "second_factor": "required"}, "level"),
        ({"second_factor": "required", "factors": ["passkey", "mail"]}, "factors"),
        ({"factors": []}, "factors"),
        ({"factors": ["totp", "totp"]}, "factors"),
        ({"factors": ["smoke"]}, "factors"),
        ({"level": "pwd"}, "level"),
        ({"second_factor": "REQUIRED"}, "second_factor"),
        ({"level_minutes": 4}, "level_minutes"),
        ({"grace_days": 91}, "grace_days"),
        ({"device_days": 366}, "device_days"),
    ],
)
def test_a_policy_with_which_nobody_could_sign_in_is_refused(
    session: Session, values: dict, field: str
) -> None:
    tenant_id = protocol.add_tenant(session, "At an address", hosts=["192.0.2.7"])
    with pytest.raises(BadRequest) as caught:
        require(session, tenant_id, **values)
    assert list(caught.value.fields) == [field]


def test_two_administrators_of_the_tenant_can_be_exempt_and_nobody_else(
    session: Session, ann: User, acme: int
) -> None:
    chiefs = [protocol.add_person(session, f"chief {number}") for number in range(3)]
    for chief in chiefs:
        tenants.add_member(session, acme, chief.id, is_admin=True)
    ids = [chief.id for chief in chiefs]
    for wrong in ([ann.id], [ids[0], ann.id], ids, [99_999]):
        with pytest.raises(BadRequest) as caught:
            require(session, acme, exempt_user_ids=wrong)
        assert list(caught.value.fields) == [EXEMPT]
    require(session, acme, second_factor="required", exempt_user_ids=ids[:2])
    assert [asked(session, chief, acme) for chief in chiefs] == ["pwd", "pwd", "mfa"]
    require(session, PLATFORM, second_factor="required")
    assert asked(session, chiefs[0], acme) == "mfa"


def test_an_exempt_person_who_is_no_administrator_any_more_is_asked(
    session: Session, acme: int
) -> None:
    chief = protocol.add_person(session, "chief")
    tenants.add_member(session, acme, chief.id, is_admin=True)
    require(session, acme, second_factor="required", exempt_user_ids=[chief.id])
    session.execute(update(Membership).values(is_admin=False))
    session.commit()
    assert asked(session, chief, acme) == "mfa"


def test_roles_count_where_they_are_held(session: Session, ann: User, acme: int) -> None:
    other = protocol.add_tenant(session, "Other")
    own = protocol.add_role(session, ann, "editor", [], tenant_id=acme)
    everywhere = protocol.add_role(session, ann, "auditor", [], tenant_id=None)
    inside = OPERATOR.within(acme)
    management.replace_of_role(session, inside, own.id, RolePolicySpec(second_factor="required"))
    session.commit()
    assert [asked(session, ann, tenant_id) for tenant_id in (acme, other)] == ["mfa", "pwd"]
    # Set by hand: browsers refuse passkeys at the address of this test.
    session.add(RolePolicy(role_id=everywhere.id, second_factor="required", level="phr"))
    session.commit()
    assert [asked(session, ann, tenant_id) for tenant_id in (acme, other)] == ["phr", "phr"]
    assert asked(session, ann, other, issuer_tenant_id=other) == "pwd"
    management.remove_of_role(session, OPERATOR, everywhere.id)
    management.remove_of_role(session, inside, own.id)
    session.commit()
    assert [asked(session, ann, tenant_id) for tenant_id in (acme, other)] == ["pwd", "pwd"]


def test_a_person_without_the_role_is_not_asked(session: Session, ann: User, acme: int) -> None:
    bob = protocol.add_person(session, "bob", tenant_ids=(acme,))
    role = protocol.add_role(session, bob, "editor", [], tenant_id=acme)
    spec = RolePolicySpec(second_factor="required")
    management.replace_of_role(session, OPERATOR.within(acme), role.id, spec)
    session.commit()
    assert [asked(session, user, acme) for user in (ann, bob)] == ["pwd", "mfa"]


def move(session: Session, tenant_id: int, *hosts: str, named: str | None = None) -> None:
    tenants.set_hosts(session, tenants.get(session, tenant_id), hosts, named)
    session.commit()


@pytest.mark.parametrize("of_role", [False, True])
def test_a_host_at_which_nobody_could_sign_in_is_refused(
    session: Session, ann: User, of_role: bool
) -> None:
    """Policies of the platform, a tenant or a role may demand passkeys, which need a DNS name."""
    tenant_id = protocol.add_tenant(session, "Named", hosts=["login.localhost"])
    demand = {"second_factor": "required", "level": "phr"}
    if of_role:
        role = protocol.add_role(session, ann, "boss", ["x"], tenant_id=tenant_id)
        actor = OPERATOR.within(tenant_id)
        management.replace_of_role(session, actor, role.id, RolePolicySpec(**demand))
        session.commit()
    else:
        require(session, tenant_id, **demand)
    both = ["login.localhost", "192.0.2.7"]
    for hosts, named in (["192.0.2.7"], None), (both, "192.0.2.7"), ([], None):
        with pytest.raises(BadRequest) as caught:
            move(session, tenant_id, *hosts, named=named)
        session.rollback()
        assert list(caught.value.fields) == ["hosts"]
    move(session, tenant_id, *both)
    move(session, tenant_id, "other.localhost")


@pytest.mark.settings(public_url="http://localhost:8000")
def test_the_host_of_a_new_tenant_is_compared_with_the_policy_of_the_platform(
    session: Session, acme: int
) -> None:
    require(session, PLATFORM, second_factor="required", factors=["passkey"])
    with pytest.raises(BadRequest):
        protocol.add_tenant(session, "At an address", hosts=["192.0.2.7"])
    session.rollback()
    with pytest.raises(BadRequest):
        move(session, acme, "192.0.2.7")
    session.rollback()
    move(session, acme, "login.localhost")
