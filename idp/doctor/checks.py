"""The checks of `idp doctor`, in its order."""

from __future__ import annotations

from idp.doctor import addresses, configuration, registration, server, services, storage, work
from idp.doctor.result import Check

CHECKS: dict[str, Check] = {
    "setting names": configuration.names,
    "root secret": configuration.secret,
    "demo data": storage.demo,
    "data folder": configuration.data_folder,
    "private files": configuration.private,
    "database": storage.reach,
    "server": server.version,
    "migrations": storage.migrations,
    "standbys": storage.standbys,
    "time limits": server.limits,
    "connections": server.connections,
    "upkeep": server.upkeep,
    "release": storage.release,
    "nodes": storage.nodes,
    "indexes": server.indexes,
    "signing keys": storage.keys,
    "key rotation": storage.rotation,
    "older secrets": storage.older_roots,
    "clients": registration.clients,
    "shared counters": services.counters,
    "clock": storage.clocks,
    "addresses": addresses.issuers,
    "proxy": addresses.proxy,
    "mail": services.mail,
    "text messages": services.text_messages,
    "outbox": work.outbox,
    "chores": work.chores,
    "files": work.files,
}
OUTSIDE: dict[str, Check] = {"mail sender": services.sender}
"""Checks that ask servers which are not part of the installation."""

OF_DATABASE = frozenset(
    {
        *("demo data", "database", "server", "standbys", "time limits", "connections", "upkeep"),
        *("release", "nodes", "indexes", "signing keys", "key rotation", "older secrets"),
        *("clients", "clock", "outbox", "chores"),
    }
)
"""Checks that the database must answer."""
