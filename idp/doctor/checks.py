"""The list of checks: what `idp doctor` does, and the part of it that every start does."""

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
"""What a start warns of: a database may answer later."""
IN_DATABASE = ("release", "signing keys", "demo data")
"""What a start looks at when the database answers; it makes no sense where one of them failed."""
