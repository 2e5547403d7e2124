"""What codes by mail and text message depend on, and answers to offers of a second factor."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

KIND = "expand"

TIMES = ("email_changed_at", "mobile_changed_at", "password_reset_at", "factor_declined_at")


def upgrade() -> None:
    for name in TIMES:
        op.add_column("user", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "authorization_request",
        sa.Column("level_declined", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("authorization_request", "level_declined")
    for name in reversed(TIMES):
        op.drop_column("user", name)
