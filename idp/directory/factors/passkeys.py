"""Passkeys: credentials of Web Authentication that are bound to the host of an issuer."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import Table, and_, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp.directory.factors import passkey_answers
from idp.directory.factors.models import Passkey
from idp.directory.factors.passkey_answers import ALGORITHMS, Answer, RefusedAnswerError
from idp.directory.tenants.models import TenantHost
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.cache import looked_up
from idp.platform.db import BigInt, count_hits, run
from idp.platform.errors import Conflict
from idp.platform.issuer import Issuer
from idp.platform.onetime import service as onetime
from idp.platform.secrets import b64url, random_token
from idp.platform.translation import N_

MOST = 20
"""Passkeys of one person."""
LONGEST_NAME = 100
TIMEOUT_MS = 300_000
"""How long a browser waits for the person."""
TRANSPORTS = frozenset({"ble", "hybrid", "internal", "nfc", "smart-card", "usb"})
RELATED_ORIGINS = "/.well-known/webauthn"
"""Where browsers ask the host of an RP ID for the origins that may use it."""
CHALLENGE = "passkey challenge"
HANDLE = "passkey user handle"


class Purpose(StrEnum):
    """What a challenge is answered for; it serves nothing else."""

    SIGN_IN = "sign in"
    """As the first proof: nobody is known yet."""
    PROVE = "prove"
    """As a further proof of a known person."""
    ADD = "add"


LIFETIMES = {
    Purpose.SIGN_IN: timedelta(hours=1),  # as long as the form of the sign-in page
    Purpose.PROVE: timedelta(minutes=15),
    Purpose.ADD: timedelta(minutes=10),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a browser sent as the answer to a challenge."""

    owner: str
    """Browser, attempt or session that the challenge was made for."""
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The passkey that an answer names, if it is known, and why it was refused, if it was."""

    passkey: Passkey | None
    reason: str | None = None
    """For the audit log."""
    is_verified: bool = False
    """Whether the authenticator verified the person, by PIN or fingerprint."""
    is_suspended: bool = False
    """Whether this answer suspended the passkey."""


_COLUMNS = Passkey.__table__.c
_FIRST = (
    select(_COLUMNS.rp_id)
    .where(_COLUMNS.issuer_tenant_id == bindparam("issuer_tenant_id"))
    .order_by(_COLUMNS.id)
    .limit(1)
)
_OF_ANSWER = select(Passkey).where(
    Passkey.rp_id == bindparam("rp_id"),
    Passkey.credential_id == bindparam("credential_id"),
    Passkey.issuer_tenant_id == bindparam("issuer_tenant_id"),
)
_NEXT = bindparam("count", type_=BigInt)
_COUNT = (
    update(cast("Table", Passkey.__table__))
    .where(
        _COLUMNS.id == bindparam("row_id"),
        _COLUMNS.suspended_at.is_(None),
        or_(_COLUMNS.sign_count < _NEXT, and_(_NEXT == 0, _COLUMNS.sign_count == 0)),
    )
    .values(sign_count=_NEXT, backed_up=bindparam("is_backed_up"), last_used_at=bindparam("now"))
    .returning(_COLUMNS.id)
)


def rp_id_of(session: Session, issuer: Issuer) -> str | None:
    """Return the host name that passkeys of an issuer are bound to; None: there can be none.

    It is the issuer's own host, or an earlier one at which the first of its passkeys was added, as
    long as that is still among its hosts (Web Authentication 5.11, related origins).
    """
    own = issuer.passkey_host
    if own is None:
        return None
    names = _host_names(session, issuer.tenant_id)
    if names <= {own}:
        return own
    found = run(session, _FIRST, {"issuer_tenant_id": issuer.tenant_id})
    if not found or found[0].rp_id == own:
        return own
    first = select(Passkey.rp_id).where(Passkey.issuer_tenant_id == issuer.tenant_id)
    hosts = Passkey.rp_id.in_(sorted(names | {own}))
    return session.scalar(first.where(hosts).order_by(Passkey.id).limit(1)) or own


def list_of(session: Session, user_id: int) -> Sequence[Passkey]:
    """List the passkeys of a person at all issuers, the oldest one first."""
    query = select(Passkey).where(Passkey.user_id == user_id)
    return session.scalars(query.order_by(Passkey.id)).all()


def usable(session: Session, issuer: Issuer, user_id: int) -> Sequence[Passkey]:
    """List the passkeys of a person that are accepted at an issuer."""
    query = select(Passkey).where(
        Passkey.user_id == user_id,
        Passkey.issuer_tenant_id == issuer.tenant_id,
        Passkey.suspended_at.is_(None),
    )
    found = session.scalars(query.order_by(Passkey.id)).all()
    rp_id = rp_id_of(session, issuer) if found else None
    return [row for row in found if row.rp_id == rp_id]


def has_any(session: Session, user_id: int) -> bool:
    """Return whether a person has a passkey at any issuer."""
    return bool(session.scalar(select(exists().where(Passkey.user_id == user_id))))


def request_options(
    session: Session, issuer: Issuer, owner: str, user_id: int | None = None
) -> dict[str, Any] | None:
    """Return what a browser needs to prove a passkey (Web Authentication 5.5).

    Without a person it names no credential, so that it reveals nothing about accounts. None: no
    passkey can be used here.
    """
    rp_id = rp_id_of(session, issuer)
    allowed = [] if user_id is None else usable(session, issuer, user_id)
    if rp_id is None or (user_id is not None and not allowed):
        return None
    purpose = Purpose.SIGN_IN if user_id is None else Purpose.PROVE
    return {
        "challenge": _new_challenge(session, purpose, issuer, owner),
        "rpId": rp_id,
        "timeout": TIMEOUT_MS,
        "userVerification": "required" if user_id is None else "preferred",
        "allowCredentials": [_descriptor(row) for row in allowed],
    }


def creation_options(
    session: Session, issuer: Issuer, user: User, owner: str
) -> dict[str, Any] | None:
    """Return what a browser needs to make a passkey (Web Authentication 5.4); None: it cannot."""
    rp_id = rp_id_of(session, issuer)
    if rp_id is None:
        return None
    own = list_of(session, user.id)
    return {
        "challenge": _new_challenge(session, Purpose.ADD, issuer, owner),
        "rp": {"id": rp_id, "name": issuer.name},
        "user": {
            "id": b64url(_handle(session, user.id, own)),
            "name": user.username,
            "displayName": user.full_name,
        },
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": [_descriptor(row) for row in own if row.rp_id == rp_id],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def user_handle(session: Session, user_id: int) -> bytes:
    """Return what names a person in authenticators: that of their passkeys, or a new one."""
    return _handle(session, user_id, list_of(session, user_id))


def _handle(session: Session, user_id: int, own: Sequence[Passkey]) -> bytes:
    if own:
        return own[0].user_handle
    key = runtime.of(session).keyring.key(HANDLE)
    return hmac.digest(key, str(user_id).encode(), "sha256")


def signals(
    session: Session, issuer: Issuer, user: User, own: Sequence[Passkey]
) -> dict[str, Any] | None:
    """Return what browsers are told of a person's passkeys, so that they offer no other ones.

    Web Authentication 5.1.10. `own` is what `list_of` returns.
    """
    rp_id = rp_id_of(session, issuer)
    if rp_id is None:
        return None
    return {
        "rpId": rp_id,
        "userId": b64url(_handle(session, user.id, own)),
        "name": user.username,
        "displayName": user.full_name,
        "allAcceptedCredentialIds": [
            b64url(row.credential_id)
            for row in own
            if row.issuer_tenant_id == issuer.tenant_id
            and row.suspended_at is None
            and row.rp_id == rp_id
        ],
    }


def add(session: Session, issuer: Issuer, user: User, claim: Claim, name: str) -> Passkey:
    """Add the passkey that a browser made; raise RefusedAnswerError for any other answer.

    Raise Conflict beyond the limit.
    """
    rp_id = rp_id_of(session, issuer)
    if rp_id is None:
        reason = "no passkeys here"
        raise RefusedAnswerError(reason)
    count = select(func.count(Passkey.id)).where(Passkey.user_id == user.id)
    if (session.scalar(count) or 0) >= MOST:
        raise Conflict(N_("You have as many passkeys as possible. Remove one first."))
    from idp.directory.factors import ceremonies  # noqa: PLC0415 - half a second, if it is needed

    answer = passkey_answers.read(claim.text)
    until = _check_challenge(session, Purpose.ADD, issuer, claim.owner, answer)
    made = ceremonies.check_registration(
        answer, ceremonies.Ceremony(answer.challenge, rp_id, issuer.url, must_verify=True)
    )
    _spend(session, answer, until)
    row = Passkey(
        user_id=user.id,
        issuer_tenant_id=issuer.tenant_id,
        rp_id=rp_id,
        user_handle=user_handle(session, user.id),
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        aaguid=made.aaguid,
        transports=_transports(answer),
        backup_eligible=made.backup_eligible,
        backed_up=made.backed_up,
        name=name[:LONGEST_NAME],
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        # Web Authentication 7.1, step 26: also where it is somebody else's.
        reason = "credential known already"
        raise RefusedAnswerError(reason) from None
    return row


def prove(session: Session, issuer: Issuer, claim: Claim, user_id: int | None = None) -> Finding:
    """Check the answer of a passkey: of anybody's as the first proof, or of a known person's.

    The caller commits in any case: a refusal may suspend the passkey.
    """
    try:
        answer = passkey_answers.read(claim.text)
        passkey = _find(session, issuer, answer)
    except RefusedAnswerError as refusal:
        return Finding(None, str(refusal))
    if passkey is None or user_id not in {None, passkey.user_id}:
        return Finding(None, "unknown passkey")
    purpose = Purpose.SIGN_IN if user_id is None else Purpose.PROVE
    try:
        is_verified = _check(session, issuer, claim, purpose, answer, passkey)
    except RefusedAnswerError as refusal:
        return Finding(passkey, str(refusal))
    except _CounterWentBackError:
        return Finding(passkey, "counter", is_suspended=_suspend(session, passkey))
    return Finding(passkey, is_verified=is_verified)


def unknown_credential(session: Session, issuer: Issuer, claim: Claim) -> dict[str, str] | None:
    """Return what tells a browser that the credential of an answer exists here no more.

    None: it exists, or the answer names none.
    """
    rp_id = rp_id_of(session, issuer)
    try:
        answer = passkey_answers.read(claim.text)
        if rp_id is None or _find(session, issuer, answer) is not None:
            return None
        return {"rpId": rp_id, "credentialId": b64url(answer.credential_id)}
    except RefusedAnswerError:
        return None


def rename(session: Session, issuer: Issuer, user_id: int, passkey_id: int, name: str) -> bool:
    """Rename a passkey of a person at an issuer; return False where there is no such passkey."""
    statement = update(Passkey).where(*_own(issuer, user_id, passkey_id))
    return count_hits(session, statement.values(name=name[:LONGEST_NAME])) > 0


def remove(session: Session, issuer: Issuer, user_id: int, passkey_id: int) -> bool:
    """Remove a passkey of a person at an issuer; return False where there is no such passkey."""
    return count_hits(session, delete(Passkey).where(*_own(issuer, user_id, passkey_id))) > 0


def remove_all(session: Session, user_id: int) -> int:
    """Remove all passkeys of a person; return the number."""
    return count_hits(session, delete(Passkey).where(Passkey.user_id == user_id))


class _CounterWentBackError(Exception):
    """The authenticator has counted less than at an earlier use, as a copy of it does."""


def _own(issuer: Issuer, user_id: int, passkey_id: int) -> Sequence[Any]:
    return (
        Passkey.id == passkey_id,
        Passkey.user_id == user_id,
        Passkey.issuer_tenant_id == issuer.tenant_id,
    )


@looked_up("names of an issuer's hosts")
def _host_names(session: Session, tenant_id: int) -> frozenset[str]:
    """Return the names of an issuer's hosts, without ports; cached."""
    query = select(TenantHost.host).where(TenantHost.tenant_id == tenant_id)
    names = (urlsplit(f"//{host}").hostname for host in session.scalars(query))
    return frozenset(name for name in names if name)


