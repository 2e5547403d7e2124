"""Passwords: the policy, and argon2id with few hashes at a time."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from idp.directory.policies.rules import NOTHING, Required
from idp.directory.users import breached, foreign, names
from idp.platform.errors import BadRequest, Busy
from idp.platform.secrets import random_token
from idp.platform.translation import N_, filled

SHORTEST = 8
SHORTEST_MIXED = 6
LONGEST = 128
CONCURRENT_HASHES = 2
QUEUED_HASHES = 3
"""Callers that wait for those; each holds one of the threads that answer requests."""
RETRY_SECONDS = 2

_TOO_SHORT = N_("The password must have at least %(count)s characters.")
_TOO_PLAIN = N_(
    "The password must contain at least %(count)s of these: a lower case letter, an upper case"
    " letter, a digit, another character."
)
_TOO_LONG = N_("The password can have at most 128 characters.")
_COMMON = N_("This password is too common.")
_BREACHED = N_("This password is in a list of stolen passwords. Choose another one.")

# Of an unknown random password, so that an unknown account costs as much as a known one.
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$prRx2REMKnyd5biOo+vnMA"
    "$An6/AE2Vh6Ic0MNQJRn9ODIbq5wd1tJBgb1dLmfgc28"
)
_hasher = PasswordHasher()
# A hash takes 64 MiB and all cores for a tenth of a second: a few callers wait, more are refused.
_places = threading.BoundedSemaphore(CONCURRENT_HASHES)
_admitted = threading.BoundedSemaphore(CONCURRENT_HASHES + QUEUED_HASHES)

_COMMONEST = frozenset(
    """
    000000000 0123456789 1111111111 11111111 111111111 11223344 112233445566 12121212 123123123
    12341234 123454321 12345678 123456789 1234567890 12345678910 123456abc 123456qwe 1234qwer
    123qweasd 123456aa 147258369 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2 21212121 22222222
    314159265 3rjs1la7qe 55555555 66666666 741852963 77777777 789456123 87654321 88888888
    987654321 99999999 5201314520 a1234567 a12345678 a123456789 aa123456 aaaaaaaa abc12345
    abc123456 abcd1234 abcdefgh abcdefg1 access14 admin123 admin1234 administrator asdasdasd
    asdf1234 asdfasdf asdfghjk asdfghjkl babygirl baseball basketball butterfly
    changeme changeme1 charlie1 chocolate computer corvette danielle dragon123 elizabeth football
    football1 freedom1 hello123 iloveyou iloveyou1 internet jennifer jonathan letmein1 liverpool
    lovelove macintosh marlboro master123 maverick michelle midnight mustang1 p@ssw0rd p@ssword
    pa55word pass1234 passw0rd password password! password1 password12 password123 password1234
    pokemon1 princess princess1 q1w2e3r4 q1w2e3r4t5 qazwsxedc qqww1122 qwer1234 qwerasdf qwerqwer
    qwerty12 qwerty123 qwerty1234 qwertyui qwertyuiop samantha secret123 starwars sunshine
    superman superman1 trustno1 victoria welcome1 welcome123 whatever woaini1314 woaini520
    zaq12wsx zxcvbnm1 zxcvbnm123
    """.split()  # noqa: SIM905 - a hundred quoted words read worse
)


def check_policy(
    password: str,
    names_of_user: Iterable[str | None] = (),
    required: Required = NOTHING,
    *,
    chosen_by_person: bool = True,
    breached_file: Path | None = None,
) -> None:
    """Refuse a weak password, naming every reason.

    People choose 8 characters or more. Programs may also set 6 or 7 for another person, when
    upper and lower case, a digit and a symbol are among them, unless a policy sets a length.
    """
    text = _composed(password)
    shortest = max(SHORTEST, required.password_length)
    if not chosen_by_person and not required.password_length and _is_mixed(text):
        shortest = SHORTEST_MIXED
    reasons = list(_reasons(text, names_of_user, shortest, required.password_classes))
    if not reasons and breached_file is not None and breached.contains(breached_file, text):
        reasons = [_BREACHED]
    if reasons:
        raise BadRequest(" ".join(reasons), code="weak_password", fields={"password": reasons})


def is_stolen(password: str, breached_file: Path | None = None) -> bool:
    """Return whether a password is among the commonest ones, or in a list of stolen ones."""
    text = _composed(password)
    if names.key(text) in _COMMONEST:
        return True
    return breached_file is not None and breached.contains(breached_file, text)


def generate(required: Required) -> str:
    """Return a random password that a policy accepts."""
    while True:
        password = random_token(max(15, required.password_length))
        if _classes(password) >= required.password_classes:
            return password


def make_hash(password: str) -> str:
    """Hash a password with argon2id; takes long, so hold no database transaction meanwhile.

    Busy, as in `matches`, when too many passwords are being hashed already.
    """
    with _place():
        return _hasher.hash(_encoded(password))


def matches(password_hash: str | None, password: str, seconds: float = 0) -> bool:
    """Compare a password with a stored hash; without a hash it takes as long and fails.

    A wrong password takes `seconds` or longer: as long as the slowest scheme of imported hashes,
    so that the time does not reveal which accounts were imported.
    """
    with _admission():
        with _places:
            started = time.monotonic()
            is_right = _verify(password_hash, password)
        if not is_right:
            # Whoever waits holds a place in the queue, or wrong passwords could hold all threads.
            time.sleep(max(0.0, started + seconds - time.monotonic()))
    return is_right


def _verify(password_hash: str | None, password: str) -> bool:
    if password_hash is not None and foreign.is_foreign(password_hash):
        return foreign.matches(password_hash, password.encode("utf-8", "surrogatepass"))
    try:
        _hasher.verify(password_hash or _NOBODY, _encoded(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Return whether a hash was imported, or made with outdated parameters."""
    return foreign.is_foreign(password_hash) or _hasher.check_needs_rehash(password_hash)


