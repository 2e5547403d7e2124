"""The rules about tenants: the hosts that make them issuers, members, private settings."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import idna
from sqlalchemy import ColumnElement, bindparam, delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from idp.directory import api_names
from idp.directory.branding import snapshot as brands
from idp.directory.branding.models import Branding
from idp.directory.clients.models import Client
from idp.directory.policies import snapshot as policies
from idp.directory.policies.rules import NO_PASSKEYS_HERE
from idp.directory.resources.models import ApiResource
from idp.directory.tenants.host_names import is_local
from idp.directory.tenants.models import (
    Membership,
    Tenant,
    TenantHost,
    TenantProperty,
    TenantStatus,
)
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.difference import Rows, State
from idp.platform.audit.tags import Tag
from idp.platform.cache import looked_up
from idp.platform.db import run
from idp.platform.errors import BadRequest, Conflict, NotFound
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.stamps import new_stamp
from idp.platform.translation import N_, filled

PURPOSE = "tenant property"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_HOST = 253
_LONGEST_NAME = 200
_LONGEST_LOGO = 2000


@dataclass(frozen=True, slots=True)
class NewTenant:
    """The values of a new tenant."""

    name: str
    hosts: Sequence[str] = ()
    issuer_host: str | None = None
    theme: str | None = None
    logo_uri: str | None = None
    type_code: str | None = None
    bundle_code: str | None = None
    status: TenantStatus = TenantStatus.ENABLED


_TWO_MEMBERSHIPS = (
    select(Membership.tenant_id, Membership.is_bound)
    .join(Tenant, Tenant.id == Membership.tenant_id)
    .where(
        Membership.user_id == bindparam("user_id"),
        Tenant.issuer_tenant_id == bindparam("issuer_tenant_id"),
        Tenant.status == TenantStatus.ENABLED,
    )
    .limit(2)
)


@looked_up("issuer")
def find_issuer(session: Session, host: str) -> Issuer | None:
    """Return the issuer of a Host header; cached, as unknown hosts are."""
    host = host.lower()
    query = brands.select_branded()
    if host == runtime.of(session).settings.public_host:
        query = query.where(Tenant.id == PLATFORM_TENANT_ID)
    else:
        query = query.join(TenantHost, TenantHost.tenant_id == Tenant.id)
        query = query.where(TenantHost.host == host)
    found = session.execute(query).first()
    if found is None or not found[0].is_enabled:
        return None
    return _issuer(session, *found, host)


def issuer_of(session: Session, tenant_id: int) -> Issuer:
    """Return the issuer at which the members of a tenant sign in."""
    tenant = get(session, tenant_id)
    if tenant.issuer_tenant_id != tenant.id:
        tenant = get(session, tenant.issuer_tenant_id)
    return _issuer(session, tenant, brands.find_row(session, tenant.id), None)


def issuers(session: Session) -> dict[int, Issuer]:
    """Return the issuers other than the platform by their tenants, without brands: one query."""
    query = select(Tenant.id, Tenant.name, Tenant.issuer_host, TenantHost.host)
    query = query.join(TenantHost, TenantHost.tenant_id == Tenant.id)
    query = query.where(Tenant.id != PLATFORM_TENANT_ID).order_by(TenantHost.id.desc())
    scheme = runtime.of(session).settings.scheme
    found: dict[int, Issuer] = {}
    for tenant_id, name, issuer_host, host in session.execute(query):
        own = issuer_host or host
        found[tenant_id] = Issuer(tenant_id, f"{scheme}://{own}", own, name)
    return found


def find(session: Session, tenant_id: int) -> Tenant | None:
    """Find a tenant by id."""
    return session.get(Tenant, tenant_id)


def get(session: Session, tenant_id: int) -> Tenant:
    """Return a tenant by id."""
    tenant = find(session, tenant_id)
    if tenant is None:
        raise NotFound(N_("There is no such tenant."))
    return tenant


def names(session: Session, tenant_ids: Collection[int]) -> dict[int, str]:
    """Return what tenants are called, by their ids."""
    rows = session.execute(select(Tenant.id, Tenant.name).where(Tenant.id.in_(tenant_ids)))
    return {row.id: row.name for row in rows}


def count_members(session: Session, tenant_ids: Collection[int]) -> dict[int, int]:
    """Return how many members tenants have, by their ids."""
    query = (
        select(Membership.tenant_id, func.count())
        .where(Membership.tenant_id.in_(tenant_ids))
        .group_by(Membership.tenant_id)
    )
    return dict.fromkeys(tenant_ids, 0) | dict(session.execute(query).all())


def list_all(session: Session, *, after_id: int = 0, limit: int = 100) -> Sequence[Tenant]:
    """Return a page of tenants with their hosts, by id."""
    query = select(Tenant).where(Tenant.id > after_id).order_by(Tenant.id).limit(limit)
    return session.scalars(query.options(selectinload(Tenant.hosts))).all()


def create(session: Session, new: NewTenant) -> Tenant:
    """Create a tenant; with hosts it is an issuer, else its members sign in at issuer 1."""
    tenant = Tenant(
        name=check_name(new.name),
        status=new.status,
        theme=new.theme,
        logo_uri=_logo(new.logo_uri),
        type_code=new.type_code,
        bundle_code=new.bundle_code,
        issuer_tenant_id=PLATFORM_TENANT_ID,
    )
    session.add(tenant)
    session.flush()
    if new.hosts or new.issuer_host:
        set_hosts(session, tenant, new.hosts, new.issuer_host)
    record(session, tenant, Tag.TENANT_CREATED, {}, state_of(tenant))
    return tenant


def change(
    session: Session,
    tenant: Tenant,
    *,
    name: str | None = None,
    hosts: Sequence[str] | None = None,
    issuer_host: str | None = None,
    status: TenantStatus | None = None,
) -> None:
    """Change the values that are given; the rest stays as it is."""
    before = state_of(tenant)
    if name is not None:
        tenant.name = check_name(name)
    if hosts is not None or issuer_host is not None:
        kept = [row.host for row in tenant.hosts]
        set_hosts(session, tenant, kept if hosts is None else hosts, issuer_host)
    if status is not None:
        check_status(tenant, status)
        tenant.status = status
    tenant.concurrency_stamp = new_stamp()
    session.flush()
    record(session, tenant, Tag.TENANT_CHANGED, before, state_of(tenant))


def state_of(tenant: Tenant) -> dict[str, Any]:
    """Return what the audit log compares of a tenant."""
    return {
        "name": tenant.name,
        "status": tenant.status,
        "theme": tenant.theme,
        "issuer_host": tenant.issuer_host,
        "cache_seconds": tenant.cache_seconds,
        "hosts": Rows({row.id: row.host for row in tenant.hosts}),
        "claims": Rows({row.id: (row.type, row.value) for row in tenant.claims}),
        "properties": Rows({row.id: (row.key, row.value_encrypted) for row in tenant.properties}),
    }


def record(session: Session, tenant: Tenant, tag: Tag, before: State, after: State) -> None:
    """Record a change of a tenant, without the values of its properties."""
    target = f"tenant:{tenant.id}"
    private = ("properties",)
    audit.record_change(session, tag, target, before, after, private=private, tenant_id=tenant.id)


def set_hosts(
    session: Session, tenant: Tenant, hosts: Iterable[str], issuer_host: str | None = None
) -> None:
    """Replace the hosts of a tenant; the issuer is named after `issuer_host`, else the first.

    Hosts are unique over all tenants; the one of `PUBLIC_URL` belongs to issuer 1 only.
    """
    desired = list(dict.fromkeys(check_host(host) for host in hosts))
    kept = {row.host: row for row in tenant.hosts if row.host in desired}
    with keeping_a_way_in(session, tenant):
        with unique_hosts(session):
            tenant.hosts = [row for row in tenant.hosts if row.host in kept]
            session.flush()
            tenant.hosts.extend(TenantHost(host=host) for host in desired if host not in kept)
        name_issuer(session, tenant, issuer_host)
    tenant.concurrency_stamp = new_stamp()
    session.flush()


@contextmanager
def unique_hosts(session: Session) -> Iterator[None]:
    """Write hosts, and refuse one that another tenant has."""
    try:
        with session.begin_nested():
            yield
    except IntegrityError:
        raise _taken() from None


@contextmanager
def keeping_a_way_in(session: Session, tenant: Tenant) -> Iterator[None]:
    """Refuse hosts at which people have no passkeys, where policies demand them.

    Only where the address changes at which people sign in.
    """
    before = _own_issuer(session, tenant).url
    yield
    issuer = _own_issuer(session, tenant)
    if issuer.url == before or issuer.passkey_host is not None:
        return
    guests = select(Tenant.id).where(Tenant.issuer_tenant_id == tenant.id)
    found = {tenant.id, *session.scalars(guests)}
    if any(policies.needs_passkeys(session, tenant_id) for tenant_id in found):
        raise BadRequest.at("hosts", filled(NO_PASSKEYS_HERE, address=issuer.url))


def _own_issuer(session: Session, tenant: Tenant) -> Issuer:
    """Return the issuer of a tenant as its hosts are now, written or not."""
    found = tenant if tenant.hosts else get(session, PLATFORM_TENANT_ID)
    return _issuer(session, found, None, None)


def name_issuer(session: Session, tenant: Tenant, issuer_host: str | None) -> None:
    """Set the issuer of a tenant: its own, named after one of its hosts, or issuer 1."""
    hosts = [row.host for row in tenant.hosts]
    named = check_host(issuer_host, "issuer_host") if issuer_host else None
    if named is not None and named not in hosts:
        raise BadRequest.at("issuer_host", N_("The issuer host must be one of the hosts."))
    if tenant.id != PLATFORM_TENANT_ID:
        _refuse_unservable(session, hosts)
        _refuse_audiences(session, hosts)
        issuer_tenant_id = tenant.id if hosts else PLATFORM_TENANT_ID
        if issuer_tenant_id != tenant.issuer_tenant_id and not hosts:
            _refuse_shared_hosts(session, tenant)
        tenant.issuer_tenant_id = issuer_tenant_id
    tenant.issuer_host = named


def _refuse_unservable(session: Session, hosts: Sequence[str]) -> None:
    """Refuse hosts of the service itself, and in production those that only mean this machine."""
    settings = runtime.of(session).settings
    if not {settings.public_host, settings.files_host}.isdisjoint(hosts):
        raise _taken()
    if settings.environment == "production" and any(map(is_local, hosts)):
        raise BadRequest.at(
            "hosts", N_("A host must be a DNS name, not an IP address or localhost.")
        )


def _refuse_audiences(session: Session, hosts: Sequence[str]) -> None:
    """Refuse hosts whose issuer would have the name of an API or client.

    An issuer is the audience of its own tokens: whoever has its name could introspect them.
    """
    scheme = runtime.of(session).settings.scheme
    addresses = [f"{scheme}://{host}" for host in hosts]
    with session.no_autoflush:
        for column in (ApiResource.name, Client.client_id):
            if api_names.find_equal(session, column, addresses) is not None:
                raise Conflict.at(
                    "hosts", N_("This host is already the name of an API or a client.")
                )


def _refuse_shared_hosts(session: Session, tenant: Tenant) -> None:
    """Refuse to remove the hosts at which other tenants sign in too."""
    guests = select(Tenant.id).where(Tenant.issuer_tenant_id == tenant.id, Tenant.id != tenant.id)
    if session.scalar(guests.limit(1)) is not None:
        raise Conflict(
            N_("Members of other tenants sign in at these hosts."),
            fields={"hosts": ["others sign in there"]},
        )


def check_status(tenant: Tenant, status: int) -> None:
    """Refuse to disable issuer 1."""
    if tenant.id == PLATFORM_TENANT_ID and status != TenantStatus.ENABLED:
        raise Conflict.at("status", N_("The platform's own tenant cannot be disabled."))


def memberships(
    session: Session, user_id: int, issuer: Issuer, *, text: str = "", limit: int | None = None
) -> list[Tenant]:
    """List the enabled tenants of a person that sign in at an issuer, by name.

    Those whose name holds a text, and no more than a limit.
    """
    query = (
        select(Tenant)
        .join(Membership, Membership.tenant_id == Tenant.id)
        .where(
            Membership.user_id == user_id,
            Tenant.issuer_tenant_id == issuer.tenant_id,
            Tenant.status == TenantStatus.ENABLED,
        )
        .order_by(Tenant.name, Tenant.id)
        .limit(limit)
    )
    if text:
        query = query.where(Tenant.name.icontains(text, autoescape=True))
    return list(session.scalars(query))


def find_member(session: Session, tenant_id: int, user_id: int) -> Membership | None:
    """Find the membership of a person in a tenant."""
    return session.scalar(
        select(Membership).where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)
    )


def add_member(
    session: Session,
    tenant_id: int,
    user_id: int,
    *,
    is_admin: bool = False,
    is_bound: bool = False,
) -> Membership:
    """Make a person a member of a tenant; repeating it is no error and never removes the flag.

    `is_bound`: the account was not created here, see `confirm_member`.
    """
    found = find_member(session, tenant_id, user_id)
    if found is None:
        try:
            with session.begin_nested():
                found = Membership(
                    tenant_id=tenant_id, user_id=user_id, is_admin=is_admin, is_bound=is_bound
                )
                session.add(found)
        except IntegrityError:
            found = find_member(session, tenant_id, user_id)
            if found is None:
                raise NotFound(N_("There is no such tenant or user.")) from None
        else:
            audit.record(session, Tag.MEMBER_ADDED, tenant_id=tenant_id, target=f"user:{user_id}")
    if is_admin and not found.is_admin:
        found.is_admin = True
        session.flush()
    return found


def confirm_member(session: Session, tenant_id: int, user_id: int) -> None:
    """Record that a person signed in for a tenant that had bound their account.

    Until then the identity is the person's own: the tenant changes neither name nor password.
    """
    session.execute(
        update(Membership)
        .where(
            Membership.tenant_id == tenant_id,
            Membership.user_id == user_id,
            Membership.is_bound,
        )
        .values(is_bound=False)
    )


def is_bound_column(user_id: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    """Return a column, for a query of a person: whether a tenant has bound their account."""
    return exists().where(Membership.user_id == user_id, Membership.is_bound)


def confirm_only_member(session: Session, user_id: int, issuer: Issuer) -> None:
    """Do as `confirm_member` for a person who belongs to one tenant at an issuer.

    They will not be asked to choose one.
    """
    values = {"user_id": user_id, "issuer_tenant_id": issuer.tenant_id}
    own = run(session, _TWO_MEMBERSHIPS, values)
    if len(own) == 1 and own[0].is_bound:
        confirm_member(session, own[0].tenant_id, user_id)


def remove_member(session: Session, tenant_id: int, user_id: int) -> bool:
    """End a membership; return whether there was one."""
    removed = session.scalar(
        delete(Membership)
        .where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)
        .returning(Membership.id)
    )
    if removed is None:
        return False
    audit.record(session, Tag.MEMBER_REMOVED, tenant_id=tenant_id, target=f"user:{user_id}")
    return True


def properties(session: Session, tenant_id: int) -> dict[str, str]:
    """Return the private settings of a tenant in clear text; never to be shown."""
    keyring = runtime.of(session).keyring
    rows = session.scalars(select(TenantProperty).where(TenantProperty.tenant_id == tenant_id))
    return {row.key: keyring.decrypt(PURPOSE, row.value_encrypted).decode() for row in rows}


def set_properties(session: Session, tenant: Tenant, values: Mapping[str, str | None]) -> None:
    """Store private settings encrypted; None removes one, settings not named stay."""
    keyring = runtime.of(session).keyring
    rows = {row.key: row for row in tenant.properties}
    for key, value in values.items():
        if not key or len(key) > _LONGEST_NAME:
            raise BadRequest.at(
                "properties", N_("The name of a property must have 1 to 200 characters.")
            )
        row = rows.get(key)
        if value is None:
            if row is not None:
                tenant.properties.remove(row)
        elif row is not None:
            row.value_encrypted = keyring.encrypt(PURPOSE, value.encode())
        else:
            sealed = keyring.encrypt(PURPOSE, value.encode())
            tenant.properties.append(TenantProperty(key=key, value_encrypted=sealed))
    tenant.concurrency_stamp = new_stamp()
    session.flush()


def rewrap(session: Session) -> int:
    """Re-encrypt the private settings of all tenants under the current root secret."""
    keyring = runtime.of(session).keyring
    changed = 0
    for row in session.scalars(select(TenantProperty)):
        if not keyring.is_current(row.value_encrypted):
            clear = keyring.decrypt(PURPOSE, row.value_encrypted)
            row.value_encrypted = keyring.encrypt(PURPOSE, clear)
            changed += 1
    session.flush()
    return changed


def drop_unreadable(session: Session) -> list[tuple[int, str]]:
    """Remove the private settings that no root secret opens; return tenants and names."""
    keyring = runtime.of(session).keyring
    rows = session.scalars(select(TenantProperty).order_by(TenantProperty.id))
    lost = [row for row in rows if not keyring.opens(PURPOSE, row.value_encrypted)]
    for row in lost:
        session.delete(row)
    session.flush()
    return [(row.tenant_id, row.key) for row in lost]


def _issuer(
    session: Session, tenant: Tenant, branding: Branding | None, host: str | None
) -> Issuer:
    settings = runtime.of(session).settings
    if tenant.id == PLATFORM_TENANT_ID:
        # Not from the rows: PUBLIC_URL may have changed since they were written.
        own = settings.public_host
    else:
        own = tenant.issuer_host or tenant.hosts[0].host
    brand = brands.brand_of(session, tenant, branding)
    return Issuer(
        tenant_id=tenant.id,
        url=f"{settings.scheme}://{own}",
        host=host or own,
        name=brand.name,
        brand=brand,
    )


def check_name(text: str) -> str:
    """Check the name of a tenant; return it without surrounding spaces."""
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadRequest.at("name", N_("A name must have 1 to 200 printable characters."))
    return name


def _logo(text: str | None) -> str | None:
    """Check the address of the logo, which pages show."""
    if not text:
        return None
    try:
        parts = urlsplit(text if len(text) <= _LONGEST_LOGO else "")
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https" or not parts.hostname or parts.username or not text.isprintable():
        raise BadRequest.at("logo_uri", N_("A logo must have an https address."))
    return text


def check_host(text: str, field: str = "hosts") -> str:
    """Check `host` or `host:port` and return it as it stands in a Host header.

    That is in lower case, and an internationalised name in A-labels (RFC 5891 4.4).
    """
    host = to_ascii(text.strip().lower())
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name = host
    elif not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):  # noqa: PLR2004 - ports
        raise BadRequest.at(
            field, filled(N_("%(text)s is not a host with an optional port."), text=repr(text))
        )
    if not _is_host_name(name):
        raise BadRequest.at(
            field, filled(N_("%(text)s is not a host with an optional port."), text=repr(text))
        )
    return host


def to_ascii(host: str) -> str:
    """Return a host with its labels in ASCII; unchanged where that is not possible."""
    if host.isascii() or len(host) > _LONGEST_HOST:
        return host
    name, colon, port = host.partition(":")
    try:
        return idna.encode(name, uts46=True).decode() + colon + port
    except idna.IDNAError:
        return host


def _is_host_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        labels = name.split(".")
        return len(name) <= _LONGEST_HOST and all(_LABEL.fullmatch(label) for label in labels)
    return name.startswith("[") == (":" in name)


def _taken() -> Conflict:
    return Conflict.at("hosts", N_("This host belongs to another tenant."))
