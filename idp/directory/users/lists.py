"""The lists of an account: roles, claims, memberships, files, properties.

Each actor sees rows of their own: administrators of the platform every row, others those of their
tenant. Rows that an actor does not see are neither changed nor removed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from idp.directory import child_rows, permissions
from idp.directory.actor import Actor
from idp.directory.child_rows import DesiredRow
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege, Role, UserRole
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Membership
from idp.directory.users import profile, visibility
from idp.directory.users.models import User, UserClaim, UserFile, UserProperty
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Overreach
from idp.platform.translation import N_

PERMISSION = "permission"
PICTURES = 0
MOST_PICTURES = 50


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim; id 0: a new one."""

    id: int
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """A property; id 0: a new one."""

    id: int
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class FileRow:
    """Files of a kind; id 0: new ones."""

    id: int
    file_type: int
    files: str


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A membership; id 0: a new one."""

    id: int
    tenant_id: int


@dataclass(slots=True)
class Lists:
    """The rows of one account that the actor sees."""

    roles: list[Role] = field(default_factory=list)
    claims: list[UserClaim] = field(default_factory=list)
    tenants: list[Membership] = field(default_factory=list)
    files: list[UserFile] = field(default_factory=list)
    properties: list[UserProperty] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Return what the audit log compares of the lists."""
        return {
            "roles": Rows({row.id: row.code for row in self.roles}),
            "claims": Rows({row.id: (row.type, row.value) for row in self.claims}),
            "tenants": Rows({row.id: str(row.tenant_id) for row in self.tenants}),
            "files": Rows({row.id: (row.file_type, row.files) for row in self.files}),
            "properties": Rows({row.id: (row.key, row.value) for row in self.properties}),
        }


T = TypeVar("T")


def read(session: Session, actor: Actor, user_ids: Iterable[int]) -> dict[int, Lists]:
    """Return what the actor sees of these accounts, by one query for each kind of list."""
    ids = list(user_ids)
    found: defaultdict[int, Lists] = defaultdict(Lists)
    for user_id, role in session.execute(
        select(UserRole.user_id, Role)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id.in_(ids), visibility.visible(actor, Role.tenant_id))
        .order_by(Role.id)
    ):
        found[user_id].roles.append(role)
    for claim in session.scalars(
        select(UserClaim)
        .where(UserClaim.user_id.in_(ids), visibility.visible(actor, UserClaim.tenant_id))
        .order_by(UserClaim.id)
    ):
        found[claim.user_id].claims.append(claim)
    for membership in session.scalars(
        select(Membership)
        .where(Membership.user_id.in_(ids), visibility.visible(actor, Membership.tenant_id))
        .order_by(Membership.id)
    ):
        found[membership.user_id].tenants.append(membership)
    for file in session.scalars(
        select(UserFile).where(UserFile.user_id.in_(ids)).order_by(UserFile.id)
    ):
        found[file.user_id].files.append(file)
    for entry in session.scalars(
        select(UserProperty)
        .where(UserProperty.user_id.in_(ids), visibility.visible(actor, UserProperty.tenant_id))
        .order_by(UserProperty.id)
    ):
        found[entry.user_id].properties.append(entry)
    return found


def visible_roles(session: Session, actor: Actor, user: User) -> list[int]:
    """Return the ids of a person's roles that the actor sees."""
    return [role.id for role in read(session, actor, [user.id])[user.id].roles]


def set_roles(session: Session, actor: Actor, user: User, desired: Sequence[int] | None) -> None:
    """Replace the roles that the actor sees."""
    if desired is None:
        return
    held = {role.id: role for role in read(session, actor, [user.id])[user.id].roles}
    known = {
        role.id: role
        for role in session.scalars(
            select(Role).where(Role.id.in_(desired), visibility.visible(actor, Role.tenant_id))
        )
    }
    for index, role_id in enumerate(desired):
        if role_id not in known:
            raise BadRequest.at(f"roles[{index}].role_id", N_("There is no such role."))
    given = [known[role_id] for role_id in sorted(set(desired) - set(held))]
    taken = [held[role_id] for role_id in sorted(set(held) - set(desired))]
    assign_roles(session, actor, user, given)
    remove_roles(session, user, taken)


def assign_roles(session: Session, actor: Actor, user: User, given: Sequence[Role]) -> None:
    """Assign roles to a person that the actor may grant."""
    is_own = user.id == actor.user_id and not actor.is_platform_admin
    if given and is_own and not visibility.owns_tenant(session, actor):
        raise Overreach.at("roles", N_("You cannot assign a role to yourself."))
    _check_roles(session, actor, given)
    for role in given:
        catalogue.assign(session, user.id, role)


