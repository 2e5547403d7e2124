"""Secrets of clients by when they expire."""

from __future__ import annotations

from alembic import op

from idp.platform import online

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

KIND = "expand"

NAME = "ix_client_secret_expires_at"


def upgrade() -> None:
    online.create_index(NAME, "client_secret", ["expires_at"])


def downgrade() -> None:
    op.drop_index(NAME, table_name="client_secret")
