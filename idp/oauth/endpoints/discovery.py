"""Metadata of an issuer (OpenID Connect Discovery 3, RFC 8414); what is not built is absent."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy.orm import Session

from idp.directory.resources import view as resources
from idp.oauth import authlib_adapter
from idp.oauth.client_auth.private_key_jwt import ALGORITHMS
from idp.oauth.endpoints.token import GRANTS
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse
from idp.platform import runtime
from idp.platform.issuer import Issuer
from idp.platform.signing import signer

HEADERS = {"Content-Type": "application/json", "Cache-Control": "public, max-age=300"}
AUTH_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]


def discovery(request: ProtocolRequest, session: Session) -> ProtocolResponse:
    """Give the issuer's metadata, prebuilt until configuration changes."""
    issuer = request.issuer
    body = runtime.of(session).cache.get(("discovery", issuer.url), lambda: _build(session, issuer))
    return ProtocolResponse(200, HEADERS, body)


def _build(session: Session, issuer: Issuer) -> bytes:
    document = metadata(session, issuer)
    authlib_adapter.check_metadata(document, secure=issuer.is_secure)
    return orjson.dumps(document)


def metadata(session: Session, issuer: Issuer) -> dict[str, Any]:
    """Describe an issuer."""
    published = resources.published(session, issuer.tenant_id)
    algorithms = signer.algorithms(session)
    return {
        "issuer": issuer.url,
        "authorization_endpoint": f"{issuer.url}/connect/authorize",
        "token_endpoint": f"{issuer.url}/connect/token",
        "userinfo_endpoint": f"{issuer.url}/connect/userinfo",
        "jwks_uri": f"{issuer.url}/.well-known/openid-configuration/jwks",
        "introspection_endpoint": f"{issuer.url}/connect/introspect",
        "revocation_endpoint": f"{issuer.url}/connect/revocation",
        "end_session_endpoint": f"{issuer.url}/connect/endsession",
        "scopes_supported": list(published.scopes),
        "claims_supported": list(published.claims),
        "claim_types_supported": ["normal"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": sorted(GRANTS),
        "subject_types_supported": ["public"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "acr_values_supported": ["pwd"],
        "ui_locales_supported": ["zh", "en"],
        "display_values_supported": ["page", "popup"],
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": [*AUTH_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": [*AUTH_METHODS, "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }
