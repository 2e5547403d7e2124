"""Policies of second factors, levels and devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
COLUMNS = {
    "second_factor": sa.String(length=20),
    "level": sa.String(length=20),
    "factors": Json,
    "grace_days": sa.Integer(),
    "level_minutes": sa.Integer(),
    "device_days": sa.Integer(),
    "exempt_user_ids": Json,
}
TIMES = {"browser_session": "trusted_until", "user": "second_factor_asked_at"}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("sign_in_policy", sa.Column(name, kind, nullable=True))
    for table, name in TIMES.items():
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "role_policy",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("role_id", BigInt, nullable=False),
        sa.Column("second_factor", sa.String(length=20), nullable=True),
        sa.Column("level", sa.String(length=20), nullable=True),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name="fk_role_policy_role_id_role", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_role_policy"),
        sa.UniqueConstraint("role_id", name="uq_role_policy_role_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("role_policy")
    for table, name in TIMES.items():
        op.drop_column(table, name)
    for name in COLUMNS:
        op.drop_column("sign_in_policy", name)
