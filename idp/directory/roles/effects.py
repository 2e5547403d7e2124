"""Effects of a change of roles: how many people gain a privilege by it, or lose one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from idp.directory import permissions
from idp.directory.permissions import Permission
from idp.directory.roles.models import Privilege, Role, RolePrivilege, UserRole
from idp.directory.users.models import UserClaim
from idp.platform.permission_codes import covering

MOST_COUNTED = 50_000
"""Assignments that are looked at one by one; of more people only the number is stated."""


@dataclass(frozen=True, slots=True)
class Change:
    """A privilege that a role gets or loses."""

    role_id: int
    permission: Permission
    is_added: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to those who have the role."""

    change: Change
    people: int
    """They gain it, or lose it."""
    unaffected: int
    """They hold it in another way, before and after."""
    through: str | None
    """A role by which some of them hold it; None: none, or a grant to the person."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What several changes do together."""

    each: Sequence[Effect]
    people: int
    """Whoever gains or loses anything."""
    is_exact: bool
    """Otherwise everybody who has a role is counted as affected."""


Held = Mapping[int, frozenset[Permission]]
"""What roles carry, by their ids."""
Combination = tuple[frozenset[int], frozenset[Permission]]
"""The roles of a person, and what is granted to them directly."""


def holders(session: Session, role_ids: Collection[int]) -> dict[int, int]:
    """Return how many people have each of several roles."""
    query = (
        select(UserRole.role_id, func.count())
        .where(UserRole.role_id.in_(role_ids))
        .group_by(UserRole.role_id)
    )
    return dict.fromkeys(role_ids, 0) | dict(session.execute(query).all())


def of(
    session: Session, changes: Sequence[Change], *, tenant_id: int | None, platform: bool
) -> Effects:
    """Count people, by five queries; with `platform` roles of the platform count in the tenant."""
    counts = holders(session, {change.role_id for change in changes})
    if sum(counts.values()) > MOST_COUNTED:
        each = [Effect(change, counts[change.role_id], 0, None) for change in changes]
        return Effects(each, sum(counts.values()), is_exact=False)
    names, people = _combinations(session, changes, tenant_id, platform=platform)
    before = _carried(session, names, changes)
    after = _after(before, changes)
    each = [_effect(change, people, before, after, names) for change in changes]
    touched = sum(
        number
        for combination, number in people.items()
        if any(
            _is_affected(change, combination, before, after)
            for change in changes
            if change.role_id in combination[0]
        )
    )
    return Effects(each, touched, is_exact=True)


def _combinations(
    session: Session, changes: Sequence[Change], tenant_id: int | None, *, platform: bool
) -> tuple[dict[int, str], Counter[Combination]]:
    """Count people with the same roles and grants; also return the names of the roles."""
    having = select(UserRole.user_id).where(
        UserRole.role_id.in_({change.role_id for change in changes})
    )
    query = (
        select(UserRole.user_id, Role.id, Role.name)
        .join(Role, Role.id == UserRole.role_id)
        .where(UserRole.user_id.in_(having), _counts(tenant_id, platform=platform))
    )
    roles: defaultdict[int, set[int]] = defaultdict(set)
    names: dict[int, str] = {}
    for user_id, role_id, name in session.execute(query):
        roles[user_id].add(role_id)
        names[role_id] = name
    direct: defaultdict[int, set[Permission]] = defaultdict(set)
    granted = (
        select(UserClaim.user_id, Privilege.code, Privilege.api_resource_id)
        .join(Privilege, Privilege.code == UserClaim.value)
        .where(
            UserClaim.user_id.in_(having),
            UserClaim.type == "permission",
            Privilege.code.in_(_relevant(changes)),
            Privilege.status == 1,
            or_(UserClaim.tenant_id.is_(None), UserClaim.tenant_id == tenant_id),
        )
    )
    for user_id, code, owner in session.execute(granted):
        direct[user_id].add(Permission(code, owner))
    combined = Counter((frozenset(ids), frozenset(direct[user])) for user, ids in roles.items())
    return names, combined


def _counts(tenant_id: int | None, *, platform: bool) -> ColumnElement[bool]:
    """Return in SQL which roles count in a tenant, or (no tenant) on the platform itself."""
    of_platform = Role.tenant_id.is_(None)
    if tenant_id is None:
        return of_platform
    of_tenant = Role.tenant_id == tenant_id
    return or_(of_tenant, of_platform) if platform else of_tenant


def _relevant(changes: Iterable[Change]) -> set[str]:
    return {code for change in changes for code in covering(change.permission.code)}


def _carried(session: Session, role_ids: Iterable[int], changes: Sequence[Change]) -> Held:
    """Return what roles carry of what decides about the changes."""
    query = (
        select(RolePrivilege.role_id, Privilege.code, Privilege.api_resource_id)
        .join(Privilege, Privilege.id == RolePrivilege.privilege_id)
        .where(
            RolePrivilege.role_id.in_(list(role_ids)),
            Privilege.code.in_(_relevant(changes)),
            Privilege.status == 1,
        )
    )
    found: defaultdict[int, set[Permission]] = defaultdict(set)
    for role_id, code, owner in session.execute(query):
        found[role_id].add(Permission(code, owner))
    return {role_id: frozenset(held) for role_id, held in found.items()}


def _after(before: Held, changes: Iterable[Change]) -> Held:
    after = {role_id: set(held) for role_id, held in before.items()}
    for change in changes:
        held = after.setdefault(change.role_id, set())
        (held.add if change.is_added else held.discard)(change.permission)
    return {role_id: frozenset(held) for role_id, held in after.items()}


def _effect(
    change: Change,
    people: Mapping[Combination, int],
    before: Held,
    after: Held,
    names: Mapping[int, str],
) -> Effect:
    affected = unaffected = 0
    through = None
    for combination, number in people.items():
        if change.role_id not in combination[0]:
            continue
        if _is_affected(change, combination, before, after):
            affected += number
        else:
            unaffected += number
            through = through or _through(change, combination, after, names)
    return Effect(change, affected, unaffected, through)


def _is_affected(change: Change, combination: Combination, before: Held, after: Held) -> bool:
    """Return whether people hold the privilege only before, or only after."""
    return _holds(change, combination, before) is not _holds(change, combination, after)


def _holds(change: Change, combination: Combination, held: Held) -> bool:
    roles, direct = combination
    rights = direct.union(*(held.get(role_id, frozenset()) for role_id in roles))
    return not permissions.uncovered(rights, [change.permission])


def _through(
    change: Change, combination: Combination, after: Held, names: Mapping[int, str]
) -> str | None:
    for role_id in sorted(combination[0] - {change.role_id}):
        if not permissions.uncovered(after.get(role_id, ()), [change.permission]):
            return names[role_id]
    return None
