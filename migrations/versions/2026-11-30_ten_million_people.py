"""A few members of a tenant, and a few people who are locked, among ten million."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idp.platform import online

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

KIND = "expand"

MEMBERS = "ix_membership_tenant_id_user_id"
LOCKED = "ix_user_lockout_end"


def upgrade() -> None:
    online.create_index(MEMBERS, "membership", ["tenant_id", "user_id"])
    is_locked = sa.text("lockout_end IS NOT NULL")
    where = {"sqlite_where": is_locked, "postgresql_where": is_locked}
    online.create_index(LOCKED, "user", ["lockout_end"], **where)


def downgrade() -> None:
    op.drop_index(LOCKED, table_name="user")
    op.drop_index(MEMBERS, table_name="membership")
