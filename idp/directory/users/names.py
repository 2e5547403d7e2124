"""Names of people: comparable keys, and the rules for user name, e-mail and mobile number."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Protocol

import idna
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

USERNAME_LENGTH = 100
EMAIL_LENGTH = 254
LONGEST_COMPARED = 1024
"""Marks that combine with a letter are sorted when text is normalised, which takes the square of
their number: only text that could be a name is normalised."""
_DIALLED = re.compile(r"\+?[0-9 ().-]{3,32}")
_HAN = re.compile("[\u3400-\u9fff]")
"""Chinese names begin with the family name, and have no space."""
_RESERVED = frozenset({"apps"})  # stands where a user name may stand in paths of the user service
_MOBILE_TYPES = frozenset(
    {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
)


def key(text: str) -> str:
    """Return the form that names are compared by (Unicode NFKC case folding).

    Of an address the domain is read in U-labels, as addresses are stored (RFC 5890 2.3.2.1).
    """
    if len(text) > LONGEST_COMPARED:
        return text.casefold().strip()
    folded = unicodedata.normalize("NFKC", text).casefold()
    compared = unicodedata.normalize("NFKC", folded).strip()
    return _in_u_labels(compared) if "@" in compared and "xn--" in compared else compared


def username(text: str, email: str | None) -> str:
    """Check a user name; with `@` it must be the account's own e-mail."""
    name = plain(text, "username", USERNAME_LENGTH)
    compared = key(name)
    if "@" in compared:
        if email is None or compared != key(email):
            raise BadRequest.at(
                "username", N_("A user name with @ must be the account's own e-mail address.")
            )
        if "xn--" in name.casefold():
            return email  # in letters, as it is shown
    elif "/" in compared or "\\" in compared:
        raise BadRequest.at("username", N_("A user name must not contain a slash."))
    elif looks_like_phone_number(compared) or compared.replace(" ", "").isnumeric():
        raise BadRequest.at("username", N_("A user name must not consist of digits only."))
    elif compared in _RESERVED:
        raise BadRequest.at("username", N_("This user name is reserved."))
    return name


def email(text: str) -> str:
    """Check an e-mail address by its form alone; no look-up is made."""
    address = plain(text, "email", EMAIL_LENGTH)
    try:
        # Reserved names (`.test`) are left to trials; nothing is delivered there anyway.
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise BadRequest.at("email", N_("This is not an e-mail address.")) from None
    return checked.normalized


def mobile(text: str, region: str) -> str:
    """Return the E.164 form of a mobile number in national or international form."""
    try:
        return _e164(plain(text, "mobile", 32), region)
    except phonenumbers.NumberParseException:
        raise BadRequest.at("mobile", N_("This is not a mobile number.")) from None


def find_mobile(text: str, region: str) -> str | None:
    """Return E.164 where the text is a mobile number, else None."""
    try:
        return _e164(text, region)
    except phonenumbers.NumberParseException:
        return None


def on_the_wire(number: str, region: str) -> str:
    """Return an E.164 number in national form if it is of the region, else unchanged."""
    parsed = phonenumbers.parse(number)
    if phonenumbers.region_code_for_number(parsed) != region:
        return number
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return "".join(character for character in national if character.isdigit())


def _in_u_labels(address: str) -> str:
    """Return an address with its domain in U-labels; unchanged where that cannot be read."""
    local, _, domain = address.rpartition("@")
    try:
        # Folded like the stored one, whose key this must equal.
        folded = unicodedata.normalize("NFKC", idna.decode(domain).casefold())
    except idna.IDNAError:
        return address
    return f"{local}@{folded}"


class PersonNames(Protocol):
    """The names of a person."""

    @property
    def username(self) -> str: ...  # noqa: D102 - as the columns of `User`
    @property
    def display_name(self) -> str | None: ...  # noqa: D102
    @property
    def given_name(self) -> str | None: ...  # noqa: D102
    @property
    def middle_name(self) -> str | None: ...  # noqa: D102
    @property
    def family_name(self) -> str | None: ...  # noqa: D102
    @property
    def nick_name(self) -> str | None: ...  # noqa: D102


def displayed(person: PersonNames) -> str:
    """Return the display name of a person: as set, composed of its parts, or a fallback."""
    return person.display_name or _composed(person) or person.nick_name or person.username


def _composed(person: PersonNames) -> str | None:
    given, family = person.given_name, person.family_name
    if not given or not family:
        return None
    parts = [part for part in (given, person.middle_name, family) if part]
    return "".join(reversed(parts)) if _HAN.match(family) else " ".join(parts)


def looks_like_phone_number(text: str) -> bool:
    """Return whether a text looks like a phone number."""
    return _DIALLED.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _e164(text: str, region: str) -> str:
    if len(text) > LONGEST_COMPARED:
        raise _not_a_number()
    folded = unicodedata.normalize("NFKC", text).strip()
    if not looks_like_phone_number(folded):
        raise _not_a_number()
    parsed = phonenumbers.parse(folded, region)
    valid = phonenumbers.is_valid_number(parsed)
    if not valid or phonenumbers.number_type(parsed) not in _MOBILE_TYPES:
        raise _not_a_number()
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _not_a_number() -> phonenumbers.NumberParseException:
    wrong = phonenumbers.NumberParseException.NOT_A_NUMBER
    return phonenumbers.NumberParseException(wrong, "no mobile number")


def plain(text: str, field: str, longest: int) -> str:
    """Refuse text that is empty, too long or contains control characters."""
    if len(text) > LONGEST_COMPARED:
        raise BadRequest.at(field, filled(N_("At most %(longest)s characters."), longest=longest))
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise BadRequest.at(field, N_("A value is required."))
    if len(name) > longest or len(key(name)) > longest:
        raise BadRequest.at(field, filled(N_("At most %(longest)s characters."), longest=longest))
    # Control, format (zero width, direction), surrogate, private and unassigned; line breaks.
    if any(unicodedata.category(char)[0] == "C" or char in "\u2028\u2029" for char in name):
        raise BadRequest.at(field, N_("Control characters are not allowed."))
    return name
