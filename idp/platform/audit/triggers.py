"""The triggers that make `audit_event` append-only, as the migration installs them.

UPDATE is always refused. DELETE is refused unless `audit_retention` holds a row, which retention
puts there and takes away again within one transaction, so that no other transaction ever sees it.
"""

from __future__ import annotations

_POSTGRESQL_CREATE = (
    """
    CREATE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM audit_retention) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit_event is append-only' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE TRIGGER audit_event_keep BEFORE UPDATE OR DELETE ON audit_event
    FOR EACH ROW EXECUTE FUNCTION audit_event_refuse()
    """,
    """
    CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION audit_event_refuse()
    """,
)
_POSTGRESQL_DROP = (
    "DROP TRIGGER audit_event_no_truncate ON audit_event",
    "DROP TRIGGER audit_event_keep ON audit_event",
    "DROP FUNCTION audit_event_refuse()",
)
_SQLITE_CREATE = (
    """
    CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
    BEGIN
        SELECT RAISE(ABORT, 'audit_event is append-only');
    END
    """,
    """
    CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
    WHEN NOT EXISTS (SELECT 1 FROM audit_retention)
    BEGIN
        SELECT RAISE(ABORT, 'audit_event is append-only');
    END
    """,
    # INSERT OR REPLACE deletes the row in its way without firing the trigger above.
    """
    CREATE TRIGGER audit_event_no_replace BEFORE INSERT ON audit_event
    WHEN EXISTS (SELECT 1 FROM audit_event WHERE id = NEW.id)
    BEGIN
        SELECT RAISE(ABORT, 'audit_event is append-only');
    END
    """,
)
_SQLITE_DROP = (
    "DROP TRIGGER audit_event_no_replace",
    "DROP TRIGGER audit_event_no_delete",
    "DROP TRIGGER audit_event_no_update",
)
_CREATE = {"postgresql": _POSTGRESQL_CREATE, "sqlite": _SQLITE_CREATE}
_DROP = {"postgresql": _POSTGRESQL_DROP, "sqlite": _SQLITE_DROP}


def create(dialect_name: str) -> list[str]:
    """List the statements that install the triggers, after both tables were made."""
    return list(_CREATE[dialect_name])


def drop(dialect_name: str) -> list[str]:
    """List the statements that take the triggers away, before the tables are dropped."""
    return list(_DROP[dialect_name])
