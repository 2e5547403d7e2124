"""The life of signing keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from idp.platform import clock as time_of
from idp.platform.audit.models import AuditEvent
from idp.platform.errors import InvalidToken, NotFound, Unavailable, Unprocessable
from idp.platform.runtime import Runtime
from idp.platform.secrets import Keyring
from idp.platform.signing import algorithms, service, signer
from idp.platform.signing.models import SigningKey

ALL = ["ES256", "EdDSA", "PS256", "RS256"]
PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL


@pytest.fixture(autouse=True)
def keys(session: Session) -> None:
    """Return fresh keys of the algorithms whose keys are made fast; the tests change these."""
    session.execute(delete(SigningKey).where(SigningKey.alg.in_(("ES256", "EdDSA"))))
    service.ensure(session)
    session.commit()
    signer._parsed_private.clear()


def kid_of(session: Session, alg: str, status: str) -> str:
    query = select(SigningKey.kid).where(SigningKey.alg == alg, SigningKey.status == status)
    return session.scalars(query).one()


def statuses(session: Session, alg: str) -> list[str]:
    query = select(SigningKey.status).where(SigningKey.alg == alg).order_by(SigningKey.id)
    return list(session.scalars(query))


def row_of(session: Session, kid: str) -> SigningKey:
    return next(key for key in service.list_keys(session) if key.kid == kid)


def published(session: Session) -> list[str]:
    return [key["kid"] for key in orjson.loads(signer.keys(session).jwks)["keys"]]


def token(session: Session, alg: str = "ES256") -> str:
    return signer.keys(session).sign({"sub": "7"}, alg=alg, typ="JWT")


def tags(session: Session) -> list[str]:
    return list(session.scalars(select(AuditEvent.tag).order_by(AuditEvent.id)))


def in_parallel(runtime: Runtime, act: Callable[[Session], object], times: int = 4) -> None:
    """Do the same on several nodes at once; what one raises is raised here."""
    barrier, problems = threading.Barrier(times), []

    def node() -> None:
        try:
            with runtime.sessions() as session:
                barrier.wait()
                act(session)
                session.commit()
        except Exception as problem:  # noqa: BLE001 - raised again below
            problems.append(problem)

    threads = [threading.Thread(target=node) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def write_pem(
    path: Path,
    key: PrivateKeyTypes,
    form: serialization.PrivateFormat = PKCS8,
    passphrase: bytes | None = None,
) -> None:
    path.parent.mkdir(exist_ok=True)
    protection = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, protection))


def test_every_algorithm_has_an_active_and_a_next_key(session: Session) -> None:
    assert sorted({key.alg for key in service.list_keys(session)}) == ALL
    for alg in ALL:
        assert sorted(statuses(session, alg)) == ["active", "next"]
    before = published(session)
    service.ensure(session)
    session.commit()
    assert published(session) == before


def test_two_nodes_that_set_up_at_once_make_one_set_of_keys(
    runtime: Runtime, session: Session
) -> None:
    session.execute(delete(SigningKey))
    session.commit()
    in_parallel(runtime, service.ensure)
    for alg in ALL:
        assert sorted(statuses(session, alg)) == ["active", "next"]


def test_what_is_missing_is_made_again(session: Session) -> None:
    following = kid_of(session, "ES256", "next")
    session.execute(delete(SigningKey).where(SigningKey.kid == kid_of(session, "ES256", "active")))
    service.ensure(session)
    session.commit()
    assert kid_of(session, "ES256", "active") == following
    assert kid_of(session, "ES256", "next") != following


def test_a_key_is_published_before_it_signs_and_after(session: Session) -> None:
    first, second = kid_of(session, "ES256", "active"), kid_of(session, "ES256", "next")
    assert {first, second} <= set(published(session))
    old_token = token(session)

    assert service.rotate(session, "ES256", keep_seconds=600) == second
    session.commit()

    assert kid_of(session, "ES256", "active") == second
    assert kid_of(session, "ES256", "retired") == first
    assert {first, second, kid_of(session, "ES256", "next")} <= set(published(session))
    assert signer.keys(session).verify(old_token, typ=None) == {"sub": "7"}
    assert signer.keys(session).verify(token(session), typ=None) == {"sub": "7"}
    assert tags(session)[-4:].count("system:key:rotated") == 1


def test_a_rotated_key_leaves_when_its_last_token_has_expired(
    session: Session, clock: time_machine.Traveller
) -> None:
    first = kid_of(session, "ES256", "active")
    old_token = token(session)
    service.rotate(session, "ES256", keep_seconds=3600)
    session.commit()
    clock.shift(timedelta(seconds=3600))
    service.rotate_due(session)
    session.commit()
    assert signer.keys(session).verify(old_token, typ=None)

    clock.shift(timedelta(minutes=6))
    service.rotate_due(session)
    session.commit()
    assert first not in published(session)
    with pytest.raises(InvalidToken):
        signer.keys(session).verify(old_token, typ=None)
    row = row_of(session, first)
    assert (row.status, row.private_encrypted) == ("gone", None)
    assert "system:key:erased" in tags(session)


def test_an_old_key_is_replaced_by_age(session: Session, clock: time_machine.Traveller) -> None:
    first, second = kid_of(session, "ES256", "active"), kid_of(session, "ES256", "next")
    clock.shift(timedelta(days=89))
    assert service.rotate_due(session) == []
    clock.shift(timedelta(days=1, seconds=1))
    assert second in service.rotate_due(session)
    session.commit()
    assert kid_of(session, "ES256", "active") == second
    assert kid_of(session, "ES256", "retired") == first
    assert service.rotate_due(session) == []


@pytest.mark.settings(key_rotation_days=1)
def test_a_key_that_was_just_published_is_not_activated_by_age(
    session: Session, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(days=2))
    session.execute(delete(SigningKey).where(SigningKey.status == "next"))
    session.commit()
    assert service.rotate_due(session) == []
    session.commit()
    clock.shift(timedelta(hours=23))
    assert service.rotate_due(session) == []
    clock.shift(timedelta(hours=1, seconds=1))
    assert len(service.rotate_due(session)) == len(ALL)


def test_rotating_without_a_next_key_still_leaves_both(session: Session) -> None:
    session.execute(delete(SigningKey).where(SigningKey.status == "next"))
    service.rotate(session, "ES256")
    session.commit()
    assert sorted(statuses(session, "ES256")) == ["active", "next", "retired"]


@pytest.mark.no_database
def test_an_unknown_algorithm_is_refused(session: Session) -> None:
    with pytest.raises(Unprocessable):
        service.rotate(session, "HS256")


def test_parallel_rotations_leave_one_active_and_one_next_key(
    runtime: Runtime, session: Session
) -> None:
    session.commit()
    in_parallel(runtime, lambda own: service.rotate(own, "ES256"))
    found = statuses(session, "ES256")
    assert (found.count("active"), found.count("next")) == (1, 1)
    assert all(key.private_encrypted for key in service.list_keys(session))


@pytest.mark.postgresql
def test_two_nodes_that_saw_the_same_key_rotate_it_once(
    runtime: Runtime, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kid_of(session, "ES256", "active"), kid_of(session, "ES256", "next")
    session.commit()
    barrier = threading.Barrier(2)
    known = algorithms.ALGORITHMS["ES256"]

    def generate_together() -> algorithms.PrivateKey:
        if not barrier.broken:
            barrier.wait(10)
        return known.generate()

    monkeypatch.setitem(algorithms.ALGORITHMS, "ES256", replace(known, generate=generate_together))
    in_parallel(runtime, lambda own: service.rotate(own, "ES256"), times=2)
    assert kid_of(session, "ES256", "retired") == first
    assert kid_of(session, "ES256", "active") == second


def test_a_revoked_key_is_out_of_use_at_once(runtime: Runtime, session: Session) -> None:
    stolen, successor = kid_of(session, "ES256", "active"), kid_of(session, "ES256", "next")
    old_token = token(session)
    other_token = token(session, "EdDSA")
    assert stolen in signer._parsed_private

    with runtime.sessions() as own:  # as a command or another request does it
        session.commit()
        service.revoke(own, stolen)
        own.commit()

    assert stolen not in published(session)
    with pytest.raises(InvalidToken):
        signer.keys(session).verify(old_token, typ=None)
    assert signer.keys(session).verify(other_token, typ=None)
    assert kid_of(session, "ES256", "active") == successor
    assert signer.keys(session).verify(token(session), typ=None)
    assert stolen not in signer._parsed_private
    row = row_of(session, stolen)
    assert (row.status, row.private_encrypted) == ("revoked", None)
    assert "system:key:revoked" in tags(session)


@pytest.mark.parametrize("status", ["next", "retired"])
def test_a_key_that_does_not_sign_can_be_revoked(session: Session, status: str) -> None:
    service.rotate(session, "ES256")
    active = kid_of(session, "ES256", "active")
    stolen = kid_of(session, "ES256", status)
    service.revoke(session, stolen)
    session.commit()
    assert stolen not in published(session)
    assert kid_of(session, "ES256", "active") == active
    assert kid_of(session, "ES256", "next") != stolen


def test_revoking_twice_is_harmless_and_a_wrong_kid_is_told(session: Session) -> None:
    stolen = kid_of(session, "ES256", "active")
    service.revoke(session, stolen)
    service.revoke(session, stolen)
    session.commit()
    assert tags(session).count("system:key:revoked") == 1
    with pytest.raises(NotFound):
        service.revoke(session, "no such kid")


def test_a_revocation_that_is_rolled_back_did_not_happen(session: Session) -> None:
    kid = kid_of(session, "ES256", "active")
    good = token(session)
    service.revoke(session, kid)
    with pytest.raises(InvalidToken):
        signer.keys(session).verify(good, typ=None)
    session.rollback()
    assert signer.keys(session).verify(good, typ=None)


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("key", "form", "alg"),
    [
        (rsa.generate_private_key(65537, 2048), PKCS8, "RS256"),
        (rsa.generate_private_key(65537, 3072), TRADITIONAL, "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), PKCS8, "ES256"),
        (ec.generate_private_key(ec.SECP256R1()), TRADITIONAL, "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), PKCS8, "EdDSA"),
    ],
    ids=["RSA-PKCS8", "RSA-PKCS1", "P-256-PKCS8", "P-256-SEC1", "Ed25519"],
)
def test_a_pem_key_of_a_new_installation_becomes_the_active_one(
    session: Session,
    tmp_path: Path,
    key: algorithms.PrivateKey,
    form: serialization.PrivateFormat,
    alg: str,
) -> None:
    session.execute(delete(SigningKey))
    write_pem(tmp_path / "pems" / "signing.pem", key, form)
    (kid,) = service.import_pem(session, tmp_path / "pems")
    service.ensure(session)
    session.commit()
    assert kid_of(session, alg, "active") == kid
    assert kid_of(session, alg, "next") != kid
    assert signer.keys(session).verify(token(session, alg), typ=None)
    assert "system:key:imported" in tags(session)
    assert service.import_pem(session, tmp_path / "pems") == []


def test_a_pem_key_of_a_running_installation_becomes_the_next_one(
    session: Session, tmp_path: Path
) -> None:
    active, generated = kid_of(session, "ES256", "active"), kid_of(session, "ES256", "next")
    write_pem(tmp_path / "pems" / "new.pem", ec.generate_private_key(ec.SECP256R1()))
    (kid,) = service.import_pem(session, tmp_path / "pems")
    session.commit()
    assert kid_of(session, "ES256", "active") == active
    assert kid_of(session, "ES256", "next") == kid
    assert row_of(session, generated).status == "gone"
    assert service.rotate(session, "ES256") == kid


@pytest.mark.no_database
def test_a_name_says_that_an_rsa_key_signs_by_ps256(session: Session, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    write_pem(tmp_path / "pems" / "PS256-2026.pem", key)
    (kid,) = service.import_pem(session, tmp_path / "pems")
    assert kid_of(session, "PS256", "next") == kid


def test_an_imported_key_that_is_gone_does_not_come_back(session: Session, tmp_path: Path) -> None:
    write_pem(tmp_path / "pems" / "stolen.pem", ec.generate_private_key(ec.SECP256R1()))
    (kid,) = service.import_pem(session, tmp_path / "pems")
    service.revoke(session, kid)
    session.commit()
    assert service.import_pem(session, tmp_path / "pems") == []
    assert kid not in published(session)


def test_nodes_that_import_the_same_folder_import_it_once(
    runtime: Runtime, session: Session, tmp_path: Path
) -> None:
    write_pem(tmp_path / "pems" / "new.pem", ec.generate_private_key(ec.SECP256R1()))
    session.commit()
    in_parallel(runtime, lambda own: service.import_pem(own, tmp_path / "pems"))
    assert tags(session).count("system:key:imported") == 1
    assert sorted(statuses(session, "ES256")) == ["active", "gone", "next"]


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("key", "word"),
    [
        (rsa.generate_private_key(65537, 1024), "2048"),  # noqa: S505 - to be refused
        (rsa.generate_private_key(3, 2048), "65537"),
        (ec.generate_private_key(ec.SECP384R1()), "P-256"),
        (dsa.generate_private_key(2048), "RSA, P-256 and Ed25519"),
    ],
    ids=["RSA-1024", "exponent 3", "P-384", "DSA"],
)
def test_a_weak_or_foreign_key_is_refused_by_name(
    session: Session, tmp_path: Path, key: PrivateKeyTypes, word: str
) -> None:
    write_pem(tmp_path / "pems" / "mine.pem", key)
    with pytest.raises(Unprocessable, match=r"mine\.pem") as refusal:
        service.import_pem(session, tmp_path / "pems")
    assert word in refusal.value.detail


@pytest.mark.no_database
def test_a_file_that_is_no_open_private_key_is_refused(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "pems"
    write_pem(folder / "locked.pem", ec.generate_private_key(ec.SECP256R1()), passphrase=b"x")
    with pytest.raises(Unprocessable, match="passphrase"):
        service.import_pem(session, folder)
    (folder / "locked.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    with pytest.raises(Unprocessable, match="no private key"):
        service.import_pem(session, folder)


@pytest.mark.no_database
def test_more_keys_of_a_kind_than_are_kept_are_refused(session: Session, tmp_path: Path) -> None:
    for number in range(3):
        write_pem(tmp_path / "pems" / f"{number}.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(Unprocessable, match=r"2\.pem"):
        service.import_pem(session, tmp_path / "pems")


@pytest.mark.no_database
def test_a_missing_folder_holds_no_keys(session: Session, tmp_path: Path) -> None:
    assert service.import_pem(session, tmp_path / "none") == []


def test_private_keys_are_encrypted_and_move_to_a_new_root_secret(
    runtime: Runtime, session: Session
) -> None:
    old, new = "o" * 32, "n" * 32
    runtime.keyring = Keyring([old])
    session.execute(delete(SigningKey))
    service.ensure(session)
    session.commit()
    good = token(session)
    runtime.keyring = Keyring([new, old])
    assert service.rewrap(session) == 2 * len(ALL)
    session.commit()
    assert service.rewrap(session) == 0
    runtime.keyring = Keyring([new])
    signer._parsed_private.clear()
    runtime.cache.clear()
    assert signer.keys(session).verify(token(session), typ=None) == signer.keys(session).verify(
        good, typ=None
    )
    for key in service.list_keys(session):
        stored = key.private_encrypted or ""
        assert stored.startswith(f"{runtime.keyring.current}.")
        opened = runtime.keyring.decrypt(service.PURPOSE, stored)
        assert algorithms.thumbprint(algorithms.public_jwk(algorithms.load_private(opened))) == (
            key.kid
        )


@pytest.mark.no_database
def test_a_lost_root_secret_is_told_in_a_sentence(runtime: Runtime, session: Session) -> None:
    runtime.keyring = Keyring(["another root secret, the only one left"])
    with pytest.raises(Unavailable, match="IDP_SECRET_KEY"):
        token(session)
    with pytest.raises(Unprocessable, match="IDP_SECRET_KEY"):
        service.rewrap(session)


@pytest.mark.no_database
def test_a_private_part_of_another_key_is_not_used(session: Session, runtime: Runtime) -> None:
    kid = kid_of(session, "ES256", "active")
    other = algorithms.dump_private(ec.generate_private_key(ec.SECP256R1()))
    row_of(session, kid).private_encrypted = runtime.keyring.encrypt(service.PURPOSE, other)
    session.commit()
    with pytest.raises(Unavailable):
        token(session)


def test_the_database_allows_one_active_key_of_an_algorithm(session: Session) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError):
        session.execute(
            insert(SigningKey).values(
                kid="x", alg="ES256", status="active", public_jwk={}, created_at=time_of.now()
            )
        )
