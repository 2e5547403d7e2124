"""The endpoints where clients register, read, change and delete themselves (RFC 7591, 7592)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session

from idp.directory.clients import metadata, registration_tokens, registrations, rules, statements
from idp.directory.clients.metadata import ClientMetadata
from idp.directory.clients.models import Client
from idp.directory.clients.registrations import Registered
from idp.oauth import authlib_adapter, refusals
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse, json_response
from idp.platform import runtime
from idp.platform.errors import InvalidToken
from idp.platform.storage import Storage
from idp.platform.web.authorization import BEARER

CLIENT_PATH = "/connect/register/client"
# fmt: off
_AS_STORED = (
    "client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "application_type", "jwks",
    "jwks_uri", metadata.START, "default_acr_values", "default_max_age", *metadata.ALGORITHM_FIELDS,
    *metadata.CERTIFICATE_FIELDS,
)
# fmt: on


async def register(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Register a client; answer it with all that was registered (RFC 7591 3)."""
    return json_response(await _carry_out(storage, request, "", _register), status=201)


async def manage(request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
    """Read, replace or delete a client on its own behalf (RFC 7592 2)."""
    client_id = dict(request.query).get("id", "")
    found = await _carry_out(storage, request, client_id, _ACTS[request.method])
    return ProtocolResponse(204, NO_STORE) if found is None else json_response(found)


async def _carry_out(
    storage: Storage, request: ProtocolRequest, client_id: str, act: Any
) -> dict[str, Any] | None:
    """Do something on a thread, where documents of clients may be waited for."""
    try:
        answer: dict[str, Any] | None = await storage.in_session(act, request, client_id)
    except InvalidToken as refusal:
        await storage.in_session(
            refusals.registration_refused, client_id, request.remote_addr, refusal.detail
        )
        raise
    return answer


def _register(session: Session, request: ProtocolRequest, _client_id: str) -> dict[str, Any]:
    issuer = request.issuer
    row = registrations.admit(session, issuer, _bearer(request))
    policy = registration_tokens.policy_of(row)
    said = _read(session, statements.merged(session, issuer, policy, request.json()))
    made = registrations.register(session, issuer, row, said)
    return _shown(request, made)


def _show(session: Session, request: ProtocolRequest, client_id: str) -> dict[str, Any]:
    found = registrations.read(session, request.issuer, client_id, _bearer(request))
    return _shown(request, found)


def _update(session: Session, request: ProtocolRequest, client_id: str) -> dict[str, Any]:
    issuer, token = request.issuer, _bearer(request)
    registrations.authenticate(session, issuer, client_id, token)
    made = registrations.update(
        session, issuer, client_id, token, request.json(), lambda sent: _read(session, sent)
    )
    return _shown(request, made)


def _delete(session: Session, request: ProtocolRequest, client_id: str) -> None:
    registrations.delete(session, request.issuer, client_id, _bearer(request))


_ACTS = {"GET": _show, "PUT": _update, "DELETE": _delete}


def _bearer(request: ProtocolRequest) -> str | None:
    """Return the token of the Authorization header; another scheme counts as a wrong token."""
    if request.authorization is None:
        return None
    scheme, value = request.authorization
    if scheme != BEARER or not value:
        raise InvalidToken
    return value


def _read(session: Session, sent: Mapping[str, Any]) -> ClientMetadata:
    """Read metadata by our rules, and what they leave of it by Authlib's."""
    development = runtime.of(session).settings.environment == "development"
    said = metadata.read(sent, development=development)
    known = {name: value for name, value in said.settings.items() if value is not None}
    known |= said.extra
    known["redirect_uris"] = [uri for uri in said.redirect_uris if "://" in uri]
    try:
        authlib_adapter.check_client(known, {})
    except ValueError as error:
        raise metadata.refused(str(error), "is not valid") from None
    return said


def _shown(request: ProtocolRequest, registered: Registered) -> dict[str, Any]:
    """Return what a client is told of itself (RFC 7591 3.2.1, RFC 7592 3)."""
    client = registered.client
    grant_types = [row.grant_type for row in client.grant_types]
    offline = [rules.OFFLINE_ACCESS] if client.allow_offline_access else []
    answer: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created_at.timestamp()),
        "registration_client_uri": _address(request, client),
        "registration_access_token": registered.access_token,
        "token_endpoint_auth_method": client.token_endpoint_auth_method,
        "grant_types": grant_types,
        "response_types": ["code"] if metadata.CODE in grant_types else [],
        "redirect_uris": [row.redirect_uri for row in client.redirect_uris],
        "post_logout_redirect_uris": [
            row.post_logout_redirect_uri for row in client.post_logout_redirect_uris
        ],
        "scope": " ".join([row.scope for row in client.scopes] + offline),
        "subject_type": "public",
        **{name: getattr(client, name) for name in metadata.FLAGS},
        **registered.extra,
    }
    answer |= {name: value for name in _AS_STORED if (value := getattr(client, name)) is not None}
    if registered.secret is not None:
        answer |= {"client_secret": registered.secret, "client_secret_expires_at": 0}
    return answer


def _address(request: ProtocolRequest, client: Client) -> str:
    return f"{request.endpoint_url(CLIENT_PATH)}?id={quote(client.client_id, safe='')}"
