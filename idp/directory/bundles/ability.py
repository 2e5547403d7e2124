"""The ability of a bundle: the roles that its tenants get, with their privileges, as JSON text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.roles import catalogue
from idp.directory.roles.models import LONGEST_ROLE_NAME, Privilege
from idp.platform.errors import BadRequest

MOST_ROLES = 500
MOST_PRIVILEGES = 5000
_SHAPE = '{"roles": [{"code", "name", "privilegeCodes": []}], "adminRoleCodes": []}'


@dataclass(frozen=True, slots=True)
class AbilityRole:
    """A role that every tenant of the bundle has."""

    code: str
    name: str
    privilege_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ability:
    """What a bundle contains."""

    roles: tuple[AbilityRole, ...]
    admin_role_codes: tuple[str, ...]
    """Roles that the administrator of a new tenant gets."""

    @property
    def privilege_codes(self) -> frozenset[str]:
        """All privileges that the bundle contains."""
        return frozenset(code for role in self.roles for code in role.privilege_codes)


def read(text: str) -> Ability:
    """Read an ability that was checked when it was stored."""
    content = orjson.loads(text)
    return Ability(
        tuple(
            AbilityRole(role["code"], role["name"], tuple(role["privilegeCodes"]))
            for role in content["roles"]
        ),
        tuple(content["adminRoleCodes"]),
    )


def check(session: Session, text: str) -> str:
    """Check an ability and return it as stored: every member present, nothing else."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _invalid("The ability is not valid JSON.") from None
    if not isinstance(content, dict) or content.keys() - {"roles", "adminRoleCodes"}:
        raise _invalid(f"The ability must have this form: {_SHAPE}")
    rows = _list(content, "roles")
    if len(rows) > MOST_ROLES:
        raise _invalid(f"An ability can have at most {MOST_ROLES} roles.")
    roles = [_role(session, row, index) for index, row in enumerate(rows)]
    codes = [role["code"] for role in roles]
    if len({code.lower() for code in codes}) < len(codes):
        raise _invalid("Role codes must be unique.")
    admin_codes = _texts(content, "adminRoleCodes", "adminRoleCodes")
    for code in admin_codes:
        if code not in codes:
            raise _invalid(f"adminRoleCodes: there is no role {code}.")
    _known(session, {code for role in roles for code in role["privilegeCodes"]})
    return orjson.dumps({"roles": roles, "adminRoleCodes": admin_codes}).decode()


def _role(session: Session, row: Any, index: int) -> dict[str, Any]:
    where = f"roles[{index}]"
    if not isinstance(row, dict) or row.keys() - {"code", "name", "privilegeCodes"}:
        raise _invalid(f"{where} must have this form: {_SHAPE}")
    code = row.get("code")
    if not isinstance(code, str):
        raise _invalid(f"{where}.code is missing.")
    try:
        catalogue.check_tenant_role_code(session, code)
    except BadRequest as problem:
        raise _invalid(f"{where}.code: {problem.detail}") from None
    name = row.get("name") or code
    if not isinstance(name, str) or len(name) > LONGEST_ROLE_NAME or not name.isprintable():
        raise _invalid(f"{where}.name must have 1 to {LONGEST_ROLE_NAME} printable characters.")
    codes = _texts(row, "privilegeCodes", f"{where}.privilegeCodes")
    return {"code": code, "name": name, "privilegeCodes": codes}


def _known(session: Session, codes: set[str]) -> None:
    if len(codes) > MOST_PRIVILEGES:
        raise _invalid(f"An ability can have at most {MOST_PRIVILEGES} privileges.")
    found = session.scalars(select(Privilege.code).where(Privilege.code.in_(codes)))
    unknown = sorted(codes.difference(found))
    if unknown:
        raise _invalid(f"There is no privilege {unknown[0]}.")


def _list(content: dict[str, Any], name: str) -> list[Any]:
    value = content.get(name) or []
    if not isinstance(value, list):
        raise _invalid(f"{name} must be a list.")
    return value


def _texts(content: dict[str, Any], name: str, where: str) -> list[str]:
    values = _list(content, name)
    if not all(isinstance(value, str) and value for value in values):
        raise _invalid(f"{where} must be a list of codes.")
    return list(dict.fromkeys(values))


def _invalid(message: str) -> BadRequest:
    return BadRequest.at("ability", message, code="invalid_ability")