@contextmanager
def _place() -> Iterator[None]:
    """Wait for one of the places; Busy at once when enough callers wait already."""
    with _admission(), _places:
        yield


@contextmanager
def _admission() -> Iterator[None]:
    if not _admitted.acquire(blocking=False):
        message = N_("Too many people are signing in right now. Please try again in a few seconds.")
        raise Busy(message, RETRY_SECONDS)
    try:
        yield
    finally:
        _admitted.release()


def _composed(password: str) -> str:
    # RFC 8265 4.2.2: the same letters whichever keyboard composed them. Longer text is no password,
    # and to normalise it could take the square of its length.
    if len(password) > names.LONGEST_COMPARED:
        return password
    return unicodedata.normalize("NFC", password)


def _encoded(password: str) -> bytes:
    # A lone surrogate from JSON must not be an error of the server.
    return _composed(password).encode("utf-8", "surrogatepass")


def _reasons(
    password: str, names_of_user: Iterable[str | None], shortest: int, classes: int
) -> Iterator[str]:
    if len(password) < shortest:
        yield filled(_TOO_SHORT, count=shortest)
    if len(password) > LONGEST:
        yield _TOO_LONG
    if _classes(password) < classes:
        yield filled(_TOO_PLAIN, count=classes)
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in password):
        yield N_("The password must not contain control characters.")
    folded = names.key(password)
    if folded in _COMMONEST:
        yield _COMMON
    if any(folded == names.key(name) for name in names_of_user if name):
        yield N_("The password must not be the user's own name.")


def _is_other(char: str) -> bool:
    return not (char.islower() or char.isupper() or char.isdigit())


_CLASSES = (str.islower, str.isupper, str.isdigit, _is_other)


def _classes(password: str) -> int:
    """Return how many kinds of characters are in a password."""
    return sum(any(map(is_of_class, password)) for is_of_class in _CLASSES)


def _is_mixed(password: str) -> bool:
    return _classes(password) == len(_CLASSES) and any(not char.isalnum() for char in password)
