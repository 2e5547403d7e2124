"""Password hashes of other products: recognised, compared, bounded, replaced."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import bcrypt
import pytest
from argon2 import PasswordHasher
from werkzeug.security import generate_password_hash

from idp.directory.users import foreign, passwords
from tests.hashes import QUICK_HASHER

pytestmark = [pytest.mark.no_database, pytest.mark.usefixtures("real_hashes")]

PASSWORD = "lètmein"
RAW = PASSWORD.encode()
SALT = b"0123456789abcdef"


def fast(name: str, content: bytes) -> bytes:
    return hashlib.new(name, content, usedforsecurity=False).digest()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def aspnet3(prf: int, iterations: int, salt: bytes = SALT, size: int = 32) -> str:
    name = ("sha1", "sha256", "sha512")[prf]
    digest = hashlib.pbkdf2_hmac(name, RAW, salt, min(iterations, 1000), size)
    numbers = b"".join(number.to_bytes(4, "big") for number in (prf, iterations, len(salt)))
    return b64(b"\1" + numbers + salt + digest)


def keycloak(algorithm: str, digest: bytes, **data: object) -> dict[str, str]:
    return {
        "type": "password",
        "credentialData": json.dumps({"algorithm": algorithm, **data}),
        "secretData": json.dumps({"value": b64(digest), "salt": b64(SALT)}),
    }


def keycloak_argon2() -> dict[str, str]:
    text = PasswordHasher(2, 1024, 1).hash(RAW, salt=SALT)
    digest = base64.b64decode(text.rpartition("$")[2] + "==")
    more = {"memory": ["1024"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}
    return keycloak("argon2", digest, hashIterations=2, additionalParameters=more)


# The texts of Django are those of its own tests, made by Django itself.
GIVEN = {
    "django pbkdf2": "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
    "django scrypt": "scrypt$16384$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/"
    "vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==",
    "django md5": "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3",
    "django sha1": "sha1$seasalt$cff36ea83f5706ce9aa7454e63e431fc726b2dc8",
    "django bcrypt": "bcrypt$" + bcrypt.hashpw(RAW, bcrypt.gensalt(4)).decode(),
    "django bcrypt_sha256": "bcrypt_sha256$"
    + bcrypt.hashpw(hashlib.sha256(RAW).hexdigest().encode(), bcrypt.gensalt(4)).decode(),
    "django argon2": "argon2" + PasswordHasher(1, 1024, 1).hash(RAW),
    "werkzeug scrypt": generate_password_hash(PASSWORD),
    "werkzeug pbkdf2": generate_password_hash(PASSWORD, "pbkdf2:sha512:2000"),
    "bcrypt 2a": bcrypt.hashpw(RAW, bcrypt.gensalt(4, b"2a")).decode(),
    "bcrypt 2y": "$2y" + bcrypt.hashpw(RAW, bcrypt.gensalt(4)).decode()[3:],
    "keycloak sha1": keycloak(
        "pbkdf2", hashlib.pbkdf2_hmac("sha1", RAW, SALT, 20000, 64), hashIterations=20000
    ),
    "keycloak sha512": keycloak(
        "pbkdf2-sha512", hashlib.pbkdf2_hmac("sha512", RAW, SALT, 3000, 64), hashIterations=3000
    ),
    "keycloak few iterations": keycloak(
        "pbkdf2-sha256", hashlib.pbkdf2_hmac("sha256", RAW, SALT, 1, 64), hashIterations=1
    ),
    "keycloak argon2": keycloak_argon2(),
    "aspnet 2": b64(b"\0" + SALT + hashlib.pbkdf2_hmac("sha1", RAW, SALT, 1000, 32)),
    "aspnet 3 sha1": aspnet3(0, 1000),
    "aspnet 3 sha256": aspnet3(1, 1000),
    "aspnet 3 sha512": aspnet3(2, 1000),
    "ldap ssha": "{SSHA}" + b64(fast("sha1", RAW + SALT) + SALT),
    "ldap smd5": "{SMD5}" + b64(fast("md5", RAW + b"salt") + b"salt"),
    "ldap sha": "{SHA}" + b64(fast("sha1", RAW)),
    "ldap ssha512": "{ssha512}" + b64(hashlib.sha512(RAW + SALT).digest() + SALT),
    "own after": {
        "algorithm": "sha256",
        "salt": "häuser",
        "salt_position": "after",
        "digest": hashlib.sha256(RAW + "häuser".encode()).hexdigest(),
    },
    "own unsalted": {"algorithm": "md5", "digest": fast("md5", RAW).hex().upper()},
}
FAST = {name for name in GIVEN if re.search("md5|django sha1|ldap|own|few", name)}


@pytest.fixture
def quick_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash again cheaply what could be guessed fast."""
    monkeypatch.setattr(foreign, "_wrapper", QUICK_HASHER)


