"""The codes in links of mails: an API and an address, sealed under a key of ours.

A code cannot be forged or changed, and one for confirming does not cancel. It proves that its
holder reads the mails of that address.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

import orjson
from sqlalchemy.orm import Session

from idp.platform import clock, runtime
from idp.platform.errors import BadRequest
from idp.platform.secrets import UnknownKeyError

LONGEST = 2000


class Use(StrEnum):
    """What a code is for; the value is the purpose of its key."""

    CONFIRM = "subscription confirm"
    CANCEL = "subscription cancel"


class InvalidCode(BadRequest):
    """The code was not made here, is for another use, or has expired."""

    code = "invalid_code"


@dataclass(frozen=True, slots=True)
class Sealed:
    """The content of a code."""

    api_id: int
    address: str
    locale: str


def seal(session: Session, use: Use, sealed: Sealed, seconds: int | None = None) -> str:
    """Make a code; without seconds it does not expire."""
    until = None if seconds is None else int(clock.now().timestamp()) + seconds
    content = orjson.dumps([sealed.api_id, sealed.address, sealed.locale, until])
    return runtime.of(session).keyring.encrypt(use.value, content)


def unseal(session: Session, use: Use, api_id: int, code: str) -> Sealed:
    """Read a code about an API; InvalidCode unless it is valid."""
    try:
        if len(code) > LONGEST or not code.isascii():
            raise InvalidCode.at("code", "The code is not valid.")
        content = orjson.loads(runtime.of(session).keyring.decrypt(use.value, code))
    except (ValueError, UnknownKeyError):
        raise InvalidCode.at("code", "The code is not valid.") from None
    bound, address, locale, until = content
    if bound != api_id or (until is not None and until < clock.now().timestamp()):
        raise InvalidCode.at("code", "The code has expired.")
    return Sealed(bound, address, locale)


def operation(issuer_url: str, name: str, api_id: int, code: str) -> str:
    """Return the address of the contract's operation, which redirects people to the page."""
    return f"{issuer_url}/ApiResource/{api_id}/{name}?{urlencode({'code': code})}"


def page(name: str, api_id: int, code: str, issuer_url: str = "") -> str:
    """Return the address of the page `confirm` or `cancel`; mail programs post to the latter."""
    return f"{issuer_url}/subscriptions/{api_id}/{name}?{urlencode({'code': code})}"
