"""The sections of a file: how their entries are found, created and compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from idp.directory.actor import OPERATOR
from idp.directory.applications import editing
from idp.directory.applications import service as applications
from idp.directory.applications.models import Application, ApplicationClient, Menu
from idp.directory.bundles import service as bundle_rules
from idp.directory.bundles.models import Bundle, TenantType
from idp.directory.clients import service as clients
from idp.directory.resources import service as resources
from idp.directory.roles import catalogue
from idp.directory.roles.models import Privilege, PrivilegeGroup
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.imports.entries import DUPLICATE, by, each, named, only, tenant_id
from idp.imports.run import Entry, Row, Run, at
from idp.platform.errors import BadRequest
from idp.platform.issuer import PLATFORM_TENANT_ID

BUNDLE = frozenset(field.name for field in dataclasses.fields(bundle_rules.BundleSpec))
"""Columns of a bundle that a file may set; the others stay."""
_MENUS = select(Menu).options(joinedload(Menu.privilege))


def tenant_types(run: Run, entries: Sequence[Entry]) -> None:
    """Import tenant types, found by code."""
    known = by(run.session, TenantType, TenantType.code, [entry["code"] for entry in entries])
    for index, entry in each("tenant_types", entries):
        with at(f"tenant_types[{index}]"):
            catalogue.check_code(entry["code"], applications.LONGEST_CODE)
            row = known.get(entry["code"])
            is_new = row is None
            if row is None:
                row = _add(run, TenantType(**entry))
            run.update("tenant_types", row.code, row, entry, is_new=is_new)


def tenants_(run: Run, entries: Sequence[Entry]) -> None:
    """Import tenants, found by id, or by name and type together."""
    types = by(run.session, TenantType, TenantType.code, [entry.get("type") for entry in entries])
    for index, entry in each("tenants", entries, "ref"):
        with at(f"tenants[{index}]"):
            row = _find_tenant(run.session, entry)
            is_new = row is None
            if row is None:
                named(types, entry.get("type"), "type")
                new = tenants.NewTenant(entry["name"], type_code=entry.get("type"))
                row = tenants.create(run.session, new)
            run.note("tenants", entry["ref"], [], is_new=is_new)
            run.tenants[entry["ref"]] = row.id


def applications_(run: Run, entries: Sequence[Entry]) -> None:
    """Import applications, found by code; their clients are linked, and none is unlinked."""
    session = run.session
    known = by(session, Application, Application.code, [entry["code"] for entry in entries])
    for index, entry in each("applications", entries):
        with at(f"applications[{index}]"):
            spec = applications.ApplicationSpec(
                entry["name"], entry["code"], tenant_id=tenant_id(run, entry) or PLATFORM_TENANT_ID
            )
            row = known.get(entry["code"])
            is_new = row is None
            fields: list[dict[str, Any]] = []
            if row is None:
                row = applications.create(session, spec)
            elif "tenant" in entry and row.tenant_id != spec.tenant_id:
                raise BadRequest.at("tenant", "The tenant of an application cannot be changed.")
            elif row.name != spec.name:
                fields.append({"field": "name", "before": row.name, "after": spec.name})
                applications.change(session, row, replace(spec, tenant_id=None))
            if "api_resource" in entry:
                fields += _set_api(session, row, entry["api_resource"])
            for place, client_id in enumerate(entry.get("clients", ())):
                fields += _link(session, row, client_id, f"clients[{place}]")
            session.flush()
            run.note("applications", row.code, fields, is_new=is_new)


def privilege_groups(run: Run, entries: Sequence[Entry]) -> None:
    """Import groups of the privilege tree, found by code."""
    session = run.session
    every = {row.code: row for row in session.scalars(select(PrivilegeGroup))}
    is_new = {entry["code"] for entry in entries if entry["code"] not in every}
    # All at first without their parents: a file may name them in any order.
    for index, entry in each("privilege_groups", entries):
        with at(f"privilege_groups[{index}]"):
            if entry["code"] in is_new:
                every[entry["code"]] = catalogue.create_group(session, entry["code"], entry["name"])
    codes = {row.id: code for code, row in every.items()}
    for index, entry in enumerate(entries):
        with at(f"privilege_groups[{index}]"):
            values = only(entry, "name", "sort", "status")
            if "parent" in entry:
                above = named(every, entry["parent"], "parent")
                values["parent_id"] = None if above is None else above.id
            run.update(
                "privilege_groups",
                entry["code"],
                every[entry["code"]],
                values,
                is_new=entry["code"] in is_new,
                show=lambda name, value: codes.get(value) if name == "parent_id" else value,
            )
    parents = {row.id: row.parent_id for row in every.values()}
    for index, entry in enumerate(entries):
        with at(f"privilege_groups[{index}]"):
            _refuse_circle(parents, every[entry["code"]].id)


def privileges(run: Run, entries: Sequence[Entry]) -> None:
    """Import privileges, found by code."""
    session = run.session
    known = by(session, Privilege, Privilege.code, [entry["code"] for entry in entries])
    groups = by(session, PrivilegeGroup, PrivilegeGroup.code, [e.get("group") for e in entries])
    for index, entry in each("privileges", entries):
        with at(f"privileges[{index}]"):
            values = only(entry, "name", "description", "sort", "status")
            if "group" in entry:
                group = named(groups, entry["group"], "group")
                values["group_id"] = None if group is None else group.id
            if "api_resource" in entry or "application" in entry:
                values["api_resource_id"] = _owner(session, entry)
            row = known.get(entry["code"])
            is_new = row is None
            if row is None:
                row = catalogue.create_privilege(session, entry["code"], entry["name"])
            run.update("privileges", row.code, row, values, is_new=is_new)


def bundles(run: Run, entries: Sequence[Entry]) -> None:
    """Import bundles, found by code; roles and administrator roles are replaced together."""
    session = run.session
    known = by(session, Bundle, Bundle.code, [entry["code"] for entry in entries])
    types = by(session, TenantType, TenantType.code, [entry["tenant_type"] for entry in entries])
    for index, entry in each("bundles", entries):
        with at(f"bundles[{index}]"):
            named(types, entry["tenant_type"], "tenant_type")
            row = known.get(entry["code"])
            before = {} if row is None else {name: getattr(row, name) for name in BUNDLE}
            given = {name: entry[name] for name in BUNDLE & entry.keys()}
            given |= {"code": entry["code"], "tenant_type_code": entry["tenant_type"]}
            if row is None or {"roles", "admin_roles"} & entry.keys():
                given["ability"] = json.dumps(_ability(session, entry))
            content = bundle_rules.BundleSpec(**{**before, **given})
            if row is None:
                row = bundle_rules.create(session, OPERATOR, content)
            else:
                bundle_rules.update(session, OPERATOR, row.id, content)
            fields = [
                {"field": name, "before": value, "after": getattr(row, name)}
                for name, value in before.items()
                if value != getattr(row, name)
            ]
            run.note("bundles", row.code, fields, is_new=not before)


def menus(run: Run, entries: Sequence[Entry]) -> None:
    """Import menus, found by application and code, at their place in the file."""
    session = run.session
    every = [entry["application"] for entry in entries]
    owners = by(session, Application, Application.code, every)
    ids = [row.id for row in owners.values()]
    known = {
        (row.application_id, row.code): row
        for row in session.scalars(_MENUS.where(Menu.application_id.in_(ids)))
    }
    codes = _privilege_codes(entries)
    opening = by(session, Privilege, Privilege.code, codes)
    opened = (row.privilege for row in known.values() if row.privilege is not None)
    names = {
        "privilege_id": {row.id: row.code for row in [*opening.values(), *opened]},
        "parent_id": {row.id: row.code for row in known.values()},
    }
    seen: set[tuple[int, str]] = set()

    def show(name: str, value: Any) -> Any:
        return names.get(name, {}).get(value, value)

    def import_menu(
        application: Application, entry: Entry, parent: Menu | None, path: str, depth: int
    ) -> None:
        with at(path):
            if depth > editing.DEEPEST:
                raise BadRequest.at(
                    "children", f"Menus can be nested at most {editing.DEEPEST} levels deep."
                )
            key = (application.id, entry["code"])
            if key in seen:
                raise BadRequest.at("code", DUPLICATE)
            seen.add(key)
            editing.check_url(entry.get("url"))
            values = only(entry, "title", "icon", "url", "comment", "sort", "status")
            values["parent_id"] = None if parent is None else parent.id
            if "privilege" in entry:
                opened_by = named(opening, entry["privilege"], "privilege")
                values["privilege_id"] = None if opened_by is None else opened_by.id
            row = known.get(key)
            is_new = row is None
            if row is None:
                new = Menu(application_id=application.id, code=entry["code"], **values)
                row = _add(run, new)
                names["parent_id"][row.id] = row.code
            name = f"{application.code}/{row.code}"
            run.update("menus", name, row, values, is_new=is_new, show=show)
        for place, child in enumerate(entry.get("children", ())):
            import_menu(application, child, row, f"{path}.children[{place}]", depth + 1)

    for index, entry in enumerate(entries):
        path = f"menus[{index}]"
        with at(path):
            application = named(owners, entry["application"], "application")
        if application is not None:
            import_menu(application, entry, None, path, 1)


def _add(run: Run, row: Row) -> Row:
    run.session.add(row)
    run.session.flush()
    return row


def _find_tenant(session: Session, entry: Entry) -> Tenant | None:
    if "id" in entry:
        found = tenants.find(session, entry["id"])
        if found is None:
            raise BadRequest.at("id", "There is no such tenant.")
        return found
    rows = session.scalars(
        select(Tenant)
        .where(
            Tenant.name == entry["name"].strip(),
            Tenant.type_code.is_not_distinct_from(entry.get("type")),
        )
        .limit(2)
    ).all()
    if len(rows) > 1:
        raise BadRequest.at("name", "Several tenants have this name; name one by its id.")
    return rows[0] if rows else None


def _set_api(session: Session, row: Application, name: str | None) -> list[dict[str, Any]]:
    api = None if name is None else resources.find_api(session, name)
    if name is not None and api is None:
        raise BadRequest.at("api_resource", f"There is no {name!r}.")
    if api is not None and api.tenant_id not in {None, row.tenant_id}:
        raise BadRequest.at("api_resource", "This API belongs to another tenant.")
    api_id = None if api is None else api.id
    if row.api_resource_id == api_id:
        return []
    before, row.api_resource_id = row.api_resource_id, api_id
    return [{"field": "api_resource_id", "before": before, "after": api_id}]


def _link(session: Session, row: Application, client_id: str, place: str) -> list[dict[str, Any]]:
    client = clients.find(session, client_id)
    if client is None:
        raise BadRequest.at(place, f"There is no client {client_id!r}.")
    link = session.get(ApplicationClient, client.id)
    if link is not None and link.application_id == row.id:
        return []
    before = None if link is None else session.get_one(Application, link.application_id).code
    try:
        applications.link_client(session, row, client)
    except BadRequest as problem:
        raise BadRequest.at(place, problem.detail) from None
    return [{"field": f"client {client_id}", "before": before, "after": row.code}]


def _refuse_circle(parents: Mapping[int, int | None], start: int) -> None:
    above, steps = parents[start], 0
    while above is not None:
        steps += 1
        if above == start or steps > len(parents):
            raise BadRequest.at("parent", "A group cannot be below itself.")
        above = parents[above]


def _owner(session: Session, entry: Entry) -> int | None:
    if entry.get("application"):
        application = applications.find(session, entry["application"])
        if application is None:
            raise BadRequest.at("application", f"There is no {entry['application']!r}.")
        if application.api_resource_id is None:
            raise BadRequest.at("application", "This application has no API resource.")
        return application.api_resource_id
    name = entry.get("api_resource")
    api = None if name is None else resources.find_api(session, name)
    if name is not None and api is None:
        raise BadRequest.at("api_resource", f"There is no {name!r}.")
    return None if api is None else api.id


def _ability(session: Session, entry: Entry) -> dict[str, Any]:
    roles = entry.get("roles", ())
    codes = {code for role in roles for code in role["privileges"]}
    known = by(session, Privilege, Privilege.code, codes)
    own: set[str] = set()
    for index, role in enumerate(roles):
        try:
            catalogue.check_tenant_role_code(session, role["code"])
        except BadRequest as problem:
            raise BadRequest.at(f"roles[{index}].code", problem.detail) from None
        if role["code"] in own:
            raise BadRequest.at(f"roles[{index}].code", DUPLICATE)
        own.add(role["code"])
        for place, code in enumerate(role["privileges"]):
            named(known, code, f"roles[{index}].privileges[{place}]")
    administrators = list(entry.get("admin_roles", ()))
    for index, code in enumerate(administrators):
        if code not in own:
            raise BadRequest.at(f"admin_roles[{index}]", f"The bundle has no role {code!r}.")
    return {
        "roles": [
            {"code": role["code"], "name": role["name"], "privilegeCodes": role["privileges"]}
            for role in roles
        ],
        "adminRoleCodes": administrators,
    }


def _privilege_codes(entries: Sequence[Entry]) -> set[str]:
    found = {entry["privilege"] for entry in entries if entry.get("privilege")}
    return found.union(*(_privilege_codes(entry.get("children", ())) for entry in entries))
