"""The caller of a management operation, read from an access token for `ids4.ms`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from idp.directory import levels
from idp.directory.factors import service as factors
from idp.directory.policies import snapshot as policies
from idp.directory.product import MANAGEMENT_API
from idp.oauth import possession
from idp.oauth.access_tokens import AccessToken, read_access_token
from idp.platform.errors import InvalidToken
from idp.platform.issuer import Issuer
from idp.platform.storage import SessionStorage, complete
from idp.platform.web.authorization import Credential, Evidence
from idp.platform.web.principal import Principal


def authenticate_bearer(
    session: Session, issuer: Issuer, credential: Credential, evidence: Evidence
) -> tuple[Principal, Mapping[str, str]]:
    """Return the caller of a management operation, and headers for the answer.

    InvalidToken unless the token is for it, and its sender may use it. The use of a proof is
    committed here, before the operation begins.
    """
    storage = SessionStorage(session)
    token = complete(read_access_token(storage, issuer, credential[1]))
    if MANAGEMENT_API not in token.audience:
        raise InvalidToken(debug="token for another audience")
    own = SessionStorage(session, commits=True)
    own.caller = token.client
    headers = complete(possession.check(own, issuer, token.cnf, credential, lambda: evidence))
    return _principal(issuer, token), headers


def _principal(issuer: Issuer, token: AccessToken) -> Principal:
    standing = token.standing
    return Principal(
        client_id=token.client.client_id,
        client_row_id=token.client.kept_id,
        client_tenant_id=token.client.tenant_id,
        user_id=None if standing is None else standing.user.id,
        tenant_id=None if standing is None else standing.grant.tenant_id,
        issuer_tenant_id=issuer.tenant_id,
        scopes=_management_scopes(token),
        grant_id=None if standing is None else standing.grant.id,
        jti=str(token.claims["jti"]),
        expires_at=int(token.claims["exp"]),
        acr=str(token.claims.get("acr", "")),
        token_scopes=tuple(str(token.claims["scope"]).split()),
        audience=token.audience,
        cnf=token.cnf,
    )


def lacks_level(session: Session, principal: Principal, wanted: str) -> bool:
    """Return whether a person signed in with less than a level that they can or must reach."""
    if principal.user_id is None or principal.tenant_id is None:
        return False
    if levels.satisfies(principal.acr, wanted):
        return False
    asked = policies.of_person(
        session, principal.tenant_id, principal.issuer_tenant_id, principal.user_id
    )
    return factors.is_required(session, principal.user_id, asked)


def _management_scopes(token: AccessToken) -> frozenset[str]:
    """Select the token's scopes that are the management API's own.

    `.all` scopes are matched by prefix, and any other API may have one called `ids4.all`.
    """
    own = token.client.api_scopes
    return frozenset(
        name for name in token.scopes if name in own and own[name].api.name == MANAGEMENT_API
    )
