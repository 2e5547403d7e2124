"""A standalone OAuth 2.0 and OpenID Connect identity provider."""

__version__ = "0.2.0"
