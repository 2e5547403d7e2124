"""What a backup says about itself: where it is from, what is in it, and under which secret."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from idp.platform.errors import Conflict
from idp.platform.secrets import Keyring

FORMAT = 1
ROOT_PURPOSE = "backup root secret"
SEAL_PURPOSE = "backup manifest"
_CONSTANT = "idp"


class Member(BaseModel):
    """A file of the archive."""

    model_config = ConfigDict(frozen=True)

    size: NonNegativeInt
    sha256: str


class Manifest(BaseModel):
    """The content of `manifest.json`."""

    model_config = ConfigDict(frozen=True)

    format: int
    made_at: datetime
    release: str
    schema_number: NonNegativeInt
    revision: str
    """Of the last migration."""
    database: str
    """`sqlite` or `postgresql`."""
    root_secret: str
    """A fingerprint of the root secret, which reveals nothing of it."""
    active_keys: list[str]
    """Ids of the keys that sign."""
    rows: dict[str, NonNegativeInt]
    """Number of rows by table."""
    highest_ids: dict[str, NonNegativeInt]
    """Highest id that each table ever assigned."""
    members: dict[str, Member] = {}


def fingerprint(keyring: Keyring) -> str:
    """Return the fingerprint of the current root secret."""
    return keyring.mac(ROOT_PURPOSE, _CONSTANT)


def seal(keyring: Keyring, text: str) -> str:
    """Return what proves that a manifest was written under our root secret."""
    return keyring.mac(SEAL_PURPOSE, text)


def read(keyring: Keyring, text: str, unverified_seal: str) -> Manifest:
    """Return a manifest; Conflict if it is of another root secret, or was changed."""
    try:
        found = Manifest.model_validate_json(text)
    except ValidationError:
        raise Conflict("This is no backup of idp, or it was altered.") from None
    if found.format > FORMAT:
        raise Conflict(f"The backup was made by a newer release of idp ({found.release}).")
    if not keyring.mac_matches(ROOT_PURPOSE, _CONSTANT, found.root_secret):
        raise Conflict(
            "The backup was made under another root secret: set IDP_SECRET_KEY to the secret of"
            " that time; if it was changed since, to `new,old`."
        )
    if not keyring.mac_matches(SEAL_PURPOSE, text, unverified_seal):
        raise Conflict("The backup was altered: its manifest does not have the seal that it needs.")
    return found
