"""Clients that may log people in without their second factor, and enrolment codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column("second_factor_exempt", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "enrolment_code",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("code_mac", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_enrolment_code_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_enrolment_code_user_id", "enrolment_code", ["user_id"], unique=True)


def downgrade() -> None:
    op.drop_table("enrolment_code")
    op.drop_column("client", "second_factor_exempt")
