"""The checks of an authorization request, in their order.

They know nothing of redirects: a refusal is an OAuthError, and the endpoint decides where it goes.
"""

from __future__ import annotations

from idp.directory.clients.snapshot import ClientView
from idp.directory.product import DEVICE_CODE
from idp.directory.registration import service as registration
from idp.oauth import callers
from idp.oauth.authorization.validated import ValidatedRequest
from idp.oauth.checks import levels, pkce, prompt, redirect_uri, resource, thumbprint
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.prompt import ClaimsRequest
from idp.oauth.checks.response import DEFAULT_MODE, RESPONSE_MODES, RESPONSE_TYPES
from idp.oauth.id_tokens import read_id_token
from idp.oauth.request import Parameters
from idp.platform.errors import OAuthError
from idp.platform.issuer import Issuer
from idp.platform.signing import signer
from idp.platform.storage import Storage
from idp.platform.translation import N_

UNKNOWN = N_("The application is not known here. Tell the people who run it.")
UNSUPPORTED = {
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


async def prove_client(storage: Storage, issuer: Issuer, client_id: str) -> ClientView:
    """Return the client that a request names, if this issuer serves it."""
    client = await callers.find(storage, issuer, client_id)
    if client is None:
        raise OAuthError(UNKNOWN, code="invalid_client")
    return client


def check_source(client: ClientView, *, is_pushed: bool, is_signed: bool) -> None:
    """Check that the request came the way that the client is registered for."""
    if client.require_pushed_authorization_requests and not is_pushed:
        message = "The client must push its requests"
        raise OAuthError(message)  # RFC 9126 5
    if client.require_signed_request_object and not is_signed:
        message = "The client must sign its requests"
        raise OAuthError(message)  # RFC 9101 10.5


def prove_redirect_uri(client: ClientView, parameters: Parameters) -> str:
    """Return the address that the answer is to go to, if the client registered it."""
    uri = parameters.require("redirect_uri")
    native = client.application_type == "native"
    if not redirect_uri.is_registered(uri, client.redirect_uris, native=native):
        message = N_(
            "The application's return address isn't registered. Tell the people who run it."
        )
        raise OAuthError(message, code="invalid_redirect_uri")
    return uri


async def validate(
    storage: Storage, issuer: Issuer, client: ClientView, uri: str, parameters: Parameters
) -> ValidatedRequest:
    """Check every parameter of a request whose client and address are proven."""
    _refuse_unsupported(parameters)
    _check_response(client, parameters)
    resources = resource.read(parameters)
    names = resource.wanted_scopes(client, parameters)
    requested = scopes.validate(client, await scopes.recognize(storage, client, names))
    resource.narrow(requested, resources, issuer.url)
    claims = prompt.read_claims(parameters)
    return ValidatedRequest(
        issuer=issuer,
        client=client,
        redirect_uri=uri,
        scopes=requested,
        code_challenge=pkce.read_challenge(parameters, required=client.require_pkce),
        nonce=parameters.get("nonce"),
        prompt=await _prompt(storage, issuer, parameters),
        max_age=_max_age(client, parameters),
        login_hint=parameters.get("login_hint"),
        hinted_subject=await _hinted_subject(storage, issuer, client, parameters),
        claims=claims,
        tenant_id=prompt.read_id(parameters, "tenant"),
        resources=resources,
        dpop_jkt=thumbprint.read(parameters),
        levels=levels.read(issuer, client, parameters, claims),
    )


async def validate_of_device(
    storage: Storage, issuer: Issuer, client: ClientView, parameters: Parameters
) -> ValidatedRequest:
    """Check every parameter of a request that is answered at no address (RFC 8628 3.1)."""
    _refuse_unsupported(parameters)
    if DEVICE_CODE not in client.grant_types:
        message = f"The client may not use {DEVICE_CODE}"
        raise OAuthError(message, code="unauthorized_client")
    resources = resource.read(parameters)
    names = resource.wanted_scopes(client, parameters)
    requested = scopes.validate(client, await scopes.recognize(storage, client, names))
    resource.narrow(requested, resources, issuer.url)
    claims = ClaimsRequest({})
    return ValidatedRequest(
        issuer=issuer,
        client=client,
        redirect_uri="",
        scopes=requested,
        code_challenge=None,
        nonce=None,
        prompt=frozenset({"login"} if client.device_requires_login else ()),
        max_age=client.default_max_age,
        login_hint=None,
        hinted_subject=None,
        claims=claims,
        tenant_id=None,
        resources=resources,
        dpop_jkt=thumbprint.read(parameters),
        levels=levels.read(issuer, client, parameters, claims),
    )


def _refuse_unsupported(parameters: Parameters) -> None:
    for name, code in UNSUPPORTED.items():
        if parameters.get(name) is not None:
            message = f"{name} is not supported"
            raise OAuthError(message, code=code)


def _check_response(client: ClientView, parameters: Parameters) -> None:
    if parameters.require("response_type") not in RESPONSE_TYPES:
        message = "response_type must be code"
        raise OAuthError(message, code="unsupported_response_type")
    if "authorization_code" not in client.grant_types:
        message = "The client may not use authorization_code"
        raise OAuthError(message, code="unauthorized_client")
    mode = parameters.get("response_mode")
    if mode is not None and mode not in RESPONSE_MODES:
        message = f"response_mode must be one of {', '.join(RESPONSE_MODES)}"
        raise OAuthError(message)
    if (mode or DEFAULT_MODE) not in client.response_modes:
        message = f"The client may not use the response mode {mode or DEFAULT_MODE}"
        raise OAuthError(message)


async def _prompt(storage: Storage, issuer: Issuer, parameters: Parameters) -> frozenset[str]:
    values = prompt.read_prompt(parameters)
    if prompt.CREATE in values and not await storage.in_session(registration.is_open, issuer):
        message = "prompt=create is not possible: registration is closed"
        raise OAuthError(message)
    return values


def _max_age(client: ClientView, parameters: Parameters) -> int | None:
    requested = prompt.read_seconds(parameters, "max_age")
    return client.default_max_age if requested is None else requested


async def _hinted_subject(
    storage: Storage, issuer: Issuer, client: ClientView, parameters: Parameters
) -> str | None:
    """Read whom `id_token_hint` names; an expired ID token is a good hint."""
    hint = parameters.get("id_token_hint")
    if hint is None:
        return None
    claims = read_id_token(await storage.look_up(signer.keys), issuer, hint)
    if claims is None or claims["aud"] != client.client_id:
        message = "id_token_hint is not an ID token of this issuer for this client"
        raise OAuthError(message)
    return str(claims["sub"])
