"""People of an import file: their password hashes, who is left as they are, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from idp.directory.tenants.models import Membership
from idp.directory.users import password_costs, passwords
from idp.directory.users import service as users
from idp.directory.users.models import PasswordCost, User
from idp.imports import reader, service
from idp.platform.errors import BadRequest
from tests import protocol
from tests.api import center
from tests.pages.browsing import submit

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "people.yaml"
PASSWORD = "lètmein"
MD5 = "3f86d0d3d465b7b458c231bf3555c0e3"
DJANGO = "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY="


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


def run(session, *people, **more):
    outcome = service.import_document(session, {"people": list(people), **more})
    session.commit()
    return outcome


def user_named(session, name):
    session.expire_all()
    return users.find_by_login(session, name)


def test_the_example_of_the_documentation_is_imported(session, acme):
    assert acme == 2
    outcome = service.import_document(session, reader.read(EXAMPLE))
    session.commit()
    assert [change.key for change in outcome.added] == ["ann", "bob", "carol"]
    assert outcome.without_password == []
    for name in ("ann", "bob", "carol"):
        user = user_named(session, name)
        assert user.must_change_password is (name == "carol")
        session.commit()
        assert users.verify_password(session, user, PASSWORD), name
    again = service.import_document(session, reader.read(EXAMPLE))
    assert (again.added, again.changed) == ([], [])


def test_the_first_right_sign_in_replaces_the_hash(client, session):
    run(session, {"username": "ann", "password_hash": f"md5$seasalt${MD5}"})
    stored = user_named(session, "ann").password_hash
    session.commit()
    form = {"login": "ann", "password": "wrong"}
    assert submit(client, "/login", form).status_code != 303
    assert user_named(session, "ann").password_hash == stored
    session.commit()
    answer = submit(client, "/login", {"login": "ann", "password": PASSWORD})
    assert answer.status_code == 303
    renewed = user_named(session, "ann").password_hash
    assert renewed.startswith("$argon2id$")
    assert passwords.matches(renewed, PASSWORD)
    session.commit()


def test_no_bare_digest_is_in_the_database(session):
    run(
        session,
        {"username": "ann", "password_hash": f"md5$seasalt${MD5}"},
        {"username": "bob", "password_hash": {"algorithm": "md5", "digest": MD5}},
    )
    assert MD5 not in str(center.whole_database(session)).lower()


def test_a_person_whose_hash_is_absurd_comes_without_a_password_and_is_listed(session):
    absurd = DJANGO.replace("10000", "1000000000")
    outcome = run(
        session,
        {"username": "ann", "password_hash": absurd},
        {
            "username": "bob",
            "password_hash": {"algorithm": "md5", "salt": "s" * 2**20, "digest": MD5},
        },
        {"username": "carol"},
    )
    assert outcome.without_password == [
        ("ann", "The hash costs too much to check."),
        ("bob", "The salt is too long."),
    ]
    assert [user_named(session, name).password_hash for name in ("ann", "bob", "carol")] == [
        None
    ] * 3


def test_an_account_that_is_there_joins_the_tenant_and_keeps_everything_else(session, acme):
    ann = protocol.add_person(session, "ann", email="ann@example.com")
    before = (ann.password_hash, ann.email, ann.security_stamp)
    outcome = run(
        session,
        {"username": "ANN", "email": "evil@example.com", "tenant": "acme", "password_hash": DJANGO},
        tenants=[{"ref": "acme", "id": acme}],
    )
    assert [change.key for change in outcome.changed] == ["ann"]
    kept = user_named(session, "ann")
    assert (kept.password_hash, kept.email, kept.security_stamp) == before
    query = select(func.count(Membership.id)).where(Membership.tenant_id == acme)
    assert session.scalar(query) == 1


@pytest.mark.parametrize(
    ("person", "place"),
    [
        ({}, "people[0].username"),
        ({"username": "12345"}, "people[0].username"),
        ({"username": "ann", "email": "no address"}, "people[0].email"),
        ({"username": "ann", "roles": ["unknown"]}, "people[0].roles[0]"),
        ({"username": "ann", "tenant": "unknown"}, "people[0].tenant"),
        ({"username": "ann", "password": "clear text"}, "people[0].password"),
        ({"username": "ann", "must_change_password": "yes"}, "people[0].must_change_password"),
    ],
)
def test_a_wrong_person_is_named_and_nothing_is_kept(session, person, place):
    before = center.whole_database(session)
    with pytest.raises(BadRequest) as refusal:
        run(session, person)
    session.rollback()
    assert list(refusal.value.fields) == [place]
    assert center.whole_database(session) == before


def test_the_time_of_every_scheme_is_measured_once(session, monkeypatch):
    monkeypatch.setattr(password_costs, "measure", lambda _: 0.25)
    people = [{"username": f"p{number}", "password_hash": DJANGO} for number in range(5)]
    run(session, *people, {"username": "ann", "password_hash": DJANGO.replace("10000", "20000")})
    assert session.scalar(select(func.count(PasswordCost.id))) == 2
    assert password_costs.slowest(session) == 0.25
    session.commit()
    waits: list[float] = []
    monkeypatch.setattr(passwords.time, "sleep", waits.append)
    assert not users.verify_password(session, None, "wrong")
    assert 0 < waits[0] <= 0.25


def test_no_hash_is_in_the_report_or_the_audit_log(session):
    outcome = run(session, {"username": "ann", "password_hash": DJANGO})
    assert "seasalt" not in repr(outcome.added)
    rows = center.whole_database(session)["audit_event"]
    assert "pbkdf2" not in json.dumps(rows, default=str)
    assert session.scalars(select(User).where(User.username == "ann")).one()
