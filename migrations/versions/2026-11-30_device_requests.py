"""Requests of devices that have no browser."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column("device_requires_login", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("authorization_request", sa.Column("device_request_id", BigInt, nullable=True))
    op.create_table(
        "device_request",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("device_code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_code_mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("remote_addr", sa.String(length=100), nullable=True),
        sa.Column("user_agent", sa.String(length=300), nullable=True),
        sa.Column("poll_seconds", sa.Integer(), nullable=False),
        sa.Column("grant_id", BigInt, nullable=True),
        sa.Column("denied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_device_request_client_id_client",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant.id"], name="fk_device_request_grant_id_grant", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_device_request_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_device_request"),
        sa.UniqueConstraint("device_code_hash", name="uq_device_request_device_code_hash"),
        sa.UniqueConstraint("user_code_mac", name="uq_device_request_user_code_mac"),
        sqlite_autoincrement=True,
    )
    for column in ("issuer_tenant_id", "client_id", "grant_id", "expires_at"):
        op.create_index(f"ix_device_request_{column}", "device_request", [column])


def downgrade() -> None:
    op.drop_table("device_request")
    op.drop_column("authorization_request", "device_request_id")
    op.drop_column("client", "device_requires_login")
