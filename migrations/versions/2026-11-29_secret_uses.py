"""When each secret was last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("client_secret", "api_secret"):
        op.create_table(
            f"{name}_use",
            sa.Column("secret_id", BigInt, nullable=False),
            sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
            sa.ForeignKeyConstraint(
                ["secret_id"],
                [f"{name}.id"],
                name=f"fk_{name}_use_secret_id_{name}",
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("secret_id", name=f"pk_{name}_use"),
        )


def downgrade() -> None:
    for name in ("api_secret", "client_secret"):
        op.drop_table(f"{name}_use")
