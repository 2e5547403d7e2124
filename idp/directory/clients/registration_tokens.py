"""Initial access tokens: who holds one may register clients, as far as its policy goes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.orm import Session

from idp.directory import product
from idp.directory.actor import Actor
from idp.directory.clients import addresses, rules
from idp.directory.clients.addresses import Rules
from idp.directory.clients.metadata import CODE, REFRESH
from idp.directory.clients.models import Client, RegistrationToken
from idp.directory.tenants.models import Tenant
from idp.platform import clock, runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.db import count_hits
from idp.platform.errors import BadRequest, NotFound, Unprocessable
from idp.platform.issuer import PLATFORM_TENANT_ID, Issuer
from idp.platform.secrets import digest, random_token
from idp.platform.signing.algorithms import ALGORITHMS
from idp.platform.translation import N_, filled

MOST_HOSTS = 50
MOST_DAYS = 3650
MOST_USES = 1_000_000
LONGEST_NOTE = 200
ACTIVE = "active"
_HOST = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\]")


@dataclass(frozen=True, slots=True)
class Statements:
    """Whose software statements count (RFC 7591 2.3)."""

    issuer: str
    jwks_uri: str
    """Address of the key set of the issuer."""
    algorithms: Sequence[str] = ("RS256", "ES256")
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What clients may be that register with a token, or without one."""

    redirect_hosts: Sequence[str] = ()
    """Hosts of redirect addresses; `*.` at the beginning stands for one label. None: any."""
    scopes: Sequence[str] = ()
    """None: those of all clients that nobody here registered."""
    grant_types: Sequence[str] = (CODE, REFRESH)
    auth_methods: Sequence[str] = product.AUTH_METHODS
    is_trusted: bool = False
    """Whether they are clients like those that operators register."""
    requires_pkce: bool = True
    """False: confidential clients that are trusted may do without."""
    statements: Statements | None = None

    def allows_host(self, uri: str) -> bool:
        """Return whether a redirect address is on one of the hosts."""
        if not self.redirect_hosts:
            return True
        parts = urlsplit(uri)
        host = parts.netloc.lower().rpartition("@")[2]
        host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        _, _, above = host.partition(".")
        return bool(host) and not {host, f"*.{above}"}.isdisjoint(self.redirect_hosts)


