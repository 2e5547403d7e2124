"""Sign-ins under way, second factors, and the level that clients ask for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0022"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    _create_attempts()
    _create_factors()
    op.add_column("browser_session", sa.Column("mfa_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("client", sa.Column("require_acr", sa.String(length=20), nullable=True))
    op.add_column("client", sa.Column("default_acr_values", Json, nullable=True))


def _create_attempts() -> None:
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("security_stamp", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("proofs", Json, nullable=False),
        sa.Column("remember", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.String(length=200), nullable=True),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_sign_in_attempt_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_sign_in_attempt_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_attempt"),
        sa.UniqueConstraint("handle_hash", name="uq_sign_in_attempt_handle_hash"),
        sqlite_autoincrement=True,
    )
    for column in ("issuer_tenant_id", "user_id", "expires_at"):
        op.create_index(f"ix_sign_in_attempt_{column}", "sign_in_attempt", [column])


def _create_factors() -> None:
    columns = {
        "totp": (
            sa.Column("name", sa.String(length=100), nullable=False),
            sa.Column("secret_encrypted", sa.String(length=200), nullable=False),
            sa.Column("last_step", BigInt, nullable=False),
            sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        ),
        "recovery_code": (
            sa.Column("code_mac", sa.String(length=100), nullable=False),
            sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        ),
    }
    for table, own in columns.items():
        op.create_table(
            table,
            sa.Column("id", BigInt, nullable=False),
            sa.Column("user_id", BigInt, nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            *own,
            sa.ForeignKeyConstraint(
                ["user_id"], ["user.id"], name=f"fk_{table}_user_id_user", ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sqlite_autoincrement=True,
        )
        op.create_index(f"ix_{table}_user_id", table, ["user_id"])


def downgrade() -> None:
    op.drop_column("client", "default_acr_values")
    op.drop_column("client", "require_acr")
    op.drop_column("browser_session", "mfa_at")
    for table in ("recovery_code", "totp", "sign_in_attempt"):
        op.drop_table(table)
