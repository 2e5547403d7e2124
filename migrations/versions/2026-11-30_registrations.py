"""Clients that registered themselves, and the tokens that let them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0038"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "registration_token",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("policy", Json, nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=True),
        sa.Column("created_by", BigInt, nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=True),
        sa.Column("revoked_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_registration_token_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["user.id"],
            name="fk_registration_token_created_by_user",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_registration_token"),
        sa.UniqueConstraint("token_hash", name="uq_registration_token_token_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("tenant_id", "created_by"):
        op.create_index(f"ix_registration_token_{column}", "registration_token", [column])
    op.create_table(
        "client_registration",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("registration_token_id", BigInt, nullable=True),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("extra", Json, nullable=False),
        sa.Column("used_at", Moment, nullable=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_registration_client_id_client",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_client_registration_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["registration_token_id"],
            ["registration_token.id"],
            name="fk_client_registration_registration_token_id_registration_token",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_registration"),
        sa.UniqueConstraint("client_id", name="uq_client_registration_client_id"),
        sqlite_autoincrement=True,
    )
    for column in ("issuer_tenant_id", "registration_token_id", "created_at"):
        op.create_index(f"ix_client_registration_{column}", "client_registration", [column])


def downgrade() -> None:
    op.drop_table("client_registration")
    op.drop_table("registration_token")
