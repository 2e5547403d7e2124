"""Checks of resources: names, claims, settings, and references to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.directory import api_names
from idp.directory.applications.models import Application
from idp.directory.clients import rules as clients
from idp.directory.clients.models import Client, ClientScope
from idp.directory.levels import LEVELS
from idp.directory.product import DPOP_REQUIRED, RESERVED_PREFIX
from idp.directory.resources.content import PropertyRow
from idp.directory.resources.models import ApiResource, ApiScope, IdentityResource
from idp.directory.roles.models import Privilege
from idp.directory.scopes import Scope
from idp.platform.errors import BadRequest, Conflict, Unprocessable
from idp.platform.secrets import looks_like_digest
from idp.platform.signing.algorithms import ALGORITHMS
from idp.platform.translation import N_, filled

BUILT_IN_SCOPES: frozenset[str] = frozenset(Scope)
BUILT_IN_IDENTITY = "openid"
STANDARD_IDENTITIES = frozenset({BUILT_IN_IDENTITY, "profile", "email", "address", "phone"})
"""Scopes whose claims OpenID Connect Core 5.4 lists."""
RESERVED = frozenset({"offline_access"})
PERMISSION_FORMATS = ("array", "text")
_NAME = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 3.3
_CLAIM = re.compile(r"[A-Za-z0-9_.:/#-]{1,200}")
_LONGEST_KEY = 250
_LONGEST_VALUE = 2000
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_NAMES_LOCK = 0x6964_7001


def lock_names(session: Session) -> None:
    """Lock the assignment of names until this transaction ends."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # Two tables share the names of scopes; SQLite's writers are alone anyway.
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_NAMES_LOCK})")


def check_api_name(
    session: Session, name: str, tenant_id: int | None, *, own: str | None = None
) -> None:
    """Refuse a name that another audience has, in any spelling; call `lock_names` before.

    `own` is the name that the API has so far.
    """
    if not _NAME.fullmatch(name) or name.isdigit():
        raise BadRequest.at(
            "name",
            N_(
                "A name must have 1 to 200 characters without spaces or quotes,"
                " and not only digits."
            ),
        )
    if not api_names.may_be_given(name):
        raise BadRequest.at(
            "name", N_("An address must have a host, and no user, query or fragment.")
        )
    _refuse_platform_name("name", name, tenant_id)
    if clients.is_issuer(session, name):
        # The issuer's own address is the audience of userinfo.
        raise BadRequest.at("name", N_("The address of an issuer cannot be the name of an API."))
    others = () if own is None else (ApiResource.name != own,)
    found = api_names.find_equal(session, ApiResource.name, [name], *others)
    if found is not None:
        raise taken("name", found)
    if api_names.find_equal(session, Client.client_id, [name]) is not None:
        # Both call the introspection endpoint by name; both are audiences.
        raise Conflict(
            N_("This name is already used by a client."),
            fields={"name": ["This name is already used by a client."]},
        )


def check_open(api: ApiResource) -> None:
    """Refuse to open what the product itself needs to applications that nobody registered."""
    names = (api.name, *(scope.name for scope in api.scopes))
    if api.open_to_strangers and any(name.casefold().startswith(RESERVED_PREFIX) for name in names):
        raise Unprocessable.at(
            "open_to_strangers",
            N_("This API is built in: applications that nobody registered may not call it."),
        )


def check_scope_names(session: Session, names: Mapping[str, str], tenant_id: int | None) -> None:
    """Refuse scope names that an API or identity resource has; call `lock_names` before.

    `names` maps the field of each name to the name.
    """
    for path, name in names.items():
        if not _NAME.fullmatch(name):
            raise BadRequest.at(
                path, N_("A scope must have 1 to 200 characters without spaces or quotes.")
            )
        if name in RESERVED:
            raise BadRequest.at(path, filled(N_("%(name)s is reserved."), name=name))
        _refuse_platform_name(path, name, tenant_id)
    field_of = {name: path for path, name in names.items()}
    for column in (ApiScope.name, IdentityResource.name):
        found = session.scalar(select(column).where(column.in_(field_of)).limit(1))
        if found is not None:
            raise taken(field_of[found], found)


def check_claim(path: str, name: str) -> None:
    """Refuse what cannot be the name of a claim."""
    if not _CLAIM.fullmatch(name):
        raise BadRequest.at(
            path, filled(N_("%(name)s is not a valid claim name."), name=repr(name[:200]))
        )


