"""Large tables are vacuumed early and have room for changes; tenants that are being cleared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0025"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

VACUUMED = (
    *("audit_event", "authorization_code", "browser_session", "consent", "grant", "membership"),
    *("outbox", "reference_token", "refresh_family", "refresh_token", "revoked_token", "user"),
    "user_role",
)
VACUUM = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02"
CHANGED = ("browser_session", "outbox", "refresh_family", "refresh_token")
"""Tables whose rows are changed often; a changed row that fits on its page needs no index entry."""
FILL = "fillfactor = 85"


def upgrade() -> None:
    op.create_table(
        "tenant_clearance",
        sa.Column("tenant_id", BigInt, autoincrement=False, nullable=False),
        sa.Column("requested_by", BigInt, nullable=False),
        sa.Column("members", BigInt, nullable=False),
        sa.Column("removed", BigInt, nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_tenant_clearance_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_tenant_clearance"),
    )
    if op.get_context().dialect.name != "postgresql":
        return
    for table in VACUUMED:
        fill = f", {FILL}" if table in CHANGED else ""
        op.execute(f'ALTER TABLE "{table}" SET ({VACUUM}{fill})')


def downgrade() -> None:
    op.drop_table("tenant_clearance")
    if op.get_context().dialect.name != "postgresql":
        return
    for table in VACUUMED:
        fill = ", fillfactor" if table in CHANGED else ""
        names = f"autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor{fill}"
        op.execute(f'ALTER TABLE "{table}" RESET ({names})')
