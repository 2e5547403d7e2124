"""Clients: how long a used refresh token may come again; those of public clients are used once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KIND = "expand"


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column("refresh_token_reuse_seconds", sa.Integer(), nullable=False, server_default="60"),
    )
    # Refresh tokens of public clients that stay the same are refused by now (RFC 9700 4.14.2).
    op.execute("UPDATE client SET refresh_token_usage = 1 WHERE NOT require_client_secret")


def downgrade() -> None:
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_column("refresh_token_reuse_seconds")
