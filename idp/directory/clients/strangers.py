"""Clients that nobody here registered: which of them an issuer serves, and what they may have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import KeySet
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory import product
from idp.directory.clients import addresses, audited, documents, fields, rules, snapshot
from idp.directory.clients.documents import Document
from idp.directory.clients.models import (
    DOCUMENT,
    OFF,
    Client,
    ClientCorsOrigin,
    ClientGrantType,
    ClientRedirectUri,
    StrangerPolicy,
)
from idp.directory.clients.snapshot import Children, ClientView
from idp.directory.resources import snapshot as resources
from idp.directory.resources.models import ApiResource, ApiScope
from idp.directory.resources.snapshot import ApiScopeView, IdentityView
from idp.platform import clock
from idp.platform.audit.tags import Tag
from idp.platform.cache import looked_up
from idp.platform.stamps import new_stamp

OF_EVERYBODY = ("openid", "profile", "email")
"""Scopes that every stranger may ask for, beside `offline_access`."""
CODE_SECONDS = 60
ACCESS_TOKEN_SECONDS = 3600
ANY = "any"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which strangers an issuer serves."""

    by_document: str = OFF
    hosts: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    by_registration: str = "token"
    scopes: tuple[str, ...] = ()

    @property
    def takes_documents(self) -> bool:
        """Whether clients may be known by their documents at all."""
        return self.by_document != OFF

    def lets_in(self, client_id: str) -> bool:
        """Return whether a client may be known by the document that its id is the address of."""
        host = documents.host_of(client_id)
        if not self.takes_documents or client_id in self.blocked or self._is_blocked(host):
            return False
        return self.by_document == ANY or is_listed(host, self.hosts)

    def _is_blocked(self, host: str) -> bool:
        """Return whether a host is blocked, by itself or below one that is; at any depth."""
        labels = host.split(".")
        above = {f"*.{'.'.join(labels[number:])}" for number in range(1, len(labels))}
        return host in self.blocked or not above.isdisjoint(self.blocked)


def is_listed(host: str, patterns: Sequence[str]) -> bool:
    """Return whether a host is in a list; `*.` at the beginning stands for one label."""
    return host in patterns or f"*.{host.partition('.')[2]}" in patterns


def policy_from(row: StrangerPolicy | None) -> Policy:
    """Return what a row says; the defaults where there is none."""
    if row is None:
        return Policy()
    return Policy(
        row.clients_by_document,
        tuple(row.clients_by_document_hosts),
        tuple(row.clients_by_document_blocked),
        row.clients_by_registration,
        tuple(row.stranger_scopes),
    )


@looked_up("strangers")
def policy_at(session: Session, tenant_id: int) -> Policy:
    """Return which strangers the issuer of a tenant serves; cached."""
    return read_policy(session, tenant_id)


def read_policy(session: Session, tenant_id: int) -> Policy:
    """Return which strangers the issuer of a tenant serves, from the database."""
    row = session.scalar(select(StrangerPolicy).where(StrangerPolicy.tenant_id == tenant_id))
    return policy_from(row)


Scopes = tuple[dict[str, ApiScopeView], dict[str, IdentityView]]


@looked_up("scopes of strangers")
def scopes_at(session: Session, tenant_id: int) -> Scopes:
    """Return the scopes that strangers may ask for at the issuer of a tenant; cached.

    None of the product's own, and none of an API of another tenant.
    """
    names = {*OF_EVERYBODY, *policy_at(session, tenant_id).scopes, *_open_scopes(session)}
    apis, identities = resources.load_scopes(session, sorted(names), tenant_id)
    return {name: view for name, view in apis.items() if not _is_own(view)}, identities


def _is_own(scope: ApiScopeView) -> bool:
    prefix = product.RESERVED_PREFIX
    return scope.name.startswith(prefix) or scope.api.name.startswith(prefix)


def _open_scopes(session: Session) -> Sequence[str]:
    """Return the scopes of the APIs that are open to strangers."""
    query = select(ApiScope.name).join(ApiResource)
    return session.scalars(query.where(ApiResource.open_to_strangers)).all()


@looked_up("stranger", longest=snapshot.LONGEST_ID)
def find(session: Session, client_id: str, tenant_id: int) -> ClientView | None:
    """Return a client that somebody allowed something, as its document was then.

    With the scopes that strangers may have at the issuer of a tenant; None where it lets the
    client in no more.
    """
    client = snapshot.find(session, client_id)
    if client is None or client.origin != DOCUMENT:
        return client
    if not policy_at(session, tenant_id).lets_in(client_id):
        return None
    apis, identities = scopes_at(session, tenant_id)
    return replace(client, api_scopes=apis, identity_scopes=identities)


@looked_up("described client")
def describe(session: Session, document: Document, tenant_id: int) -> ClientView | None:
    """Return the client that a document describes, at the issuer of a tenant; cached.

    None where it was switched off, or the name is that of an API or an issuer.
    """
    row = session.scalar(select(Client).where(Client.client_id == document.client_id))
    if row is not None and (not row.enabled or row.origin != DOCUMENT):
        return None
    if row is None and is_taken(session, document.client_id):
        return None
    apis, identities = scopes_at(session, tenant_id)
    lists = _lists(document)
    nothing: frozenset[str] = frozenset()
    texts = {name: frozenset(lists.get(name, nothing)) for name in snapshot.LISTS}
    view = snapshot.view_of(
        _as_row(document), None, Children(texts, (), {}, dict(apis), dict(identities))
    )
    view = replace(view, document=document)
    if row is None:
        return view
    return replace(
        view,
        row_id=row.id,
        described_at=row.updated_at,
        has_new_keys=_has_other_keys(row, document),
    )


