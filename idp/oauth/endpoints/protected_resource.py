"""Metadata of protected resources (RFC 9728): which issuer their tokens are of, and which scopes.

It is served for APIs whose address is at a host of ours, or that are published at the gateway.
Other servers publish what `idp api metadata` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory import api_names
from idp.directory.resources import snapshot as resources
from idp.directory.resources.snapshot import ApiView, Described
from idp.directory.tenants import service as tenants
from idp.oauth.dpop import keys
from idp.oauth.endpoints.discovery import HEADERS
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import ProtocolResponse, json_response
from idp.platform import runtime
from idp.platform.cache import looked_up
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.storage import Storage

_SAFE = "/:@!$&'()*+,;=~"
"""What stands in a path as it is (RFC 3986 3.3)."""


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """Answers for the address of an API; 404 unless it is served here."""

    is_published: Callable[[Session, int, str], bool]
    """Whether an API is at our gateway, below the beginning of a path."""

    async def __call__(self, request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
        """Return the metadata of the API whose address was put into this one (3.1)."""
        path = quote(request.path.removeprefix(api_names.WELL_KNOWN), safe=_SAFE)
        body = await storage.look_up(_document, request.host_url + path, self)
        if body is None:
            return json_response({"error": "not_found"}, status=404)
        return ProtocolResponse(200, HEADERS, body)


@looked_up("protected resource", longest=api_names.LONGEST)
def _document(session: Session, address: str, served: ProtectedResource) -> bytes | None:
    settings = runtime.of(session).settings
    scheme, _, rest = address.partition("://")
    # Where we are reached by http, a proxy in front of us may still have been reached by https.
    for name in dict.fromkeys((scheme, "https")):
        described = resources.describe(session, f"{name}://{rest}")
        issuer = None if described is None else _issuer(session, described.api, rest, served)
        if described is not None and issuer is not None:
            return orjson.dumps(metadata(settings, described, issuer))
    return None


def _issuer(
    session: Session, api: ApiView, address: str, served: ProtectedResource
) -> Issuer | None:
    """Return the issuer of an API's tokens; None: nothing is served at its address by us.

    A tenant may take any address as a name. At a host of ours it must be one of its own.
    """
    own = issuer_of(session, api)
    host, _, path = address.partition("/")
    at_host = tenants.find_issuer(session, host)
    is_shared = api.tenant_id is None
    if at_host and own and (is_shared or at_host.tenant_id == own.tenant_id):
        return at_host
    return own if served.is_published(session, api.row_id, path.partition("/")[0]) else None


def describe(session: Session, name: str) -> dict[str, Any] | None:
    """Return the metadata of an API for its own server; None: it is disabled, or its tenant is."""
    described = resources.describe(session, name)
    issuer = None if described is None else issuer_of(session, described.api)
    if described is None or issuer is None:
        return None
    return metadata(runtime.of(session).settings, described, issuer)


def issuer_of(session: Session, api: ApiView) -> Issuer | None:
    """Return the issuer of the tenant that an API belongs to; None: the tenant is disabled."""
    tenant = tenants.get(session, api.tenant_id or PLATFORM_TENANT_ID)
    return tenants.issuer_of(session, tenant.id) if tenant.is_enabled else None


def metadata(settings: Settings, described: Described, issuer: Issuer) -> dict[str, Any]:
    """Return the metadata of an API (2); what is not built is absent."""
    api = described.api
    found: dict[str, Any] = {
        "resource": api.name,
        "authorization_servers": [issuer.url],
        "scopes_supported": list(described.scopes),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(keys.OFFERED),
        "dpop_bound_access_tokens_required": api.dpop_required,
    }
    if described.title is not None:
        found["resource_name"] = described.title
    if settings.client_certificate:
        found["tls_client_certificate_bound_access_tokens"] = True
    return found
