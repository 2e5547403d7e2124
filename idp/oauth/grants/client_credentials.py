"""A client asks for itself (RFC 6749 4.4). A JWT leaves no row behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from idp.directory.clients.snapshot import ClientView
from idp.oauth import access_tokens
from idp.oauth.checks import resource
from idp.oauth.checks import scope as scopes
from idp.oauth.grants import GrantRequest, GrantType, token_answer
from idp.platform.errors import OAuthError


async def answer(token_request: GrantRequest) -> Mapping[str, Any]:
    """Issue an access token for the API scopes asked for, by default all the client may have."""
    client = token_request.client
    if client.is_public:
        message = "A public client cannot use client_credentials"
        raise OAuthError(message, code="unauthorized_client")
    text = token_request.parameters.get("scope")
    resources = resource.read(token_request.parameters)
    if text is not None:
        names = await scopes.recognize(token_request.storage, client, scopes.split(text))
    else:
        names = _unasked(client, resources)
    # There is no person: refresh tokens and OpenID Connect scopes have no meaning here.
    granted = scopes.validate(client, (name for name in names if name != scopes.OFFLINE_ACCESS))
    if granted.identities:
        message = "Identity scopes need a person"
        raise OAuthError(message, code="invalid_scope")
    issuer = token_request.request.issuer
    granted = resource.narrow(granted, resources, issuer.url)
    holder = token_request.holder
    token = await access_tokens.issue_access_token(
        token_request.storage, issuer, client, granted, holder
    )
    return token_answer(token, holder, client.access_token_lifetime, " ".join(granted.names))


def _unasked(client: ClientView, resources: Sequence[str]) -> tuple[str, ...]:
    """Return what a client gets that asks for no scope: all, of an API its default scopes."""
    if not resources:
        return tuple(client.api_scopes)
    default = resource.default_scopes(client, resources)
    apis = {client.api_scopes[name].api.name for name in default}
    rest = (name for name, scope in client.api_scopes.items() if scope.api.name not in apis)
    return (*default, *rest)


GRANT = GrantType("client_credentials", frozenset({"scope", "resource"}), answer)