def _find(session: Session, issuer: Issuer, answer: Answer) -> Passkey | None:
    values = {
        "rp_id": rp_id_of(session, issuer),
        "credential_id": answer.credential_id,
        "issuer_tenant_id": issuer.tenant_id,
    }
    return session.scalars(_OF_ANSWER, values).one_or_none()


def _check(
    session: Session,
    issuer: Issuer,
    claim: Claim,
    purpose: Purpose,
    answer: Answer,
    passkey: Passkey,
) -> bool:
    """Check an answer against its passkey and spend it; return whether the person was verified."""
    from idp.directory.factors import ceremonies  # noqa: PLC0415 - half a second, if it is needed

    if passkey.suspended_at is not None:
        reason = "suspended"
        raise RefusedAnswerError(reason)
    until = _check_challenge(session, purpose, issuer, claim.owner, answer)
    ceremony = ceremonies.Ceremony(
        answer.challenge, passkey.rp_id, issuer.url, must_verify=purpose is Purpose.SIGN_IN
    )
    found = ceremonies.check_assertion(answer, ceremony, passkey.public_key)
    _check_owner(purpose, answer, passkey)
    if found.backup_eligible != passkey.backup_eligible:
        reason = "backup eligibility changed"
        raise RefusedAnswerError(reason)
    _spend(session, answer, until)
    _count(session, passkey, found.sign_count, backed_up=found.backed_up)
    return found.is_verified


