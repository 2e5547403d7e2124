"""Users, clients and sessions: the order in which lists show them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KIND = "expand"

NAMES = {
    "user": "lower(coalesce(display_name, nick_name, username))",
    "client": "lower(coalesce(client_name, client_id))",
}
SEEN = "ix_browser_session_last_seen_at_id"


def upgrade() -> None:
    for table, name in NAMES.items():
        op.create_index(f"ix_{table}_sort_name", table, [sa.text(name), "id"])
        op.create_index(f"ix_{table}_created_at_id", table, ["created_at", "id"])
    op.create_index(SEEN, "browser_session", ["last_seen_at", "id"])
    op.create_index(
        "ix_user_is_disabled",
        "user",
        ["id"],
        sqlite_where=sa.text("is_disabled IS 1"),
        postgresql_where=sa.text("is_disabled IS true"),
    )


def downgrade() -> None:
    op.drop_index("ix_user_is_disabled", table_name="user")
    op.drop_index(SEEN, table_name="browser_session")
    for table in NAMES:
        op.drop_index(f"ix_{table}_created_at_id", table_name=table)
        op.drop_index(f"ix_{table}_sort_name", table_name=table)
