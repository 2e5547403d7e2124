"""The APIs that a request names by `resource` (RFC 8707): which scopes they mean, and for whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from idp.directory import api_names
from idp.directory.clients.snapshot import ClientView
from idp.directory.resources.snapshot import ApiView
from idp.oauth.checks import scope as scopes
from idp.oauth.checks.scope import ValidatedScopes
from idp.oauth.request import Parameters
from idp.platform.errors import OAuthError


def read(parameters: Parameters) -> tuple[str, ...]:
    """Return what a request names, each spelling of a host once; `invalid_target` for no name.

    RFC 8707 2: absolute addresses without a fragment. Plain names of APIs are taken as well.
    """
    found: dict[tuple[str, bool], str] = {}
    for text in parameters.all("resource"):
        if not api_names.is_well_formed(text):
            message = f"{text[:100]!r} is not an absolute address without a fragment"
            raise _invalid_target(message)
        found.setdefault((api_names.identity(text), text.endswith("/")), text)
    return tuple(found.values())


def wanted_scopes(client: ClientView, parameters: Parameters) -> tuple[str, ...]:
    """Return the scopes that a request asks for: without `scope`, the default ones of its APIs.

    None: neither names any. Of the default scopes only those count that the client may have.
    """
    names = scopes.split(parameters.get("scope") or "")
    return names or default_scopes(client, read(parameters))


def default_scopes(client: ClientView, resources: Collection[str]) -> tuple[str, ...]:
    """Return the default scopes of APIs, as far as the client may have them."""
    wanted = {api_names.identity(name) for name in resources}
    if not wanted:
        return ()
    apis = {scope.api.name: scope.api for scope in client.api_scopes.values()}
    names = [name for api in apis.values() if api.identity in wanted for name in api.default_scopes]
    return tuple(name for name in names if name in client.api_scopes)


def narrow(
    granted: ValidatedScopes, resources: Sequence[str], issuer: str, *, within: Sequence[str] = ()
) -> ValidatedScopes:
    """Keep of the API scopes those of the named resources (RFC 8707 2.2).

    The issuer is the resource of `openid`: where others are named and it is not, the token is not
    for userinfo.

    `within` are the resources of the authorization request: none named means all of them of which
    something was granted, and nothing else may be named.
    """
    if not resources and not within:
        return granted
    named = {api_names.identity(name) for name in resources}
    asked_before = {api_names.identity(name) for name in within}
    if within and not named <= asked_before:
        message = "resource exceeds the authorization request"
        raise _invalid_target(message)
    known = {scope.api.identity for scope in granted.api_scopes}
    own = api_names.identity(issuer)
    if granted.is_openid:
        known.add(own)
    _check_known(known, resources, within)
    named = (named or asked_before) & known
    kept = tuple(scope for scope in granted.api_scopes if scope.api.identity in named)
    dropped = {scope.name for scope in granted.api_scopes} - {scope.name for scope in kept}
    apis = scopes.apis_of(kept)
    return replace(
        granted,
        names=tuple(name for name in granted.names if name not in dropped),
        api_scopes=kept,
        apis=apis,
        for_issuer=own in named,
        audience=_audience(apis, resources or within),
    )


def _check_known(known: Collection[str], resources: Sequence[str], within: Sequence[str]) -> None:
    """Refuse resources of which nothing is asked for; of those asked for before, one is enough."""
    unknown = [name for name in resources or within if api_names.identity(name) not in known]
    if unknown and (resources or len(unknown) == len(within)):
        message = f"No requested scope belongs to the resource {unknown[0][:100]!r}"
        raise _invalid_target(message)


def _audience(apis: Sequence[ApiView], asked: Sequence[str]) -> tuple[str, ...]:
    """Return the names of APIs; where a host was asked for in its other spelling, that as well.

    Some clients look for the address in the token that they sent, servers look for their own.
    """
    found: list[str] = []
    for api in apis:
        found.append(api.name)
        other = api_names.other_spelling(api.name)
        if other is not None and any(
            api_names.identity(text) == api.identity and text.endswith("/") == other.endswith("/")
            for text in asked
        ):
            found.append(other)
    return tuple(found)


def _invalid_target(message: str) -> OAuthError:
    return OAuthError(message, code="invalid_target")
