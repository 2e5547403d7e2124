"""Policies of the sign-in page, sessions, stolen passwords and confirmed addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

KIND = "expand"

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
OF_POLICIES = {
    "breached_at_sign_in": sa.String(length=20),
    "identifier_first": sa.Boolean(),
    "session_hours": sa.Integer(),
    "remember_days": sa.Integer(),
    "idle_minutes": sa.Integer(),
    "max_sessions": sa.Integer(),
    "verify": Json,
}
OF_SESSIONS = {"ends_at": sa.DateTime(timezone=True), "idle_minutes": sa.Integer()}
COLUMNS = {"sign_in_policy": OF_POLICIES, "browser_session": OF_SESSIONS}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for table, columns in COLUMNS.items():
        for name in columns:
            op.drop_column(table, name)
