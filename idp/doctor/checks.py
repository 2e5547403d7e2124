"""The list of checks: those of `idp doctor`, and the part that runs at every start."""

from __future__ import annotations

from idp.doctor import configuration, services, storage
from idp.doctor.result import Check

CHECKS: dict[str, Check] = {
    "setting names": configuration.names,
    "root secret": configuration.secret,
    "demo data": storage.demo,
    "data folder": configuration.data_folder,
    "database": storage.reach,
    "release": storage.release,
    "signing keys": storage.keys,
    "clients": storage.clients,
    "shared counters": services.counters,
    "clock": storage.clocks,
    "mail": services.mail,
    "outbox": storage.outbox,
}

BEFORE_START = ("setting names", "database")
"""Checks of which a start only warns: a database may become available later."""
IN_DATABASE = ("release", "signing keys", "demo data")
"""Checks of a start once the database responds; where one fails, starting is refused."""
