"""The registry: every endpoint of the protocol, in one list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sqlalchemy.orm import Session

from idp.oauth.endpoints.discovery import discovery
from idp.oauth.endpoints.introspect import introspect
from idp.oauth.endpoints.jwks import jwks
from idp.oauth.endpoints.revoke import revoke
from idp.oauth.endpoints.token import token
from idp.oauth.endpoints.userinfo import userinfo
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse

Endpoint = Callable[[ProtocolRequest, Session], ProtocolResponse]

MACHINE_ENDPOINTS: Mapping[str, tuple[Collection[str], Endpoint]] = {
    "/.well-known/openid-configuration": (("GET",), discovery),
    "/.well-known/openid-configuration/jwks": (("GET",), jwks),
    "/.well-known/oauth-authorization-server": (("GET",), discovery),
    "/connect/token": (("POST",), token),
    "/connect/userinfo": (("GET", "POST"), userinfo),
    "/connect/introspect": (("POST",), introspect),
    "/connect/revocation": (("POST",), revoke),
}
"""Answered by `wsgi.MachineDoor`: path → methods and function."""

# A browser sees `authorize` and `end_session`; `blueprint` answers them through Flask.
# The grant types of the token endpoint are listed in `endpoints.token.GRANTS`, the ways that
# clients authenticate in `client_auth.PROOFS`.
