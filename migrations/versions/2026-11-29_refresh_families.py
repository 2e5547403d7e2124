"""Refresh tokens: one row for a family. What was issued before stays where it is, and is used up.

Nothing is moved: old servers that still run go on with the old table, and it costs no time.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "refresh_family",
        sa.Column("grant_id", BigInt, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("absolute_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant.id"], name="fk_refresh_family_grant_id_grant", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("grant_id", name="pk_refresh_family"),
        # Room on each page for the next version of a row, which then touches no index.
        postgresql_with={"fillfactor": 80},
    )


def downgrade() -> None:
    # Whoever refreshed since, or signed in, must sign in again.
    op.drop_table("refresh_family")
