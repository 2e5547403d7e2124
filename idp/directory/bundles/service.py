"""The rules about bundles: what a tenant of a type starts with, and what it may have."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.bundles import ability
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.roles.models import Privilege
from idp.directory.tenants.models import Tenant
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.difference import State
from idp.platform.audit.tags import Tag
from idp.platform.db import insert
from idp.platform.errors import BadRequest, Conflict, NotFound, Overreach
from idp.platform.integers import INT64_MAX
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_

MOST_NAMED = 3
"""Tenants that a refusal names."""
RESERVED = frozenset({"bundle-list"})
"""Used in paths in the place of a bundle's code."""

_CODE = re.compile(r"[^\s,/\\\"']+")


@dataclass(frozen=True, slots=True)
class BundleSpec:
    """All values of a bundle."""

    code: str
    name: str
    tenant_type_code: str
    ability: str
    """JSON text (see `ability.check`)."""
    initialize: bool = False
    comment: str | None = None
    number_of_app: int | None = None
    number_of_concurrent: int | None = None
    number_of_invocation: int | None = None


def get(session: Session, code: str, *, lock: bool = False) -> Bundle:
    """Return a bundle by its code; with `lock` the code stays until the transaction ends."""
    bundle = find(session, code, lock=lock)
    if bundle is None:
        raise NotFound(N_("There is no such bundle."))
    return bundle


def find(session: Session, code: str, *, lock: bool = False) -> Bundle | None:
    """Find a bundle by its code."""
    return _find(session, select(Bundle).where(Bundle.code == code), lock=lock)


def find_initial(session: Session, tenant_type_code: str, *, lock: bool = False) -> Bundle | None:
    """Find the bundle that tenants of a type start with."""
    initial = (Bundle.tenant_type_code == tenant_type_code, Bundle.initialize)
    return _find(session, select(Bundle).where(*initial), lock=lock)


def of_tenant(session: Session, tenant_id: int) -> Bundle | None:
    """Find the bundle of a tenant; a tenant without one has no limits by bundle."""
    return session.scalar(
        select(Bundle).join(Tenant, Tenant.bundle_code == Bundle.code).where(Tenant.id == tenant_id)
    )


def list_all(session: Session) -> Sequence[Bundle]:
    """List all bundles, initial ones too."""
    return session.scalars(select(Bundle).order_by(Bundle.id)).all()


def list_to_switch_to(session: Session, tenant_type_code: str) -> Sequence[Bundle]:
    """List the bundles of a tenant type but the initial one."""
    return session.scalars(
        select(Bundle)
        .where(Bundle.tenant_type_code == tenant_type_code, Bundle.initialize.is_(False))
        .order_by(Bundle.id)
    ).all()


def create(session: Session, actor: Actor, spec: BundleSpec) -> Bundle:
    """Create a bundle, and its tenant type where that is new.

    A bundle grants its contents to entire tenants, so the actor must be able to grant all of it.
    """
    bundle = Bundle()
    _check_granted(session, actor, frozenset(), spec)
    with _unique(session, spec, 0):
        _write(session, bundle, spec)
        session.add(bundle)
    _record(session, bundle, Tag.BUNDLE_CREATED, {})
    return bundle


def update(
    session: Session,
    actor: Actor,
    bundle_id: int | None,
    spec: BundleSpec,
    *,
    stamp: str | None = None,
) -> Bundle:
    """Replace a bundle, found by its id, else by its code, in the state of `stamp` (None: any).

    Tenants keep the roles that they got; what the bundle contains limits them from now on.
    """
    query = select(Bundle).where(Bundle.id == bundle_id if bundle_id else Bundle.code == spec.code)
    bundle = _lock(session, query)
    stamps.check(stamp_of(bundle), stamp)
    identity = (spec.code, spec.tenant_type_code) != (bundle.code, bundle.tenant_type_code)
    if identity and _is_used(session, bundle):
        raise Conflict(
            N_("The code and tenant type of a bundle in use cannot be changed."),
            code="bundle_in_use",
        )
    _check_granted(session, actor, bundle.privilege_codes, spec)
    before = _state(bundle)
    with _unique(session, spec, bundle.id):
        _write(session, bundle, spec)
    if before != _state(bundle):
        _record(session, bundle, Tag.BUNDLE_CHANGED, before)
    return bundle


def delete(session: Session, bundle_id: int, stamp: str | None = None) -> None:
    """Delete a bundle that no tenant has; the refusal names some of those that do."""
    bundle = _lock(session, select(Bundle).where(Bundle.id == min(bundle_id, INT64_MAX)))
    stamps.check(stamp_of(bundle), stamp)
    users = tenants_with(session, Tenant.bundle_code == bundle.code, limit=MOST_NAMED)
    if users:
        names = ", ".join(tenant.name for tenant in users)
        raise Conflict(N_("This bundle is still used by") + f": {names}", code="bundle_in_use")
    before = _state(bundle)
    session.delete(bundle)
    session.flush()
    target = f"bundle:{bundle_id}"
    audit.record_change(session, Tag.BUNDLE_DELETED, target, before, {})


