"""The one place that names Authlib, behind types: its checks of metadata and registration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7591 import ClientMetadataClaims as OAuthClient
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from authlib.oidc.registration import ClientMetadataClaims as OpenIDClient
from joserfc.errors import ClaimError


def check_metadata(document: Mapping[str, Any], *, secure: bool) -> None:
    """Check a metadata document by OpenID Connect Discovery 3 and RFC 8414 2.

    ValueError names the fault. Authlib insists on https addresses, so a development server on
    plain http is checked as if it were https.
    """
    if not secure:
        document = {name: _as_https(value) for name, value in document.items()}
    OpenIDProviderMetadata(document).validate()
    AuthorizationServerMetadata(document).validate()


def check_client(registered: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Check a client by RFC 7591 2 and OpenID Connect Registration 2, against the metadata.

    ValueError names the member that is wrong.
    """
    for kind in (OAuthClient, OpenIDClient):
        try:
            kind(registered, {}, options=kind.get_claims_options(document)).validate()
        except ClaimError as error:
            raise ValueError(error.claim) from None


def _as_https(value: Any) -> Any:
    return value.replace("http://", "https://", 1) if isinstance(value, str) else value
