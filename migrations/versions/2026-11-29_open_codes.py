"""Codes: several of one address may be good; how many are sent is counted elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KIND = "contract"
RELEASE = "0.1.0"


def upgrade() -> None:
    with op.batch_alter_table("verification_code", schema=None) as batch_op:
        batch_op.drop_constraint("uq_verification_code_channel_address", type_="unique")
        batch_op.drop_index("ix_verification_code_sent_at")
        batch_op.drop_column("sent_at")
        batch_op.drop_column("sends")
        batch_op.drop_column("counted_since")
        batch_op.create_index(
            "ix_verification_code_channel_address", ["channel", "address"], unique=False
        )
        batch_op.create_index("ix_verification_code_expires_at", ["expires_at"], unique=False)


def downgrade() -> None:
    # Codes live for minutes: whoever waits for one asks again.
    op.execute("DELETE FROM verification_code")
    with op.batch_alter_table("verification_code", schema=None) as batch_op:
        batch_op.drop_index("ix_verification_code_expires_at")
        batch_op.drop_index("ix_verification_code_channel_address")
        batch_op.add_column(sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False))
        batch_op.add_column(sa.Column("sends", sa.Integer(), nullable=False))
        batch_op.add_column(sa.Column("counted_since", sa.DateTime(timezone=True), nullable=False))
        batch_op.create_index("ix_verification_code_sent_at", ["sent_at"], unique=False)
        batch_op.create_unique_constraint(
            "uq_verification_code_channel_address", ["channel", "address"]
        )