def find_by_id(session: Session, bundle_id: int) -> Bundle | None:
    """Find a bundle by its id."""
    return session.get(Bundle, bundle_id) if 0 < bundle_id <= INT64_MAX else None


def stamp_of(bundle: Bundle) -> str:
    """Return what distinguishes one state of a bundle from every other."""
    return hashlib.sha256(orjson.dumps(_state(bundle))).hexdigest()[:32]


def spec_of(bundle: Bundle) -> BundleSpec:
    """Return a bundle as it is stored."""
    return BundleSpec(**_state(bundle))


def tenants_with(
    session: Session, condition: ColumnElement[bool], *, limit: int
) -> Sequence[Tenant]:
    """List the first tenants that fulfil a condition, by name."""
    query = select(Tenant).where(condition).order_by(Tenant.name, Tenant.id).limit(limit)
    return session.scalars(query).all()


def ensure_type(session: Session, code: str, name: str) -> bool:
    """Create a tenant type where there is none; return whether it is new."""
    made = session.scalar(
        insert(session, TenantType)
        .values(code=check_code(code, "tenant_type_code"), name=name)
        .on_conflict_do_nothing()
        .returning(TenantType.id)
    )
    return made is not None


def check_code(code: str, field: str = "code") -> str:
    """Refuse a code that cannot stand in a path."""
    if not _CODE.fullmatch(code) or not code.isprintable() or code.isnumeric() or code in RESERVED:
        message = (
            "A code must not contain spaces, commas, slashes or quotes, or consist of digits only."
        )
        raise BadRequest.at(field, message)
    return code


def _lock(session: Session, query: Select[Bundle]) -> Bundle:
    query = query.with_for_update().execution_options(populate_existing=True)
    bundle = session.scalar(query)
    if bundle is None:
        raise NotFound(N_("There is no such bundle."))
    return bundle


def _find(session: Session, query: Select[Bundle], *, lock: bool) -> Bundle | None:
    return session.scalar(query.with_for_update(read=True) if lock else query)


def _check_granted(
    session: Session, actor: Actor, before: frozenset[str], spec: BundleSpec
) -> None:
    """Refuse privileges that are new in a bundle and that the actor cannot grant everywhere."""
    added = ability.read(ability.check(session, spec.ability)).privilege_codes - before
    found = session.scalars(select(Privilege).where(Privilege.code.in_(added))).all()
    refused = actor.within(PLATFORM_TENANT_ID).lacking(session, None, found)
    if refused:
        raise Overreach.at("ability", f"You cannot grant {', '.join(refused[:10])}.")


def _write(session: Session, bundle: Bundle, spec: BundleSpec) -> None:
    check_code(spec.code)
    if not spec.name.strip() or not spec.name.isprintable():
        raise BadRequest.at("name", N_("A name must have printable characters only."))
    checked = ability.check(session, spec.ability)
    ensure_type(session, spec.tenant_type_code, spec.tenant_type_code)
    for field in fields(spec):
        value = checked if field.name == "ability" else getattr(spec, field.name)
        if getattr(bundle, field.name) != value:
            setattr(bundle, field.name, value)


@contextmanager
def _unique(session: Session, spec: BundleSpec, bundle_id: int) -> Iterator[None]:
    """Write a bundle, and name the value that another bundle already has."""
    try:
        with session.begin_nested():
            yield
    except IntegrityError:
        same = select(Bundle.id).where(Bundle.code == spec.code, Bundle.id != bundle_id)
        if session.scalar(same) is not None:
            message = f"The code {spec.code} is taken."
            raise Conflict.at("code", message, code="bundle_taken") from None
        raise Conflict.at(
            "initialize",
            N_("The tenant type already has an initial bundle."),
            code="initial_bundle_taken",
        ) from None


def _is_used(session: Session, bundle: Bundle) -> bool:
    used = select(Tenant.id).where(Tenant.bundle_code == bundle.code).limit(1)
    return session.scalar(used) is not None


def _state(bundle: Bundle) -> dict[str, Any]:
    """Return what the audit log compares of a bundle."""
    return {field.name: getattr(bundle, field.name) for field in fields(BundleSpec)}


def _record(session: Session, bundle: Bundle, tag: Tag, before: State) -> None:
    audit.record_change(session, tag, f"bundle:{bundle.id}", before, _state(bundle))
