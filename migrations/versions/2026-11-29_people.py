"""People: memberships of accounts that were made elsewhere, and the standard claims."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KIND = "contract"
RELEASE = "0.1.0"

NAMES = {"display_name": 200, "given_name": 100, "middle_name": 100, "family_name": 100}
ADDRESSES = {"profile": 2000, "website": 2000}
MOVED = {**NAMES, **ADDRESSES}
del MOVED["display_name"]  # `name` was never kept among the claims

user = sa.table("user", sa.column("id"), *(sa.column(name) for name in MOVED))
claim = sa.table(
    "user_claim",
    *(sa.column(name) for name in ("id", "user_id", "tenant_id", "type", "value")),
)


def upgrade() -> None:
    # Memberships of before count as used; only new rows are written without the default.
    with op.batch_alter_table("membership") as batch:
        batch.add_column(
            sa.Column("is_bound", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("membership") as batch:
        batch.alter_column("is_bound", server_default=None)
    with op.batch_alter_table("user") as batch:
        for name, length in {**NAMES, **ADDRESSES}.items():
            batch.add_column(sa.Column(name, sa.String(length), nullable=True))
    # What was kept as a claim is the person's own now: of several the platform's, then the first.
    for name, length in MOVED.items():
        first = (
            sa.select(sa.func.substr(claim.c.value, 1, length))
            .where(claim.c.user_id == user.c.id, claim.c.type == name)
            .order_by(sa.case((claim.c.tenant_id.is_(None), 0), else_=1), claim.c.id)
            .limit(1)
            .scalar_subquery()
        )
        op.execute(user.update().values({name: first}))
        op.execute(claim.delete().where(claim.c.type == name))


def downgrade() -> None:
    for name in MOVED:
        kept = sa.select(user.c.id, sa.literal(name), user.c[name]).where(user.c[name].is_not(None))
        op.execute(claim.insert().from_select(["user_id", "type", "value"], kept))
    with op.batch_alter_table("user") as batch:
        for name in {**NAMES, **ADDRESSES}:
            batch.drop_column(name)
    with op.batch_alter_table("membership") as batch:
        batch.drop_column("is_bound")
