"""Password hashes of other products: recognised, kept as they are, compared, within bounds.

They are kept in the column of our own hashes, until the first right password replaces them. What
could be guessed fast, such as salted MD5, is never kept as it came: argon2id hashes it again.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import bcrypt
import orjson
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

PREFIX = "$foreign$"
LONGEST = 255
"""Characters of the column."""
LONGEST_GIVEN = 4096
LONGEST_SALT = 64
LONGEST_DIGEST = 64
LEAST_DIGEST = 16
MOST_ITERATIONS = 2_000_000
"""Of PBKDF2: about a second of one core. Django 6 has 1,200,000."""
FEWEST_ITERATIONS = 1000
"""Fewer are guessed as fast as a bare digest."""
MOST_ROUNDS = 14
"""Of bcrypt, as a power of two: about a second."""
MOST_SCRYPT_MEMORY = 64 * 1024 * 1024
MOST_SCRYPT_WORK = 2**21
MOST_ARGON2_KIB = 128 * 1024
MOST_ARGON2_TIME = 10
MOST_ARGON2_LANES = 16
BCRYPT_BYTES = 72

UNKNOWN = "The form of the hash is not known."
TOO_COSTLY = "The hash costs too much to check."
TOO_LONG = "The hash is too long."
SALT_TOO_LONG = "The salt is too long."

_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_LDAP = re.compile(r"\{(S?MD5|S?SHA|S?SHA256|S?SHA384|S?SHA512)\}([A-Za-z0-9+/=]+)", re.IGNORECASE)
_DIGESTS = ("md5", "sha1", "sha256", "sha384", "sha512")
_ASPNET_PRF = ("sha1", "sha256", "sha512")
_wrapper = PasswordHasher()


class UnusableError(ValueError):
    """A hash that is not taken over; the message says why."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A hash of another product: how a password becomes `digest`.

    `scheme` is `pbkdf2`, `scrypt`, `bcrypt`, `digest` or `argon2`, the last of which needs nothing
    of this module: its text is kept as it is.
    """

    scheme: str
    parameters: tuple[str, ...]
    salt: bytes
    digest: bytes

    @property
    def is_fast(self) -> bool:
        """Whether passwords could be guessed fast from the digest."""
        if self.scheme == "pbkdf2":
            return int(self.parameters[1]) < FEWEST_ITERATIONS
        return self.scheme == "digest"


def is_foreign(stored: str) -> bool:
    """Return whether a stored hash is one of another product."""
    return stored.startswith(PREFIX)


def read(given: Any) -> Foreign:
    """Recognise the hash of an import file; UnusableError says why it is not taken over.

    A text is in the form of its product. An object is a credential of Keycloak, or the digest of
    a product of one's own: see docs/moving-passwords.md.
    """
    if isinstance(given, Mapping):
        found = _keycloak(given) if "credentialData" in given else _plain(given)
    elif not isinstance(given, str):
        raise UnusableError(UNKNOWN)
    elif len(given) > LONGEST_GIVEN:
        raise UnusableError(TOO_LONG)
    else:
        found = _text(given.strip())
    _check(found)
    return found


def stored_form(found: Foreign) -> str:
    """Return the text that the database keeps; it takes as long as argon2id for a fast scheme."""
    if found.scheme == "argon2":
        return found.parameters[0]
    last = _wrapper.hash(found.digest) if found.is_fast else b64encode(found.digest).decode()
    salt = b64encode(found.salt).decode()
    text = f"{PREFIX}{found.scheme}${','.join(found.parameters)}${salt}${last}"
    if len(text) > LONGEST:
        raise UnusableError(TOO_LONG)
    return text


def matches(stored: str, password: bytes) -> bool:
    """Return whether a password belongs to a hash that is stored in our form."""
    scheme, parameters, salt, last = stored.removeprefix(PREFIX).split("$", 3)
    # HMAC fills a key up with NUL, so a password and the same with NUL behind it would be equal.
    has_nul = b"\0" in password
    digest = _COMPUTE[scheme](password.replace(b"\0", b" "), parameters.split(","), b64decode(salt))
    return _is_equal(digest, last) and not has_nul


def _is_equal(digest: bytes, last: str) -> bool:
    """Compare a digest with what is stored of the right one."""
    if not last.startswith("$argon2"):
        return hmac.compare_digest(digest, b64decode(last))
    try:
        return _wrapper.verify(last, digest)
    except (VerificationError, InvalidHashError):
        return False


def cost_of(stored: str) -> str:
    """Return what stored hashes that take equally long have in common."""
    if not is_foreign(stored):
        return stored.rpartition("$")[0].rpartition("$")[0]
    scheme, parameters, _, last = stored.removeprefix(PREFIX).split("$", 3)
    return f"{scheme}:{parameters}" + (":wrapped" if last.startswith("$argon2") else "")


def _text(text: str) -> Foreign:
    """Recognise a hash that is one text."""
    kind, _, rest = text.partition("$")
    if not kind:
        return _bcrypt(text) if text.startswith("$2") else _argon2(text)
    if kind == "argon2":  # Django's name before the text of the library
        return _argon2(f"${rest}")
    if kind in {"bcrypt", "bcrypt_sha256"}:
        return _bcrypt(rest, "sha256" if kind == "bcrypt_sha256" else "plain")
    found = _LDAP.fullmatch(text)
    if found is not None:
        return _ldap(found[1].lower(), _base64(found[2]))
    fields = rest.split("$") if rest else []
    read_fields = _BY_KIND.get((kind.partition(":")[0], len(fields)))
    if read_fields is not None:
        return read_fields(kind, fields)
    return _aspnet(text)


def _bcrypt(text: str, before: str = "plain") -> Foreign:
    found = _BCRYPT.fullmatch(text)
    if found is None:
        raise UnusableError("The hash is not one of bcrypt.")
    # Salt and result have no border between characters; the text has both.
    return Foreign("bcrypt", (found[1], before), text[:29].encode(), text.encode())


def _argon2(text: str) -> Foreign:
    try:
        found = extract_parameters(text)
    except InvalidHashError:
        raise UnusableError(UNKNOWN) from None
    if (
        found.memory_cost > MOST_ARGON2_KIB
        or found.time_cost > MOST_ARGON2_TIME
        or found.parallelism > MOST_ARGON2_LANES
        or len(text) > LONGEST
    ):
        raise UnusableError(TOO_COSTLY)
    return Foreign("argon2", (text,), b"", b"")


def _ldap(name: str, content: bytes) -> Foreign:
    algorithm = name.removeprefix("s") if name[:2] in {"ss", "sm"} else name
    algorithm = "sha1" if algorithm == "sha" else algorithm
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    return Foreign("digest", (algorithm, "after"), content[size:], content[:size])


def _django_pbkdf2(kind: str, fields: list[str]) -> Foreign:
    iterations, salt, digest = fields
    return _pbkdf2(kind.removeprefix("pbkdf2_"), iterations, _utf8(salt), _base64(digest))


def _werkzeug_pbkdf2(kind: str, fields: list[str]) -> Foreign:
    parts = kind.split(":")
    if len(parts) != len(("name", "hash", "iterations")):
        raise UnusableError(UNKNOWN)
    return _pbkdf2(parts[1], parts[2], _utf8(fields[0]), _hex(fields[1]))


def _django_scrypt(kind: str, fields: list[str]) -> Foreign:
    del kind
    n, salt, r, p, digest = fields
    return _scrypt(n, r, p, _utf8(salt), _base64(digest))


def _werkzeug_scrypt(kind: str, fields: list[str]) -> Foreign:
    parts = kind.split(":")
    if len(parts) != len(("name", "n", "r", "p")):
        raise UnusableError(UNKNOWN)
    return _scrypt(parts[1], parts[2], parts[3], _utf8(fields[0]), _hex(fields[1]))


def _salted(kind: str, fields: list[str]) -> Foreign:
    return Foreign("digest", (kind, "before"), _utf8(fields[0]), _hex(fields[1]))


_BY_KIND: Mapping[tuple[str, int], Callable[[str, list[str]], Foreign]] = {
    ("pbkdf2_sha1", 3): _django_pbkdf2,
    ("pbkdf2_sha256", 3): _django_pbkdf2,
    ("pbkdf2_sha512", 3): _django_pbkdf2,
    ("pbkdf2", 2): _werkzeug_pbkdf2,
    ("scrypt", 5): _django_scrypt,
    ("scrypt", 2): _werkzeug_scrypt,
    **{(algorithm, 2): _salted for algorithm in _DIGESTS},
}
"""Texts with fields between `$`, by what they begin with and how many fields follow."""


def _aspnet(text: str) -> Foreign:
    """Read a hash of ASP.NET Identity: version 2 begins with a zero, version 3 with a one."""
    try:
        content = _base64(text)
    except UnusableError:
        raise UnusableError(UNKNOWN) from None
    if content[:1] == b"\0" and len(content) == 1 + 16 + 32:
        return _pbkdf2("sha1", "1000", content[1:17], content[17:])
    header = 13
    if content[:1] != b"\1" or len(content) <= header:
        raise UnusableError(UNKNOWN)
    prf, iterations, size = (int.from_bytes(content[at : at + 4]) for at in (1, 5, 9))
    if prf >= len(_ASPNET_PRF) or size > len(content) - header:
        raise UnusableError(UNKNOWN)
    salt, digest = content[header : header + size], content[header + size :]
    return _pbkdf2(_ASPNET_PRF[prf], str(iterations), salt, digest)


def _keycloak(given: Mapping[str, Any]) -> Foreign:
    """Read a credential as the export of a realm has it."""
    data, secret = (_object(given.get(name)) for name in ("credentialData", "secretData"))
    algorithm, iterations = str(data.get("algorithm")), str(data.get("hashIterations"))
    salt, digest = (_base64(secret.get(name)) for name in ("salt", "value"))
    if algorithm == "argon2":
        return _keycloak_argon2(data, iterations, salt, digest)
    name, _, hash_name = algorithm.partition("-")
    if name != "pbkdf2":
        raise UnusableError(UNKNOWN)
    return _pbkdf2(hash_name or "sha1", iterations, salt, digest)


def _keycloak_argon2(
    data: Mapping[str, Any], iterations: str, salt: bytes, digest: bytes
) -> Foreign:
    more = _object(data.get("additionalParameters"))
    kind, version, memory, lanes = (
        str(next(iter(more[name]), "")) if isinstance(more.get(name), list) else ""
        for name in ("type", "version", "memory", "parallelism")
    )
    number = {"1.0": 16, "1.3": 19}.get(version, 0)
    salt_text, text = (b64encode(part).decode().rstrip("=") for part in (salt, digest))
    return _argon2(
        f"$argon2{kind}$v={number}$m={memory},t={iterations},p={lanes}${salt_text}${text}"
    )


def _plain(given: Mapping[str, Any]) -> Foreign:
    """Read a digest of a product of one's own, with its salt before or after the password."""
    known = {"algorithm", "digest", "salt", "salt_position"}
    values = {"salt": "", "salt_position": "before", **given}
    if set(values) != known or not all(isinstance(value, str) for value in values.values()):
        raise UnusableError(UNKNOWN)
    if values["algorithm"] not in _DIGESTS or values["salt_position"] not in {"before", "after"}:
        raise UnusableError(UNKNOWN)
    parameters = (values["algorithm"], values["salt_position"])
    salt = _utf8(values["salt"])
    return Foreign("digest", parameters, salt, _hex(values["digest"]))


