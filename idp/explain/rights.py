"""Where the roles and permissions of an access token come from, and why others are missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from idp.claims import access
from idp.claims import subject as subjects
from idp.directory import permissions
from idp.directory.permissions import HeldRights, Permission
from idp.directory.resources.snapshot import ApiView
from idp.explain import origins
from idp.explain.origins import Known, Source
from idp.explain.preview import Preview, Wish
from idp.explain.reasons import reason
from idp.explain.results import PermissionLine, Reason, RoleLine
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.permission_codes import ALL_SUFFIX, covering
from idp.platform.storage import SessionStorage, complete

MOST_LISTED = 1000
"""Privileges of the audience that are listed that are neither held nor named by the caller."""


@dataclass(frozen=True, slots=True)
class _Rights:
    """Everything that is known of a person's rights and the token's."""

    held: HeldRights
    sources: Sequence[Source]
    is_at_platform: bool
    """Whether platform roles count."""
    apis: Sequence[ApiView]
    claims: Mapping[str, Any]
    """Of the access token."""
    bundle: str | None
    bundled: frozenset[str] | None
    """Codes that the bundle contains; None: there is no bundle."""

    @property
    def written(self) -> frozenset[str]:
        """Codes in the token."""
        value = self.claims.get("permission") or ()
        return frozenset(value.split(",") if isinstance(value, str) else value)

    def counts(self, source: Source) -> bool:
        """Return whether tokens of this issuer have what comes from a source."""
        return source.role is None or source.tenant_id is not None or self.is_at_platform


def explain(
    session: Session, wish: Wish, preview: Preview, extra: Collection[str]
) -> tuple[list[RoleLine], list[PermissionLine], bool]:
    """Explain roles and permissions; `extra` names permissions that are explained in any case.

    The last value tells whether more permissions are missing than are listed.
    """
    if wish.user is None:
        lines = [_absent(code, "no_person") for code in extra]
        return [], lines, False
    rights = _read(session, wish, wish.user.id, preview)
    codes = {source.code for source in rights.sources if source.code is not None} | {*extra}
    api_ids = {api.row_id for api in rights.apis}
    known, has_more = origins.read_privileges(session, api_ids, codes, MOST_LISTED)
    lines = _permission_lines(session, wish, rights, known)
    unknown = sorted(codes - known.keys())
    lines += [_absent(code, "unknown_permission") for code in unknown]
    return _role_lines(rights), lines, has_more


def _absent(code: str, why: str) -> PermissionLine:
    return PermissionLine(code, is_present=False, api=None, reasons=[reason(why)])


def _read(session: Session, wish: Wish, user_id: int, preview: Preview) -> _Rights:
    is_at_platform = wish.issuer.tenant_id == PLATFORM_TENANT_ID
    held = complete(
        subjects.read_held(
            SessionStorage(session), user_id, wish.tenant.id, platform=is_at_platform
        )
    )
    return _Rights(
        held=held,
        sources=origins.read_sources(session, user_id, wish.tenant.id),
        is_at_platform=is_at_platform,
        apis=preview.narrowed.apis,
        claims=preview.access_token.claims,
        bundle=wish.tenant.bundle_code,
        bundled=permissions.bundled(session, wish.tenant.id),
    )


def _role_lines(rights: _Rights) -> list[RoleLine]:
    roles = {
        (source.role, source.tenant_id): source for source in rights.sources if source.role
    }.values()
    written = rights.claims.get("role", ())
    lines = []
    for source in sorted(roles, key=lambda found: (found.role or "", found.tenant_id or 0)):
        is_present = source.role in written and rights.counts(source)
        reasons = [reason("platform_role" if source.tenant_id is None else "tenant_role")]
        if not is_present:
            reasons.append(_absence_of_role(rights, source))
        lines.append(RoleLine(source.role or "", is_present, source.tenant_id is None, reasons))
    return lines


def _absence_of_role(rights: _Rights, source: Source) -> Reason:
    if not rights.counts(source):
        return reason("other_issuer", source.role)
    if not rights.apis:
        return reason("no_api")
    return reason("too_large", "introspection")


def _permission_lines(
    session: Session, wish: Wish, rights: _Rights, known: Mapping[str, Known]
) -> list[PermissionLine]:
    held = {permission.code for permission in rights.held.permissions}
    absent = {row.row_id for code, row in known.items() if code not in held}
    carriers = origins.read_carriers(session, wish.tenant.id, absent)
    by_code: dict[str, list[Source]] = {}
    for source in rights.sources:
        if source.code is not None:
            by_code.setdefault(source.code, []).append(source)
    lines = []
    written = rights.written
    for code, row in sorted(known.items()):
        sources = by_code.get(code, [])
        reasons = [_origin(source) for source in sources if rights.counts(source)]
        if code not in written:
            if code in held:
                reasons.append(_absence(rights, row))
            else:
                reasons += _not_held(rights, row, sources, carriers.get(row.row_id, []))
        reasons += _bundle_note(rights, row, sources, is_held=code in held)
        lines.append(PermissionLine(code, code in written, row.api, list(dict.fromkeys(reasons))))
    return lines


def _origin(source: Source) -> Reason:
    if source.role is None:
        return reason("platform_grant" if source.tenant_id is None else "direct_grant")
    return reason("role_of_platform" if source.tenant_id is None else "role", source.role)


def _absence(rights: _Rights, row: Known) -> Reason:
    """Explain why a permission that the person holds is not in the token."""
    permission = Permission(row.code, row.api_resource_id)
    if not access.permissions_for([permission], rights.apis):
        if row.api is not None:
            return reason("other_audience", row.api)
        return reason("permission_not_asked" if rights.apis else "no_api")
    return _folded(rights, row.code) or reason("too_large", "introspection")


def _folded(rights: _Rights, code: str) -> Reason | None:
    """Name the `.all` in the token that stands for a code, the widest one."""
    wider = sorted(covering(code) & rights.written - {code}, key=len)
    return reason("folded", wider[0]) if wider else None


def _not_held(
    rights: _Rights, row: Known, sources: Sequence[Source], carriers: Sequence[str]
) -> list[Reason]:
    """Explain why the person does not hold a permission."""
    if not row.is_enabled:
        return [reason("disabled")]
    of_others = [reason("other_issuer", source.role) for source in sources]
    if of_others:
        return of_others
    found = []
    owned = {
        held.code
        for held in rights.held.permissions
        if held.api_resource_id == row.api_resource_id and held.code.endswith(ALL_SUFFIX)
    }
    wider = sorted(covering(row.code) & owned, key=len)
    found.append(reason("covered", wider[0]) if wider else reason("not_held"))
    found += [reason("role_has", role) for role in carriers]
    return found


def _bundle_note(
    rights: _Rights, row: Known, sources: Sequence[Source], *, is_held: bool
) -> list[Reason]:
    if rights.bundled is None or row.code in rights.bundled:
        return []
    if not is_held:
        return [reason("not_in_bundle", rights.bundle)]
    of_tenant = any(source.tenant_id is not None for source in sources)
    return [reason("outside_bundle", rights.bundle)] if of_tenant else []