def _check_owner(purpose: Purpose, answer: Answer, passkey: Passkey) -> None:
    """Compare the user handle, which must be sent where nobody was known before.

    Web Authentication 7.2, step 6.
    """
    may_lack = answer.user_handle is None and purpose is Purpose.PROVE
    if not may_lack and answer.user_handle != passkey.user_handle:
        reason = "other user handle"
        raise RefusedAnswerError(reason)


def _count(session: Session, passkey: Passkey, sign_count: int, *, backed_up: bool) -> None:
    """Keep the counter, which must have grown unless the authenticator does not count.

    Web Authentication 7.2, step 22.
    """
    values = {
        "row_id": passkey.id,
        "count": sign_count,
        "is_backed_up": backed_up,
        "now": clock.now(),
    }
    if not run(session, _COUNT, values):
        raise _CounterWentBackError


def _suspend(session: Session, passkey: Passkey) -> bool:
    """Accept a passkey no more; return whether this call did it."""
    statement = update(Passkey).where(Passkey.id == passkey.id, Passkey.suspended_at.is_(None))
    return count_hits(session, statement.values(suspended_at=clock.now())) > 0


def _new_challenge(session: Session, purpose: Purpose, issuer: Issuer, owner: str) -> str:
    """Make a challenge that needs no row: it states its end and is bound to whom it is for."""
    until = int((clock.now() + LIFETIMES[purpose]).timestamp())
    content = f"{random_token(16)}.{until}"
    bound = _bound(purpose, issuer, owner, content)
    mac = runtime.of(session).keyring.mac(CHALLENGE, bound)
    return b64url(f"{content}.{mac}".encode())