def _pbkdf2(hash_name: str, iterations: str, salt: bytes, digest: bytes) -> Foreign:
    if hash_name not in _ASPNET_PRF:
        raise UnusableError(UNKNOWN)
    count = _number(iterations)
    if count > MOST_ITERATIONS:
        raise UnusableError(TOO_COSTLY)
    return Foreign("pbkdf2", (hash_name, str(count), str(len(digest))), salt, digest)


def _scrypt(n: str, r: str, p: str, salt: bytes, digest: bytes) -> Foreign:
    cost, block, lanes = _number(n), _number(r), _number(p)
    if cost & (cost - 1) or cost < 2:  # noqa: PLR2004 - a power of two (RFC 7914)
        raise UnusableError(UNKNOWN)
    if 128 * cost * block > MOST_SCRYPT_MEMORY or cost * block * lanes > MOST_SCRYPT_WORK:
        raise UnusableError(TOO_COSTLY)
    parameters = (str(cost), str(block), str(lanes), str(len(digest)))
    return Foreign("scrypt", parameters, salt, digest)


def _check(found: Foreign) -> None:
    """Refuse salts and digests of sizes that no product has."""
    if found.scheme == "bcrypt" and int(found.parameters[0]) > MOST_ROUNDS:
        raise UnusableError(TOO_COSTLY)
    if found.scheme in {"argon2", "bcrypt"}:
        return
    if len(found.salt) > LONGEST_SALT:
        raise UnusableError(SALT_TOO_LONG)
    size = LEAST_DIGEST
    if found.scheme == "digest":
        size = hashlib.new(found.parameters[0], usedforsecurity=False).digest_size
    if not size <= len(found.digest) <= (size if found.scheme == "digest" else LONGEST_DIGEST):
        raise UnusableError("The digest has the wrong length.")


