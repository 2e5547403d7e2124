"""Pushed requests of clients without a row, and where sign-ins at a client begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS = {"sqlite_autoincrement": True}


def upgrade() -> None:
    with op.batch_alter_table("pushed_request", table_kwargs=OPTIONS) as table:
        table.alter_column("client_id", existing_type=BigInt, nullable=True)
    op.add_column("client", sa.Column("initiate_login_uri", sa.String(2000), nullable=True))


def downgrade() -> None:
    op.drop_column("client", "initiate_login_uri")
    op.execute("DELETE FROM pushed_request WHERE client_id IS NULL")
    with op.batch_alter_table("pushed_request", table_kwargs=OPTIONS) as table:
        table.alter_column("client_id", existing_type=BigInt, nullable=False)
