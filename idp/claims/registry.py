"""The function for each claim. A new claim is a function and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from idp.claims import access, profile
from idp.claims.subject import Subject
from idp.directory.users import names

CLAIMS: Mapping[str, Callable[[Subject], Any]] = {
    # profile
    "name": profile.name,
    "given_name": profile.given_name,
    "family_name": profile.family_name,
    "middle_name": profile.middle_name,
    "nickname": profile.nickname,
    "preferred_username": profile.preferred_username,
    "profile": profile.profile,
    "picture": profile.picture,
    "website": profile.website,
    "gender": profile.gender,
    "birthdate": profile.birthdate,
    "zoneinfo": profile.zoneinfo,
    "locale": profile.locale,
    "updated_at": profile.updated_at,
    # email, phone, address
    "email": profile.email,
    "email_verified": profile.email_verified,
    "phone_number": profile.phone_number,
    "phone_number_verified": profile.phone_number_verified,
    "address": profile.address,
    # access
    "tenant": access.tenant,
    "role": access.role,
    "permission": access.permission,
}

PROTOCOL_CLAIMS = frozenset(
    {
        "iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr",
        "sid", "at_hash", "c_hash", "client_id", "scope", "permission_ref", "role_ref",
        "claims_ref", "active", "token_type", "cnf", "act",
    }
)  # fmt: skip
"""Set by the protocol alone; neither rows nor requests can put them into a token."""


class Names(frozenset[str]):
    """Names that are found in any spelling: verifiers may compare without case."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        """Return whether a name is one of these, apart from case, width and surrounding spaces."""
        return isinstance(name, str) and super().__contains__(names.key(name))


RESERVED = Names(PROTOCOL_CLAIMS | CLAIMS.keys())
"""Claims that no row of a client, a person or a role may set."""


def is_misspelled(name: str) -> bool:
    """Return whether a name is another spelling of a claim that has a meaning."""
    return name in RESERVED and name not in CLAIMS and name not in PROTOCOL_CLAIMS


def has_kept(requested: Iterable[str]) -> bool:
    """Return whether any of these claims may be a custom claim of administrators."""
    return any(name not in RESERVED for name in requested)


def collect(subject: Subject, requested: Iterable[str]) -> dict[str, Any]:
    """Return the claims of these names that have a value.

    A name without a function is looked up among the claims that administrators keep for the
    person and the person's roles: one value as text, several as an array. A name with a function
    never is: a row cannot set a person's e-mail address, let alone a verified one.
    """
    found: dict[str, Any] = {}
    for name in sorted(set(requested) - PROTOCOL_CLAIMS):
        answer = CLAIMS.get(name)
        if answer is not None:
            value = answer(subject)
        elif name not in RESERVED:
            value = _kept(subject, name)
        else:
            continue
        if value is not None:
            found[name] = value
    return found


def _kept(subject: Subject, name: str) -> str | list[str] | None:
    values = subject.custom.get(name)
    return None if values is None else values[0] if len(values) == 1 else values