def remove_roles(session: Session, user: User, taken: Sequence[Role]) -> None:
    """Remove roles from a person."""
    for role in taken:
        session.execute(
            delete(UserRole).where(UserRole.user_id == user.id, UserRole.role_id == role.id)
        )
        audit.record(
            session,
            Tag.ROLE_TAKEN,
            tenant_id=role.tenant_id,
            target=f"user:{user.id}",
            details={"role": role.code},
        )


def set_claims(
    session: Session,
    actor: Actor,
    user: User,
    desired: Sequence[ClaimRow] | None,
    reserved: Collection[str],
) -> None:
    """Replace the claims that the actor sees; permissions only those that they may grant.

    Claims that the account has a column for are set there: see `profile.WITHOUT_MEMBER`.
    """
    if desired is None:
        return
    rows = read(session, actor, [user.id])[user.id].claims
    before = {row.id: (row.type, row.value) for row in rows}
    granted = []
    standard = _find_standard_claims(desired)
    for index, entry in enumerate(desired):
        if entry.type in standard or before.get(entry.id) == (entry.type, entry.value):
            continue
        if entry.type == PERMISSION:
            granted.append((index, entry.value))
        elif entry.type in reserved or not entry.type.strip():
            raise BadRequest.at(
                f"claims[{index}].type", N_("Claims of this type cannot be set here.")
            )
    _check_permissions(session, actor, granted)

    _set_standard_claims(session, user, desired, standard)

    kept = [row for row in child_rows.listed(desired, "claims") if row.entry.type not in standard]
    make = partial(UserClaim, user_id=user.id, tenant_id=actor.owner_tenant)
    _replace(session, rows, kept, ("type", "value"), make)


def _find_standard_claims(desired: Sequence[ClaimRow]) -> dict[str, int]:
    """Return the indexes in a list of the claims that the account has columns for."""
    found: dict[str, int] = {}
    for index, entry in enumerate(desired):
        if entry.type in profile.WITHOUT_MEMBER:
            if entry.id or entry.type in found:
                raise BadRequest.at(
                    f"claims[{index}].type", N_("An account can have only one such claim.")
                )
            found[entry.type] = index
    return found


def _set_standard_claims(
    session: Session, user: User, desired: Sequence[ClaimRow], found: Mapping[str, int]
) -> None:
    values = {
        name: desired[found[name]].value if name in found else None
        for name in profile.WITHOUT_MEMBER
    }
    try:
        profile.change(session, user, values)
    except BadRequest as problem:
        fields = {f"claims[{found[name]}].value": texts for name, texts in problem.fields.items()}
        raise BadRequest(problem.detail, fields=fields) from None


def standard_claims(user: User) -> list[UserClaim]:
    """Return the claims that the account has columns for, as rows without an id."""
    kept = profile.shown(user)
    return [
        UserClaim(id=0, user_id=user.id, type=name, value=kept[name])
        for name in profile.WITHOUT_MEMBER
        if name in kept
    ]


def set_tenants(
    session: Session, actor: Actor, user: User, desired: Sequence[TenantRow] | None
) -> None:
    """Replace the memberships that the actor sees; nobody can change their own."""
    if desired is None:
        return
    rows = {row.tenant_id: row for row in read(session, actor, [user.id])[user.id].tenants}
    known = {row.id: row.tenant_id for row in rows.values()}
    for index, entry in enumerate(desired):
        if entry.id and known.get(entry.id) != entry.tenant_id:
            raise BadRequest.at(f"tenants[{index}].id", child_rows.UNKNOWN_ID)
    tenant_ids = {entry.tenant_id for entry in desired}
    joined, left = sorted(tenant_ids - set(rows)), sorted(set(rows) - tenant_ids)
    if not joined and not left:
        return
    if user.id == actor.user_id:
        raise Overreach.at("tenants", "You cannot change your own memberships.")
    for tenant_id in joined:
        check_may_join(session, actor, tenant_id)
        tenants.add_member(session, tenant_id, user.id, is_bound=True)
    for tenant_id in left:
        leave(session, tenant_id, user.id)


def check_may_join(session: Session, actor: Actor, tenant_id: int) -> None:
    """Refuse tenants to which the actor cannot add people."""
    if tenant_id == actor.tenant_id:
        return
    if not actor.is_platform_admin:
        raise Overreach.at("tenants", "Only platform administrators can do this.")
    if tenants.find(session, tenant_id) is None:
        raise BadRequest.at("tenants", N_("There is no such tenant."))


