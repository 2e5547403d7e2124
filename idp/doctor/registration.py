"""The metadata of the installation, and the registration of its clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, selectinload

from idp.config import Settings
from idp.directory.clients.models import Client
from idp.doctor.result import Result, failed, ok, warning
from idp.doctor.storage import is_away, unknown
from idp.oauth import authlib_adapter
from idp.oauth.endpoints import discovery
from idp.oauth.server import offer
from idp.platform import revisions
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.signing import service as signing
from idp.platform.tables import load_models

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
    "request_object_signing_alg",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_signed_response_alg",
)
"""Of RFC 7591 and OpenID Connect Registration, what is a column of the same name. Redirect URIs are
not among them: Authlib does not know those of native applications (RFC 8252 7.1)."""


def clients(settings: Settings) -> Result:
    """Compare the clients with what is supported (RFC 8414, RFC 7591)."""
    load_models()
    try:
        if is_away(settings):
            return unknown()
        with revisions.looking(settings.database) as connection, Session(connection) as session:
            unfit = [*unfit_clients(session, metadata(session, settings))]
    except SQLAlchemyError:
        return unknown()
    except ValueError as error:
        return failed(f"the metadata is not valid ({error})", "see `idp keys list`")
    if unfit:
        named = ", ".join(unfit[:MOST_NAMED])
        return warning(
            f"{len(unfit)} clients are registered with unsupported settings: {named}",
            "correct them with `idp client change`",
        )
    return ok("every client is registered with supported settings")


def metadata(session: Session, settings: Settings) -> dict[str, Any]:
    """Return the metadata of issuer 1; ValueError says what is wrong with it."""
    issuer = Issuer(PLATFORM_TENANT_ID, settings.public_url, settings.public_host, "")
    active = [key.alg for key in signing.list_keys(session) if key.status == "active"]
    document = discovery.metadata(session, settings, issuer, offer(), active)
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
