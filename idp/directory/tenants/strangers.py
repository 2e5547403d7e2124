"""Managing which clients an issuer serves that nobody registered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory import product
from idp.directory.actor import Actor
from idp.directory.clients import documents, rules
from idp.directory.clients.models import BY_DOCUMENT, BY_REGISTRATION, OFF, StrangerPolicy
from idp.directory.tenants import management as tenants
from idp.directory.tenants.models import Tenant
from idp.platform import stamps
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, Unprocessable
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_, filled

UNSET = "unset"
"""Stamp of an issuer that has set nothing."""
MOST_LISTED = 100
NOT_AN_ISSUER = N_("Only an organisation with hosts of its own lets applications in.")
UNKNOWN = N_("The value must be one of %(values)s.")
TOO_MANY = N_("At most %(most)s values.")
NO_HOST = N_("%(value)s is not a host such as app.example.com or *.example.com.")
NO_SCOPE = N_("There is no scope %(names)s that such applications can have.")

_HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class StrangerSpec:
    """What an issuer sets; the names are those of the columns."""

    clients_by_document: str = OFF
    clients_by_document_hosts: Sequence[str] = ()
    clients_by_document_blocked: Sequence[str] = ()
    clients_by_registration: str = "token"
    stranger_scopes: Sequence[str] = ()


def get(session: Session, actor: Actor, tenant_id: int) -> StrangerPolicy:
    """Return the policy of an issuer; one with the defaults where nothing was set."""
    tenants.check_served(session, actor, tenant_id)
    return _find(session, tenant_id) or _unset(tenant_id)


def replace(
    session: Session,
    actor: Actor,
    tenant_id: int,
    spec: StrangerSpec,
    *,
    stamp: str | None = None,
) -> StrangerPolicy:
    """Replace the policy of an issuer; without a difference nothing changes, not even the stamp.

    `stamp` is that of the state that was read; None accepts any.
    """
    tenants.check_served(session, actor, tenant_id, lock=True)
    row = _find(session, tenant_id) or _unset(tenant_id)
    stamps.check(row.concurrency_stamp, stamp)
    if session.get_one(Tenant, tenant_id).issuer_tenant_id != tenant_id:
        raise Unprocessable(NOT_AN_ISSUER)
    after = asdict(_checked(session, tenant_id, spec))
    before = {name: getattr(row, name) for name in after}
    if before == after:
        return row
    for name, value in after.items():
        setattr(row, name, value)
    row.concurrency_stamp = stamps.new_stamp()
    session.add(row)
    session.flush()
    audit.record_change(
        session, Tag.STRANGERS_CHANGED, f"tenant:{tenant_id}", before, after, tenant_id=tenant_id
    )
    return row


def block(session: Session, actor: Actor, tenant_id: int, client_id: str) -> None:
    """Block a client that is known by its document; its tokens end."""
    row = get(session, actor, tenant_id)
    spec = StrangerSpec(
        row.clients_by_document,
        row.clients_by_document_hosts,
        [*row.clients_by_document_blocked, client_id],
        row.clients_by_registration,
        row.stranger_scopes,
    )
    replace(session, actor, tenant_id, spec)


def _find(session: Session, tenant_id: int) -> StrangerPolicy | None:
    return session.scalar(select(StrangerPolicy).where(StrangerPolicy.tenant_id == tenant_id))


def _unset(tenant_id: int) -> StrangerPolicy:
    return StrangerPolicy(
        tenant_id=tenant_id,
        clients_by_document=OFF,
        clients_by_document_hosts=[],
        clients_by_document_blocked=[],
        clients_by_registration=StrangerSpec().clients_by_registration,
        stranger_scopes=[],
        concurrency_stamp=UNSET,
    )


def _checked(session: Session, tenant_id: int, spec: StrangerSpec) -> StrangerSpec:
    """Return the values as they are stored; BadRequest at the first that cannot be."""
    for name, allowed in (
        ("clients_by_document", BY_DOCUMENT),
        ("clients_by_registration", BY_REGISTRATION),
    ):
        if getattr(spec, name) not in allowed:
            raise BadRequest.at(name, filled(UNKNOWN, values=", ".join(allowed)))
    hosts = _distinct("clients_by_document_hosts", spec.clients_by_document_hosts)
    blocked = _distinct("clients_by_document_blocked", spec.clients_by_document_blocked)
    return StrangerSpec(
        spec.clients_by_document,
        [_host("clients_by_document_hosts", text) for text in hosts],
        [
            text if documents.is_id(text) else _host("clients_by_document_blocked", text)
            for text in blocked
        ],
        spec.clients_by_registration,
        _scopes(session, tenant_id, spec.stranger_scopes),
    )


def _distinct(name: str, values: Iterable[str]) -> list[str]:
    distinct = list(dict.fromkeys(text.strip() for text in values))
    if len(distinct) > MOST_LISTED:
        raise BadRequest.at(name, filled(TOO_MANY, most=MOST_LISTED))
    return distinct


def _host(name: str, text: str) -> str:
    host = text.lower()
    if not _HOST.fullmatch(host):
        raise BadRequest.at(name, filled(NO_HOST, value=repr(text[:200])))
    return host


def _scopes(session: Session, tenant_id: int, names: Iterable[str]) -> list[str]:
    distinct = _distinct("stranger_scopes", names)
    own = None if tenant_id == PLATFORM_TENANT_ID else tenant_id
    found = rules.existing_scopes(session, distinct, own)
    wrong = [
        name for name in distinct if name not in found or name.startswith(product.RESERVED_PREFIX)
    ]
    if wrong:
        raise BadRequest.at("stranger_scopes", filled(NO_SCOPE, names=", ".join(wrong)[:500]))
    return distinct