@pytest.mark.usefixtures("quick_wraps")
@pytest.mark.parametrize("name", GIVEN)
def test_a_hash_matches_its_password_and_no_other(name: str) -> None:
    stored = foreign.stored_form(foreign.read(GIVEN[name]))
    assert len(stored) <= foreign.LONGEST
    assert passwords.matches(stored, PASSWORD)
    for wrong in ("letmein", PASSWORD + "x", "", PASSWORD + "\0", "x" * 5000, "\ud800"):
        assert not passwords.matches(stored, wrong)


@pytest.mark.usefixtures("quick_wraps")
@pytest.mark.parametrize("name", GIVEN)
def test_an_imported_hash_is_replaced_at_the_first_right_password(name: str) -> None:
    assert passwords.is_outdated(foreign.stored_form(foreign.read(GIVEN[name])))


@pytest.mark.parametrize("name", sorted(FAST))
def test_what_is_guessed_fast_is_kept_as_argon2id_of_it(name: str) -> None:
    found = foreign.read(GIVEN[name])
    stored = foreign.stored_form(found)
    assert "$argon2id$v=19$m=65536,t=3,p=4$" in stored
    for bare in (found.digest.hex(), b64(found.digest), b64(found.digest).rstrip("=")):
        assert bare not in stored
    assert passwords.matches(stored, PASSWORD)
    assert not passwords.matches(stored, PASSWORD + "x")


@pytest.mark.parametrize("name", sorted(set(GIVEN) - FAST))
def test_what_is_slow_already_is_kept_as_it_is(name: str) -> None:
    assert "$argon2id$v=19$m=65536" not in foreign.stored_form(foreign.read(GIVEN[name]))


def test_bcrypt_reads_72_bytes_and_django_all_of_a_password() -> None:
    long = "x" * 72
    plain = foreign.stored_form(
        foreign.read(bcrypt.hashpw(long.encode(), bcrypt.gensalt(4)).decode())
    )
    assert passwords.matches(plain, long + "more")
    digest = hashlib.sha256(long.encode()).hexdigest().encode()
    text = "bcrypt_sha256$" + bcrypt.hashpw(digest, bcrypt.gensalt(4)).decode()
    whole = foreign.stored_form(foreign.read(text))
    assert passwords.matches(whole, long)
    assert not passwords.matches(whole, long + "more")


# Attack 93: a hash that costs too much or is unknown; the time that tells who was imported.

MILLIARD = 1_000_000_000


