"""Which algorithm a client signs its assertions with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KIND = "expand"


def upgrade() -> None:
    with op.batch_alter_table("client") as batch_op:
        batch_op.add_column(
            sa.Column("token_endpoint_auth_signing_alg", sa.String(length=20), nullable=True)
        )


def downgrade() -> None:
    with op.batch_alter_table("client") as batch_op:
        batch_op.drop_column("token_endpoint_auth_signing_alg")
