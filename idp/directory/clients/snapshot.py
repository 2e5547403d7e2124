"""Clients as the protocol sees them: immutable, and cached per worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory import child_texts
from idp.directory.clients import profiles
from idp.directory.clients.models import (
    DOCUMENT,
    OPERATOR,
    REGISTERED,
    Client,
    ClientClaim,
    ClientCorsOrigin,
    ClientGrantType,
    ClientPostLogoutRedirectUri,
    ClientRedirectUri,
    ClientRegistration,
    ClientScope,
    ClientSecret,
)
from idp.directory.product import (
    NO_AUTHENTICATION,
    PLAIN_MODES,
    SAME_MODES,
    SHARED_SECRET_METHODS,
    SIGNED_MODES,
)
from idp.directory.resources import snapshot as resources
from idp.directory.resources.snapshot import ApiScopeView, IdentityView, SecretView
from idp.directory.tenants.models import Tenant
from idp.platform import certificates
from idp.platform.cache import looked_up
from idp.platform.issuer import Issuer

if TYPE_CHECKING:
    from idp.directory.clients.documents import Document

LONGEST_ID = 200


@dataclass(frozen=True)
class ClientView:
    """Everything that a response to a client depends on; reading it runs no SQL."""

    row_id: int | None
    """None: a client that nobody allowed anything yet, known by its document alone."""
    client_id: str
    tenant_id: int | None
    issuer_tenant_id: int | None
    """The one issuer that serves a tenant's client; None: every issuer."""
    client_name: str | None
    client_uri: str | None
    logo_uri: str | None
    policy_uri: str | None
    tos_uri: str | None
    application_type: str
    is_public: bool
    token_endpoint_auth_method: str | None
    token_endpoint_auth_signing_alg: str | None
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    strict_assertion_audience: bool
    security_profile: str | None
    dpop_bound_access_tokens: bool
    tls_client_certificate_bound_access_tokens: bool
    certificate_name: tuple[str, str] | None
    """Kind and value of the name in the certificate by which it authenticates (RFC 8705 2.1.2)."""
    may_need_proof: bool
    """Whether it may ask for a scope whose API takes tokens only that are bound to a key."""
    require_pushed_authorization_requests: bool
    require_signed_request_object: bool
    request_object_signing_alg: str | None
    response_modes: frozenset[str]
    """Those that it may ask for."""
    secrets: tuple[SecretView, ...]
    grant_types: frozenset[str]
    redirect_uris: frozenset[str]
    post_logout_redirect_uris: frozenset[str]
    cors_origins: frozenset[str]
    require_pkce: bool
    require_consent: bool
    allow_remember_consent: bool
    consent_lifetime: int | None
    allow_offline_access: bool
    default_max_age: int | None
    require_acr: str | None
    default_acr_values: tuple[str, ...]
    device_requires_login: bool
    second_factor_exempt: bool
    authorization_code_lifetime: int
    identity_token_lifetime: int
    access_token_lifetime: int
    absolute_refresh_token_lifetime: int
    sliding_refresh_token_lifetime: int
    refresh_token_is_reusable: bool
    refresh_token_slides: bool
    refresh_token_reuse_seconds: int
    access_token_is_reference: bool
    signing_alg: str | None
    """Of access tokens whose API names none; None: that of the installation."""
    id_token_signed_response_alg: str | None
    userinfo_signed_response_alg: str | None
    introspection_signed_response_alg: str | None
    authorization_signed_response_alg: str | None
    always_include_user_claims_in_id_token: bool
    always_send_client_claims: bool
    client_claims: dict[str, str | list[str]]
    """Claims about the client, names with its prefix."""
    api_scopes: dict[str, ApiScopeView]
    """API scopes that the client may ask for, by name."""
    identity_scopes: dict[str, IdentityView]
    """Identity scopes that the client may ask for, by name."""
    origin: str = OPERATOR
    """`operator`, `registered` or `document`."""
    document_hash: str | None = None
    """Of the document that says what the client is; None: it has none."""
    document: Document | None = None
    """What it says now; None where it was not asked for."""
    described_at: datetime | None = None
    """When the row was last written from the document."""
    has_new_keys: bool = False
    """Whether its document names other keys or another authentication than when it was allowed."""

    @property
    def is_stranger(self) -> bool:
        """Whether nobody who runs this registered the client: people are told, and it gets less."""
        return self.origin != OPERATOR

    @property
    def kept_id(self) -> int:
        """The id of the row, which every client has that a token was issued to."""
        assert self.row_id is not None  # noqa: S101 - the grant of the token names it
        return self.row_id

    @property
    def name(self) -> str:
        """The name shown to people, with the host of a document: nobody checked that name."""
        name = self.client_name or self.client_id
        return f"{name} ({self.host})" if self.origin == DOCUMENT else name

    @property
    def host(self) -> str:
        """The host that publishes the document of the client; empty where it has none."""
        return (urlsplit(self.client_id).hostname or "") if self.origin == DOCUMENT else ""

    def is_served_by(self, issuer: Issuer) -> bool:
        """Return whether the client may be used at an issuer."""
        return self.issuer_tenant_id is None or self.issuer_tenant_id == issuer.tenant_id

    def auth_methods(self) -> frozenset[str]:
        """Return the methods by which the client may authenticate (RFC 7591 2)."""
        if self.token_endpoint_auth_method:
            return frozenset({self.token_endpoint_auth_method})
        if self.is_public:
            return frozenset({NO_AUTHENTICATION})
        return frozenset(SHARED_SECRET_METHODS)


