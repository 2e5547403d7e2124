"""What a request asks for, and what a client may have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from idp.directory.clients.snapshot import ClientView
from idp.directory.resources import snapshot as resources
from idp.directory.resources.snapshot import ApiScopeView, ApiView, IdentityView
from idp.platform.errors import OAuthError
from idp.platform.storage import Storage

OFFLINE_ACCESS = "offline_access"
MOST_UNLISTED = 100
"""Scopes in one request that the client does not list."""


@dataclass(frozen=True, slots=True)
class ValidatedScopes:
    """Scopes that a client may have, in the order asked for."""

    names: tuple[str, ...]
    api_scopes: tuple[ApiScopeView, ...]
    identities: tuple[IdentityView, ...]
    apis: tuple[ApiView, ...]
    """The APIs that the scopes belong to, sorted by name, each once."""
    for_issuer: bool
    """Whether the issuer is an audience: userinfo is asked with the token."""
    audience: tuple[str, ...] = ()
    """Names and spellings of the APIs, where the request named them; none: those of `apis`."""

    @property
    def is_openid(self) -> bool:
        """Whether the request is one of OpenID Connect."""
        return "openid" in self.names

    @property
    def is_offline(self) -> bool:
        """Whether a refresh token is asked for."""
        return OFFLINE_ACCESS in self.names


def split(text: str) -> tuple[str, ...]:
    """Split a `scope` value at its spaces, each scope once (RFC 6749 3.3)."""
    return tuple(dict.fromkeys(name for name in text.split(" ") if name))


async def recognize(storage: Storage, client: ClientView, names: Iterable[str]) -> tuple[str, ...]:
    """Leave out what is to be ignored; `invalid_scope` when nothing else was asked for.

    Ignored are unknown scopes (OpenID Connect Core 3.1.2.1), and `offline_access` that the client
    may not have (11). A known scope that the client may not have is left to `validate`.
    """
    requested = tuple(dict.fromkeys(names))
    unlisted = [name for name in requested if not _is_listed(client, name)]
    if not unlisted:
        return requested
    if len(unlisted) > MOST_UNLISTED:
        message = f"More than {MOST_UNLISTED} scopes that the client may not have"
        raise OAuthError(message, code="invalid_scope")
    existing = await storage.in_session(resources.existing_scopes, unlisted)
    ignored = {*unlisted} - existing
    kept = tuple(name for name in requested if name not in ignored)
    if not kept:
        message = f"There is no scope {unlisted[0][:100]!r} for the client"
        raise OAuthError(message, code="invalid_scope")
    return kept


def validate(client: ClientView, names: Iterable[str]) -> ValidatedScopes:
    """Check that the client may have every scope; `invalid_scope` else."""
    requested = tuple(dict.fromkeys(names))
    api_scopes: list[ApiScopeView] = []
    identities: list[IdentityView] = []
    for name in requested:
        if (api_scope := client.api_scopes.get(name)) is not None:
            api_scopes.append(api_scope)
        elif (identity := client.identity_scopes.get(name)) is not None:
            identities.append(identity)
        elif name == OFFLINE_ACCESS and may_be_offline(client):
            continue
        else:
            message = f"The client may not have the scope {name[:100]!r}"
            raise OAuthError(message, code="invalid_scope")
    if not requested:
        message = "Missing parameter: scope"
        raise OAuthError(message, code="invalid_scope")
    apis = apis_of(api_scopes)
    for_issuer = "openid" in requested
    return ValidatedScopes(requested, tuple(api_scopes), tuple(identities), apis, for_issuer)


def retain(client: ClientView, names: Iterable[str]) -> ValidatedScopes:
    """Keep the scopes that the client may still have; there may be none left."""
    kept = [name for name in names if _is_listed(client, name)]
    return validate(client, kept) if kept else ValidatedScopes((), (), (), (), for_issuer=False)


def _is_listed(client: ClientView, name: str) -> bool:
    return (
        name in client.api_scopes
        or name in client.identity_scopes
        or (name == OFFLINE_ACCESS and may_be_offline(client))
    )


def listed(client: ClientView) -> list[str]:
    """List every scope that the client may have."""
    offline = [OFFLINE_ACCESS] if may_be_offline(client) else []
    return [*client.api_scopes, *client.identity_scopes, *offline]


def may_be_offline(client: ClientView) -> bool:
    """Whether the client may have refresh tokens."""
    return client.allow_offline_access and "refresh_token" in client.grant_types


def to_consent(client: ClientView, names: Iterable[str], claims: Iterable[str]) -> tuple[str, ...]:
    """List the scopes to be consented to: those asked for, and those covering claims by name."""
    covering = [
        identity.name
        for name in sorted(claims)
        for identity in client.identity_scopes.values()
        if name in identity.user_claims
    ]
    return tuple(dict.fromkeys((*names, *covering)))


def apis_of(api_scopes: Sequence[ApiScopeView]) -> tuple[ApiView, ...]:
    """Return the APIs of scopes, sorted by name, each once."""
    if len(api_scopes) == 1:
        return (api_scopes[0].api,)
    apis = {scope.api.name: scope.api for scope in api_scopes}
    return tuple(sorted(apis.values(), key=lambda api: api.name))
