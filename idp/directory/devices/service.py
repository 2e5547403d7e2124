"""The rules about devices: how they are known again, and when one is remembered."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory.devices.models import Device, DeviceUser
from idp.directory.policies import snapshot as policies
from idp.directory.users.models import User
from idp.platform import clock, runtime
from idp.platform.db import AtomicWrite, BigInt, count_hits, insert, new_row, run
from idp.platform.issuer import Issuer
from idp.platform.secrets import digest, random_token

AT_ONCE = timedelta(seconds=10)
"""How long requests may carry the value before: they were under way when it changed."""
KEPT = timedelta(days=400)
"""How long a device is known that nobody signs in with; browsers keep cookies no longer."""
MOST = 50
"""Devices of one person; beyond that the one used longest ago is forgotten."""
MAX_COOKIE = 200
MAX_USER_AGENT = 300


class Value(Enum):
    """Which value of a device a cookie carries."""

    CURRENT = "current"
    PREVIOUS = "previous"
    """Of a request that was under way when the value changed."""
    OLD = "old"
    """One that was used before, so a copy: of the cookie, or of the browser's data."""


@dataclass(frozen=True, slots=True)
class Presented:
    """The device that a cookie names."""

    row: Device
    value: Value


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device of a person, as it is listed."""

    id: int
    """Of the person's row, so that nobody learns who else uses the device."""
    issuer_tenant_id: int
    remote_addr: str | None
    user_agent: str | None
    first_used_at: datetime
    last_used_at: datetime
    remembered_until: datetime | None
    """Until when no second factor is asked for there; None: it is asked for."""


_NEW = ("handle_hash", "value_hash", "changed_at", "issuer_tenant_id", "created_at", "last_seen_at")
_ADD = AtomicWrite(new_row(Device, *_NEW), DeviceUser, device_id=lambda device: device.id)
_USED_BY = select(DeviceUser.id).where(
    DeviceUser.user_id == bindparam("user_id"), DeviceUser.device_id == bindparam("device_id")
)


def count_column(
    user_id: ColumnElement[int] | InstrumentedAttribute[int],
) -> ScalarSelect[int]:
    """Return a column, for a query of a person: the number of devices they signed in with."""
    return select(func.count()).where(DeviceUser.user_id == user_id).scalar_subquery()


_COUNT = select(count_column(bindparam("user_id", type_=BigInt)))


def cookie_name(issuer: Issuer) -> str:
    """Name the cookie of an issuer's devices; cookies ignore ports."""
    name = f"idp_{issuer.tenant_id}_device"
    return f"__Host-{name}" if issuer.is_secure else name


def remembered_days(session: Session, user_id: int) -> int:
    """Return for how many days devices of a person are remembered; 0: not at all.

    A device spares the second factor at every organisation, so of all that the person belongs to
    the strictest value counts.
    """
    return policies.of_user(session, user_id).device_days


