"""Where clients come from, and which of them an issuer lets in that nobody registered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
HASH = sa.String(length=43)


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column("origin", sa.String(length=20), server_default="operator", nullable=False),
    )
    op.add_column("client", sa.Column("document_hash", HASH, nullable=True))
    op.add_column("consent", sa.Column("document_hash", HASH, nullable=True))
    op.create_table(
        "stranger_policy",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("clients_by_document", sa.String(length=10), nullable=False),
        sa.Column("clients_by_document_hosts", Json, nullable=False),
        sa.Column("clients_by_document_blocked", Json, nullable=False),
        sa.Column("clients_by_registration", sa.String(length=10), nullable=False),
        sa.Column("stranger_scopes", Json, nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_stranger_policy_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stranger_policy"),
        sa.UniqueConstraint("tenant_id", name="uq_stranger_policy_tenant_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("stranger_policy")
    op.drop_column("consent", "document_hash")
    op.drop_column("client", "document_hash")
    op.drop_column("client", "origin")
