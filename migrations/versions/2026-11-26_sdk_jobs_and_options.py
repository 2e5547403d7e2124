"""Jobs that make SDKs, and where SDKs are published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "github_options",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("user_agent", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=100), nullable=True),
        sa.Column("repo", sa.String(length=100), nullable=True),
        sa.Column("token_encrypted", sa.Text(), nullable=True),
        sa.Column("swagger_url", sa.String(length=2000), nullable=True),
        sa.Column("sync_labels", sa.Boolean(), nullable=False),
        sa.Column("sync_docs", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name=op.f("fk_github_options_api_resource_id_api_resource"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_github_options")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("github_options", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_github_options_api_resource_id"), ["api_resource_id"], unique=True
        )

    op.create_table(
        "npm_options",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=214), nullable=False),
        sa.Column("sdk_name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("homepage", sa.String(length=500), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=True),
        sa.Column("keywords", Json, nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("token_encrypted", sa.Text(), nullable=False),
        sa.Column("license", sa.String(length=100), nullable=False),
        sa.Column("readme", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name=op.f("fk_npm_options_api_resource_id_api_resource"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_npm_options")),
        sa.UniqueConstraint(
            "api_resource_id", "language", name=op.f("uq_npm_options_api_resource_id_language")
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("npm_options", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_npm_options_api_resource_id"), ["api_resource_id"], unique=False
        )

    op.create_table(
        "sdk_job",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=True),
        sa.Column("user_id", BigInt, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("generator", sa.String(length=100), nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("source_url", sa.String(length=2000), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=True),
        sa.Column("package", sa.String(length=214), nullable=True),
        sa.Column("version", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("link", sa.String(length=1000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name=op.f("fk_sdk_job_api_resource_id_api_resource"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_sdk_job_user_id_user"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sdk_job")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("sdk_job", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sdk_job_api_resource_id"), ["api_resource_id"], unique=False
        )
        batch_op.create_index("ix_sdk_job_asker", ["client_id", "user_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sdk_job_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sdk_job_user_id"), ["user_id"], unique=False)

    op.create_table(
        "sdk_file",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("job_id", BigInt, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("size", BigInt, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["sdk_job.id"], name=op.f("fk_sdk_file_job_id_sdk_job"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sdk_file")),
        sa.UniqueConstraint("job_id", "kind", name=op.f("uq_sdk_file_job_id_kind")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("sdk_file", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sdk_file_job_id"), ["job_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("sdk_file", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sdk_file_job_id"))

    op.drop_table("sdk_file")
    with op.batch_alter_table("sdk_job", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sdk_job_user_id"))
        batch_op.drop_index(batch_op.f("ix_sdk_job_expires_at"))
        batch_op.drop_index("ix_sdk_job_asker")
        batch_op.drop_index(batch_op.f("ix_sdk_job_api_resource_id"))

    op.drop_table("sdk_job")
    with op.batch_alter_table("npm_options", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_npm_options_api_resource_id"))

    op.drop_table("npm_options")
    with op.batch_alter_table("github_options", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_github_options_api_resource_id"))

    op.drop_table("github_options")