def is_taken(session: Session, client_id: str) -> bool:
    """Return whether a name is that of an API or of an issuer: tokens would be for both."""
    if rules.is_issuer(session, client_id):
        return True
    return session.scalar(select(ApiResource.id).where(ApiResource.name == client_id)) is not None


def _as_row(document: Document) -> Client:
    """Return a row with what a document says and what is so for every client of this kind."""
    client = Client(client_id=document.client_id)
    _write(client, document)
    fields.set_defaults(client)
    return client


def _write(client: Client, document: Document) -> None:
    is_public = document.token_endpoint_auth_method == product.NO_AUTHENTICATION
    is_offline = "refresh_token" in document.grant_types
    values = {
        "origin": DOCUMENT,
        "document_hash": document.hash,
        "application_type": "native",
        "require_client_secret": not is_public,
        "jwks": None if document.jwks is None else json.loads(document.jwks),
        "require_pkce": True,
        "require_consent": True,
        # RFC 8252 8.6: any program on a computer can take the place of another one there.
        "allow_remember_consent": all(uri.startswith("https://") for uri in document.redirect_uris),
        "allow_offline_access": is_offline,
        "refresh_token_usage": 1,
        "authorization_code_lifetime": CODE_SECONDS,
        "access_token_lifetime": ACCESS_TOKEN_SECONDS,
        **{name: getattr(document, name) for name in _SAME},
    }
    for name, value in values.items():
        setattr(client, name, value)


_SAME = (
    *("client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "jwks_uri"),
    "initiate_login_uri",
    *("token_endpoint_auth_method", "token_endpoint_auth_signing_alg"),
    *("id_token_signed_response_alg", "dpop_bound_access_tokens"),
)


def _lists(document: Document) -> dict[str, Sequence[str]]:
    web = (uri for uri in document.redirect_uris if uri.startswith("https://"))
    origins = dict.fromkeys(f"https://{urlsplit(uri).netloc.lower()}" for uri in web)
    return {
        "grant_types": document.grant_types,
        "redirect_uris": document.redirect_uris,
        "cors_origins": [text for text in origins if len(text) <= addresses.LONGEST_ORIGIN],
    }


_TABLES = {
    "grant_types": (ClientGrantType, "grant_type"),
    "redirect_uris": (ClientRedirectUri, "redirect_uri"),
    "cors_origins": (ClientCorsOrigin, "origin"),
}


def _has_other_keys(row: Client, document: Document) -> bool:
    """Return whether a document names another authentication, host of keys, or only other keys."""
    if row.token_endpoint_auth_method != document.token_endpoint_auth_method:
        return True
    if (row.jwks_uri is None) is not (document.jwks_uri is None):
        return True
    if row.jwks_uri is not None and document.jwks_uri is not None:
        return urlsplit(row.jwks_uri).netloc != urlsplit(document.jwks_uri).netloc
    before = _thumbprints(row.jwks)
    after = _thumbprints(None if document.jwks is None else json.loads(document.jwks))
    return bool(before or after) and before.isdisjoint(after)


def _thumbprints(jwks: Any) -> set[str]:
    return set() if jwks is None else {key.thumbprint() for key in KeySet.import_key_set(jwks).keys}


@dataclass(frozen=True, slots=True)
class Row:
    """The row of a client that is known by its document."""

    id: int
    had_other_keys: bool
    """Whether what it was allowed before was for another authentication."""


def keep(session: Session, document: Document) -> Row | None:
    """Write the row of a client that somebody just allowed something; the caller commits.

    None where the client was switched off or registered meanwhile.
    """
    row = _find_row(session, document.client_id)
    if row is None:
        row = _insert(session, document)
    if row is None or not row.enabled or row.origin != DOCUMENT:
        return None
    had_other_keys = _has_other_keys(row, document)
    if row.document_hash != document.hash:
        before = audited.state_of(row)
        _write(row, document)
        _replace_lists(row, document)
        row.concurrency_stamp = new_stamp()
        row.updated_at = clock.now()
        session.flush()
        after = audited.state_of(row)
        audited.record(session, row, Tag.DOCUMENT_CHANGED, before, after)
    return Row(row.id, had_other_keys)


def _find_row(session: Session, client_id: str) -> Client | None:
    query = select(Client).where(Client.client_id == client_id).with_for_update(key_share=True)
    return session.scalar(query.execution_options(populate_existing=True))


def _insert(session: Session, document: Document) -> Client | None:
    if is_taken(session, document.client_id):
        return None
    client = _as_row(document)
    _replace_lists(client, document)
    rules.check(client)
    try:
        with session.begin_nested():
            session.add(client)
    except IntegrityError:  # another person was a moment faster
        return _find_row(session, document.client_id)
    state = audited.state_of(client)
    audited.record(session, client, Tag.DOCUMENT_ACCEPTED, audited.blank(), state)
    return client


def _replace_lists(client: Client, document: Document) -> None:
    for name, values in _lists(document).items():
        table, column = _TABLES[name]
        rows = getattr(client, name)
        rows[:] = [row for row in rows if getattr(row, column) in values]
        known = {getattr(row, column) for row in rows}
        rows.extend(table(**{column: value}) for value in values if value not in known)
