"""Refused requests: which check refused, found by the id of the request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KIND = "expand"


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "refusal",
        sa.Column("id", id_type, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.String(100), nullable=False),
        sa.Column("path", sa.String(100), nullable=False),
        sa.Column("error", sa.String(100), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("check_name", sa.String(200)),
        sa.Column("client_id", sa.String(200)),
        sa.Column("client_tenant_id", id_type),
        sa.Column("issuer_tenant_id", id_type, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_refusal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_refusal_at", "refusal", ["at"])
    op.create_index("ix_refusal_request_id", "refusal", ["request_id"])


def downgrade() -> None:
    op.drop_table("refusal")
