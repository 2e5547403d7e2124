"""Which description of an application a person was shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

KIND = "expand"


def upgrade() -> None:
    op.add_column(
        "authorization_request", sa.Column("document_hash", sa.String(length=43), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("authorization_request", "document_hash")
