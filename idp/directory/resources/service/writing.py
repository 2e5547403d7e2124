"""Bring rows in line with a form, checked field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from idp.directory import child_rows
from idp.directory.product import MANAGEMENT_API
from idp.directory.resources import rules
from idp.directory.resources.content import (
    ApiSpec,
    ClaimRow,
    IdentitySpec,
    PropertyRow,
    ScopeRow,
    SecretRow,
)
from idp.directory.resources.models import (
    ApiResource,
    ApiResourceClaim,
    ApiResourceProperty,
    ApiScope,
    ApiScopeClaim,
    ApiSecret,
    IdentityResource,
    IdentityResourceClaim,
)
from idp.platform import clock
from idp.platform.errors import BadRequest
from idp.platform.secrets import MASK
from idp.platform.translation import N_, filled


@dataclass(frozen=True, slots=True)
class NewScope:
    """A scope as it is registered."""

    name: str
    display_name: str | None = None
    description: str | None = None
    required: bool = False
    emphasize: bool = False
    show_in_discovery_document: bool = True
    user_claims: Sequence[str] = ()


def scope_row(new: NewScope) -> ScopeRow:
    """Return a new scope as a row of a form."""
    return ScopeRow(
        name=new.name,
        display_name=new.display_name,
        description=new.description,
        required=new.required,
        emphasize=new.emphasize,
        show_in_discovery_document=new.show_in_discovery_document,
        user_claims=claim_rows(new.user_claims),
    )


def claim_rows(names: Iterable[str]) -> list[ClaimRow]:
    """Return names of claims as new rows, each once."""
    return [ClaimRow(name) for name in dict.fromkeys(names)]


def property_rows(values: Mapping[str, str]) -> list[PropertyRow]:
    """Return settings as new rows."""
    return [PropertyRow(key, value) for key, value in values.items()]


def write_api(session: Session, api: ApiResource, content: ApiSpec) -> None:
    """Bring an API and its children in line; the name is checked before."""
    if content.scopes is not None:
        _check_scopes(session, api, content.scopes)
    api.name = content.name
    api.enabled = content.enabled
    api.display_name = content.display_name
    api.description = content.description
    if content.scopes is not None:
        child_rows.replace(
            session,
            api.scopes,
            child_rows.listed(content.scopes, "scopes", "name"),
            columns=("name",),
            make=ApiScope,
            write=lambda row, entry, path: write_scope(session, row, entry, path),
        )
    if content.secrets is not None:
        child_rows.replace(
            session,
            api.secrets,
            child_rows.listed(content.secrets, "secrets"),
            make=ApiSecret,
            write=lambda row, entry, path: write_secret(session, row, entry, path),
        )
    if content.user_claims is not None:
        _write_claims(session, api, content.user_claims, ApiResourceClaim, "user_claims")
    if content.properties is not None:
        write_properties(session, api, content.properties)
    _write_default_scopes(api, content.default_scopes)
    if content.open_to_strangers is not None:
        api.open_to_strangers = content.open_to_strangers
    rules.check_open(api)


def _write_default_scopes(api: ApiResource, desired: Sequence[str] | None) -> None:
    """Bring the default scopes in line; those that the API has no longer are left out."""
    own = {scope.name for scope in api.scopes}
    if desired is None:
        kept = [name for name in api.default_scopes or () if name in own]
    else:
        for index, name in enumerate(desired):
            if name not in own:
                message = filled(N_("%(name)s is not a scope of this API."), name=name[:200])
                raise BadRequest.at(f"default_scopes[{index}]", message)
        kept = list(dict.fromkeys(desired))
    if kept != (api.default_scopes or []):
        api.default_scopes = kept or None


def write_identity(session: Session, resource: IdentityResource, content: IdentitySpec) -> None:
    """Bring an identity resource in line; the name is checked before."""
    resource.enabled = content.enabled
    _write_texts(resource, content)
    if content.user_claims is not None:
        _write_claims(session, resource, content.user_claims, IdentityResourceClaim, "user_claims")


def write_scope(session: Session, scope: ApiScope, row: ScopeRow, path: str) -> None:
    """Bring a scope in line; the name is checked before."""
    _write_texts(scope, row)
    if row.user_claims is not None:
        _write_claims(session, scope, row.user_claims, ApiScopeClaim, f"{path}.user_claims")


def _write_texts(row: ApiScope | IdentityResource, content: ScopeRow | IdentitySpec) -> None:
    row.name = content.name
    row.display_name = content.display_name
    row.description = content.description
    row.required = content.required
    row.emphasize = content.emphasize
    row.show_in_discovery_document = content.show_in_discovery_document


def write_secret(session: Session, secret: ApiSecret, row: SecretRow, path: str) -> None:
    """Bring a secret in line; it comes in clear text and is hashed."""
    if row.expires_at != secret.expires_at and _is_past(row.expires_at):
        raise BadRequest.at(f"{path}.expires_at", N_("The expiry is in the past."))
    if row.value not in {None, MASK}:
        secret.value_hash = rules.hash_secret(session, f"{path}.value", row.value)
    elif not secret.value_hash:
        raise BadRequest.at(f"{path}.value", N_("A new secret needs a value."))
    secret.description = row.description
    secret.expires_at = row.expires_at


def _write_claims(
    session: Session,
    parent: ApiResource | ApiScope | IdentityResource,
    desired: Sequence[ClaimRow],
    model: type[ApiResourceClaim | ApiScopeClaim | IdentityResourceClaim],
    path: str,
) -> None:
    def write(row: Any, entry: ClaimRow, where: str) -> None:
        rules.check_claim(f"{where}.type", entry.type)
        row.type = entry.type

    rows: list[Any] = parent.user_claims
    listed = child_rows.listed(desired, path, "type")
    child_rows.replace(session, rows, listed, columns=("type",), make=model, write=write)


def write_properties(session: Session, api: ApiResource, desired: Sequence[PropertyRow]) -> None:
    """Bring the settings of an API in line."""

    def write(row: ApiResourceProperty, entry: PropertyRow, path: str) -> None:
        rules.check_property(path, entry)
        row.key = entry.key
        row.value = entry.value

    child_rows.replace(
        session,
        api.properties,
        child_rows.listed(desired, "properties", "key"),
        columns=("key",),
        make=ApiResourceProperty,
        write=write,
    )


def _check_scopes(session: Session, api: ApiResource, desired: Sequence[ScopeRow]) -> None:
    """Refuse new names that are taken, and the removal of names in use."""
    have = {scope.name for scope in api.scopes}
    new = {
        f"scopes[{index}].name": row.name
        for index, row in enumerate(desired)
        if row.name not in have
    }
    rules.check_scope_names(session, new, api.tenant_id)
    removed = have - {row.name for row in desired}
    if api.name == MANAGEMENT_API and removed & rules.BUILT_IN_SCOPES:
        raise rules.built_in("scopes")
    rules.refuse_in_use(session, "scopes", removed)


def _is_past(moment: datetime | None) -> bool:
    return moment is not None and moment <= clock.now()
