"""Checks of the database and its contents."""

from __future__ import annotations

import time
from collections import Counter

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.clients.models import Client, ClientSecret
from idp.directory.resources.models import ApiSecret
from idp.doctor import pooler
from idp.doctor.result import Result, failed, keyring, ok, warning
from idp.platform import clock, revisions
from idp.platform.db import UtcDateTime
from idp.platform.errors import Unprocessable
from idp.platform.releases import service as releases
from idp.platform.revisions import Standing
from idp.platform.signing import service as signing
from idp.platform.tables import load_models

DEMO = ("demo-web", "demo-spa", "demo-service")
DAY = 24 * 3600
LATE_ROTATION_DAYS = 7
SKEW_SECONDS = 1.0
SLOW_SECONDS = 2.0
WRONG_SECONDS = 60.0

_STANDBYS = text(
    "SELECT coalesce(application_name, ''), sync_state FROM pg_stat_replication"
    " WHERE state IS NULL OR state <> 'backup'"
)
_WAITS_FOR_NONE = frozenset({"off", "local"})


def reach(settings: Settings) -> Result:
    """Check that the database responds."""
    try:
        # A missing SQLite file is not created here; `release` reports that it is missing.
        if is_away(settings):
            return ok("SQLite in a file")
        started = time.monotonic()
        with revisions.looking(settings.database) as connection:
            seconds = time.monotonic() - started
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
            seen = f"{connection.dialect.name} {version} responds"
            # SQLite has no server, and what is never prepared is never mixed.
            may_mix = settings.database_prepare and connection.dialect.name == "postgresql"
            is_pooled = may_mix and pooler.is_pooled(connection)
        if is_pooled and pooler.mixes_statements(settings.database):
            return failed(
                "a connection pooler in transaction mode that does not support prepared statements"
                " stands in front of PostgreSQL",
                "set IDP_DATABASE_PREPARE=false",
            )
        if seconds > SLOW_SECONDS:
            return warning(
                f"{seen}, but it took {seconds:.1f} s to connect",
                "check the network, the load of the server, and max_connections",
            )
        return ok(seen)
    except SQLAlchemyError as error:
        return failed(
            f"the database does not respond ({_reason(error)})",
            "start it, or correct IDP_DATABASE_URL",
        )


def migrations(settings: Settings) -> Result:
    """Check that migrations reach PostgreSQL itself, where a pooler stands in front of it."""
    if settings.database.startswith("sqlite"):
        return ok("migrations run in the file of SQLite")
    try:
        if settings.migrate_url and not revisions.are_same(settings.migrate_url, settings.database):
            return failed(
                "IDP_MIGRATE_URL and IDP_DATABASE_URL name different databases",
                "correct IDP_MIGRATE_URL",
            )
        with revisions.looking(settings.migrations) as connection:
            is_pooled = pooler.is_pooled(connection)
    except SQLAlchemyError as error:
        if settings.migrate_url and reach(settings).state != "failed":
            seen = f"PostgreSQL does not respond at IDP_MIGRATE_URL ({_reason(error)})"
            return warning(seen, "correct it before the next upgrade")
        return unknown()
    if is_pooled:
        return warning(
            "`idp setup` would run migrations through a connection pooler",
            "set IDP_MIGRATE_URL to the address of PostgreSQL itself",
        )
    return ok("migrations reach PostgreSQL itself")


def standbys(settings: Settings) -> Result:
    """Find standbys that may lack what was committed last."""
    if settings.database.startswith("sqlite"):
        return ok("SQLite has no standby")
    try:
        with revisions.looking(settings.database) as connection:
            rows = connection.execute(_STANDBYS).all()
            waits = connection.scalar(text("SELECT current_setting('synchronous_commit')"))
    except SQLAlchemyError:
        return unknown()
    if any(state is None for _, state in rows):
        return ok("standbys are not shown to this role of PostgreSQL")
    late = sorted(name for name, state in rows if state == "async" or waits in _WAITS_FOR_NONE)
    if late:
        return warning(
            f"standbys that may lack the last commits ({', '.join(late)}); promoting one of them"
            " takes back revocations and makes used codes usable again",
            "set synchronous_standby_names, and synchronous_commit to `on`",
        )
    return ok(f"{len(rows)} standbys, each synchronous" if rows else "PostgreSQL has no standby")


def release(settings: Settings) -> Result:
    """Compare the database with this release."""
    try:
        found = revisions.standing(settings.database)
    except SQLAlchemyError:
        return unknown()
    seen, todo = found.value
    seen = f"{revisions.name(settings.database)} {seen}"
    return ok(seen) if found in revisions.USABLE else failed(seen, todo)