def leave(session: Session, tenant_id: int, user_id: int) -> None:
    """End a membership, with the roles and grants that the person had there."""
    tenants.remove_member(session, tenant_id, user_id)
    of_tenant = select(Role.id).where(Role.tenant_id == tenant_id)
    for statement in (
        delete(UserRole).where(UserRole.user_id == user_id, UserRole.role_id.in_(of_tenant)),
        delete(UserClaim).where(UserClaim.user_id == user_id, UserClaim.tenant_id == tenant_id),
        delete(UserProperty).where(
            UserProperty.user_id == user_id, UserProperty.tenant_id == tenant_id
        ),
    ):
        session.execute(statement)


def set_files(session: Session, user: User, desired: Sequence[FileRow] | None) -> None:
    """Replace the files of a profile: addresses on the web."""
    if desired is None:
        return
    rows = list(
        session.scalars(select(UserFile).where(UserFile.user_id == user.id).order_by(UserFile.id))
    )
    before = {row.id: row.files for row in rows}
    for index, entry in enumerate(desired):
        if before.get(entry.id) != entry.files and not _are_addresses(entry):
            raise BadRequest.at(f"files[{index}].files", N_("A file must have an http(s) address."))

    listed = child_rows.listed(desired, "files")
    _replace(session, rows, listed, ("file_type", "files"), partial(UserFile, user_id=user.id))


def set_properties(
    session: Session, actor: Actor, user: User, desired: Sequence[PropertyRow] | None
) -> None:
    """Replace the properties that the actor sees."""
    if desired is None:
        return
    rows = read(session, actor, [user.id])[user.id].properties
    before = {row.id: (row.key, row.value) for row in rows}
    seen = set()
    for index, entry in enumerate(desired):
        # Several tenants may use the same key; then only the actor's own row matches.
        if entry.key in seen and before.get(entry.id, ("",))[0] != entry.key:
            raise BadRequest.at(f"properties[{index}].key", child_rows.DUPLICATE)
        seen.add(entry.key)

    make = partial(UserProperty, user_id=user.id, tenant_id=actor.owner_tenant)
    listed = child_rows.listed(desired, "properties")
    _replace(session, rows, listed, ("key", "value"), make)


def _are_addresses(entry: FileRow) -> bool:
    text = entry.files.strip()
    if entry.file_type != PICTURES or not text.startswith("["):
        return profile.is_web_address(text)
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return len(listed) <= MOST_PICTURES and all(
        isinstance(address, str) and profile.is_web_address(address) for address in listed
    )


def _check_roles(session: Session, actor: Actor, given: Sequence[Role]) -> None:
    """Refuse roles with privileges that the actor cannot grant in the tenant of the role."""
    by_tenant: defaultdict[int | None, list[int]] = defaultdict(list)
    for role in given:
        by_tenant[role.tenant_id].append(role.id)
    for tenant_id, role_ids in by_tenant.items():
        carried = permissions.carried(session, role_ids)
        missing = actor.lacking(session, tenant_id, carried)
        if missing:
            text = N_("You cannot grant permissions that you do not hold")
            raise Overreach.at("roles", f"{text}: {', '.join(missing[:10])}.")


def _check_permissions(session: Session, actor: Actor, granted: Sequence[tuple[int, str]]) -> None:
    codes = [code for _, code in granted]
    privileges = session.scalars(select(Privilege).where(Privilege.code.in_(codes))).all()
    known = {privilege.code for privilege in privileges}
    missing = set(actor.lacking(session, actor.owner_tenant, privileges))
    for index, code in granted:
        if code not in known:
            raise BadRequest.at(f"claims[{index}].value", N_("There is no such permission."))
        if code in missing:
            raise Overreach.at(
                f"claims[{index}].value", "You cannot grant a permission that you do not hold."
            )


def _replace(
    session: Session,
    rows: Sequence[Any],
    desired: Sequence[DesiredRow[T]],
    columns: Sequence[str],
    make: Callable[[], Any],
) -> None:
    """Replace rows outside of a relationship, because each actor sees different ones."""

    def write(row: Any, entry: T, _path: str) -> None:
        for column in columns:
            setattr(row, column, getattr(entry, column))

    left = [*rows]
    child_rows.replace(session, left, desired, make=make, write=write)
    kept = {id(row) for row in left}
    for row in rows:
        if id(row) not in kept:
            session.delete(row)
    session.add_all(left)
    session.flush()
