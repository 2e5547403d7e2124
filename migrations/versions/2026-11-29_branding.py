"""Branding of tenants."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

KIND = "expand"

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "branding",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("tenant_id", BIGINT, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("accent", sa.String(length=7), nullable=True),
        sa.Column("accent_dark", sa.String(length=7), nullable=True),
        sa.Column("logo", sa.String(length=40), nullable=True),
        sa.Column("icon", sa.String(length=40), nullable=True),
        sa.Column("help_uri", sa.String(length=2000), nullable=True),
        sa.Column("privacy_uri", sa.String(length=2000), nullable=True),
        sa.Column("imprint_uri", sa.String(length=2000), nullable=True),
        sa.Column(
            "texts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False
        ),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name=op.f("fk_branding_tenant_id_tenant"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_branding")),
        sa.UniqueConstraint("tenant_id", name=op.f("uq_branding_tenant_id")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("branding")
