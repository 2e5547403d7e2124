"""The checks of `idp doctor`, in its order."""

from __future__ import annotations

from idp.doctor import configuration, registration, services, storage
from idp.doctor.result import Check

CHECKS: dict[str, Check] = {
    "setting names": configuration.names,
    "root secret": configuration.secret,
    "demo data": storage.demo,
    "data folder": configuration.data_folder,
    "database": storage.reach,
    "migrations": storage.migrations,
    "standbys": storage.standbys,
    "release": storage.release,
    "nodes": storage.nodes,
    "signing keys": storage.keys,
    "clients": registration.clients,
    "shared counters": services.counters,
    "clock": storage.clocks,
    "mail": services.mail,
    "outbox": storage.outbox,
}
