"""The standard claims of a person (OpenID Connect Core 5.1): checking and changing them.

User name, e-mail and mobile number are names of the account: see `users.rename`.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from idp.directory.users import names
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import clock, stamps
from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

LONGEST_ADDRESS = 2000
FIRST_YEAR = 1900
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")


@dataclass(frozen=True, slots=True)
class StandardClaim:
    """The column of a claim, and the function that parses its value."""

    column: str
    read: Callable[[str], Any]


def change(session: Session, user: User, values: Mapping[str, str | None]) -> None:
    """Set claims by their names; an empty value clears one.

    BadRequest names every claim whose value is wrong, and leaves the account as it was.
    """
    read: dict[str, Any] = {}
    wrong: dict[str, list[str]] = {}
    for name, text in values.items():
        claim = CLAIMS.get(name)
        try:
            if claim is None:
                raise BadRequest.at(
                    name, filled(N_("Known claims: %(names)s."), names=", ".join(sorted(CLAIMS)))
                )
            read[claim.column] = claim.read(text) if text and text.strip() else None
        except BadRequest as problem:
            wrong[name] = [message for texts in problem.fields.values() for message in texts]
    if wrong:
        message = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in wrong.items())
        raise BadRequest(message, fields=wrong)
    for column, value in read.items():
        if getattr(user, column) != value:
            setattr(user, column, value)
    session.flush()


def state_of(user: User) -> dict[str, Any]:
    """Return what the audit log compares of a person: all that can be set here."""
    return {column: getattr(user, column) for column in COLUMNS}


def change_all(session: Session, user: User, values: Mapping[str, str | None]) -> None:
    """As `change`, for an operator: also names, addresses and whether they are verified."""
    named = {name: text or None for name, text in values.items() if name in NAMES}
    proven = {name: values[name] for name in PROOFS if name in values}
    unknown = sorted(values.keys() - {*SETTABLE})
    if unknown:
        message = f"There is no claim {unknown[0]} to set. Known claims: {', '.join(SETTABLE)}."
        raise BadRequest.at(unknown[0], message)
    change(session, user, {name: values[name] for name in CLAIMS if name in values})
    if named:
        email = named.get("email", user.email)
        default = email if named_by_email(user) else user.username
        username = named.get("preferred_username", default)
        mobile = named.get("phone_number", user.mobile)
        users.rename(session, user, username=username or "", email=email, mobile=mobile)
    for name, text in proven.items():
        _set_proof(user, name, text)
    session.flush()


def named_by_email(user: User) -> bool:
    """Return whether the user name is the e-mail address, and so changes with it."""
    return user.email_key is not None and user.username_key == user.email_key


def stamp(session: Session, user: User) -> None:
    """Renew the stamp, so that forms read earlier are outdated."""
    user.concurrency_stamp = stamps.new_stamp()
    session.flush()


def shown(user: User) -> dict[str, str]:
    """Return the claims that are set, by name, in the form in which they are written."""
    found = {name: getattr(user, claim.column) for name, claim in CLAIMS.items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def is_web_address(text: str) -> bool:
    """Return whether a text is an http(s) address that pages may link to."""
    if len(text) > LONGEST_ADDRESS:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and text.isprintable()
        and " " not in text
    )


@cache
def time_zones() -> frozenset[str]:
    """Return the names of the tz database."""
    return frozenset(zoneinfo.available_timezones())


def _set_proof(user: User, name: str, text: str | None) -> None:
    address, column = PROOFS[name]
    if text not in {"true", "false"}:
        raise BadRequest.at(name, filled(N_("%(name)s must be true or false."), name=name))
    if text == "true" and getattr(user, address) is None:
        raise BadRequest.at(
            name, filled(N_("%(name)s: there is no address to confirm."), name=name)
        )
    setattr(user, column, text == "true")


def _text(text: str, longest: int) -> str:
    return names.plain(text, "value", longest)


def _lines(text: str, longest: int) -> str:
    """Read a postal address, which may have several lines (OpenID Connect Core 5.1.1)."""
    lines = [line for line in text[: longest + 1].splitlines() if line.strip()]
    joined = "\n".join(names.plain(line, "value", longest) for line in lines)
    if len(text) > longest:
        raise BadRequest.at("value", filled(N_("At most %(longest)s characters."), longest=longest))
    return joined


def _web_address(text: str) -> str:
    if not is_web_address(text.strip()):
        raise BadRequest.at("value", N_("This is not an http(s) address."))
    return text.strip()


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise BadRequest.at(
            "value", N_("Enter the date as YYYY-MM-DD, for example 1990-05-06.")
        ) from None
    if day.year < FIRST_YEAR or day > clock.now().date():
        raise BadRequest.at("value", N_("This date is not possible."))
    return day


def _time_zone(text: str) -> str:
    if text.strip() not in time_zones():
        raise BadRequest.at("value", N_("This is not a time zone such as Asia/Shanghai."))
    return text.strip()


def _language(text: str) -> str:
    """Read a language tag (RFC 5646): language, script, region."""
    if not _LANGUAGE.fullmatch(text.strip()):
        raise BadRequest.at("value", N_("This is not a language such as zh-CN."))
    return text.strip()


CLAIMS: Mapping[str, StandardClaim] = {
    "name": StandardClaim("display_name", partial(_text, longest=200)),
    "given_name": StandardClaim("given_name", partial(_text, longest=100)),
    "middle_name": StandardClaim("middle_name", partial(_text, longest=100)),
    "family_name": StandardClaim("family_name", partial(_text, longest=100)),
    "nickname": StandardClaim("nick_name", partial(_text, longest=200)),
    "profile": StandardClaim("profile", _web_address),
    "picture": StandardClaim("avatar", _web_address),
    "website": StandardClaim("website", _web_address),
    "gender": StandardClaim("gender", partial(_text, longest=20)),
    "birthdate": StandardClaim("birthday", _day),
    "zoneinfo": StandardClaim("zoneinfo", _time_zone),
    "locale": StandardClaim("locale", _language),
    "address": StandardClaim("address", partial(_lines, longest=1000)),
}
NAMES = {"preferred_username": "username", "email": "email", "phone_number": "mobile"}
PROOFS = {
    "email_verified": ("email", "email_verified"),
    "phone_number_verified": ("mobile", "mobile_verified"),
}
COLUMNS = (
    *(claim.column for claim in CLAIMS.values()),
    *NAMES.values(),
    *(column for _, column in PROOFS.values()),
)
"""Columns of an account that hold standard claims."""
SETTABLE = tuple(sorted({*CLAIMS, *NAMES, *PROOFS}))
WITHOUT_MEMBER = (
    *("name", "given_name", "middle_name", "family_name"),
    *("profile", "website", "zoneinfo", "locale"),
)
"""Claims for which an account has no member in the contract: they are in its list of claims."""
