"""Users: what names and addresses begin with; the administrators among many members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from idp.platform import online

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

KIND = "expand"

COLUMNS = ("username_key", "email_key", "mobile")
ADMINISTRATORS = "ix_membership_is_admin"
NAME = "lower(coalesce(display_name, nick_name, username))"
BEGIN = "text_pattern_ops"
"""By code points: the order of the database's own collation does not keep beginnings together."""


def upgrade() -> None:
    for column in COLUMNS:
        operators = {column: BEGIN}
        online.create_index(f"ix_user_{column}_begin", "user", [column], postgresql_ops=operators)
    is_postgresql = op.get_context().dialect.name == "postgresql"
    name = sa.text(f"{NAME} {BEGIN}" if is_postgresql else NAME)
    online.create_index("ix_user_sort_name_begin", "user", [name])
    where = {"sqlite_where": sa.text("is_admin"), "postgresql_where": sa.text("is_admin")}
    online.create_index(ADMINISTRATORS, "membership", ["tenant_id"], **where)


def downgrade() -> None:
    op.drop_index(ADMINISTRATORS, table_name="membership")
    for name in (*COLUMNS, "sort_name"):
        op.drop_index(f"ix_user_{name}_begin", table_name="user")
