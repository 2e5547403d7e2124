"""Levels of sign-in: how a person proved who they are, as the claim `acr` states it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.platform import clock
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


def held(mfa_at: datetime | None, phr_at: datetime | None, minutes: int) -> str:
    """Return the level of a session; it ends `minutes` after its proof, with 0 it does not."""
    for level, proven_at in ((PHR, phr_at), (MFA, mfa_at)):
        if proven_at is not None and (not minutes or proven_at >= holding_since(minutes)):
            return level
    return PWD


def holding_since(minutes: int) -> datetime:
    """Return when a level must have been proven to hold now."""
    return clock.now() - timedelta(minutes=minutes)


def reachable(issuer: Issuer) -> tuple[str, ...]:
    """Return the levels that a sign-in can reach at an issuer: without passkeys not the highest."""
    return LEVELS if issuer.passkey_host is not None else LEVELS[:-1]


def rank(level: str) -> int:
    """Return the place of a level; an unknown one counts as the lowest."""
    return _RANKS.get(level, 0)


def satisfies(level: str, wanted: str) -> bool:
    """Return whether a level is as high as another one."""
    return rank(level) >= rank(wanted)
