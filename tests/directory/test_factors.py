"""Authenticator apps and recovery codes: their rules."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from sqlalchemy import func, select

from idp.account import second_factors
from idp.account.second_factors import ConfirmedApp
from idp.directory.factors import enrolment, recovery, totp
from idp.directory.factors import service as factors
from idp.directory.factors.models import EnrolmentCode, RecoveryCode, Totp
from idp.directory.factors.service import Factor
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.jobs import BACKFILLS
from idp.platform import clock as wall
from idp.platform import runtime as runtimes
from idp.platform.errors import BadRequest, Conflict, TooManyRequests
from idp.platform.secrets import Keyring
from tests.protocol import add_authenticator, add_person, app_code

RFC_SECRET = b"12345678901234567890"


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        # RFC 6238, appendix B, SHA-1: the last six of the eight digits.
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_are_those_of_rfc_6238(timestamp, code):
    assert totp.code_at(RFC_SECRET, totp.step_at(timestamp)) == code
    assert totp.find_step(RFC_SECRET, code, timestamp) == timestamp // 30


@pytest.mark.no_database
def test_a_code_is_taken_one_step_early_or_late_and_no_further():
    now = 1_700_000_000
    found = {
        shift: totp.find_step(RFC_SECRET, totp.code_at(RFC_SECRET, now // 30 + shift), now)
        for shift in range(-3, 4)
    }
    assert [shift for shift, step in found.items() if step is not None] == [-1, 0, 1]


@pytest.mark.no_database
def test_an_app_reads_issuer_account_and_secret():
    address = totp.uri(RFC_SECRET, issuer="Acme: Düsseldorf", account="ann&b@acme.example")
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Acme  Düsseldorf:ann&b@acme.example"
    query = parse_qs(parts.query)
    assert base64.b32decode(query["secret"][0]) == RFC_SECRET
    assert query["issuer"] == ["Acme  Düsseldorf"]


def test_a_code_counts_once_and_older_ones_not_after_it(session, clock):
    ann = add_person(session)
    secret = add_authenticator(session, ann)
    assert factors.prove(session, ann, app_code(secret)) is Factor.TOTP
    assert factors.prove(session, ann, app_code(secret)) is None
    assert factors.prove(session, ann, app_code(secret, -1)) is None
    code = app_code(secret, 1)
    assert factors.prove(session, ann, f" {code[:3]} {code[3:]} ") is Factor.TOTP
    (row,) = session.scalars(select(Totp))
    assert row.last_used_at == wall.now()


def test_nobody_proves_anything_with_the_app_of_another(session):
    ann, bob = add_person(session), add_person(session, "bob")
    secret = add_authenticator(session, ann)
    add_authenticator(session, bob)
    assert factors.prove(session, bob, app_code(secret)) is None


@pytest.mark.parametrize(
    "code",
    ["", "12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "\0", "9" * 5000],
)
def test_what_is_no_code_is_refused(session, code):
    ann = add_person(session)
    add_authenticator(session, ann)
    assert factors.prove(session, ann, code) is None


def test_fifty_equal_codes_at_once_count_once(session, runtime):
    ann = add_person(session)
    secret = add_authenticator(session, ann)
    code = app_code(secret)

    def use(_number):
        with runtime.sessions() as own:
            try:
                found = factors._use_app(own, ann.id, code)
            finally:
                own.commit()
            return found

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(use, range(50)))
    assert results.count(True) == 1


def test_a_recovery_code_counts_once_however_it_is_typed(session):
    ann, bob = add_person(session), add_person(session, "bob")
    add_authenticator(session, ann)
    add_authenticator(session, bob)
    codes = recovery.replace_all(session, ann.id)
    assert len(set(codes)) == recovery.NUMBER
    assert factors.prove(session, bob, codes[0]) is None
    typed = codes[0].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert factors.prove(session, ann, typed) is Factor.RECOVERY_CODE
    assert factors.prove(session, ann, codes[0]) is None
    assert recovery.count_left(session, ann.id) == recovery.NUMBER - 1
    recovery.replace_all(session, ann.id)
    assert factors.prove(session, ann, codes[1]) is None


def test_recovery_codes_alone_are_no_second_factor(session):
    ann = add_person(session)
    codes = recovery.replace_all(session, ann.id)
    assert not factors.has_any(session, ann.id)
    assert factors.prove(session, ann, codes[0]) is None


def test_the_last_app_takes_the_recovery_codes_with_it(session):
    ann = add_person(session)
    for _ in range(2):
        add_authenticator(session, ann)
    recovery.replace_all(session, ann.id)
    first, second = factors.list_apps(session, ann.id)
    assert factors.remove_app(session, ann.id, first.id)
    assert recovery.count_left(session, ann.id) == recovery.NUMBER
    assert not factors.remove_app(session, ann.id + 1, second.id)
    assert factors.remove_app(session, ann.id, second.id)
    assert session.scalar(select(func.count()).select_from(RecoveryCode)) == 0


def test_wrong_codes_are_slowed_down_wherever_they_are_tried(session, clock):
    ann = add_person(session)
    secret = add_authenticator(session, ann)
    issuer = tenants.issuer_of(session, 1)
    new = factors.new_app(session, issuer, ann)

    def attack():
        for number in range(30):
            if number % 2:
                factors.add_app(session, ann, new.key, "000000")
            else:
                factors.prove(session, ann, "000000")

    with pytest.raises(TooManyRequests):
        attack()
    for attempt in (
        lambda: factors.prove(session, ann, app_code(secret)),
        lambda: factors.add_app(session, ann, new.key, "000000"),
    ):
        with pytest.raises(TooManyRequests):
            attempt()
    # It is a delay, and no lock.
    clock.shift(1000)
    assert factors.prove(session, ann, app_code(secret)) is Factor.TOTP


def test_a_new_app_is_added_by_a_code_of_its_own_secret(session, clock):
    ann, bob = add_person(session), add_person(session, "bob")
    issuer = tenants.issuer_of(session, 1)
    new = factors.new_app(session, issuer, ann)
    assert factors.new_app(session, issuer, ann, new.key) == new
    secret = base64.b32decode(new.text)
    code = app_code(secret)
    assert not factors.add_app(session, ann, new.key, "000000")
    for key in (new.key + "x", "", "nonsense", "a.b", factors.new_app(session, issuer, bob).key):
        with pytest.raises(BadRequest) as refused:
            factors.add_app(session, ann, key, code)
        assert "key" in refused.value.fields
    assert factors.add_app(session, ann, new.key, code, "Phone")
    # The code and the form were of use once.
    assert factors.prove(session, ann, code) is None
    assert not factors.add_app(session, ann, new.key, app_code(secret, 1))
    kept = str([vars(row) for row in session.scalars(select(Totp))])
    assert new.text not in kept
    assert secret.hex() not in kept


def test_a_secret_that_no_code_confirmed_dies_after_ten_minutes(session, clock):
    ann = add_person(session)
    new = factors.new_app(session, tenants.issuer_of(session, 1), ann)
    clock.shift(factors.NEW_SECONDS + 1)
    with pytest.raises(BadRequest):
        factors.add_app(session, ann, new.key, app_code(base64.b32decode(new.text)))


def test_a_person_has_five_apps_at_most(session):
    ann = add_person(session)
    for _ in range(factors.MOST):
        add_authenticator(session, ann)
    new = factors.new_app(session, tenants.issuer_of(session, 1), ann)
    with pytest.raises(Conflict):
        factors.add_app(session, ann, new.key, app_code(base64.b32decode(new.text)))


def test_secrets_move_to_a_new_root_secret_and_codes_are_counted_that_cannot(session, monkeypatch):
    ann = add_person(session)
    secret = add_authenticator(session, ann)
    recovery.replace_all(session, ann.id)
    assert factors.rewrap(session) == 0
    assert recovery.count_outdated(session) == 0
    process = runtimes.of(session)
    both = Keyring(["a-new-root-secret-of-32-characters!", *_roots(process)])
    monkeypatch.setattr(process, "keyring", both)
    assert factors.rewrap(session) == 1
    assert factors.rewrap(session) == 0
    assert recovery.count_outdated(session) == 1
    monkeypatch.setattr(process, "keyring", Keyring(["a-new-root-secret-of-32-characters!"]))
    assert factors.prove(session, ann, app_code(secret)) is Factor.TOTP


def _roots(process):
    return [root.decode() for root in process.keyring._roots.values()]


# A reset ends what was begun before it


def test_a_session_from_before_a_reset_adds_nothing_after_it(session, runtime):
    ann = add_person(session)
    issuer = tenants.issuer_of(session, 1)
    new = factors.new_app(session, issuer, ann)
    session.commit()
    with runtime.sessions() as own:
        second_factors.reset(own, issuer, own.get_one(User, ann.id), "en")
        enrolment.issue(own, ann.id)
        users.end_access(own, own.get_one(User, ann.id))
        own.commit()
    with pytest.raises(Conflict, match="ended meanwhile"):
        second_factors.add_app(session, issuer, ann, confirmed(new), "en")
    session.rollback()
    assert session.scalars(select(Totp)).all() == []
    assert enrolment.find(session, ann.id) is not None


def test_an_addition_and_a_reset_at_once_leave_one_of_them_alone(session, runtime, clock):
    issuer = tenants.issuer_of(session, 1)
    for number in range(6):
        ann = add_person(session, f"ann{number}")
        add_authenticator(session, ann)
        barrier = Barrier(2, timeout=30)

        def add(user_id=ann.id, barrier=barrier):
            with runtime.sessions() as own:
                user = own.get_one(User, user_id)
                new = factors.new_app(own, issuer, user)
                own.commit()
                barrier.wait()
                try:
                    second_factors.add_app(own, issuer, user, confirmed(new), "en")
                except Conflict:
                    own.rollback()
                    return False
                own.commit()
                return True

        def reset(user_id=ann.id, barrier=barrier):
            with runtime.sessions() as own:
                user = own.get_one(User, user_id)
                own.commit()
                barrier.wait()
                second_factors.reset(own, issuer, user, "en")
                own.commit()

        with ThreadPoolExecutor(2) as pool:
            done = [pool.submit(add), pool.submit(reset)]
            for each in done:
                each.result()
        session.expire_all()
        # Whichever came first, what was added before or at the reset is gone after it.
        assert factors.list_apps(session, ann.id) == []
        session.rollback()


def confirmed(new):
    secret = base64.b32decode(new.text)
    return ConfirmedApp(new.key, app_code(secret), "Phone")


def test_a_deleted_account_keeps_no_factors(session):
    ann, bob = add_person(session), add_person(session, "bob")
    for user in (ann, bob):
        add_authenticator(session, user)
        recovery.replace_all(session, user.id)
        enrolment.issue(session, user.id)
    users.delete(session, ann)
    session.commit()
    tables = (Totp, RecoveryCode, EnrolmentCode)
    for table in tables:
        assert set(session.scalars(select(table.user_id))) == {bob.id}, table
    # What releases of before left is cleaned up in the background, once.
    before = [add_person(session, f"gone-{number}", deleted_at=wall.now()) for number in range(3)]
    for user in before:
        add_authenticator(session, user)
        recovery.replace_all(session, user.id)
    (backfill,) = (each for each in BACKFILLS if each.name == "factors of deleted accounts")
    reached = 0
    while (reached := backfill.convert(session, reached, 2)) is not None:
        last = reached
    assert last == before[-1].id
    for table in tables:
        assert set(session.scalars(select(table.user_id))) == {bob.id}, table
