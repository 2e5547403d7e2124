"""The caller of a management operation, and the gate in front of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar
from urllib.parse import quote

from flask import Response, after_this_request, current_app, g, request
from sqlalchemy.orm import Session

from idp.platform.errors import (
    BadRequest,
    Forbidden,
    InsufficientUserAuthentication,
    InvalidToken,
    Unauthenticated,
)
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.permission_codes import covering
from idp.platform.runtime import context_of
from idp.platform.web import authorization, visit
from idp.platform.web.authorization import BEARER, DPOP, Credential, Evidence
from idp.platform.web.views import current_issuer, database

P = ParamSpec("P")
R = TypeVar("R")

EXTENSION = "idp.gate"

END_USER_ADDRESS = "End-User-Address"
"""Header in which a machine hands on where the person is whom it acts for."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The bearer of a valid access token for `ids4.ms`."""

    client_id: str
    client_row_id: int
    client_tenant_id: int | None
    """None: a client of the platform, which serves every tenant."""
    user_id: int | None
    """None: a machine."""
    tenant_id: int | None
    issuer_tenant_id: int
    scopes: frozenset[str]
    grant_id: int | None
    jti: str
    expires_at: int
    acr: str = ""
    """Level that the person signed in with."""
    token_scopes: tuple[str, ...] = ()
    """Everything that the token is for, at other APIs too; no gate opens for that."""
    audience: tuple[str, ...] = ()
    cnf: Mapping[str, Any] | None = None
    """The key that the token is bound to (RFC 7800 3)."""

    @property
    def own_tenant_id(self) -> int | None:
        """Tenant that the token is for; a machine's: its client's."""
        return self.client_tenant_id if self.is_machine else self.tenant_id

    @property
    def is_machine(self) -> bool:
        """Whether this token was issued without a person."""
        return self.user_id is None

    @property
    def at_platform(self) -> bool:
        """Whether platform roles count: only in tokens of issuer 1."""
        return self.issuer_tenant_id == PLATFORM_TENANT_ID


class HasPermission(Protocol):
    """Decides whether a person holds a permission in a tenant or by a platform role."""

    def __call__(
        self, session: Session, user_id: int, tenant_id: int | None, code: str, *, platform: bool
    ) -> bool:
        """Return whether the database holds it."""


class PermittingTenants(Protocol):
    """Finds the tenants, of several, in which a person holds a permission."""

    def __call__(
        self,
        session: Session,
        user_id: int,
        tenant_ids: Collection[int],
        code: str,
        *,
        platform: bool,
    ) -> set[int]:
        """Return them as the database holds them."""


class LacksLevel(Protocol):
    """Decides whether a person should have signed in with a higher level."""

    def __call__(self, session: Session, user_id: int, acr: str, wanted: str) -> bool:
        """Return whether the level is too low for someone who can reach the wanted one."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gate asks of wings above; plugged in when the application starts."""

    authenticate: Callable[
        [Session, Issuer, Credential, Evidence], tuple[Principal, Mapping[str, str]]
    ]
    """Returns the caller, and headers for the answer."""
    has_permission: HasPermission
    permitting_tenants: PermittingTenants
    lacks_level: LacksLevel


Tenant = str | Callable[[dict[str, Any]], int | None]
"""Name of the path argument that holds the touched tenant, or a function of all of them."""


