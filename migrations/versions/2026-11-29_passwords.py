"""Policies of passwords, earlier passwords, and imported hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

KIND = "expand"

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = ("password_length", "password_classes", "password_history", "password_expiry_days")


def upgrade() -> None:
    op.create_table(
        "sign_in_policy",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("tenant_id", BIGINT, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in NUMBERS),
        sa.Column("password_must_change", sa.Boolean(), nullable=True),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name=op.f("fk_sign_in_policy_tenant_id_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_policy")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_sign_in_policy_tenant_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "password_history",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("user_id", BIGINT, nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_password_history_user_id_user"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_history")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_password_history_user_id", "password_history", ["user_id"])
    op.create_table(
        "password_cost",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("scheme", sa.String(length=100), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_cost")),
        sa.UniqueConstraint("scheme", name=op.f("uq_password_cost_scheme")),
        sqlite_autoincrement=True,
    )
    op.add_column(
        "user", sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column(
        "user",
        sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("user", "must_change_password")
    op.drop_column("user", "password_changed_at")
    op.drop_table("password_cost")
    op.drop_table("password_history")
    op.drop_table("sign_in_policy")