def _check_challenge(
    session: Session, purpose: Purpose, issuer: Issuer, owner: str, answer: Answer
) -> datetime:
    """Refuse a challenge that was not made for this, or is too old; return when it ends."""
    text = answer.challenge.decode("ascii", "replace")
    token, _, rest = text.partition(".")
    until, _, mac = rest.partition(".")
    bound = _bound(purpose, issuer, owner, f"{token}.{until}")
    if not runtime.of(session).keyring.mac_matches(CHALLENGE, bound, mac):
        reason = "challenge of another ceremony"
        raise RefusedAnswerError(reason)
    ends = datetime.fromtimestamp(int(until), UTC)
    if ends <= clock.now():
        reason = "challenge expired"
        raise RefusedAnswerError(reason)
    return ends


def _bound(purpose: Purpose, issuer: Issuer, owner: str, content: str) -> str:
    return f"{purpose}\0{issuer.tenant_id}\0{owner}\0{content}"


def _spend(session: Session, answer: Answer, until: datetime) -> None:
    """Accept a challenge once: of equal answers at the same time one wins."""
    if not onetime.claim(session, CHALLENGE, b64url(answer.challenge), until):
        reason = "challenge answered before"
        raise RefusedAnswerError(reason)


def _descriptor(row: Passkey) -> dict[str, Any]:
    return {
        "type": "public-key",
        "id": b64url(row.credential_id),
        "transports": list(row.transports),
    }


def _transports(answer: Answer) -> list[str]:
    """Return how browsers reach the authenticator, as far as the names are known."""
    found = answer.response.get("transports")
    return sorted(TRANSPORTS & {str(name) for name in found}) if isinstance(found, list) else []
