"""Devices of a person: known again at a sign-in, remembered, listed and removed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from idp.account import events, notices
from idp.directory.devices import service as devices
from idp.directory.devices.service import Presented, Value
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions


@dataclass(frozen=True, slots=True)
class Sent:
    """What a browser sends with a sign-in."""

    cookie: str | None = None
    """Of the device."""
    locale: str = "en"
    name: str = "-"
    """Of browser and system, for the mail about a device that is new."""


def remembered_until(session: Session, issuer: Issuer, user: User, sent: Sent) -> datetime | None:
    """Return until when the device of a cookie is remembered for a person; None: it is not.

    The person has proved a first factor. A value that was used before is a copy: it ends the device
    for everybody who used it, since nobody can say who has the original.
    """
    device = devices.find(session, issuer, sent.cookie)
    if device is None:
        return None
    if device.value is Value.OLD:
        _end_copied(session, issuer, user, device)
        return None
    return devices.remembered_until(session, device, user)


def note_sign_in(
    session: Session,
    issuer: Issuer,
    user: User,
    sent: Sent,
    *,
    is_remembered: bool = False,
    known: int | None = None,
) -> str | None:
    """Note the device of a sign-in and return its new cookie; None: the browser keeps the one sent.

    The person is notified by mail when they signed in before, and never with this device.
    `is_remembered`: whether they chose, with both factors, not to be asked for the second one here.
    `known`: how many devices they signed in with before, if that was read already.
    """
    device = devices.find(session, issuer, sent.cookie, lock=True)
    if device is not None and device.value is Value.OLD:
        _end_copied(session, issuer, user, device)
        device = None
    is_new = device is None or not devices.is_used_by(session, device.row, user.id)
    if is_new and known is None:
        known = devices.count(session, user.id)
    cookie: str | None
    if device is None:
        cookie = devices.add(session, issuer, user, is_remembered=is_remembered)
    else:
        cookie = devices.renew(session, device, sent.cookie or "")
        devices.note_use(session, device.row, user, is_remembered=is_remembered)
    if is_remembered:
        events.record(session, Tag.DEVICE_REMEMBERED, issuer, user)
    if is_new and known:
        if known >= devices.MOST:
            devices.forget_oldest(session, user.id)
        if runtime.of(session).settings.mail_new_devices:
            notices.new_device(session, issuer, user, sent.name, user.locale or sent.locale)
    return cookie


def _end_copied(session: Session, issuer: Issuer, user: User, device: Presented) -> None:
    if devices.end(session, device.row):
        sessions.end_trust(session, user.id)
        events.record(session, Tag.DEVICE_COPIED, issuer, user)


def stop_remembering(session: Session, issuer: Issuer, user: User) -> int:
    """Ask a person for the second factor again on all their devices; return their number."""
    count = devices.stop_remembering(session, user.id)
    sessions.end_trust(session, user.id)
    if count:
        events.record(session, Tag.DEVICES_FORGOTTEN, issuer, user, {"count": count})
    return count


def remove(session: Session, issuer: Issuer, user: User, device_id: int) -> None:
    """Remove a device from a person's own list; raise NotFound where it is not in it."""
    if not devices.remove(session, user.id, device_id):
        raise NotFound
    sessions.end_trust(session, user.id)
    events.record(session, Tag.DEVICE_REMOVED, issuer, user)


def revoke(session: Session, user: User, device_id: int, *, tenant_id: int, by: int | None) -> None:
    """Remove a device of a person for an administrator; raise NotFound where it is not theirs.

    `by` is the user who does so (None: a machine), and `tenant_id` says where.
    """
    if not devices.remove(session, user.id, device_id):
        raise NotFound
    sessions.end_trust(session, user.id)
    target = f"user:{user.id}"
    audit.record(session, Tag.DEVICE_REVOKED, user_id=by, tenant_id=tenant_id, target=target)
