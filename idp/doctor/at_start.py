"""The checks of every start. They import little, so that a start stays quick."""

from __future__ import annotations

from idp.doctor import configuration, storage
from idp.doctor.result import Check

BEFORE_START: dict[str, Check] = {
    "setting names": configuration.names,
    "database": storage.reach,
}
"""Checks of which a start only warns: a database may become available later."""
IN_DATABASE: dict[str, Check] = {
    "release": storage.release,
    "signing keys": storage.keys,
    "demo data": storage.demo,
}
"""Checks of a start once the database responds; where one fails, starting is refused."""
