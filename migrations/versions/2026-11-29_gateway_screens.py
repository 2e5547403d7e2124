"""Drafts of publications, suspended subscriptions, tests of publish targets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KIND = "expand"

TARGETS = ("npm_options", "github_options")


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "publication_draft",
        sa.Column("id", id_type, nullable=False),
        sa.Column("api_resource_id", id_type, nullable=False),
        sa.Column("user_id", id_type, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("request_encrypted", sa.Text(), nullable=False),
        sa.Column("source_url", sa.String(2000), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("stamp", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_publication_draft_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_publication_draft_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_publication_draft"),
        sa.UniqueConstraint(
            "api_resource_id", "user_id", name="uq_publication_draft_api_resource_id_user_id"
        ),
        sqlite_autoincrement=True,
    )
    for column in ("api_resource_id", "expires_at", "user_id"):
        op.create_index(f"ix_publication_draft_{column}", "publication_draft", [column])
    op.add_column(
        "gateway_product_subscription",
        sa.Column("is_suspended", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for table in TARGETS:
        op.add_column(table, sa.Column("test_asked_at", sa.DateTime(timezone=True)))
        op.add_column(table, sa.Column("tested_at", sa.DateTime(timezone=True)))
        op.add_column(table, sa.Column("test_error", sa.String(500)))


def downgrade() -> None:
    for table in TARGETS:
        for column in ("test_error", "tested_at", "test_asked_at"):
            op.drop_column(table, column)
    op.drop_column("gateway_product_subscription", "is_suspended")
    op.drop_table("publication_draft")