def nodes(settings: Settings) -> Result:
    """List the releases that run."""
    try:
        if revisions.standing(settings.database) not in revisions.USABLE:
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            found = releases.running(session)
    except SQLAlchemyError:
        return unknown()
    counts = Counter(node.release for node in found)
    seen = "; ".join(f"release {release}: {count}" for release, count in sorted(counts.items()))
    seen = f"nodes seen in the last two minutes: {seen or 'none'}"
    if len(counts) > 1:
        return warning(seen, "finish the upgrade, or go back, on all nodes")
    return ok(seen)


def keys(settings: Settings) -> Result:
    """Open every signing key."""
    load_models()
    try:
        if is_away(settings):
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            ring = keyring(settings)
            try:
                signing.check_readable(session, ring)
            except Unprocessable as problem:
                seen, _, todo = problem.detail.removesuffix(".").partition(": ")
                return failed(seen, todo)
            closed = signing.unreadable(session, ring)
            if closed:
                return warning(
                    f"IDP_SECRET_KEY does not open {len(closed)} signing keys that are not active",
                    "add the older secret behind the new one, or `idp keys revoke` them",
                )
            if not any(key.status == "active" for key in signing.list_keys(session)):
                return failed("there is no active signing key", "run `idp setup`")
    except SQLAlchemyError:
        return unknown()
    return ok("IDP_SECRET_KEY opens every signing key")


def rotation(settings: Settings) -> Result:
    """Check that keys are replaced when they are old, and that each has a successor."""
    load_models()
    try:
        if is_away(settings):
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            ages = signing.ages(session)
            following = {key.alg for key in signing.list_keys(session) if key.status == "next"}
    except SQLAlchemyError:
        return unknown()
    most = (settings.key_rotation_days + LATE_ROTATION_DAYS) * DAY
    old = sorted(alg for alg, age in ages.items() if age.seconds > most)
    if old:
        return warning(
            f"the active keys for {', '.join(old)} should have been replaced a week ago",
            "check that `idp worker` runs, or `idp keys rotate`",
        )
    missing = sorted(ages.keys() - following)
    if missing:
        return warning(
            f"no key follows the active ones for {', '.join(missing)}", "run `idp setup`"
        )
    days = max((age.seconds for age in ages.values()), default=0.0) / DAY
    return ok(f"the oldest active key has been in use for {days:.0f} days")


def older_roots(settings: Settings) -> Result:
    """Count the secrets that still need an older root secret."""
    if "," not in settings.secret_key.get_secret_value():
        return ok("there is one root secret")
    load_models()
    try:
        if is_away(settings):
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            hashes = [
                *session.scalars(select(ClientSecret.value_hash)),
                *session.scalars(select(ApiSecret.value_hash)),
            ]
    except SQLAlchemyError:
        return unknown()
    ring = keyring(settings)
    count = sum(not ring.is_current(kept) for kept in hashes)
    if count:
        return warning(
            f"{count} secrets of clients and APIs need an older secret of IDP_SECRET_KEY",
            "run `idp keys rewrap`, and give those that it lists new secrets",
        )
    return ok("no secret of a client or API needs an older root secret")


def demo(settings: Settings) -> Result:
    """Find demo clients in production; their names are public."""
    if settings.environment == "development":
        return ok("demo data may be here, in development")
    load_models()
    try:
        if is_away(settings):
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            query = select(Client.client_id).where(Client.client_id.in_(DEMO), Client.enabled)
            found = sorted(session.scalars(query))
    except SQLAlchemyError:
        return unknown()
    if settings.demo or found:
        named = ", ".join(found) or "IDP_DEMO is set"
        return warning(
            f"demo data in production ({named})",
            "remove IDP_DEMO, and disable these clients and the user `demo`",
        )
    return ok("no demo data")


def clocks(settings: Settings) -> Result:
    """Compare the clock of this machine with the one of the database."""
    if settings.database.startswith("sqlite"):
        return ok("the database uses the clock of this machine")
    try:
        with revisions.looking(settings.database) as connection:
            before = clock.now()
            theirs = connection.scalar(select(func.clock_timestamp(type_=UtcDateTime())))
            after = clock.now()
    except SQLAlchemyError:
        return unknown()
    if theirs is None:
        return unknown()
    skew = abs((theirs - (before + (after - before) / 2)).total_seconds())
    seen = f"the clocks of this machine and of the database differ by {skew:.1f} s"
    todo = "synchronise both with a time server (NTP)"
    if skew > WRONG_SECONDS:
        return failed(seen, todo)
    return warning(seen, todo) if skew > SKEW_SECONDS else ok(seen)


def is_away(settings: Settings) -> bool:
    """Return whether the database is a file of SQLite that does not exist."""
    return (
        settings.database.startswith("sqlite")
        and revisions.standing(settings.database) is Standing.EMPTY
    )


def unknown() -> Result:
    """Return what a check says that could not look into the database."""
    return warning("unknown while the database cannot be read", "correct that first")


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
