"""The metadata of the installation, and the registration of its clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from idp.config import Settings
from idp.directory.clients.models import Client
from idp.oauth import authlib_adapter
from idp.oauth.endpoints import discovery
from idp.oauth.server import offer
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.signing import service as signing

MOST_NAMED = 5
_MEMBERS = (
    "application_type",
    "client_uri",
    "default_max_age",
    "id_token_signed_response_alg",
    "jwks",
    "jwks_uri",
    "logo_uri",
    "policy_uri",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_signed_response_alg",
)
"""Of RFC 7591 and OpenID Connect Registration, what is a column of the same name. Redirect URIs are
not among them: Authlib does not know those of native applications (RFC 8252 7.1)."""


def metadata(session: Session, settings: Settings) -> dict[str, Any]:
    """Return the metadata of issuer 1; ValueError says what is wrong with it."""
    issuer = Issuer(PLATFORM_TENANT_ID, settings.public_url, settings.public_host, "")
    active = [key.alg for key in signing.list_keys(session) if key.status == "active"]
    document = discovery.metadata(session, issuer, offer(), active)
    authlib_adapter.check_metadata(document, secure=issuer.is_secure)
    return document


def unfit_clients(session: Session, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the enabled clients that are registered with unsupported settings, and why."""
    query = select(Client).where(Client.enabled).options(selectinload(Client.grant_types))
    for client in session.scalars(query.order_by(Client.client_id)):
        try:
            authlib_adapter.check_client(_registered(client), document)
        except ValueError as error:
            yield f"{client.client_id} ({error})"


def _registered(client: Client) -> dict[str, Any]:
    columns = {name: getattr(client, name) for name in _MEMBERS}
    grant_types = [row.grant_type for row in client.grant_types]
    return {name: value for name, value in columns.items() if value is not None} | {
        "grant_types": grant_types or None
    }
