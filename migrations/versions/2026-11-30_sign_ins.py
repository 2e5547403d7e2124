"""The audit log: when people last signed in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idp.platform import online

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

KIND = "expand"

NAME = "ix_audit_event_sign_in"
SIGN_INS = sa.text("tag = 'user:session:started'")


def upgrade() -> None:
    where = {"sqlite_where": SIGN_INS, "postgresql_where": SIGN_INS}
    online.create_index(NAME, "audit_event", ["user_id", "at"], **where)


def downgrade() -> None:
    op.drop_index(NAME, table_name="audit_event")
