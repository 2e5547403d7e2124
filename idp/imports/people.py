"""People of a file, with the password hashes of another product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from idp.directory.roles import catalogue
from idp.directory.roles.models import Role
from idp.directory.tenants import service as tenants
from idp.directory.users import foreign, names, password_costs
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.directory.users.service import NewUser
from idp.imports.entries import by, each, tenant_id
from idp.imports.run import Entry, Run, at
from idp.platform.errors import BadRequest
from idp.platform.issuer import PLATFORM_TENANT_ID

PROFILE = ("display_name", "given_name", "middle_name", "family_name", "zoneinfo")


@dataclass(frozen=True, slots=True)
class Hash:
    """What is stored of a hash, or why it is not taken over."""

    stored: str | None = field(default=None, repr=False)
    reason: str | None = None


def hashes(entries: Sequence[Entry]) -> list[Hash]:
    """Return what is stored of the hash of each person; a fast one takes a tenth of a second."""
    return [_hash(entry.get("password_hash")) for entry in entries]


def costs(prepared: Sequence[Hash]) -> dict[str, float]:
    """Measure one hash of each scheme, in seconds."""
    examples = {
        foreign.cost_of(each.stored): each.stored for each in prepared if each.stored is not None
    }
    return {scheme: password_costs.measure(stored) for scheme, stored in examples.items()}


def people(run: Run, entries: Sequence[Entry]) -> None:
    """Import people, found by user name; an account that is there only joins the tenant.

    A person whose hash is not taken over comes without a password and is listed.
    """
    keys = [names.key(entry["username"]) for entry in entries]
    known = {
        key: user
        for key, user in by(run.session, User, User.username_key, keys).items()
        if user.deleted_at is None
    }
    for index, entry in each("people", entries, "username"):
        with at(f"people[{index}]"):
            tenant = tenant_id(run, entry) or PLATFORM_TENANT_ID
            user = known.get(keys[index])
            if user is None:
                known[keys[index]] = _add(run, entry, tenant, run.hashes[index])
                continue
            is_member = tenants.find_member(run.session, tenant, user.id) is not None
            tenants.add_member(run.session, tenant, user.id)
            joined = [] if is_member else [{"field": "tenant", "before": None, "after": tenant}]
            run.note("people", user.username, joined)


def _add(run: Run, entry: Entry, tenant: int, prepared: Hash) -> User:
    new = NewUser(
        username=entry["username"],
        email=entry.get("email"),
        mobile=entry.get("mobile"),
        email_verified=entry.get("email_verified", False),
        mobile_verified=entry.get("mobile_verified", False),
        nick_name=entry.get("nick_name"),
        locale=entry.get("locale"),
        password_hash=prepared.stored,
        must_change_password=entry.get("must_change_password", False),
    )
    user = users.create(run.session, new, tenant_id=tenant)
    for name in PROFILE:
        setattr(user, name, entry.get(name))
    tenants.add_member(run.session, tenant, user.id)
    catalogue.assign_default_roles(run.session, user.id)
    for place, code in enumerate(entry.get("roles", ())):
        catalogue.assign(run.session, user.id, _role(run, tenant, code, f"roles[{place}]"))
    run.note("people", user.username, [], is_new=True)
    if prepared.reason is not None:
        run.without_password.append((user.username, prepared.reason))
    return user


def _role(run: Run, tenant: int, code: str, place: str) -> Role:
    """Return a role of the tenant, or at the platform one of the platform; looked up once."""
    owner = None if tenant == PLATFORM_TENANT_ID else tenant
    if (owner, code) not in run.roles:
        found = catalogue.find_role(run.session, code, owner)
        if found is None:
            raise BadRequest.at(place, f"There is no {code!r}.")
        run.roles[owner, code] = found
    return run.roles[owner, code]


def _hash(given: Any) -> Hash:
    if given is None:
        return Hash()
    try:
        return Hash(foreign.stored_form(foreign.read(given)))
    except foreign.UnusableError as problem:
        return Hash(reason=str(problem))
