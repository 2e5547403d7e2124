"""What would be issued: the functions that issue tokens run, and nothing is signed or kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from sqlalchemy.orm import Session

from idp.oauth.access_tokens import ACCESS_TOKEN_TYPE
from idp.platform.cache import Lookup
from idp.platform.db import AtomicWrite
from idp.platform.signing.signer import Keys
from idp.platform.storage import SessionStorage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Content of a token that was not issued."""

    claims: Mapping[str, Any]
    algorithm: str | None
    """None: a reference token, whose content stays here."""


class Recorder(SessionStorage):
    """A storage that keeps what tokens would say, by their type, and writes nothing."""

    __slots__ = ("recorded",)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.recorded: dict[str, Recorded] = {}

    async def look_up(self, lookup: Lookup[..., T], *arguments: Any) -> T:
        """Return the result of a look-up; of signing keys, keys that only record."""
        found = await super().look_up(lookup, *arguments)
        if isinstance(found, Keys):
            return cast("T", _recording(found, self.recorded))
        return found

    async def write(self, change: AtomicWrite, values: Mapping[str, Any]) -> int | None:
        """Record the content of a reference token; nothing else may be written."""
        del change
        self.recorded[ACCESS_TOKEN_TYPE] = Recorded(values["claims"], None)
        return 1

    async def write_and_read(
        self, change: AtomicWrite, values: Mapping[str, Any]
    ) -> Sequence[Any] | None:
        """Do nothing, as a database that cannot tell what it found."""
        del change, values
        return None


@dataclass(frozen=True)
class _RecordingKeys(Keys):
    recorded: dict[str, Recorded] = field(default_factory=dict)

    def sign(self, claims: Mapping[str, object], *, alg: str | None, typ: str) -> str:
        """Record claims; the answer is as long as a token, and its signature is worth nothing.

        It is signed all the same, so that what signing refuses is refused here too.
        """
        signed = super().sign(claims, alg=alg, typ=typ)
        self.recorded[typ] = Recorded(claims, alg or self.default_algorithm)
        head, dot, signature = signed.rpartition(".")
        return head + dot + "A" * len(signature)


def _recording(keys: Keys, recorded: dict[str, Recorded]) -> Keys:
    same = {column.name: getattr(keys, column.name) for column in fields(keys)}
    return _RecordingKeys(**same, recorded=recorded)
