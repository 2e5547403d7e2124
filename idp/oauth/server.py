"""The table of contents of the protocol: endpoints, grants, proofs, response types and modes.

Discovery, the doors and the checks follow from what stands here.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from idp.directory.clients import strangers
from idp.directory.clients.models import OFF
from idp.oauth.checks.response import RESPONSE_MODES, RESPONSE_TYPES
from idp.oauth.client_auth import mtls, private_key_jwt, secret
from idp.oauth.declarations import Endpoint, Proof, Readers, Server
from idp.oauth.endpoints.authorize import authorize_without_page
from idp.oauth.endpoints.device_authorization import device_authorization
from idp.oauth.endpoints.discovery import discovery
from idp.oauth.endpoints.introspect import introspect
from idp.oauth.endpoints.jwks import jwks
from idp.oauth.endpoints.par import par
from idp.oauth.endpoints.registration import CLIENT_PATH, manage, register
from idp.oauth.endpoints.revoke import revoke
from idp.oauth.endpoints.token import token
from idp.oauth.endpoints.userinfo import userinfo
from idp.oauth.grants import authorization_code, client_credentials, device_code, refresh_token
from idp.platform.issuer import Issuer
from idp.platform.signing.algorithms import ALGORITHMS


def _takes_registrations(session: Session, issuer: Issuer) -> bool:
    return strangers.read_policy(session, issuer.tenant_id).by_registration != OFF


ENDPOINTS = (
    Endpoint(
        "/.well-known/openid-configuration",
        ("GET",),
        discovery,
        readers=Readers.ANYBODY,
        is_canonical=True,
    ),
    Endpoint(
        "/.well-known/oauth-authorization-server",
        ("GET",),
        discovery,
        readers=Readers.ANYBODY,
        is_canonical=True,
    ),
    Endpoint(
        "/.well-known/openid-configuration/jwks",
        ("GET",),
        jwks,
        metadata="jwks_uri",
        readers=Readers.ANYBODY,
    ),
    Endpoint(
        "/connect/authorize",
        ("GET", "POST"),
        authorize_without_page,
        metadata="authorization_endpoint",
        has_pages=True,
    ),
    Endpoint(
        "/connect/par",
        ("POST",),
        par,
        metadata="pushed_authorization_request_endpoint",
        more={"require_pushed_authorization_requests": False},
        readers=Readers.CLIENTS,
    ),
    Endpoint(
        "/connect/deviceauthorization",
        ("POST",),
        device_authorization,
        metadata="device_authorization_endpoint",
        readers=Readers.CLIENTS,
    ),
    Endpoint(
        "/connect/token",
        ("POST",),
        token,
        metadata="token_endpoint",
        readers=Readers.CLIENTS,
    ),
    Endpoint(
        "/connect/userinfo",
        ("GET", "POST"),
        userinfo,
        metadata="userinfo_endpoint",
        readers=Readers.CLIENTS,
    ),
    Endpoint("/connect/introspect", ("POST",), introspect, metadata="introspection_endpoint"),
    Endpoint(
        "/connect/revocation",
        ("POST",),
        revoke,
        metadata="revocation_endpoint",
        readers=Readers.CLIENTS,
    ),
    Endpoint(
        "/connect/register",
        ("POST",),
        register,
        metadata="registration_endpoint",
        readers=Readers.ANYBODY,
        exists=_takes_registrations,
    ),
    Endpoint(CLIENT_PATH, ("GET", "PUT", "DELETE"), manage, readers=Readers.ANYBODY),
    Endpoint(
        "/connect/endsession",
        ("GET", "POST"),
        None,
        metadata="end_session_endpoint",
        has_pages=True,
    ),
)
GRANTS = (
    authorization_code.GRANT,
    client_credentials.GRANT,
    device_code.GRANT,
    refresh_token.GRANT,
)
PROOFS = (
    Proof("client_secret_basic", secret.matches),
    Proof("client_secret_post", secret.matches),
    Proof("private_key_jwt", private_key_jwt.is_valid),
    Proof("tls_client_auth", mtls.is_vouched_for, needs_certificate=True),
    Proof("self_signed_tls_client_auth", mtls.is_registered, needs_certificate=True),
    Proof("none", secret.is_public, is_secret=False),
)


def offer(*more: Endpoint) -> Server:
    """Return everything that is offered, with endpoints of other wings."""
    return Server(
        endpoints={endpoint.path: endpoint for endpoint in (*ENDPOINTS, *more)},
        grants={grant.name: grant for grant in GRANTS},
        proofs={proof.name: proof for proof in PROOFS},
        response_types=RESPONSE_TYPES,
        response_modes=RESPONSE_MODES,
        assertion_algorithms=tuple(ALGORITHMS),
    )
