"""The one place that names Authlib, behind types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata


def check_metadata(document: Mapping[str, Any], *, secure: bool) -> None:
    """Check a metadata document by OpenID Connect Discovery 3 and RFC 8414 2.

    ValueError tells what is wrong. Authlib insists on https addresses, so a development server on
    plain http is checked as if it were https.
    """
    if not secure:
        document = {name: _as_https(value) for name, value in document.items()}
    OpenIDProviderMetadata(document).validate()
    AuthorizationServerMetadata(document).validate()


def _as_https(value: Any) -> Any:
    return value.replace("http://", "https://", 1) if isinstance(value, str) else value
