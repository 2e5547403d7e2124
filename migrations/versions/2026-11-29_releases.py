"""Releases side by side: what the schema is, which nodes run, how far backfills have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    installation = op.create_table(
        "installation",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("schema_number", sa.Integer(), nullable=False),
        sa.Column("oldest_code", sa.Integer(), nullable=False),
        sa.Column("release", sa.String(length=50), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
        sqlite_autoincrement=True,
    )
    # Each migration from this one on writes what it leaves there (idp/platform/online.py).
    first = {"id": 1, "schema_number": 0, "oldest_code": 0, "release": ""}
    op.execute(installation.insert().values(**first, at=sa.func.current_timestamp()))
    op.create_table(
        "node",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("release", sa.String(length=50), nullable=False),
        sa.Column("schema_number", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_node"),
    )
    op.create_index("ix_node_seen_at", "node", ["seen_at"])
    op.create_table(
        "backfill",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_backfill"),
    )


def downgrade() -> None:
    for table in ("backfill", "node", "installation"):
        op.drop_table(table)
