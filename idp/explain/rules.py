"""The checks of the protocol by the functions that do them: what they check, and by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Check(NamedTuple):
    """What a function checks, and the rule behind it."""

    name: str
    rule: str


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        # Requests
        "request.require": Check("Required parameters", "RFC 6749 5.2"),
        "request._refuse_doubles": Check("Parameters are sent once", "RFC 6749 3.1, 3.2"),
        "request._read_body": Check("Parameters are in the body", "RFC 6749 3.2"),
        # Clients
        "client_auth.authenticate": Check("Client authentication", "RFC 6749 2.3, 5.2"),
        "client_auth.read_credentials": Check("Client authentication", "RFC 6749 2.3"),
        "client_auth.read_basic": Check("Client authentication by header", "RFC 6749 2.3.1"),
        "client_auth.private_key_jwt.read_unverified_client_id": Check(
            "Client assertion", "RFC 7523 3"
        ),
        "endpoints.introspect._authenticate": Check("Caller of introspection", "RFC 7662 2.1"),
        "endpoints.token.find_grant": Check("Grant types of the client", "RFC 6749 5.2"),
        # Proofs
        "endpoints.token._proof": Check("DPoP proof of the client", "RFC 9449 5"),
        "dpop.proofs.check": Check("DPoP proof", "RFC 9449 4.3"),
        "dpop.proofs._split": Check("Form of the DPoP proof", "RFC 9449 4.1, 4.3"),
        "dpop.proofs._jti": Check("Id of the DPoP proof", "RFC 9449 4.2"),
        "dpop.proofs._check_request": Check("Request of the DPoP proof", "RFC 9449 4.3"),
        "dpop.proofs._check_token": Check("Token of the DPoP proof", "RFC 9449 4.3"),
        "dpop.proofs._check_time": Check("Time of the DPoP proof", "RFC 9449 4.3, 8"),
        "dpop.proofs._check_nonce": Check("Nonce of the DPoP proof", "RFC 9449 8"),
        "dpop.keys.read": Check("Key of the DPoP proof", "RFC 9449 4.3"),
        "dpop.keys._load": Check("Key of the DPoP proof", "RFC 9449 4.3"),
        "dpop.once.spend": Check("DPoP proofs are accepted once", "RFC 9449 11.1"),
        "dpop.once.write": Check("DPoP proofs are accepted once", "RFC 9449 11.1"),
        "dpop.once.write_and_read": Check("DPoP proofs are accepted once", "RFC 9449 11.1"),
        "endpoints.token._holder": Check("Certificate of the client", "RFC 8705 3"),
        "possession._check_certificate": Check("Certificate of the token", "RFC 8705 3"),
        "possession._check_proof": Check("Holder of the token", "RFC 9449 7.1"),
        "possession.check": Check("Holder of the token", "RFC 9449 7.1, 7.2"),
        # Authorization requests
        "checks.thumbprint.read": Check("Key of the code", "RFC 9449 10"),
        "authorization.checks.prove_client": Check(
            "Client and return address", "RFC 6749 3.1.2.4, RFC 9700 2.1"
        ),
        "authorization.checks.prove_redirect_uri": Check(
            "Client and return address", "RFC 6749 3.1.2.4, RFC 9700 2.1"
        ),
        "authorization.checks._refuse_unsupported": Check(
            "Supported parameters", "OpenID Connect Core 3.1.2.6"
        ),
        "authorization.checks._prompt": Check(
            "Prompt", "OpenID Connect Initiating User Registration 4"
        ),
        "authorization.checks.check_source": Check(
            "Pushed and signed requests", "RFC 9126 5, RFC 9101 10.5"
        ),
        "authorization.parameters.unwrap": Check("Signed request", "OpenID Connect Core 6.1"),
        "authorization.pushed.find": Check("Pushed request", "RFC 9126 4"),
        "authorization.pushed.spend": Check("Pushed request", "RFC 9126 7.3"),
        "authorization.request_object._verify": Check("Signed request", "RFC 9101 6.2"),
        "authorization.request_object._refuse": Check("Signed request", "RFC 9101 6"),
        "authorization.request_object._check_strictly": Check(
            "Signed request", "FAPI 2.0 Message Signing 5.3.1"
        ),
        "endpoints.par.par": Check("Pushed request", "RFC 9126 2.1"),
        "endpoints.par._own": Check("Size of the pushed request", "RFC 9126 2.3"),
        "endpoints.par._bound": Check("Key of the pushed request", "RFC 9449 10.1"),
        "endpoints.par._count": Check("Number of pushed requests", "RFC 9126 2.3"),
        "authorization.checks.validate_of_device": Check(
            "Grant types of the client", "RFC 8628 3.1"
        ),
        "endpoints.device_authorization._own": Check("Form of the request", "RFC 8628 3.1"),
        "endpoints.device_authorization._bound": Check("Key of the request", "RFC 9449 10.1"),
        "endpoints.device_authorization._count": Check("Number of requests", "RFC 8628 5.1"),
        "authorization.checks._check_response": Check("Response type", "RFC 6749 3.1.1, 4.1.2.1"),
        "checks.levels.read": Check("Level of sign-in", "OpenID Connect Core 5.5.1.1"),
        "checks.levels.unmet": Check("Level of sign-in", "OpenID Connect Core 5.5.1.1"),
        "checks.levels._wished": Check("Level of sign-in", "OpenID Connect Core 3.1.2.1"),
        "authorization.checks._hinted_subject": Check(
            "ID token hint", "OpenID Connect Core 3.1.2.2"
        ),
        "authorization.decide._settle_sign_in": Check("Sign-in", "OpenID Connect Core 3.1.2.3"),
        "authorization.decide._settle_tenant": Check("Membership in a tenant", "RFC 6749 4.1.2.1"),
        "authorization.decide.decide": Check("Consent", "RFC 6749 4.1.2.1"),
        "checks.pkce.read_challenge": Check("PKCE challenge", "RFC 7636 4.3, RFC 9700 2.1.1"),
        "checks.prompt.read_prompt": Check("Prompt", "OpenID Connect Core 3.1.2.1"),
        "checks.prompt.read_claims": Check("Claims parameter", "OpenID Connect Core 5.5"),
        "checks.prompt.read_seconds": Check("Maximum age", "OpenID Connect Core 3.1.2.1"),
        # Registrations
        "request.json": Check("Form of the body", "RFC 7591 3.1"),
        "request._members": Check("Members are sent once", "RFC 8259 4"),
        "endpoints.registration._bearer": Check("Token of the registration", "RFC 6750 2.1"),
        "endpoints.registration._read": Check("Metadata of the client", "RFC 7591 2, 3.2.2"),
        "endpoints.registration._register": Check("Registration", "RFC 7591 3"),
        "endpoints.registration._show": Check("Registration access token", "RFC 7592 2.1"),
        "endpoints.registration._update": Check("Update of a registration", "RFC 7592 2.2"),
        "endpoints.registration._delete": Check("Registration access token", "RFC 7592 2.3"),
        # Logout requests
        "endpoints.end_session.validate": Check(
            "Client of the logout", "OpenID Connect RP-Initiated Logout 2"
        ),
        "endpoints.end_session._read_hint": Check(
            "ID token hint", "OpenID Connect RP-Initiated Logout 2"
        ),
        "endpoints.end_session._location": Check(
            "Return address of the logout", "OpenID Connect RP-Initiated Logout 3"
        ),
        # Scopes
        "checks.scope.recognize": Check("Scopes that there are", "RFC 6749 3.3"),
        "checks.scope.validate": Check("Scopes of the client", "RFC 6749 3.3"),
        "checks.resource.read": Check("Form of resources", "RFC 8707 2"),
        "checks.resource.narrow": Check("Resources", "RFC 8707 2.2"),
        "checks.resource._check_known": Check("Resources", "RFC 8707 2"),
        "access_tokens._algorithm": Check("One signature for all resources", "RFC 8707 2.2"),
        # Grants
        "checks.pkce.prove": Check("PKCE verifier", "RFC 7636 4.6, RFC 9700 4.8.2"),
        "grants.authorization_code.answer": Check("Authorization code", "RFC 6749 4.1.3"),
        "grants.authorization_code._find": Check("Authorization code", "RFC 6749 4.1.3"),
        "grants.authorization_code._check_redirect_uri": Check(
            "Return address of the code", "RFC 6749 4.1.3"
        ),
        "grants.client_credentials.answer": Check("Client credentials", "RFC 6749 4.4"),
        "grants.device_code.answer": Check("Device code", "RFC 8628 3.5"),
        "grants.device_code._find": Check("Device code", "RFC 8628 3.5"),
        "grants.device_code._check_pace": Check("Pace of the device", "RFC 8628 3.5"),
        "grants.refresh_token.answer": Check("Refresh token", "RFC 6749 6"),
        "grants.refresh_token._narrow": Check("Scopes of the refresh token", "RFC 6749 6"),
        "grants.refresh_token._rotate": Check("Rotation of the refresh token", "RFC 9700 4.14.2"),
        "signed_tokens.sign_within": Check("Size of the token", "RFC 6749 3.3"),
        # Access tokens
        "access_tokens.issue_access_token": Check("Proof that the API requires", "RFC 9449 5"),
        "access_tokens._read": Check("Access token", "RFC 6750 3.1, RFC 9068 4"),
        "access_tokens._check_not_revoked": Check("Revocation of the token", "RFC 7009 2.2"),
        "access_tokens.read_access_token": Check("Grant of the token", "RFC 6750 3.1"),
        "access_tokens.recall_access_token": Check("Expiry of the token", "RFC 9068 4"),
        "endpoints.userinfo.userinfo": Check("Scope and audience", "RFC 6750 3.1, RFC 9068 4"),
        "endpoints.userinfo.read_credential": Check("Access token in the request", "RFC 6750 2"),
        "endpoints.gateway.__call__": Check("Bearer token", "RFC 6750 2"),
        "endpoints.gateway._read": Check("Expiry of the token", "RFC 9068 4"),
    }
)

ERRORS: Mapping[str, Check] = MappingProxyType(
    {
        "login_required": Check("Sign-in without a page", "OpenID Connect Core 3.1.2.6"),
        "account_selection_required": Check(
            "Choice of account without a page", "OpenID Connect Core 3.1.2.6"
        ),
        "interaction_required": Check(
            "Choice of tenant or second factor without a page", "OpenID Connect Core 3.1.2.6"
        ),
        "consent_required": Check("Consent without a page", "OpenID Connect Core 3.1.2.6"),
        "access_denied": Check("Consent", "RFC 6749 4.1.2.1"),
        "invalid_dpop_proof": Check("DPoP proof", "RFC 9449 4.3"),
        "use_dpop_nonce": Check("Nonce of the DPoP proof", "RFC 9449 8"),
        "invalid_token": Check("Access token", "RFC 6750 3.1"),
        "invalid_client": Check("Client authentication", "RFC 6749 5.2"),
        "invalid_grant": Check("Grant", "RFC 6749 5.2"),
        "invalid_scope": Check("Scopes", "RFC 6749 3.3"),
        "invalid_request": Check("Form of the request", "RFC 6749 5.2"),
    }
)
"""What is checked where no function is known, or none of those above."""


def find(function: str | None, error: str) -> tuple[str, str | None]:
    """Return what was checked, and the rule where it is known."""
    found = CHECKS.get(function or "") or ERRORS.get(error)
    return (found.name, found.rule) if found else (function or error, None)
