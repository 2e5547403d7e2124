"""Why messages failed, as a sentence with values that pages translate."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0040"
branch_labels = None
depends_on = None

KIND = "expand"

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("reason_parts", Json, nullable=True))


def downgrade() -> None:
    op.drop_column("outbox", "reason_parts")