def require_scope(
    scope: str,
    permission: str | None = None,
    *,
    also: Collection[str] = (),
    tenant: Tenant | None = None,
    machine: bool = False,
    person: bool = True,
    level: str | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Require a token, the client's scope and the person's permission before a view.

    The permission must be effective in the tenant that the operation touches, or come from a
    platform role; without `tenant` that is the token's own. Where the tenant is in the body the
    view asks `check_permission`. A machine's token is refused where a permission is named, but
    with `machine`; a person's token is refused without `person`. `also` names further scopes that
    let a client through. `level` must have been reached by people who can reach it.
    """
    accepted = covering(scope).union(also)

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            principal = g.principal = _authenticate()
            _sign_trail(principal)
            if accepted.isdisjoint(principal.scopes):
                raise _insufficient(scope, "The token lacks the scope of this operation")
            if not (person or principal.is_machine):
                raise Forbidden("This operation is for clients without a person")
            touched = principal.own_tenant_id if tenant is None else _touched(tenant, kwargs)
            _check_reach(principal, touched)
            if permission is not None and not (machine and principal.is_machine):
                check_permission(permission, touched)
            if level is not None:
                _check_level(principal, level)
            return view(*args, **kwargs)

        return guarded

    return decorate


def _check_level(principal: Principal, level: str) -> None:
    """Refuse a token of a person whose sign-in was of a lower level than they can reach."""
    gate: Gate = current_app.extensions[EXTENSION]
    if principal.user_id is not None and gate.lacks_level(
        database(), principal.user_id, principal.acr, level
    ):
        raise InsufficientUserAuthentication({"acr_values": level})


def current_principal() -> Principal:
    """Return the caller that `require_scope` admitted."""
    principal: Principal = g.principal
    return principal


def check_permission(permission: str, tenant_id: int | None) -> None:
    """Refuse a caller whose user lacks a permission in a tenant; None: outside all tenants."""
    principal = current_principal()
    _check_reach(principal, tenant_id)
    if principal.is_machine:
        raise _insufficient(permission, "This operation needs a person's permission")
    if not holds(permission, tenant_id):
        raise Forbidden("The permission for this operation is missing")


def holds(permission: str, tenant_id: int | None) -> bool:
    """Return whether the caller's user holds a permission in a tenant; None: at the platform."""
    principal = current_principal()
    gate: Gate = current_app.extensions[EXTENSION]
    return principal.user_id is not None and gate.has_permission(
        database(), principal.user_id, tenant_id, permission, platform=principal.at_platform
    )


def check_permission_in(permission: str, tenant_ids: Collection[int]) -> None:
    """Refuse a caller whose user lacks a permission in one of several tenants: one question."""
    principal = current_principal()
    for tenant_id in tenant_ids:
        _check_reach(principal, tenant_id)
    if principal.user_id is None:
        return
    gate: Gate = current_app.extensions[EXTENSION]
    permitted = gate.permitting_tenants(
        database(), principal.user_id, tenant_ids, permission, platform=principal.at_platform
    )
    if not permitted.issuperset(tenant_ids):
        raise Forbidden("The permission for this operation is missing in one of the tenants")


def _authenticate() -> Principal:
    credential = authorization.read(request.headers.get("Authorization"))
    if credential is None or credential[0] not in {BEARER, DPOP}:
        # RFC 6750 3.1: without credentials the answer names no error.
        raise Unauthenticated(headers={"WWW-Authenticate": 'Bearer realm="idp"'})
    gate: Gate = current_app.extensions[EXTENSION]
    issuer = current_issuer()
    try:
        principal, headers = gate.authenticate(database(), issuer, credential, _evidence(issuer))
    except InvalidToken as problem:
        problem.headers.setdefault("WWW-Authenticate", 'Bearer realm="idp", error="invalid_token"')
        raise
    if headers:
        after_this_request(lambda response: _with_headers(response, headers))
    return principal


def _evidence(issuer: Issuer) -> Evidence:
    path = quote(request.path)
    addresses = (issuer.url + path, f"{request.scheme}://{request.host}{path}")
    passed = visit.of(request.environ)
    certificate = None
    if passed.certificates is not None:
        certificate = passed.certificates.certificate(passed.request.headers)
    return Evidence(request.headers.get("DPoP"), request.method, addresses, certificate)


def _with_headers(response: Response, headers: Mapping[str, str]) -> Response:
    response.headers.update(headers)
    return response


def _sign_trail(principal: Principal) -> None:
    """Record the caller for the audit log."""
    session = database()
    session.info["context"] = replace(
        context_of(session),
        user_id=principal.user_id,
        client_id=principal.client_id,
        end_user_addr=_end_user_address() if principal.is_machine else None,
    )


def _end_user_address() -> str | None:
    text = request.headers.get(END_USER_ADDRESS)
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]")))
    except ValueError:
        raise BadRequest.at(END_USER_ADDRESS, "This is not an IP address.") from None


def _touched(tenant: Tenant, arguments: dict[str, Any]) -> int | None:
    if callable(tenant):
        return tenant(arguments)
    try:
        return int(arguments[tenant])
    except ValueError:
        raise BadRequest(fields={tenant: ["must be a number"]}) from None


def _check_reach(principal: Principal, tenant_id: int | None) -> None:
    """Refuse a tenant's client outside its tenant, whichever person uses it."""
    if principal.client_tenant_id not in {None, tenant_id}:
        raise Forbidden("This client serves another tenant")


def _insufficient(scope: str, detail: str) -> Forbidden:
    challenge = f'Bearer realm="idp", error="insufficient_scope", scope="{scope}"'
    return Forbidden(detail, code="insufficient_scope", headers={"WWW-Authenticate": challenge})
