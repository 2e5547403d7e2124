"""Pushed and signed authorization requests, and signed answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

TEXTS = {"request_object_signing_alg": 20, "authorization_signed_response_alg": 20}
SWITCHES = ("require_pushed_authorization_requests", "require_signed_request_object")


def upgrade() -> None:
    for name, length in TEXTS.items():
        op.add_column("client", sa.Column(name, sa.String(length=length), nullable=True))
    for name in SWITCHES:
        op.add_column(
            "client", sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    op.add_column("client", sa.Column("response_modes", Json, nullable=True))
    op.add_column("authorization_request", sa.Column("pushed_request_id", BigInt, nullable=True))
    op.add_column(
        "authorization_request",
        sa.Column("is_signed", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    _create_pushed_requests()


def _create_pushed_requests() -> None:
    op.create_table(
        "pushed_request",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("is_signed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_pushed_request_client_id_client",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_pushed_request_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pushed_request"),
        sa.UniqueConstraint("handle_hash", name="uq_pushed_request_handle_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("issuer_tenant_id", "client_id", "expires_at"):
        op.create_index(f"ix_pushed_request_{column}", "pushed_request", [column])


def downgrade() -> None:
    op.drop_table("pushed_request")
    for name in ("is_signed", "pushed_request_id"):
        op.drop_column("authorization_request", name)
    for name in ("response_modes", *SWITCHES, *TEXTS):
        op.drop_column("client", name)