def check_property(path: str, row: PropertyRow) -> None:
    """Refuse settings that their readers do not know."""
    known: dict[str, Collection[str]] = {
        DPOP_REQUIRED: ("true", "false"),
        "permission_format": PERMISSION_FORMATS,
        "required_acr": LEVELS,
        "signing_alg": ALGORITHMS,
    }
    if not 0 < len(row.key) <= _LONGEST_KEY or not row.key.isprintable():
        raise BadRequest.at(
            f"{path}.key",
            filled(
                N_("A key must have 1 to %(longest_key)s printable characters."),
                longest_key=_LONGEST_KEY,
            ),
        )
    if len(row.value) > _LONGEST_VALUE:
        raise BadRequest.at(
            f"{path}.value",
            filled(
                N_("A value can have at most %(longest_value)s characters."),
                longest_value=_LONGEST_VALUE,
            ),
        )
    if row.key in known and row.value not in known[row.key]:
        raise BadRequest.at(
            f"{path}.value",
            filled(
                N_("%(key)s must be one of %(known)s."),
                key=row.key,
                known=", ".join(known[row.key]),
            ),
        )
    _check_seconds(path, row)


def _check_seconds(path: str, row: PropertyRow) -> None:
    """Refuse what is no number of seconds."""
    if row.key == "max_age" and not _SECONDS.fullmatch(row.value):
        message = filled(N_("%(key)s must be a number of seconds."), key=row.key)
        raise BadRequest.at(f"{path}.value", message)


def hash_secret(session: Session, path: str, value: str) -> str:
    """Check and hash a secret that a caller chose; masks and digests are refused."""
    if looks_like_digest(value):
        raise BadRequest.at(
            path, N_("Send the secret in clear text, not its digest; the server hashes it.")
        )
    if not value.strip("*•"):
        raise BadRequest.at(
            path, N_("This is the mask, not a secret. Leave the value out to keep the stored one.")
        )
    try:
        return clients.hash_secret(session, value)
    except BadRequest as problem:
        raise BadRequest.at(path, problem.detail) from None


def refuse_in_use(session: Session, path: str, names: Iterable[str]) -> None:
    """Refuse to remove scopes that clients use."""
    listed = select(ClientScope).where(ClientScope.scope.in_(list(names))).subquery()
    count = session.scalar(select(func.count(listed.c.client_id.distinct())))
    if count:
        used = session.scalars(select(listed.c.scope).distinct().order_by(listed.c.scope).limit(3))
        users = "1 client" if count == 1 else f"{count} clients"
        message = f"{', '.join(used)}: still used by {users}. Remove it there first."
        raise Conflict.at(path, message)


def refuse_owning(session: Session, api: ApiResource) -> None:
    """Refuse to delete an API that privileges or applications use.

    People would lose rights unnoticed, and menus would lose the privileges that open them.
    """
    count = session.scalar(
        select(func.count()).select_from(Privilege).where(Privilege.api_resource_id == api.id)
    )
    if count:
        text = N_("Still used by 1 privilege. Remove it there first.")
        if count > 1:
            text = filled(
                N_("Still used by %(count)s privileges. Remove it there first."), count=count
            )
        raise Conflict.at("id", text)
    if session.scalar(select(Application.id).where(Application.api_resource_id == api.id).limit(1)):
        raise Conflict.at("id", N_("Still used by applications. Remove it there first."))


def built_in(path: str) -> Unprocessable:
    """Return the refusal to remove what the product itself needs."""
    return Unprocessable.at(
        path, N_("This is built in: it cannot be renamed, disabled or deleted.")
    )


def taken(path: str, name: str) -> Conflict:
    """Return the refusal of a name that is taken."""
    return Conflict.at(path, filled(N_("The name %(name)s is taken."), name=name))


def _refuse_platform_name(path: str, name: str, tenant_id: int | None) -> None:
    # A scope such as `ids4.all` would open the gates of the management APIs.
    if tenant_id is not None and name.casefold().startswith(RESERVED_PREFIX):
        raise BadRequest.at(
            path,
            filled(
                N_("Names that begin with %(reserved_prefix)s are reserved for the platform."),
                reserved_prefix=RESERVED_PREFIX,
            ),
        )