def _response_modes(client: Client) -> frozenset[str]:
    """Return the response modes of a client; signed ones for those that say so."""
    modes = set(client.response_modes or PLAIN_MODES)
    if not client.response_modes and client.authorization_signed_response_alg is not None:
        modes.update(SIGNED_MODES)
    if not modes.isdisjoint(SAME_MODES):
        modes.update(SAME_MODES)
    return frozenset(modes)


def certificate_names(client: Client) -> list[tuple[str, str]]:
    """List the names by which the certificate of a client is known, with their kinds."""
    found = ((kind, getattr(client, f"tls_client_auth_{kind}")) for kind in certificates.KINDS)
    return [(kind, value) for kind, value in found if value is not None]


@looked_up("client", longest=LONGEST_ID)
def find(session: Session, client_id: str) -> ClientView | None:
    """Return an enabled client by its OAuth identifier, from the cache if possible."""
    return _load(session, Client.client_id == client_id)


@looked_up("cors origins")
def cors_origins(session: Session) -> frozenset[str]:
    """Return the origins that any enabled client registered, for preflights."""
    query = select(ClientCorsOrigin.origin).join(Client).where(Client.enabled).distinct()
    return frozenset(session.scalars(query))


_TEXTS = child_texts.select(
    claims=(ClientClaim.client_id, ClientClaim.type, ClientClaim.value),
    grant_types=(ClientGrantType.client_id, ClientGrantType.grant_type),
    scopes=(ClientScope.client_id, ClientScope.scope),
    redirect_uris=(ClientRedirectUri.client_id, ClientRedirectUri.redirect_uri),
    post_logout_redirect_uris=(
        ClientPostLogoutRedirectUri.client_id,
        ClientPostLogoutRedirectUri.post_logout_redirect_uri,
    ),
    cors_origins=(ClientCorsOrigin.client_id, ClientCorsOrigin.origin),
)


def _load(session: Session, condition: Any) -> ClientView | None:
    client = session.scalars(select(Client).where(condition, Client.enabled)).one_or_none()
    return None if client is None else _view(session, client)


def _view(session: Session, client: Client) -> ClientView | None:
    issuer_tenant_id: int | None = None
    if client.tenant_id is not None:
        tenant = session.get(Tenant, client.tenant_id)
        if tenant is None or not tenant.is_enabled:
            return None
        issuer_tenant_id = tenant.issuer_tenant_id
    if client.origin == REGISTERED:
        # Where it registered, and nowhere else: others have not let it in.
        query = select(ClientRegistration.issuer_tenant_id)
        issuer_tenant_id = session.scalar(query.where(ClientRegistration.client_id == client.id))
    found = child_texts.read(session, _TEXTS, client_id=(client.id,))
    texts = {kind: frozenset(text for text, _ in rows) for (kind, _), rows in found.items()}
    nothing: frozenset[str] = frozenset()
    api_scopes, identity_scopes = resources.load_scopes(
        session, texts.get("scopes", nothing), client.tenant_id
    )
    claims: dict[str, str | list[str]] = {}
    for kind, value in found.get(("claims", client.id), ()):
        name = client.client_claims_prefix + kind
        known = claims.get(name)
        if known is None:
            claims[name] = value
        else:
            claims[name] = [*([known] if isinstance(known, str) else known), value]
    children = Children(
        {kind: texts.get(kind, nothing) for kind in LISTS},
        resources.secrets_of(session, ClientSecret.client_id, [client.id])[client.id],
        claims,
        api_scopes,
        identity_scopes,
    )
    return view_of(client, issuer_tenant_id, children)


