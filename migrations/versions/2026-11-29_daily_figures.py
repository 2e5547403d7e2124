"""How many events of a kind each day had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "daily_figure",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.Column("count", BigInt, nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_daily_figure"),
        sa.UniqueConstraint("tenant_id", "day", "tag", name="uq_daily_figure_tenant_id_day_tag"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_daily_figure_counted_at", "daily_figure", ["counted_at"])


def downgrade() -> None:
    op.drop_table("daily_figure")