def find(
    session: Session, issuer: Issuer, cookie: str | None, *, lock: bool = False
) -> Presented | None:
    """Find the device that a cookie names at this issuer; `lock` keeps it until the commit."""
    handle, _, value = (cookie or "")[:MAX_COOKIE].partition(".")
    if not value:
        return None
    query = select(Device).where(
        Device.handle_hash == digest(handle), Device.issuer_tenant_id == issuer.tenant_id
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = session.scalars(query).one_or_none()
    return None if row is None else Presented(row, _which(row, digest(value)))


def _which(row: Device, value_hash: bytes) -> Value:
    if hmac.compare_digest(row.value_hash, value_hash):
        return Value.CURRENT
    is_recent = row.changed_at > clock.now() - AT_ONCE
    if is_recent and row.previous_hash and hmac.compare_digest(row.previous_hash, value_hash):
        return Value.PREVIOUS
    return Value.OLD


def remembered_until(session: Session, device: Presented, user: User) -> datetime | None:
    """Return until when a person chose, with both factors, not to be asked on this device.

    None: they are asked.
    """
    days = remembered_days(session, user.id)
    if device.value is Value.OLD or not days:
        return None
    query = select(DeviceUser.remembered_at).where(
        DeviceUser.device_id == device.row.id,
        DeviceUser.user_id == user.id,
        DeviceUser.security_stamp == user.security_stamp,
        DeviceUser.remembered_at > clock.now() - timedelta(days=days),
    )
    since = session.scalar(query)
    return None if since is None else since + timedelta(days=days)


def add(session: Session, issuer: Issuer, user: User, *, is_remembered: bool) -> str:
    """Add the device that a person signs in with; return the value of its cookie."""
    handle, value, now = random_token(16), random_token(), clock.now()
    values = {
        "handle_hash": digest(handle),
        "value_hash": digest(value),
        "issuer_tenant_id": issuer.tenant_id,
        **dict.fromkeys(("changed_at", "created_at", "last_seen_at"), now),
        "device_user__user_id": user.id,
        "device_user__created_at": now,
    }
    used = _use(session, user, is_remembered=is_remembered)
    _ADD.run(session, values | {f"device_user__{name}": each for name, each in used.items()})
    return f"{handle}.{value}"


def renew(session: Session, device: Presented, cookie: str) -> str | None:
    """Change the value of a device and return its cookie; None: another request did so."""
    if device.value is not Value.CURRENT:
        return None
    handle, value, now = cookie.partition(".")[0], random_token(), clock.now()
    before = device.row.value_hash
    statement = update(Device).where(Device.id == device.row.id, Device.value_hash == before)
    changes = {"value_hash": digest(value), "previous_hash": before}
    statement = statement.values(**changes, changed_at=now, last_seen_at=now)
    statement = statement.execution_options(synchronize_session=False)
    return f"{handle}.{value}" if count_hits(session, statement) else None


def note_use(session: Session, device: Device, user: User, *, is_remembered: bool) -> None:
    """Note that a person signed in with a device, and whether it is remembered from now on.

    Without the wish a device stays remembered for as long as it was.
    """
    values = _use(session, user, is_remembered=is_remembered)
    statement = insert(session, DeviceUser).values(
        device_id=device.id, user_id=user.id, created_at=clock.now(), **values
    )
    keys = [DeviceUser.device_id, DeviceUser.user_id]
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def _use(session: Session, user: User, *, is_remembered: bool) -> dict[str, object]:
    """Return what is noted of a sign-in with a device."""
    context, now = runtime.context_of(session), clock.now()
    values: dict[str, object] = {
        "remote_addr": context.remote_addr,
        "user_agent": (context.user_agent or "")[:MAX_USER_AGENT] or None,
        "last_used_at": now,
    }
    if is_remembered:
        values |= {"remembered_at": now, "security_stamp": user.security_stamp}
    return values


def is_used_by(session: Session, device: Device, user_id: int) -> bool:
    """Return whether a person signed in with a device before."""
    return bool(run(session, _USED_BY, {"user_id": user_id, "device_id": device.id}))


def count(session: Session, user_id: int) -> int:
    """Count the devices that a person signed in with."""
    ((found,),) = run(session, _COUNT, {"user_id": user_id})
    return int(found)


def forget_oldest(session: Session, user_id: int) -> None:
    """Forget the devices of a person beyond `MOST`."""
    kept = (
        select(DeviceUser.id)
        .where(DeviceUser.user_id == user_id)
        .order_by(DeviceUser.last_used_at.desc(), DeviceUser.id.desc())
        .limit(MOST)
    )
    statement = delete(DeviceUser).where(DeviceUser.user_id == user_id, DeviceUser.id.not_in(kept))
    session.execute(statement.execution_options(synchronize_session=False))


def end(session: Session, device: Device) -> bool:
    """Delete a device, whoever used it; return whether this call did."""
    statement = delete(Device).where(Device.id == device.id)
    statement = statement.execution_options(synchronize_session=False)
    return count_hits(session, statement) > 0


def list_for(
    session: Session, user: User, *, after_id: int = 0, limit: int | None = None
) -> list[KnownDevice]:
    """List the devices of a person by id."""
    query = (
        select(DeviceUser, Device.issuer_tenant_id)
        .join(Device, Device.id == DeviceUser.device_id)
        .where(DeviceUser.user_id == user.id, DeviceUser.id > after_id)
    )
    rows = session.execute(query.order_by(DeviceUser.id).limit(limit)).all()
    days = remembered_days(session, user.id)
    return [_known(row, issuer_id, user, days) for row, issuer_id in rows]


def _known(row: DeviceUser, issuer_id: int, user: User, days: int) -> KnownDevice:
    until = None
    if row.remembered_at is not None and row.security_stamp == user.security_stamp:
        until = row.remembered_at + timedelta(days=days)
    return KnownDevice(
        row.id,
        issuer_id,
        row.remote_addr,
        row.user_agent,
        row.created_at,
        row.last_used_at,
        until if until is not None and until > clock.now() else None,
    )


def find_known(session: Session, issuer: Issuer, user: User, cookie: str | None) -> int | None:
    """Return the id under which a person's list has the device of a cookie."""
    device = find(session, issuer, cookie)
    if device is None or device.value is Value.OLD:
        return None
    query = select(DeviceUser.id).where(DeviceUser.device_id == device.row.id)
    return session.scalar(query.where(DeviceUser.user_id == user.id))


def remove(session: Session, user_id: int, row_id: int) -> bool:
    """Forget a device of a person; return whether this call did."""
    statement = delete(DeviceUser).where(DeviceUser.id == row_id, DeviceUser.user_id == user_id)
    return count_hits(session, statement.execution_options(synchronize_session=False)) > 0


def stop_remembering(session: Session, user_id: int) -> int:
    """Ask for the second factor again on all devices of a person; return their number."""
    statement = update(DeviceUser).where(
        DeviceUser.user_id == user_id, DeviceUser.remembered_at.is_not(None)
    )
    statement = statement.values(remembered_at=None, security_stamp=None)
    return count_hits(session, statement.execution_options(synchronize_session=False))
