"""Audit events: found by what they were done to, and by the request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KIND = "expand"


def upgrade() -> None:
    others = sa.text("tag NOT LIKE 'client:%'")
    op.create_index(
        "ix_audit_event_target_at",
        "audit_event",
        ["target", "at"],
        sqlite_where=others,
        postgresql_where=others,
    )
    op.create_index("ix_audit_event_request_id", "audit_event", ["request_id"])


def downgrade() -> None:
    op.drop_index("ix_audit_event_request_id", table_name="audit_event")
    op.drop_index("ix_audit_event_target_at", table_name="audit_event")
