"""How clients prove who they are (RFC 6749 2.3, RFC 7523)."""

from __future__ import annotations

import binascii
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_plus

from idp.directory.clients import snapshot as clients
from idp.directory.clients.models import REGISTERED
from idp.directory.clients.snapshot import ClientView
from idp.directory.product import NO_AUTHENTICATION, TLS_METHODS
from idp.oauth import callers, refusals
from idp.oauth.client_auth import private_key_jwt, uses
from idp.oauth.client_auth.credentials import ASSERTION_TYPE, Credentials
from idp.oauth.request import ProtocolRequest
from idp.platform.errors import InvalidClient, OAuthError
from idp.platform.issuer import Issuer
from idp.platform.storage import Storage
from idp.platform.web.authorization import Credential

Finder = Callable[[Storage, Issuer, str], Awaitable[ClientView | None]]


async def authenticate(
    storage: Storage,
    request: ProtocolRequest,
    credentials: Credentials | None = None,
    *,
    find: Finder = callers.find_allowed,
) -> ClientView:
    """Return the client that calls; InvalidClient unless it proves so by one registered method."""
    credentials = credentials or read_credentials(request)
    try:
        client = await find(storage, request.issuer, credentials.client_id)
    except OAuthError as problem:
        raise await refuse(storage, request, credentials, problem.detail) from None
    if client is None:
        raise await refuse(storage, request, credentials, "unknown client")
    method = _method(client, credentials)
    if method not in client.auth_methods():
        raise await refuse(storage, request, credentials, f"{method} is not registered")
    if not await request.server.proofs[method].is_valid(storage, request, client, credentials):
        raise await refuse(storage, request, credentials, f"{method} failed")
    if client.origin == REGISTERED:
        storage.runtime.uses.note(uses.REGISTERED_CLIENT, client.kept_id)
    storage.caller = client
    return client


def _method(client: ClientView, credentials: Credentials) -> str:
    """Return the method that a client used, by what it showed and what it is."""
    shown, registered = credentials.method, client.token_endpoint_auth_method
    if shown == NO_AUTHENTICATION and registered in TLS_METHODS:
        return registered  # the certificate is not in the request itself
    if (
        shown == "client_secret_basic"
        and not credentials.unverified_proof
        and NO_AUTHENTICATION in client.auth_methods()
    ):
        # RFC 6749 2.3.1: a secret may be left out where it is the empty string, so it may be sent.
        return NO_AUTHENTICATION
    return shown


def read_credentials(request: ProtocolRequest) -> Credentials:
    """Read the credentials out of a request; two methods at once are refused."""
    parameters = request.body
    basic = read_basic(request.authorization)
    body_id = parameters.get("client_id")
    body_secret = parameters.get("client_secret")
    assertion = parameters.get("client_assertion")
    kind = parameters.get("client_assertion_type")
    if (kind is None) is not (assertion is None):
        # RFC 7521 4.2
        message = "client_assertion and client_assertion_type come together"
        raise OAuthError(message)
    if [basic, body_secret, assertion].count(None) < 2:  # noqa: PLR2004 - of three
        # RFC 6749 2.3: the client must not use more than one method in each request.
        message = "More than one client authentication method"
        raise challenged(request, message)
    if basic is not None:
        name, value = basic
        if body_id is not None and body_id != name:
            message = "client_id differs from the Authorization header"
            raise challenged(request, message)
        return Credentials("client_secret_basic", name, value)
    if assertion is not None:
        if kind != ASSERTION_TYPE:
            message = f"client_assertion_type must be {ASSERTION_TYPE}"
            raise OAuthError(message)
        name = private_key_jwt.read_unverified_client_id(assertion)
        if body_id is not None and body_id != name:
            message = "client_id differs from the assertion"
            raise InvalidClient(message)
        return Credentials("private_key_jwt", name, assertion)
    if body_id is None:
        message = "No client authentication"
        raise challenged(request, message)
    if body_secret is not None:
        return Credentials("client_secret_post", body_id, body_secret)
    return Credentials("none", body_id, "")


def read_basic(credential: Credential | None) -> tuple[str, str] | None:
    """Read name and secret of an Authorization header, both form-encoded (RFC 6749 2.3.1)."""
    if credential is None:
        return None
    scheme, encoded = credential
    if scheme != "basic":
        message = "The Authorization header must use Basic"
        raise InvalidClient(message, headers=CHALLENGE)
    try:
        text = binascii.a2b_base64(encoded, strict_mode=True).decode()
        name, value = text.split(":", 1)
        return _form_decoded(name), _form_decoded(value)
    except (binascii.Error, ValueError):
        message = "The Authorization header is malformed"
        raise InvalidClient(message, headers=CHALLENGE) from None


def _form_decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


CHALLENGE = {"WWW-Authenticate": 'Basic realm="idp", charset="UTF-8"'}


def challenged(request: ProtocolRequest, message: str | None = None) -> InvalidClient:
    """Return the refusal; a client that tried Basic is challenged with it again (RFC 6749 5.2)."""
    tried = request.authorization is not None
    return InvalidClient(message, headers=CHALLENGE if tried else None)


async def refuse(
    storage: Storage, request: ProtocolRequest, credentials: Credentials, reason: str
) -> InvalidClient:
    """Return the refusal of a failed proof, after it was recorded."""
    client = await storage.look_up(clients.find, credentials.client_id)
    await storage.in_session(
        refusals.client_refused,
        credentials.client_id,
        request.remote_addr,
        reason,
        is_known=client is not None,
    )
    refusal = challenged(request)
    refusal.debug = reason
    return refusal
