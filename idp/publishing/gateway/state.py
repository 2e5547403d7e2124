"""A publication as one value, to which tables and gateways are brought."""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Self

import orjson


class Drift(Enum):
    """How a gateway differs from the tables."""

    MISSING = "missing"
    """It is in the tables alone."""
    DIFFERENT = "different"
    UNKNOWN = "unknown"
    """It is at the gateway alone."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which a gateway differs from the tables."""

    name: str
    """What the gateway calls it."""
    drift: Drift
    api_id: int | None = None
    """None: no publication of ours."""


@dataclass(frozen=True, slots=True)
class Release:
    """A note about a revision that went online."""

    name: str
    revision: int
    notes: str
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """A description that was imported, and the upstream of its calls."""

    number: int
    note: str
    upstream: str
    source_url: str
    kind: str
    breaking: tuple[str, ...] = ()
    is_current: bool = False
    packed: bytes | None = None
    """The description, in a revision that is not in the tables yet."""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A gateway API."""

    aid: str
    name: str
    """Value of `api-version`; empty: the original."""
    products: tuple[str, ...]
    revisions: tuple[Revision, ...]
    releases: tuple[Release, ...] = ()

    @property
    def current(self) -> Revision:
        """The revision that is online."""
        return next(revision for revision in self.revisions if revision.is_current)

    @property
    def newest(self) -> Revision:
        """The revision with the highest number."""
        return self.revisions[-1]

    def find(self, number: int) -> Revision | None:
        """Find a revision by number."""
        return next((row for row in self.revisions if row.number == number), None)

    def with_online(self, number: int) -> Version:
        """Put a revision online, and the others offline."""
        rows = tuple(replace(row, is_current=row.number == number) for row in self.revisions)
        return replace(self, revisions=rows)


@dataclass(frozen=True, slots=True)
class Published:
    """A microservice at the gateway."""

    api_id: int
    tenant_id: int
    """Whose gateway and upstreams it uses; the platform's own are those of tenant 1."""
    stamp: str
    """Identifies this state; empty: not in the tables yet."""
    suffix: str
    name: str | None
    description: str | None
    authorization_server: str | None
    scope: str | None
    openid: str | None
    configuration: str
    """The last publish request as JSON."""
    number: int
    versions: tuple[Version, ...]

    def find(self, aid: str) -> Version | None:
        """Find a version by its gateway id."""
        return next((version for version in self.versions if version.aid == aid), None)

    def replacing(self, version: Version) -> Published:
        """Return the state with a version replaced, or added at the end."""
        if self.find(version.aid) is None:
            return replace(self, versions=(*self.versions, version))
        kept = tuple(version if row.aid == version.aid else row for row in self.versions)
        return replace(self, versions=kept)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        value = asdict(self)
        for version in value["versions"]:
            for revision in version["revisions"]:
                packed = revision["packed"]
                revision["packed"] = None if packed is None else base64.b64encode(packed).decode()
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read the output of `to_json`."""
        versions = tuple(
            Version(
                **{
                    **version,
                    "products": tuple(version["products"]),
                    "revisions": tuple(map(_revision, version["revisions"])),
                    "releases": tuple(_release(row) for row in version["releases"]),
                }
            )
            for version in value["versions"]
        )
        return cls(**{**value, "versions": versions})


def pack(document: dict[str, Any]) -> bytes:
    """Return a description as it is stored: JSON, compressed."""
    return zlib.compress(orjson.dumps(document, option=orjson.OPT_SORT_KEYS), 6)


def unpack(packed: bytes) -> dict[str, Any]:
    """Return a stored description."""
    document: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    return document


def _revision(value: dict[str, Any]) -> Revision:
    packed = value["packed"]
    return Revision(
        **{
            **_with_times(value),
            "breaking": tuple(value["breaking"]),
            "packed": None if packed is None else base64.b64decode(packed),
        }
    )


def _release(value: dict[str, Any]) -> Release:
    return Release(**_with_times(value))


def _with_times(value: dict[str, Any]) -> dict[str, Any]:
    times = {
        name: datetime.fromisoformat(value[name])
        for name in ("created_at", "updated_at")
        if isinstance(value[name], str)
    }
    return value | times