ANONYMOUS = Policy()


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is issued with."""

    policy: Policy = field(default_factory=Policy)
    note: str | None = None
    uses: int | None = None
    """How many clients may register with it; None: any number."""
    expires_at: datetime | None = None


def policy_of(row: RegistrationToken | None) -> Policy:
    """Return the policy of a token; without one that of everybody."""
    if row is None:
        return ANONYMOUS
    values = dict(row.policy)
    statements = values.pop("statements", None)
    policy = Policy(**values)
    return policy if statements is None else replace(policy, statements=Statements(**statements))


def issue(
    session: Session, actor: Actor, tenant_id: int | None, new: NewToken
) -> tuple[RegistrationToken, str]:
    """Issue a token for clients of a tenant (None: the platform); return it, to be shown once."""
    if tenant_id is not None and session.get(Tenant, tenant_id) is None:
        raise NotFound(N_("There is no such tenant."))
    _check(session, tenant_id, new)
    token = random_token()
    row = RegistrationToken(
        tenant_id=tenant_id,
        token_hash=digest(token),
        note=new.note or None,
        policy=_written(new.policy),
        uses_left=new.uses,
        created_by=actor.user_id,
        created_at=clock.now(),
        expires_at=new.expires_at,
    )
    session.add(row)
    session.flush()
    _record(session, Tag.REGISTRATION_TOKEN_ISSUED, row)
    return row, token


def list_page(
    session: Session, actor: Actor, *, after_id: int = 0, limit: int = 100
) -> Sequence[RegistrationToken]:
    """Return a page of the tokens in reach, by id."""
    query = select(RegistrationToken).where(_in_reach(actor), RegistrationToken.id > after_id)
    return session.scalars(query.order_by(RegistrationToken.id).limit(limit)).all()


def list_newest(session: Session, actor: Actor, *, limit: int) -> Sequence[RegistrationToken]:
    """Return the last tokens in reach, the newest first."""
    query = select(RegistrationToken).where(_in_reach(actor))
    return session.scalars(query.order_by(RegistrationToken.id.desc()).limit(limit)).all()


def get(session: Session, actor: Actor, row_id: int) -> RegistrationToken:
    """Return a token in reach."""
    query = select(RegistrationToken).where(_in_reach(actor), RegistrationToken.id == row_id)
    row = session.scalar(query)
    if row is None:
        raise NotFound
    return row


def revoke(session: Session, actor: Actor, row_id: int) -> RegistrationToken:
    """Revoke a token in reach: nobody registers with it any more, and its clients stay."""
    row = get(session, actor, row_id)
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        session.flush()
        _record(session, Tag.REGISTRATION_TOKEN_REVOKED, row)
    return row


def state_of(row: RegistrationToken) -> str:
    """Return `active`, or why nobody registers with a token: `revoked`, `expired`, `used`."""
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= clock.now():
        return "expired"
    return "used" if row.uses_left == 0 else ACTIVE


def find(session: Session, issuer: Issuer, token: str) -> RegistrationToken | None:
    """Return a token that may be used at an issuer; None: there is none."""
    row = session.scalar(
        select(RegistrationToken).where(RegistrationToken.token_hash == digest(token))
    )
    if row is None or state_of(row) != ACTIVE:
        return None
    return row if _issuer_tenant_id(session, row.tenant_id) == issuer.tenant_id else None


def spend(session: Session, row: RegistrationToken) -> bool:
    """Count a use of a token; return whether it had one left."""
    if row.uses_left is None:
        return True  # nothing is written, so that registrations do not wait for each other
    statement = update(RegistrationToken).where(
        RegistrationToken.id == row.id,
        RegistrationToken.revoked_at.is_(None),
        RegistrationToken.uses_left > 0,
    )
    statement = statement.values(uses_left=RegistrationToken.uses_left - 1)
    return count_hits(session, statement.execution_options(synchronize_session=False)) > 0


def _issuer_tenant_id(session: Session, tenant_id: int | None) -> int | None:
    """Return the issuer of the clients of a tenant; None: the tenant is disabled."""
    if tenant_id is None:
        return PLATFORM_TENANT_ID
    tenant = session.get(Tenant, tenant_id)
    return tenant.issuer_tenant_id if tenant is not None and tenant.is_enabled else None


def _in_reach(actor: Actor) -> ColumnElement[bool]:
    if actor.reaches_all:
        return true()
    return RegistrationToken.tenant_id == actor.tenant_id


def _check(session: Session, tenant_id: int | None, new: NewToken) -> None:
    policy = new.policy
    if new.note is not None and len(new.note) > LONGEST_NOTE:
        raise BadRequest.at("note", filled(N_("At most %(most)s characters."), most=LONGEST_NOTE))
    if new.uses is not None and not 1 <= new.uses <= MOST_USES:
        raise BadRequest.at("uses", filled(N_("From 1 to %(most)s."), most=MOST_USES))
    if new.expires_at is not None and new.expires_at <= clock.now():
        raise BadRequest.at("expires_at", N_("The expiry is in the past."))
    _check_hosts(policy.redirect_hosts)
    _check_names("grant_types", policy.grant_types, product.GRANT_TYPES)
    _check_names("auth_methods", policy.auth_methods, product.AUTH_METHODS)
    reserved = [name for name in policy.scopes if name.startswith(product.RESERVED_PREFIX)]
    if reserved:
        raise Unprocessable.at(
            "scopes", N_("Clients that register themselves never have management scopes.")
        )
    rules.scopes_of(
        session,
        Client(tenant_id=tenant_id),
        [name for name in policy.scopes if name != rules.OFFLINE_ACCESS],
    )
    if not policy.requires_pkce and not policy.is_trusted:
        raise Unprocessable.at("requires_pkce", N_("Only trusted clients may do without PKCE."))
    if policy.statements is not None:
        _check_statements(session, policy.statements)


def _check_hosts(hosts: Sequence[str]) -> None:
    if len(hosts) > MOST_HOSTS:
        raise BadRequest.at(
            "redirect_hosts", filled(N_("At most %(most)s values."), most=MOST_HOSTS)
        )
    for host in hosts:
        if len(host) > addresses.LONGEST_HOST or not _HOST.fullmatch(host):
            raise BadRequest.at(
                "redirect_hosts",
                filled(N_("%(host)s is not a host name in small letters."), host=repr(host[:100])),
            )


def _check_names(field_name: str, names: Collection[str], known: Collection[str]) -> None:
    if not names or not set(names) <= set(known):
        raise BadRequest.at(
            field_name, filled(N_("must be one of %(allowed)s."), allowed=", ".join(known))
        )


def _check_statements(session: Session, statements: Statements) -> None:
    if not 0 < len(statements.issuer) <= addresses.LONGEST:
        raise BadRequest.at("statement_issuer", N_("must have a value."))
    _check_names("statement_algorithms", statements.algorithms, ALGORITHMS)
    development = runtime.of(session).settings.environment == "development"
    address_rules = Rules(native=False, development=development)
    addresses.document(statements.jwks_uri, "statement_jwks_uri", address_rules)


def _written(policy: Policy) -> dict[str, Any]:
    """Return a policy as it is stored."""
    values = asdict(policy)
    for name in ("redirect_hosts", "scopes", "grant_types", "auth_methods"):
        values[name] = list(dict.fromkeys(values[name]))
    if values["statements"] is None:
        del values["statements"]
    else:
        values["statements"]["algorithms"] = list(values["statements"]["algorithms"])
    return values


def _record(session: Session, tag: Tag, row: RegistrationToken) -> None:
    details: Mapping[str, Any] = {
        "note": row.note,
        "uses": row.uses_left,
        "is_trusted": row.policy["is_trusted"],
        "scopes": row.policy["scopes"],
        "redirect_hosts": row.policy["redirect_hosts"],
    }
    target = f"registration-token:{row.id}"
    audit.record(session, tag, tenant_id=row.tenant_id, target=target, details={**details})
