"""Metadata of an issuer (OpenID Connect Discovery 3, RFC 8414); what is not built is absent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory import levels
from idp.directory.clients import strangers
from idp.directory.registration import service as registration
from idp.directory.resources import snapshot as resources
from idp.oauth.checks.prompt import CREATE, PROMPTS
from idp.oauth.dpop import keys
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse
from idp.platform import runtime
from idp.platform.cache import looked_up
from idp.platform.issuer import Issuer
from idp.platform.signing import signer
from idp.platform.storage import Storage

if TYPE_CHECKING:
    from idp.oauth.declarations import Endpoint, Server

CLAIMS_OF_SIGN_IN = ("acr", "amr", "auth_time")
"""Claims that every ID token states beside those of identity resources."""

HEADERS = {"Content-Type": "application/json", "Cache-Control": "public, max-age=300"}


async def discovery(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Return the issuer's metadata, prebuilt until configuration changes."""
    body = await storage.look_up(_document, request.issuer, request.server)
    return ProtocolResponse(200, HEADERS, body)


def _prompts(session: Session, settings: Settings, issuer: Issuer) -> list[str]:
    is_open = registration.is_open_by(session, settings, issuer)
    return [name for name in PROMPTS if is_open or name != CREATE]


@looked_up("discovery")
def _document(session: Session, issuer: Issuer, server: Server) -> bytes:
    settings = runtime.of(session).settings
    active = signer.keys(session).algorithms
    return orjson.dumps(metadata(session, settings, issuer, server, active))


def metadata(
    session: Session, settings: Settings, issuer: Issuer, server: Server, active: Iterable[str]
) -> dict[str, Any]:
    """Return the metadata of an issuer that signs with these algorithms."""
    published = resources.published(session, issuer.tenant_id)
    algorithms = list(active)
    offered = [
        proof
        for proof in server.proofs.values()
        if settings.client_certificate or not proof.needs_certificate
    ]
    proofs = [proof.name for proof in offered]
    secrets = [proof.name for proof in offered if proof.is_secret]
    assertions = list(server.assertion_algorithms)
    endpoints = _named(session, issuer, server)
    return {
        "issuer": issuer.url,
        **{name: issuer.url + endpoint.path for name, endpoint in endpoints.items()},
        **{name: value for one in server.endpoints.values() for name, value in one.more.items()},
        "scopes_supported": list(published.scopes),
        "claims_supported": sorted({*published.claims, *CLAIMS_OF_SIGN_IN}),
        "claim_types_supported": ["normal"],
        "response_types_supported": list(server.response_types),
        "response_modes_supported": list(server.response_modes),
        "grant_types_supported": sorted(server.grants),
        "subject_types_supported": ["public"],
        "prompt_values_supported": _prompts(session, settings, issuer),
        "acr_values_supported": list(levels.reachable(issuer)),
        "ui_locales_supported": ["zh", "en"],
        "display_values_supported": ["page", "popup"],
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": algorithms,
        "authorization_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": proofs,
        "token_endpoint_auth_signing_alg_values_supported": assertions,
        "introspection_endpoint_auth_methods_supported": secrets,
        "introspection_endpoint_auth_signing_alg_values_supported": assertions,
        "revocation_endpoint_auth_methods_supported": proofs,
        "revocation_endpoint_auth_signing_alg_values_supported": assertions,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(keys.OFFERED),
        **_certificates(settings, issuer, endpoints),
        **_documents(session, issuer),
        # RFC 9728 4
        **({"protected_resources": list(published.addresses)} if published.addresses else {}),
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_object_signing_alg_values_supported": assertions,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
    }


def _named(session: Session, issuer: Issuer, server: Server) -> dict[str, Endpoint]:
    """Return the endpoints that an issuer has by the members that name them."""
    return {
        endpoint.metadata: endpoint
        for endpoint in server.endpoints.values()
        if endpoint.metadata is not None
        and (endpoint.exists is None or endpoint.exists(session, issuer))
    }


def _documents(session: Session, issuer: Issuer) -> dict[str, Any]:
    """Return whether clients may be known by their documents (CIMD draft 5)."""
    takes = strangers.read_policy(session, issuer.tenant_id).takes_documents
    return {"client_id_metadata_document_supported": True} if takes else {}


def _certificates(
    settings: Settings, issuer: Issuer, endpoints: Mapping[str, Endpoint]
) -> dict[str, Any]:
    """Return what concerns certificates of clients (RFC 8705 3.3, 5)."""
    if not settings.client_certificate:
        return {}
    found: dict[str, Any] = {"tls_client_certificate_bound_access_tokens": True}
    if settings.mtls_prefix:
        scheme, _, host = issuer.url.partition("://")
        url = f"{scheme}://{settings.mtls_prefix}{host}"
        found["mtls_endpoint_aliases"] = {
            name: url + endpoint.path
            for name, endpoint in endpoints.items()
            if not endpoint.has_pages
        }
    return found
