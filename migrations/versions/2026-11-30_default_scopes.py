"""Default scopes of APIs, and whether applications that nobody registered may ask for any."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

KIND = "expand"

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("api_resource", sa.Column("default_scopes", Json, nullable=True))
    op.add_column(
        "api_resource",
        sa.Column("open_to_strangers", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("api_resource", "open_to_strangers")
    op.drop_column("api_resource", "default_scopes")
