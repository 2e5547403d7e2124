"""The list of checks: what `idp doctor` does, and the part of it that every start does."""

from __future__ import annotations

from idp.doctor import configuration, services, storage
from idp.doctor.result import Check

CHECKS: dict[str, Check] = {
    "setting names": configuration.names,
    "root secret": configuration.secret,
    "demo data": configuration.demo,
    "data folder": configuration.data_folder,
    "database": storage.reach,
    "release": storage.release,
    "signing keys": storage.keys,
    "shared counters": services.counters,
    "clock": storage.clocks,
    "mail": services.mail,
    "outbox": storage.outbox,
}

WARNING = ("setting names", "demo data", "database")
"""What a start looks at and only warns of: a database may answer later."""
REFUSING = ("release", "signing keys")
"""Without these serving makes no sense."""