def _compute_pbkdf2(password: bytes, parameters: list[str], salt: bytes) -> bytes:
    hash_name, iterations, size = parameters
    return hashlib.pbkdf2_hmac(hash_name, password, salt, int(iterations), int(size))


def _compute_scrypt(password: bytes, parameters: list[str], salt: bytes) -> bytes:
    n, r, p, size = map(int, parameters)
    most = 2 * MOST_SCRYPT_MEMORY
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, dklen=size, maxmem=most)


def _compute_bcrypt(password: bytes, parameters: list[str], salt: bytes) -> bytes:
    if parameters[1] == "sha256":  # as Django does, against the limit of 72 bytes
        password = hashlib.sha256(password).hexdigest().encode()
    return bcrypt.hashpw(password[:BCRYPT_BYTES], salt)


def _compute_digest(password: bytes, parameters: list[str], salt: bytes) -> bytes:
    algorithm, position = parameters
    text = salt + password if position == "before" else password + salt
    return hashlib.new(algorithm, text, usedforsecurity=False).digest()


_COMPUTE: Mapping[str, Callable[[bytes, list[str], bytes], bytes]] = {
    "pbkdf2": _compute_pbkdf2,
    "scrypt": _compute_scrypt,
    "bcrypt": _compute_bcrypt,
    "digest": _compute_digest,
}


def _object(given: Any) -> Mapping[str, Any]:
    """Return an object that may be written as a text of JSON."""
    if isinstance(given, str) and len(given) <= LONGEST_GIVEN:
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            given = None
    if not isinstance(given, Mapping):
        raise UnusableError(UNKNOWN)
    return given


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) < 1:
        raise UnusableError(UNKNOWN)
    return int(text)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _base64(text: Any) -> bytes:
    if not isinstance(text, str) or len(text) > LONGEST_GIVEN:
        raise UnusableError(SALT_TOO_LONG)
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise UnusableError(UNKNOWN) from None


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UnusableError(UNKNOWN) from None
