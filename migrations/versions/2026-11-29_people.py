"""People: memberships of accounts that were made elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Memberships of before count as used; only new rows are written without the default.
    with op.batch_alter_table("membership") as batch:
        batch.add_column(
            sa.Column("is_bound", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("membership") as batch:
        batch.alter_column("is_bound", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("membership") as batch:
        batch.drop_column("is_bound")
