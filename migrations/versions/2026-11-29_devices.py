"""Devices that people signed in with, and the wish to have one remembered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_devices()
    _create_users()
    op.add_column(
        "sign_in_attempt",
        sa.Column("remember_device", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def _create_devices() -> None:
    op.create_table(
        "device",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("value_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_device_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
        sa.UniqueConstraint("handle_hash", name="uq_device_handle_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("issuer_tenant_id", "last_seen_at"):
        op.create_index(f"ix_device_{column}", "device", [column])


def _create_users() -> None:
    op.create_table(
        "device_user",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("device_id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("remembered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("security_stamp", sa.String(length=64), nullable=True),
        sa.Column("remote_addr", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=300), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name="fk_device_user_device_id_device", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_device_user_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device_user"),
        sa.UniqueConstraint("device_id", "user_id", name="uq_device_user_device_id_user_id"),
        sqlite_autoincrement=True,
    )
    for column in ("device_id", "user_id"):
        op.create_index(f"ix_device_user_{column}", "device_user", [column])


def downgrade() -> None:
    op.drop_column("sign_in_attempt", "remember_device")
    op.drop_table("device_user")
    op.drop_table("device")