LISTS = ("grant_types", "redirect_uris", "post_logout_redirect_uris", "cors_origins")


@dataclass(frozen=True, slots=True)
class Children:
    """What is kept with a client in other tables."""

    texts: Mapping[str, frozenset[str]]
    """By the names in `LISTS`."""
    secrets: tuple[SecretView, ...]
    claims: dict[str, str | list[str]]
    api_scopes: dict[str, ApiScopeView]
    identity_scopes: dict[str, IdentityView]


def view_of(client: Client, issuer_tenant_id: int | None, children: Children) -> ClientView:
    """Return a client as the protocol sees it, with what is kept in other tables."""
    api_scopes = children.api_scopes
    view = ClientView(
        row_id=client.id,
        client_id=client.client_id,
        tenant_id=client.tenant_id,
        issuer_tenant_id=issuer_tenant_id,
        client_name=client.client_name,
        client_uri=client.client_uri,
        logo_uri=client.logo_uri,
        policy_uri=client.policy_uri,
        tos_uri=client.tos_uri,
        application_type=client.application_type,
        is_public=not client.require_client_secret,
        token_endpoint_auth_method=client.token_endpoint_auth_method,
        token_endpoint_auth_signing_alg=client.token_endpoint_auth_signing_alg,
        jwks=client.jwks,
        jwks_uri=client.jwks_uri,
        strict_assertion_audience=client.strict_assertion_audience,
        security_profile=client.security_profile,
        dpop_bound_access_tokens=client.dpop_bound_access_tokens,
        tls_client_certificate_bound_access_tokens=client.tls_client_certificate_bound_access_tokens,
        certificate_name=next(iter(certificate_names(client)), None),
        may_need_proof=any(scope.api.dpop_required for scope in api_scopes.values()),
        require_pushed_authorization_requests=client.require_pushed_authorization_requests,
        require_signed_request_object=client.require_signed_request_object,
        request_object_signing_alg=client.request_object_signing_alg,
        response_modes=_response_modes(client),
        secrets=children.secrets,
        grant_types=children.texts["grant_types"],
        redirect_uris=children.texts["redirect_uris"],
        post_logout_redirect_uris=children.texts["post_logout_redirect_uris"],
        cors_origins=children.texts["cors_origins"],
        require_pkce=client.require_pkce or not client.require_client_secret,
        require_consent=client.require_consent,
        allow_remember_consent=client.allow_remember_consent,
        consent_lifetime=client.consent_lifetime,
        allow_offline_access=client.allow_offline_access,
        default_max_age=client.default_max_age,
        require_acr=client.require_acr,
        default_acr_values=tuple(client.default_acr_values or ()),
        device_requires_login=client.device_requires_login,
        second_factor_exempt=client.second_factor_exempt,
        authorization_code_lifetime=client.authorization_code_lifetime,
        identity_token_lifetime=client.identity_token_lifetime,
        access_token_lifetime=client.access_token_lifetime,
        absolute_refresh_token_lifetime=client.absolute_refresh_token_lifetime,
        sliding_refresh_token_lifetime=client.sliding_refresh_token_lifetime,
        refresh_token_is_reusable=client.refresh_token_usage == 0,
        refresh_token_slides=client.refresh_token_expiration == 0,
        refresh_token_reuse_seconds=client.refresh_token_reuse_seconds,
        access_token_is_reference=client.access_token_type == 1,
        signing_alg=None,
        id_token_signed_response_alg=client.id_token_signed_response_alg,
        userinfo_signed_response_alg=client.userinfo_signed_response_alg,
        introspection_signed_response_alg=client.introspection_signed_response_alg,
        authorization_signed_response_alg=client.authorization_signed_response_alg,
        always_include_user_claims_in_id_token=client.always_include_user_claims_in_id_token,
        always_send_client_claims=client.always_send_client_claims,
        client_claims=children.claims,
        api_scopes=api_scopes,
        identity_scopes=children.identity_scopes,
        origin=client.origin,
        document_hash=client.document_hash,
        described_at=client.updated_at if client.origin == DOCUMENT else None,
    )
    return replace(view, **profiles.settings(client))
