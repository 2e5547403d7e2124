"""Levels of sign-in: how a person proved who they are, as the claim `acr` states it."""

from __future__ import annotations

from dataclasses import dataclass

from idp.platform.issuer import Issuer

PWD = "pwd"  # noqa: S105 - names a level
"""One factor."""
MFA = "mfa"
"""Two factors of different kinds."""
PHR = "phr"
"""A proof that cannot be phished (OpenID Connect EAP ACR Values 1.0)."""
LEVELS = (PWD, MFA, PHR)
"""The lowest one first; a higher one satisfies a lower one."""
HIGHEST = LEVELS[-1]

_RANKS = {level: rank for rank, level in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class SignIn:
    """How and when the person of a token signed in."""

    acr: str
    auth_time: int
    """Seconds since 1970."""


def reachable(issuer: Issuer) -> tuple[str, ...]:
    """Return the levels that a sign-in can reach at an issuer: without passkeys not the highest."""
    return LEVELS if issuer.passkey_host is not None else LEVELS[:-1]


def rank(level: str) -> int:
    """Return the place of a level; an unknown one counts as the lowest."""
    return _RANKS.get(level, 0)


def satisfies(level: str, wanted: str) -> bool:
    """Return whether a level is as high as another one."""
    return rank(level) >= rank(wanted)
