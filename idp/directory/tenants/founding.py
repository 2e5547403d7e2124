"""Creating a tenant together with its administrator and its bundle."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.bundles import applying
from idp.directory.bundles import service as bundles
from idp.directory.bundles.models import Bundle
from idp.directory.roles import catalogue
from idp.directory.tenants import service
from idp.directory.tenants.models import Tenant
from idp.directory.tenants.service import NewTenant
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.platform.errors import BadRequest, NotFound
from idp.platform.translation import N_


@dataclass(frozen=True, slots=True)
class Founding:
    """The values of a new tenant; its administrator is a new account, or an existing one."""

    name: str
    tenant_type_code: str
    bundle_code: str | None
    """None: the initial bundle of the tenant type."""
    username: str | None
    mobile: str | None
    password: str | None = None
    """Of the new account, in clear text."""


def create(session: Session, spec: Founding) -> Tenant:
    """Create a tenant with a new account as its administrator."""
    new = NewUser(
        username=spec.username or "",
        mobile=spec.mobile,
        password=spec.password,
        chosen_by_person=False,
    )
    # Hashing comes first, before any row is locked.
    user = users.create(session, new)
    catalogue.assign_default_roles(session, user.id)
    return _create(session, spec, _bundle(session, spec), user)


def create_for_account(session: Session, spec: Founding) -> Tenant:
    """Create a tenant for an existing account, found by its user name, else by its number."""
    bundle = _bundle(session, spec)
    user = None
    if spec.username:
        user = users.find_by_username(session, spec.username)
    elif spec.mobile:
        user = users.find_by_mobile(session, spec.mobile)
    if user is None:
        raise NotFound(N_("There is no such account."))
    return _create(session, spec, bundle, user, is_bound=True)


def _bundle(session: Session, spec: Founding) -> Bundle:
    if spec.bundle_code:
        bundle = bundles.find(session, spec.bundle_code, lock=True)
        if bundle is None:
            raise BadRequest.at(
                "bundle_code", N_("There is no such bundle."), code="unknown_bundle"
            )
        if bundle.tenant_type_code != spec.tenant_type_code:
            raise BadRequest.at(
                "bundle_code",
                N_("The bundle is for another type of tenant."),
                code="other_tenant_type",
            )
        return bundle
    bundle = bundles.find_initial(session, spec.tenant_type_code, lock=True)
    if bundle is None:
        raise BadRequest.at(
            "tenant_type_code",
            N_("There is no initial bundle for this type of tenant."),
            code="no_initial_bundle",
        )
    return bundle


def _create(
    session: Session,
    spec: Founding,
    bundle: Bundle,
    administrator: User,
    *,
    is_bound: bool = False,
) -> Tenant:
    tenant = service.create(session, NewTenant(spec.name, type_code=spec.tenant_type_code))
    service.add_member(session, tenant.id, administrator.id, is_admin=True, is_bound=is_bound)
    applying.initialise(session, tenant.id, bundle)
    applying.assign_administrator_roles(session, tenant.id, administrator.id)
    return tenant
