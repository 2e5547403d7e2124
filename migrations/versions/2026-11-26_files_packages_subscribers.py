"""Uploaded files, SDK packages and subscriptions of APIs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "stored_file",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("original_name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", BigInt, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", BigInt, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_stored_file_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_stored_file_user_id_user", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stored_file"),
        sa.UniqueConstraint("name", name="uq_stored_file_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_stored_file_tenant_id", "stored_file", ["tenant_id"], unique=False)
    op.create_index("ix_stored_file_user_id", "stored_file", ["user_id"], unique=False)
    op.create_table(
        "sdk_package",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=True),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("publisher", sa.String(length=200), nullable=False),
        sa.Column("link", sa.String(length=2000), nullable=False),
        sa.Column("icon", sa.String(length=2000), nullable=False),
        sa.Column("platform", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=100), nullable=False),
        sa.Column("show_index", sa.Integer(), nullable=False),
        sa.Column("tags", sa.String(length=1000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_sdk_package_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sdk_package"),
        sa.UniqueConstraint("api_resource_id", "name", name="uq_sdk_package_api_resource_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_sdk_package_api_resource_id", "sdk_package", ["api_resource_id"], unique=False
    )
    op.create_table(
        "subscription",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("address_key", sa.String(length=320), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("told_of", BigInt, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_subscription_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
        sa.UniqueConstraint(
            "api_resource_id", "address_key", name="uq_subscription_api_resource_id_address_key"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_subscription_api_resource_id", "subscription", ["api_resource_id"], unique=False
    )


def downgrade() -> None:
    for table in ("subscription", "sdk_package", "stored_file"):
        op.drop_table(table)
