"""The result of a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from idp.config import Settings
from idp.platform.secrets import Keyring

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found."""

    state: State
    seen: str
    todo: str = ""

    @property
    def sentence(self) -> str:
        """What was found and what to do, in one sentence for the terminal."""
        return f"{self.seen}: {self.todo}." if self.todo else f"{self.seen}."


Check = Callable[[Settings], Result]


def ok(seen: str) -> Result:
    """Return the result that there is nothing to do."""
    return Result("ok", seen)


def warning(seen: str, todo: str) -> Result:
    """Return the result that something works, but needs attention."""
    return Result("warning", seen, todo)


def failed(seen: str, todo: str) -> Result:
    """Return the result that something does not work."""
    return Result("failed", seen, todo)


def keyring(settings: Settings) -> Keyring:
    """Return the keys of an installation."""
    return Keyring(settings.secret_keys)
