"""Forward authentication: a gateway asks before each call whether the bearer may make it.

The answer costs no SQL while token and configuration are known: what a token says is remembered for
a second, and what is published comes from the cache.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from idp.directory.levels import SignIn
from idp.oauth import access_tokens, possession
from idp.oauth.access_tokens import AccessToken
from idp.oauth.holder import THUMBPRINT
from idp.oauth.request import ProtocolRequest
from idp.oauth.response import NO_STORE, ProtocolResponse
from idp.platform import clock
from idp.platform.errors import InvalidToken, Problem, Unauthenticated
from idp.platform.secrets import digest
from idp.platform.storage import Storage
from idp.platform.web.authorization import BEARER, DPOP, Evidence

_READABLE = "".join(map(chr, range(32, 127)))


class Gatekeeper(Protocol):
    """Knows what is published, and who may call it."""

    async def __call__(  # noqa: PLR0913 - each by its name
        self,
        storage: Storage,
        aid: str,
        *,
        audience: Collection[str],
        scopes: Collection[str],
        client_row_id: int,
        client_tenant_id: int | None,
        tenant_id: int | None,
        sign_in: SignIn | None,
        is_bound: bool,
    ) -> str:
        """Admit a call, count it and name its upstream, or refuse it."""

    async def challenge(self, storage: Storage, aid: str) -> Mapping[str, str]:
        """Return what a refusal says of an API: parameters of the challenge, by their names."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """What a valid token states about its bearer."""

    audience: tuple[str, ...]
    scopes: frozenset[str]
    client_row_id: int
    client_tenant_id: int | None
    tenant_id: int | None
    sign_in: SignIn | None
    """None: a machine."""
    expires_at: int
    cnf: Mapping[str, Any] | None
    """The key that the token is bound to."""
    headers: Mapping[str, str]
    """The headers that the service behind the gateway receives."""


@dataclass
class GatewayVerify:
    """Answers `/gateway/verify?api=ID` for a gateway that passes the caller's headers on."""

    gatekeeper: Gatekeeper

    async def __call__(self, request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
        """Return the bearer of the token, or refuse as RFC 6750 3 requires."""
        try:
            return await self._verify(request, storage)
        except Problem as problem:
            if problem.status in _CHALLENGED:
                api = request.either.get("api") or ""
                _extend(problem, await self.gatekeeper.challenge(storage, api))
            raise

    async def _verify(self, request: ProtocolRequest, storage: Storage) -> ProtocolResponse:
        credential = request.authorization
        if credential is None or credential[0] not in {BEARER, DPOP} or not credential[1]:
            raise Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="idp"'})
        bearer = await _read(storage, credential[1])
        about_proof = await possession.check(
            storage, request.issuer, bearer.cnf, credential, lambda: _evidence(request)
        )
        upstream = await self.gatekeeper(
            storage,
            request.either.get("api") or "",
            audience=bearer.audience,
            scopes=bearer.scopes,
            client_row_id=bearer.client_row_id,
            client_tenant_id=bearer.client_tenant_id,
            tenant_id=bearer.tenant_id,
            sign_in=bearer.sign_in,
            is_bound=THUMBPRINT in (bearer.cnf or ()),
        )
        headers = {**bearer.headers, "X-Upstream": upstream, **NO_STORE, **about_proof}
        return ProtocolResponse(200, headers)


_CHALLENGED = frozenset({401, 403})


def _extend(problem: Problem, about: Mapping[str, str]) -> None:
    """Add to a challenge where the API is described, and its scopes (RFC 9728 5.1)."""
    challenge = problem.headers.get("WWW-Authenticate")
    if challenge is None and isinstance(problem, InvalidToken):
        challenge = f'Bearer realm="idp", error="{problem.code}"'
    if challenge is None:
        return  # another token would not help
    more = [f'{name}="{value}"' for name, value in about.items() if f'{name}="' not in challenge]
    challenge = ", ".join((challenge, *more))
    problem.headers = {**problem.headers, "WWW-Authenticate": challenge}


def _evidence(request: ProtocolRequest) -> Evidence:
    """Return what the call shows that is asked about; its address is that of no proof for us."""
    return request.passed_on or Evidence(None, request.method, (), request.certificate)


async def _read(storage: Storage, unverified_token: str) -> Bearer:
    async def read() -> Bearer:
        return _describe(await access_tokens.read_access_token(storage, None, unverified_token))

    bearer = await storage.runtime.cache.recently(("bearer", digest(unverified_token)), read)
    if bearer.expires_at <= clock.timestamp():
        raise InvalidToken(debug="expired")
    return bearer


def _describe(token: AccessToken) -> Bearer:
    # Only what the client may still ask for counts.
    scopes = frozenset(name for name in token.scopes if name in token.client.api_scopes)
    standing = token.standing
    tenant_id = token.client.tenant_id if standing is None else standing.grant.tenant_id
    values: dict[str, Any] = {
        "X-Subject": token.claims["sub"],
        "X-Tenant": tenant_id,
        "X-Scope": " ".join(name for name in str(token.claims["scope"]).split() if name in scopes),
        "X-Permission": _joined(token.claims.get("permission")),
        # Too many for a header: the service asks the introspection endpoint.
        "X-Permission-Ref": "true" if token.claims.get("permission_ref") else None,
    }
    return Bearer(
        audience=token.audience,
        scopes=scopes,
        client_row_id=token.client.kept_id,
        client_tenant_id=token.client.tenant_id,
        tenant_id=tenant_id,
        sign_in=_sign_in(token),
        expires_at=int(token.claims["exp"]),
        cnf=token.cnf,
        # Names may be in any script; headers are ASCII.
        headers={
            name: quote(str(value), safe=_READABLE)
            for name, value in values.items()
            if value not in {None, ""}
        },
    )


def _sign_in(token: AccessToken) -> SignIn | None:
    if token.standing is None:
        return None
    return SignIn(str(token.claims.get("acr")), int(token.claims.get("auth_time") or 0))


def _joined(permission: Any) -> str:
    """Write permissions as services of the old system read them: separated by commas."""
    if isinstance(permission, str):
        return permission
    return ",".join(str(code) for code in permission or ())
