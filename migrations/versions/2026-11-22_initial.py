"""All tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from idp.platform.audit import triggers

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KIND = "expand"

BigInt = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.Column("user_id", BigInt, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=True),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("target", sa.String(length=300), nullable=True),
        sa.Column("remote_addr", sa.String(length=45), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("details", Json, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_event_at", "audit_event", ["at"], unique=False)
    op.create_index("ix_audit_event_client_id_at", "audit_event", ["client_id", "at"], unique=False)
    op.create_index("ix_audit_event_tag_at", "audit_event", ["tag", "at"], unique=False)
    op.create_index("ix_audit_event_tenant_id_at", "audit_event", ["tenant_id", "at"], unique=False)
    op.create_index("ix_audit_event_user_id_at", "audit_event", ["user_id", "at"], unique=False)

    op.create_table(
        "audit_retention",
        sa.Column("id", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_retention"),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "configuration_version",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_configuration_version"),
        sqlite_autoincrement=True,
    )

    op.create_table(
        "seed_mark",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("row_id", BigInt, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_seed_mark"),
    )

    op.create_table(
        "outbox",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("lane", sa.String(length=20), nullable=False),
        sa.Column("job", sa.String(length=100), nullable=False),
        sa.Column("payload_encrypted", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_done_at", "outbox", ["done_at"], unique=False)
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["lane", "due_at"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL AND failed_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL AND failed_at IS NULL"),
    )
    op.create_index("ix_outbox_failed_at", "outbox", ["failed_at"], unique=False)

    op.create_table(
        "privilege_group",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("parent_id", BigInt, nullable=True),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sort", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["privilege_group.id"],
            name="fk_privilege_group_parent_id_privilege_group",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_privilege_group"),
        sa.UniqueConstraint("code", name="uq_privilege_group_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_privilege_group_parent_id", "privilege_group", ["parent_id"], unique=False)

    op.create_table(
        "revoked_token",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_revoked_token"),
    )
    op.create_index("ix_revoked_token_expires_at", "revoked_token", ["expires_at"], unique=False)

    op.create_table(
        "signing_key",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("alg", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("public_jwk", Json, nullable=False),
        sa.Column("private_encrypted", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("publish_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_signing_key"),
        sa.UniqueConstraint("kid", name="uq_signing_key_kid"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_signing_key_active_alg",
        "signing_key",
        ["alg"],
        unique=True,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "uq_signing_key_next_alg",
        "signing_key",
        ["alg"],
        unique=True,
        sqlite_where=sa.text("status = 'next'"),
        postgresql_where=sa.text("status = 'next'"),
    )

    op.create_table(
        "tenant",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("theme", sa.String(length=100), nullable=True),
        sa.Column("logo_uri", sa.String(length=2000), nullable=True),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("issuer_host", sa.String(length=255), nullable=True),
        sa.Column("type_code", sa.String(length=100), nullable=True),
        sa.Column("bundle_code", sa.String(length=100), nullable=True),
        sa.Column("cache_seconds", sa.Integer(), nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_tenant_issuer_tenant_id_tenant",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenant_bundle_code", "tenant", ["bundle_code"], unique=False)
    op.create_index("ix_tenant_issuer_tenant_id", "tenant", ["issuer_tenant_id"], unique=False)
    op.create_index("ix_tenant_type_code", "tenant", ["type_code"], unique=False)

    op.create_table(
        "user",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("username", sa.String(length=256), nullable=False),
        sa.Column("username_key", sa.String(length=256), nullable=False),
        sa.Column("email", sa.String(length=256), nullable=True),
        sa.Column("email_key", sa.String(length=256), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("mobile", sa.String(length=20), nullable=True),
        sa.Column("mobile_verified", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("security_stamp", sa.String(length=64), nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("lockout_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lockout_enabled", sa.Boolean(), nullable=False),
        sa.Column("access_failed_count", sa.Integer(), nullable=False),
        sa.Column("user_key", sa.String(length=36), nullable=False),
        sa.Column("parent_user_id", BigInt, nullable=True),
        sa.Column("lineage", sa.String(length=2000), nullable=True),
        sa.Column("nick_name", sa.String(length=200), nullable=True),
        sa.Column("avatar", sa.String(length=2000), nullable=True),
        sa.Column("gender", sa.String(length=20), nullable=True),
        sa.Column("birthday", sa.Date(), nullable=True),
        sa.Column("address", sa.String(length=1000), nullable=True),
        sa.Column("stature", sa.Float(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("remark", sa.String(length=2000), nullable=True),
        sa.Column("type_ids", sa.String(length=1000), nullable=True),
        sa.Column("zoneinfo", sa.String(length=64), nullable=True),
        sa.Column("locale", sa.String(length=20), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "trim(username_key, '0123456789') <> ''", name=op.f("ck_user_username_not_numeric")
        ),
        sa.ForeignKeyConstraint(
            ["parent_user_id"], ["user.id"], name="fk_user_parent_user_id_user", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("email_key", name="uq_user_email_key"),
        sa.UniqueConstraint("mobile", name="uq_user_mobile"),
        sa.UniqueConstraint("user_key", name="uq_user_user_key"),
        sa.UniqueConstraint("username_key", name="uq_user_username_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_parent_user_id", "user", ["parent_user_id"], unique=False)

    op.create_table(
        "api_resource",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_api_resource_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_resource"),
        sa.UniqueConstraint("name", name="uq_api_resource_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_resource_tenant_id", "api_resource", ["tenant_id"], unique=False)

    op.create_table(
        "browser_session",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("security_stamp", sa.String(length=64), nullable=False),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acr", sa.String(length=100), nullable=False),
        sa.Column("amr", Json, nullable=False),
        sa.Column("remember", sa.Boolean(), nullable=False),
        sa.Column("remote_addr", sa.String(length=45), nullable=True),
        sa.Column("user_agent", sa.String(length=300), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_browser_session_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_browser_session_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_browser_session_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_browser_session"),
        sa.UniqueConstraint("sid", name="uq_browser_session_sid"),
        sa.UniqueConstraint("token_hash", name="uq_browser_session_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_browser_session_expires_at", "browser_session", ["expires_at"], unique=False
    )
    op.create_index(
        "ix_browser_session_issuer_tenant_id", "browser_session", ["issuer_tenant_id"], unique=False
    )
    op.create_index("ix_browser_session_ended_at", "browser_session", ["ended_at"], unique=False)
    op.create_index("ix_browser_session_tenant_id", "browser_session", ["tenant_id"], unique=False)
    op.create_index("ix_browser_session_user_id", "browser_session", ["user_id"], unique=False)

    op.create_table(
        "client",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("client_id", sa.String(length=200), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("client_name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("client_uri", sa.String(length=2000), nullable=True),
        sa.Column("logo_uri", sa.String(length=2000), nullable=True),
        sa.Column("policy_uri", sa.String(length=2000), nullable=True),
        sa.Column("tos_uri", sa.String(length=2000), nullable=True),
        sa.Column("application_type", sa.String(length=20), nullable=False),
        sa.Column("require_client_secret", sa.Boolean(), nullable=False),
        sa.Column("token_endpoint_auth_method", sa.String(length=50), nullable=True),
        sa.Column("jwks", Json, nullable=True),
        sa.Column("jwks_uri", sa.String(length=2000), nullable=True),
        sa.Column("strict_assertion_audience", sa.Boolean(), nullable=False),
        sa.Column("require_pkce", sa.Boolean(), nullable=False),
        sa.Column("require_consent", sa.Boolean(), nullable=False),
        sa.Column("allow_remember_consent", sa.Boolean(), nullable=False),
        sa.Column("consent_lifetime", sa.Integer(), nullable=True),
        sa.Column("allow_offline_access", sa.Boolean(), nullable=False),
        sa.Column("default_max_age", sa.Integer(), nullable=True),
        sa.Column("authorization_code_lifetime", sa.Integer(), nullable=False),
        sa.Column("identity_token_lifetime", sa.Integer(), nullable=False),
        sa.Column("access_token_lifetime", sa.Integer(), nullable=False),
        sa.Column("absolute_refresh_token_lifetime", sa.Integer(), nullable=False),
        sa.Column("sliding_refresh_token_lifetime", sa.Integer(), nullable=False),
        sa.Column("refresh_token_usage", sa.Integer(), nullable=False),
        sa.Column("refresh_token_expiration", sa.Integer(), nullable=False),
        sa.Column("access_token_type", sa.Integer(), nullable=False),
        sa.Column("id_token_signed_response_alg", sa.String(length=20), nullable=True),
        sa.Column("userinfo_signed_response_alg", sa.String(length=20), nullable=True),
        sa.Column("introspection_signed_response_alg", sa.String(length=20), nullable=True),
        sa.Column("always_include_user_claims_in_id_token", sa.Boolean(), nullable=False),
        sa.Column("always_send_client_claims", sa.Boolean(), nullable=False),
        sa.Column("client_claims_prefix", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "trim(client_id, '0123456789') <> ''", name=op.f("ck_client_client_id_not_numeric")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_client_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client"),
        sa.UniqueConstraint("client_id", name="uq_client_client_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_client_tenant_id", "client", ["tenant_id"], unique=False)

    op.create_table(
        "identity_resource",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("emphasize", sa.Boolean(), nullable=False),
        sa.Column("show_in_discovery_document", sa.Boolean(), nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_identity_resource_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_identity_resource"),
        sa.UniqueConstraint("name", name="uq_identity_resource_name"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_identity_resource_tenant_id", "identity_resource", ["tenant_id"], unique=False
    )

    op.create_table(
        "membership",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_membership_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_membership_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_membership"),
        sa.UniqueConstraint("user_id", "tenant_id", name="uq_membership_user_id_tenant_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_membership_tenant_id", "membership", ["tenant_id"], unique=False)
    op.create_index("ix_membership_user_id", "membership", ["user_id"], unique=False)

    op.create_table(
        "one_time_key",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("purpose", sa.String(length=50), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", BigInt, nullable=True),
        sa.Column("security_stamp", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_one_time_key_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_one_time_key"),
        sa.UniqueConstraint("purpose", "key_hash", name="uq_one_time_key_purpose_key_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_one_time_key_expires_at", "one_time_key", ["expires_at"], unique=False)
    op.create_index("ix_one_time_key_user_id", "one_time_key", ["user_id"], unique=False)

    op.create_table(
        "role",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("code", sa.String(length=256), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("concurrency_stamp", sa.String(length=64), nullable=False),
        sa.Column("bundle_code", sa.String(length=100), nullable=True),
        sa.CheckConstraint("trim(code, '0123456789') <> ''", name=op.f("ck_role_code_not_numeric")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_role_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_role"),
        sa.UniqueConstraint("tenant_id", "code", name="uq_role_tenant_id_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_role_tenant_id", "role", ["tenant_id"], unique=False)
    op.create_index(
        "uq_role_platform_code",
        "role",
        ["code"],
        unique=True,
        sqlite_where=sa.text("tenant_id IS NULL"),
        postgresql_where=sa.text("tenant_id IS NULL"),
    )

    op.create_table(
        "tenant_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_tenant_claim_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_claim"),
        sa.UniqueConstraint("tenant_id", "type", name="uq_tenant_claim_tenant_id_type"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenant_claim_tenant_id", "tenant_claim", ["tenant_id"], unique=False)

    op.create_table(
        "tenant_host",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_tenant_host_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_host"),
        sa.UniqueConstraint("host", name="uq_tenant_host_host"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenant_host_tenant_id", "tenant_host", ["tenant_id"], unique=False)

    op.create_table(
        "tenant_property",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("value_encrypted", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_tenant_property_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tenant_property"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_tenant_property_tenant_id_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_tenant_property_tenant_id", "tenant_property", ["tenant_id"], unique=False)

    op.create_table(
        "user_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_user_claim_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_user_claim_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user_claim"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_claim_tenant_id", "user_claim", ["tenant_id"], unique=False)
    op.create_index("ix_user_claim_user_id", "user_claim", ["user_id"], unique=False)
    op.create_index("ix_user_claim_user_id_type", "user_claim", ["user_id", "type"], unique=False)

    op.create_table(
        "user_file",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("file_type", sa.Integer(), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_user_file_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user_file"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_file_user_id", "user_file", ["user_id"], unique=False)

    op.create_table(
        "user_property",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_user_property_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_user_property_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user_property"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_property_tenant_id", "user_property", ["tenant_id"], unique=False)
    op.create_index("ix_user_property_user_id", "user_property", ["user_id"], unique=False)
    op.create_index(
        "ix_user_property_user_id_key", "user_property", ["user_id", "key"], unique=False
    )

    op.create_table(
        "verification_code",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=256), nullable=False),
        sa.Column("code_mac", sa.String(length=100), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("counted_since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_verification_code"),
        sa.UniqueConstraint("channel", "address", name="uq_verification_code_channel_address"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_verification_code_sent_at", "verification_code", ["sent_at"], unique=False)

    op.create_table(
        "api_resource_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_api_resource_claim_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_resource_claim"),
        sa.UniqueConstraint(
            "api_resource_id", "type", name="uq_api_resource_claim_api_resource_id_type"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_api_resource_claim_api_resource_id",
        "api_resource_claim",
        ["api_resource_id"],
        unique=False,
    )

    op.create_table(
        "api_resource_owner",
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_api_resource_owner_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_api_resource_owner_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "api_resource_id", name="pk_api_resource_owner"),
    )
    op.create_index(
        "ix_api_resource_owner_api_resource_id",
        "api_resource_owner",
        ["api_resource_id"],
        unique=False,
    )

    op.create_table(
        "api_resource_property",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_api_resource_property_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_resource_property"),
        sa.UniqueConstraint(
            "api_resource_id", "key", name="uq_api_resource_property_api_resource_id_key"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_api_resource_property_api_resource_id",
        "api_resource_property",
        ["api_resource_id"],
        unique=False,
    )

    op.create_table(
        "api_scope",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("display_name", sa.String(length=200), nullable=True),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("emphasize", sa.Boolean(), nullable=False),
        sa.Column("show_in_discovery_document", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_api_scope_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_scope"),
        sa.UniqueConstraint("name", name="uq_api_scope_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_api_scope_api_resource_id", "api_scope", ["api_resource_id"], unique=False)

    op.create_table(
        "api_secret",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_resource_id", BigInt, nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("value_hash", sa.String(length=100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_api_secret_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_secret"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_api_secret_api_resource_id", "api_secret", ["api_resource_id"], unique=False
    )

    op.create_table(
        "authorization_request",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("endpoint", sa.String(length=20), nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("session_id", BigInt, nullable=True),
        sa.Column("account_chosen", sa.Boolean(), nullable=False),
        sa.Column("tenant_id", BigInt, nullable=True),
        sa.Column("consented_scopes", Json, nullable=True),
        sa.Column("consent_remember", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_authorization_request_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["browser_session.id"],
            name="fk_authorization_request_session_id_browser_session",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenant.id"],
            name="fk_authorization_request_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_authorization_request"),
        sa.UniqueConstraint("handle_hash", name="uq_authorization_request_handle_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_authorization_request_expires_at", "authorization_request", ["expires_at"], unique=False
    )
    op.create_index(
        "ix_authorization_request_issuer_tenant_id",
        "authorization_request",
        ["issuer_tenant_id"],
        unique=False,
    )
    op.create_index(
        "ix_authorization_request_session_id", "authorization_request", ["session_id"], unique=False
    )
    op.create_index(
        "ix_authorization_request_tenant_id", "authorization_request", ["tenant_id"], unique=False
    )

    op.create_table(
        "client_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("type", sa.String(length=250), nullable=False),
        sa.Column("value", sa.String(length=250), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_claim_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_claim"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_client_claim_client_id", "client_claim", ["client_id"], unique=False)

    op.create_table(
        "client_cors_origin",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("origin", sa.String(length=150), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_cors_origin_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_cors_origin"),
        sa.UniqueConstraint("client_id", "origin", name="uq_client_cors_origin_client_id_origin"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_client_cors_origin_client_id", "client_cors_origin", ["client_id"], unique=False
    )
    op.create_index("ix_client_cors_origin_origin", "client_cors_origin", ["origin"], unique=False)

    op.create_table(
        "client_grant_type",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("grant_type", sa.String(length=250), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_grant_type_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_grant_type"),
        sa.UniqueConstraint(
            "client_id", "grant_type", name="uq_client_grant_type_client_id_grant_type"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_client_grant_type_client_id", "client_grant_type", ["client_id"], unique=False
    )

    op.create_table(
        "client_owner",
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_owner_client_id_client",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_client_owner_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "client_id", name="pk_client_owner"),
    )
    op.create_index("ix_client_owner_client_id", "client_owner", ["client_id"], unique=False)

    op.create_table(
        "client_post_logout_redirect_uri",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("post_logout_redirect_uri", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_post_logout_redirect_uri_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_post_logout_redirect_uri"),
        sa.UniqueConstraint(
            "client_id",
            "post_logout_redirect_uri",
            name=op.f("uq_client_post_logout_redirect_uri_client_id_post_logout_redirect_uri"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_client_post_logout_redirect_uri_client_id",
        "client_post_logout_redirect_uri",
        ["client_id"],
        unique=False,
    )

    op.create_table(
        "client_property",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("key", sa.String(length=250), nullable=False),
        sa.Column("value", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_property_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_property"),
        sa.UniqueConstraint("client_id", "key", name="uq_client_property_client_id_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_client_property_client_id", "client_property", ["client_id"], unique=False)

    op.create_table(
        "client_redirect_uri",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_redirect_uri_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_redirect_uri"),
        sa.UniqueConstraint(
            "client_id", "redirect_uri", name="uq_client_redirect_uri_client_id_redirect_uri"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_client_redirect_uri_client_id", "client_redirect_uri", ["client_id"], unique=False
    )

    op.create_table(
        "client_scope",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_scope_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_scope"),
        sa.UniqueConstraint("client_id", "scope", name="uq_client_scope_client_id_scope"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_client_scope_client_id", "client_scope", ["client_id"], unique=False)

    op.create_table(
        "client_secret",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=True),
        sa.Column("value_hash", sa.String(length=100), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_client_secret_client_id_client",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_client_secret"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_client_secret_client_id", "client_secret", ["client_id"], unique=False)

    op.create_table(
        "consent",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name="fk_consent_client_id_client", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_consent_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_consent_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        sa.UniqueConstraint(
            "user_id", "client_id", "tenant_id", name="uq_consent_user_id_client_id_tenant_id"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_client_id", "consent", ["client_id"], unique=False)
    op.create_index("ix_consent_expires_at", "consent", ["expires_at"], unique=False)
    op.create_index("ix_consent_tenant_id", "consent", ["tenant_id"], unique=False)
    op.create_index("ix_consent_user_id", "consent", ["user_id"], unique=False)

    op.create_table(
        "grant",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("tenant_id", BigInt, nullable=False),
        sa.Column("issuer_tenant_id", BigInt, nullable=False),
        sa.Column("session_id", BigInt, nullable=True),
        sa.Column("sid", sa.String(length=64), nullable=False),
        sa.Column("security_stamp", sa.String(length=64), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("resources", Json, nullable=False),
        sa.Column("claims_request", Json, nullable=True),
        sa.Column("auth_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acr", sa.String(length=100), nullable=False),
        sa.Column("amr", Json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_reason", sa.String(length=50), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name="fk_grant_client_id_client", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["issuer_tenant_id"],
            ["tenant.id"],
            name="fk_grant_issuer_tenant_id_tenant",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["browser_session.id"],
            name="fk_grant_session_id_browser_session",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name="fk_grant_tenant_id_tenant", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_grant_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_grant"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_grant_client_id", "grant", ["client_id"], unique=False)
    op.create_index("ix_grant_expires_at", "grant", ["expires_at"], unique=False)
    op.create_index("ix_grant_issuer_tenant_id", "grant", ["issuer_tenant_id"], unique=False)
    op.create_index("ix_grant_session_id", "grant", ["session_id"], unique=False)
    op.create_index("ix_grant_tenant_id", "grant", ["tenant_id"], unique=False)
    op.create_index("ix_grant_user_id", "grant", ["user_id"], unique=False)

    op.create_table(
        "identity_resource_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("identity_resource_id", BigInt, nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["identity_resource_id"],
            ["identity_resource.id"],
            name=op.f("fk_identity_resource_claim_identity_resource_id_identity_resource"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_identity_resource_claim"),
        sa.UniqueConstraint(
            "identity_resource_id",
            "type",
            name="uq_identity_resource_claim_identity_resource_id_type",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_identity_resource_claim_identity_resource_id",
        "identity_resource_claim",
        ["identity_resource_id"],
        unique=False,
    )

    op.create_table(
        "privilege",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=True),
        sa.Column("group_id", BigInt, nullable=True),
        sa.Column("api_resource_id", BigInt, nullable=True),
        sa.Column("sort", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "trim(code, '0123456789') <> ''", name=op.f("ck_privilege_code_not_numeric")
        ),
        sa.ForeignKeyConstraint(
            ["api_resource_id"],
            ["api_resource.id"],
            name="fk_privilege_api_resource_id_api_resource",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["privilege_group.id"],
            name="fk_privilege_group_id_privilege_group",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_privilege"),
        sa.UniqueConstraint("code", name="uq_privilege_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_privilege_api_resource_id", "privilege", ["api_resource_id"], unique=False)
    op.create_index("ix_privilege_group_id", "privilege", ["group_id"], unique=False)

    op.create_table(
        "role_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("role_id", BigInt, nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name="fk_role_claim_role_id_role", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_role_claim"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_role_claim_role_id", "role_claim", ["role_id"], unique=False)

    op.create_table(
        "user_role",
        sa.Column("user_id", BigInt, nullable=False),
        sa.Column("role_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name="fk_user_role_role_id_role", ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name="fk_user_role_user_id_user", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name="pk_user_role"),
    )
    op.create_index("ix_user_role_role_id", "user_role", ["role_id"], unique=False)

    op.create_table(
        "api_scope_claim",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("api_scope_id", BigInt, nullable=False),
        sa.Column("type", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_scope_id"],
            ["api_scope.id"],
            name="fk_api_scope_claim_api_scope_id_api_scope",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_scope_claim"),
        sa.UniqueConstraint("api_scope_id", "type", name="uq_api_scope_claim_api_scope_id_type"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_api_scope_claim_api_scope_id", "api_scope_claim", ["api_scope_id"], unique=False
    )

    op.create_table(
        "authorization_code",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", BigInt, nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("code_challenge", sa.String(length=128), nullable=True),
        sa.Column("nonce", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"],
            ["grant.id"],
            name="fk_authorization_code_grant_id_grant",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_authorization_code"),
        sa.UniqueConstraint("code_hash", name="uq_authorization_code_code_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_authorization_code_expires_at", "authorization_code", ["expires_at"], unique=False
    )
    op.create_index(
        "ix_authorization_code_grant_id", "authorization_code", ["grant_id"], unique=False
    )

    op.create_table(
        "reference_token",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", BigInt, nullable=True),
        sa.Column("client_id", BigInt, nullable=False),
        sa.Column("claims", Json, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["client.id"],
            name="fk_reference_token_client_id_client",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant.id"], name="fk_reference_token_grant_id_grant", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reference_token"),
        sa.UniqueConstraint("token_hash", name="uq_reference_token_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_reference_token_client_id", "reference_token", ["client_id"], unique=False)
    op.create_index(
        "ix_reference_token_expires_at", "reference_token", ["expires_at"], unique=False
    )
    op.create_index("ix_reference_token_grant_id", "reference_token", ["grant_id"], unique=False)

    op.create_table(
        "refresh_token",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("grant_id", BigInt, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("absolute_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["grant.id"], name="fk_refresh_token_grant_id_grant", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_token"),
        sa.UniqueConstraint("token_hash", name="uq_refresh_token_token_hash"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_refresh_token_expires_at", "refresh_token", ["expires_at"], unique=False)
    op.create_index("ix_refresh_token_grant_id", "refresh_token", ["grant_id"], unique=False)

    op.create_table(
        "role_privilege",
        sa.Column("role_id", BigInt, nullable=False),
        sa.Column("privilege_id", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["privilege_id"],
            ["privilege.id"],
            name="fk_role_privilege_privilege_id_privilege",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name="fk_role_privilege_role_id_role", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("role_id", "privilege_id", name="pk_role_privilege"),
    )
    op.create_index(
        "ix_role_privilege_privilege_id", "role_privilege", ["privilege_id"], unique=False
    )
    _rows_and_triggers()


def downgrade() -> None:
    for statement in triggers.drop(op.get_context().dialect.name):
        op.execute(statement)
    op.drop_table("role_privilege")
    op.drop_table("refresh_token")
    op.drop_table("reference_token")
    op.drop_table("authorization_code")
    op.drop_table("api_scope_claim")
    op.drop_table("user_role")
    op.drop_table("role_claim")
    op.drop_table("privilege")
    op.drop_table("identity_resource_claim")
    op.drop_table("grant")
    op.drop_table("consent")
    op.drop_table("client_secret")
    op.drop_table("client_scope")
    op.drop_table("client_redirect_uri")
    op.drop_table("client_property")
    op.drop_table("client_post_logout_redirect_uri")
    op.drop_table("client_owner")
    op.drop_table("client_grant_type")
    op.drop_table("client_cors_origin")
    op.drop_table("client_claim")
    op.drop_table("authorization_request")
    op.drop_table("api_secret")
    op.drop_table("api_scope")
    op.drop_table("api_resource_property")
    op.drop_table("api_resource_owner")
    op.drop_table("api_resource_claim")
    op.drop_table("verification_code")
    op.drop_table("user_property")
    op.drop_table("user_file")
    op.drop_table("user_claim")
    op.drop_table("tenant_property")
    op.drop_table("tenant_host")
    op.drop_table("tenant_claim")
    op.drop_table("role")
    op.drop_table("one_time_key")
    op.drop_table("membership")
    op.drop_table("identity_resource")
    op.drop_table("client")
    op.drop_table("browser_session")
    op.drop_table("api_resource")
    op.drop_table("user")
    op.drop_table("tenant")
    op.drop_table("signing_key")
    op.drop_table("revoked_token")
    op.drop_table("privilege_group")
    op.drop_table("outbox")
    op.drop_table("seed_mark")
    op.drop_table("configuration_version")
    op.drop_table("audit_retention")
    op.drop_table("audit_event")


def _rows_and_triggers() -> None:
    version = sa.table(
        "configuration_version", sa.column("id", BigInt), sa.column("version", BigInt)
    )
    op.bulk_insert(version, [{"id": 1, "version": 1}])
    for statement in triggers.create(op.get_context().dialect.name):
        op.execute(statement)