@pytest.mark.parametrize(
    "given",
    [
        f"pbkdf2_sha256${MILLIARD}$salt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
        f"pbkdf2_sha256${'9' * 3000}$salt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
        "pbkdf2_sha256$0$salt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
        "pbkdf2_sha256$-5$salt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
        "pbkdf2_sha256$1000$" + "s" * 1_000_000 + "$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
        "pbkdf2_sha256$1000$" + "s" * 65 + "$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=",
        "pbkdf2_sha256$1000$salt$" + b64(b"x" * 65),
        "pbkdf2_sha256$1000$salt$eA==",
        "pbkdf2_whirlpool$1000$salt$" + b64(b"x" * 32),
        f"pbkdf2:sha256:{MILLIARD}$salt${'ab' * 32}",
        "pbkdf2:sha256$salt$" + "ab" * 32,
        f"scrypt:{2**30}:8:1$salt${'ab' * 32}",
        f"scrypt:16384:8:{MILLIARD}$salt${'ab' * 32}",
        f"scrypt:2:{MILLIARD}:1$salt${'ab' * 32}",
        f"scrypt:16383:8:1$salt${'ab' * 32}",
        "scrypt$16384$salt$8$5$no base64",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$04$short",
        "$argon2id$v=19$m=4194304,t=3,p=4$c29tZXNhbHQ$aGFzaA",
        "$argon2id$v=19$m=65536,t=1000000,p=4$c29tZXNhbHQ$aGFzaA",
        "$argon2id$v=19$m=65536,t=3,p=4000$c29tZXNhbHQ$aGFzaA",
        "$argon2id$nonsense",
        "md5$salt$zz",
        "md5$salt$abcd",
        "{SSHA}" + b64(b"short"),
        "{SSHA}" + b64(b"x" * 20 + b"s" * 65),
        aspnet3(1, MILLIARD),
        b64(b"\1" + bytes(3) + b"\x07" + bytes(40)),
        b64(b"\1" + bytes(8) + b"\xff\xff\xff\xff" + bytes(40)),
        b64(b"\2" + bytes(48)),
        b64(b"\1"),
        "!",
        "",
        "$",
        "plain text",
        keycloak("pbkdf2-sha256", b"x" * 64, hashIterations=MILLIARD),
        keycloak("pbkdf2-sha256", b"x" * 64, hashIterations={"a": 1}),
        keycloak("pbkdf2-sha256", b"x" * 64),
        keycloak("rot13", b"x" * 64, hashIterations=1),
        keycloak("argon2", b"x" * 32, hashIterations=2),
        {**keycloak("pbkdf2", b"x" * 64, hashIterations=1), "secretData": "[" * 2000},
        {**keycloak("pbkdf2", b"x" * 64, hashIterations=1), "secretData": {"salt": 5}},
        {"algorithm": "md5", "salt": "s" * 1_000_000, "digest": "ab" * 16},
        {"algorithm": "md5", "digest": "ab" * 16, "rounds": 5},
        {"algorithm": ["md5"], "digest": "ab" * 16},
        {"algorithm": "crc32", "digest": "ab" * 2},
        {},
        [],
        5,
    ],
    ids=str,
)
def test_what_costs_too_much_or_is_unknown_is_not_taken_over(given: object) -> None:
    with pytest.raises(foreign.UnusableError) as refusal:
        foreign.stored_form(foreign.read(given))
    assert str(refusal.value).endswith(".")


def test_a_wrong_password_takes_as_long_as_the_slowest_scheme(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(passwords.time, "sleep", slept.append)
    stored = foreign.stored_form(foreign.read(GIVEN["bcrypt 2a"]))
    for hashed in (None, passwords.make_hash("correct horse"), stored):
        assert not passwords.matches(hashed, "wrong", 1000.0)
    assert all(900 < seconds <= 1000 for seconds in slept)
    assert len(slept) == 3
    assert passwords.matches(stored, PASSWORD, 1000.0)
    assert len(slept) == 3


def test_who_waits_holds_one_of_the_few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    free: list[int] = []
    monkeypatch.setattr(passwords.time, "sleep", lambda _: free.append(passwords._admitted._value))
    passwords.matches(None, "wrong", 1000.0)
    assert free == [passwords.CONCURRENT_HASHES + passwords.QUEUED_HASHES - 1]
