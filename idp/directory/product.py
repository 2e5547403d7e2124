"""Names of the product: its management API, and what its clients may use."""

from __future__ import annotations

RESERVED_PREFIX = "ids4."
"""Scopes, privileges and APIs whose names begin with it are the product's own."""
MANAGEMENT_API = f"{RESERVED_PREFIX}ms"
"""API resource of the management operations; the audience of their access tokens."""
MANAGEMENT_PREFIX = f"{MANAGEMENT_API}."
"""Prefix of the scopes and privileges of that API."""

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
"""Grant type of devices that have no browser (RFC 8628 3.4)."""
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials", DEVICE_CODE)

DPOP_REQUIRED = "dpop_required"
"""Property of an API that takes no access token unless it is bound to a key (RFC 9449)."""

NO_AUTHENTICATION = "none"
SHARED_SECRET_METHODS = ("client_secret_basic", "client_secret_post")
PRIVATE_KEY_JWT = "private_key_jwt"
BY_AUTHORITY, BY_CERTIFICATE = "tls_client_auth", "self_signed_tls_client_auth"
TLS_METHODS = (BY_AUTHORITY, BY_CERTIFICATE)
"""Those by the certificate of the connection (RFC 8705 2)."""
WITHOUT_SECRET = (PRIVATE_KEY_JWT, *TLS_METHODS)
"""Those of confidential clients that have no secret."""
AUTH_METHODS = (NO_AUTHENTICATION, *SHARED_SECRET_METHODS, PRIVATE_KEY_JWT, *TLS_METHODS)
"""Client authentication methods (RFC 7591 2)."""

FAPI2 = "fapi2"
FAPI2_MESSAGE_SIGNING = "fapi2_message_signing"
SECURITY_PROFILES = (FAPI2, FAPI2_MESSAGE_SIGNING)

PLAIN_MODES = ("query", "fragment", "form_post")
SIGNED_MODES = ("jwt", "query.jwt", "fragment.jwt", "form_post.jwt")
"""Modes of authorization responses (OAuth 2.0 Multiple Response Types 2.1, JARM 2.3)."""
SAME_MODES = frozenset({"jwt", "query.jwt"})
"""Two names of one mode, where codes are asked for (JARM 2.3.4)."""

DOCS_CLIENT_ID = "api-docs"
"""The public client that the page `/docs` signs people in with; seeded."""
DOCS_REDIRECT_PATH = "/docs/oauth2-redirect"
