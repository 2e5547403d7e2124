"""Tokens that are bound to a key, and the proofs of it that were seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

KIND = "expand"

CERTIFICATE_NAMES = (
    *(("subject_dn", 1000), ("san_dns", 253), ("san_uri", 1000), ("san_ip", 45)),
    ("san_email", 320),
)
BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "client",
        sa.Column(
            "dpop_bound_access_tokens", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
    )
    op.add_column(
        "client",
        sa.Column(
            "tls_client_certificate_bound_access_tokens",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
        ),
    )
    for name, length in CERTIFICATE_NAMES:
        op.add_column(
            "client", sa.Column(f"tls_client_auth_{name}", sa.String(length=length), nullable=True)
        )
    op.add_column("authorization_code", sa.Column("dpop_jkt", sa.String(length=43), nullable=True))
    op.add_column("refresh_family", sa.Column("dpop_jkt", sa.String(length=43), nullable=True))
    op.add_column("refresh_family", sa.Column("x5t_s256", sa.String(length=43), nullable=True))
    # A proof lives for minutes: what a crash forgets of them is worth no write-ahead log.
    is_postgresql = op.get_context().dialect.name == "postgresql"
    op.create_table(
        "seen_proof",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_seen_proof"),
        sa.UniqueConstraint("key_hash", name="uq_seen_proof_key_hash"),
        prefixes=["UNLOGGED"] if is_postgresql else [],
        sqlite_autoincrement=True,
    )
    op.create_index("ix_seen_proof_expires_at", "seen_proof", ["expires_at"])


def downgrade() -> None:
    op.drop_table("seen_proof")
    op.drop_column("refresh_family", "x5t_s256")
    op.drop_column("refresh_family", "dpop_jkt")
    op.drop_column("authorization_code", "dpop_jkt")
    for name, _ in CERTIFICATE_NAMES:
        op.drop_column("client", f"tls_client_auth_{name}")
    op.drop_column("client", "tls_client_certificate_bound_access_tokens")
    op.drop_column("client", "dpop_bound_access_tokens")
