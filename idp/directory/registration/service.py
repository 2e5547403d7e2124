"""Self-registration with a verified phone number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from idp.config import Settings
from idp.directory.registration import codes
from idp.directory.registration.codes import Channel
from idp.directory.registration.models import VerificationCode
from idp.directory.roles import catalogue
from idp.directory.tenants import service as tenants
from idp.directory.users import names
from idp.directory.users import service as users
from idp.directory.users.models import User, UserFile
from idp.directory.users.profile import is_web_address
from idp.directory.users.service import NewUser
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.issuer import Issuer

PROPERTY = "Registration"
OPEN = "open"
"""Value of that property of a tenant that allows self-registration."""


class Refused(Enum):
    """Why there is no account; attempts that were spent stay spent."""

    PHONE_CODE = auto()
    EMAIL_CODE = auto()
    EMAIL_TAKEN = auto()
    PHONE_TAKEN = auto()


@dataclass(frozen=True, slots=True)
class Registration:
    """The data of a new account, with the codes that verify number and address."""

    mobile: str
    email: str
    password: str
    mobile_code: str = ""
    email_code: str = ""
    nick_name: str | None = None
    gender: str | None = None
    address: str | None = None
    birthday: date | None = None
    stature: float = 0.0
    weight: float = 0.0
    description: str | None = None
    images: Sequence[str] = ()
    video: str | None = None
    document: str | None = None
    locale: str | None = None


def is_open(session: Session, issuer: Issuer) -> bool:
    """Return whether people may register themselves at the pages of an issuer.

    The operator decides for the platform, each other tenant for itself. Without a way to send
    text messages nobody can verify a number.
    """
    return is_open_by(session, runtime.of(session).settings, issuer)


def is_open_by(session: Session, settings: Settings, issuer: Issuer) -> bool:
    """Return the same where settings say so that this process does not run with."""
    if not settings.sms_url and settings.environment != "development":
        return False
    if issuer.is_platform:
        return settings.registration
    return tenants.properties(session, issuer.tenant_id).get(PROPERTY) == OPEN


def register(
    session: Session, new: Registration, *, tenant_id: int, referrer_id: int | None
) -> User | Refused:
    """Create an account for the verified number and e-mail address, which is its name.

    An unverified address never becomes a name, or its owner could no longer register. Both
    are verified before checking whether an account has the number or the address already:
    nobody learns from here who has an account. The caller commits in every case.
    """
    _check(session, new, tenant_id)
    phone = codes.prove(session, Channel.SMS, new.mobile, new.mobile_code)
    mail = None
    if phone is not None:
        mail = codes.prove(session, Channel.MAIL, new.email, new.email_code)
    return _finish(session, new, phone, mail, tenant_id=tenant_id, referrer_id=referrer_id)


def register_with_kept_proofs(
    session: Session, new: Registration, key: str, *, tenant_id: int
) -> User | Refused:
    """Register as `register` does, with proofs that `codes.keep` kept with a key."""
    _check(session, new, tenant_id)
    phone = codes.find_kept(session, Channel.SMS, new.mobile, key)
    mail = codes.find_kept(session, Channel.MAIL, new.email, key)
    return _finish(session, new, phone, mail, tenant_id=tenant_id, referrer_id=None)


def is_taken(session: Session, channel: Channel, address: str) -> bool:
    """Return whether an account has this number or address; only for those who have proven it."""
    bound = codes.normal(session, channel, address)
    if channel is Channel.MAIL:
        return _is_there(session, or_(User.email_key == bound, User.username_key == bound))
    return _is_there(session, User.mobile == bound)


def _finish(
    session: Session,
    new: Registration,
    phone: VerificationCode | None,
    mail: VerificationCode | None,
    *,
    tenant_id: int,
    referrer_id: int | None,
) -> User | Refused:
    reason = _refusal_reason(session, new, phone, mail)
    if reason is not None:
        audit.record(
            session,
            Tag.REGISTRATION_REFUSED,
            tenant_id=tenant_id,
            details={"reason": reason.name.lower()},
        )
        return reason
    user = _create(session, new, referrer_id)
    tenants.add_member(session, tenant_id, user.id)
    catalogue.assign_default_roles(session, user.id)
    audit.record(
        session,
        Tag.USER_REGISTERED,
        tenant_id=tenant_id,
        target=f"user:{user.id}",
    )
    session.flush()
    return user


def _refusal_reason(
    session: Session,
    new: Registration,
    phone: VerificationCode | None,
    mail: VerificationCode | None,
) -> Refused | None:
    """Return why no account can be created; None if one can, with the codes used up."""
    if phone is None:
        return Refused.PHONE_CODE
    if mail is None:
        return Refused.EMAIL_CODE
    if is_taken(session, Channel.MAIL, new.email):
        return Refused.EMAIL_TAKEN
    if is_taken(session, Channel.SMS, new.mobile):
        return Refused.PHONE_TAKEN
    if not codes.use_up(session, phone):
        return Refused.PHONE_CODE
    return None if codes.use_up(session, mail) else Refused.EMAIL_CODE


def _create(session: Session, new: Registration, referrer_id: int | None) -> User:
    known = referrer_id is not None and users.find(session, referrer_id) is not None
    user = users.create(
        session,
        NewUser(
            username=new.email,
            email=new.email,
            mobile=new.mobile,
            password=new.password,
            email_verified=True,
            mobile_verified=True,
            nick_name=new.nick_name,
            locale=new.locale,
            parent_user_id=referrer_id if known else None,
        ),
    )
    user.gender, user.address, user.birthday = new.gender, new.address, new.birthday
    user.stature, user.weight, user.description = new.stature, new.weight, new.description
    images = json.dumps(list(new.images)) if new.images else None
    for kind, files in enumerate((images, new.video, new.document)):
        if files:
            session.add(UserFile(user_id=user.id, file_type=kind, files=files))
    session.flush()
    return user


def _check(session: Session, new: Registration, tenant_id: int) -> None:
    """Refuse what could not be stored, before an attempt is spent."""
    email = names.email(new.email)
    names.username(new.email, email)
    mobile = names.mobile(new.mobile, runtime.of(session).settings.phone_region)
    users.check_new_password(session, new.password, (email, mobile, new.mobile), tenant_id)
    for name, addresses in (
        ("images", new.images),
        ("video", [new.video] if new.video else []),
        ("document", [new.document] if new.document else []),
    ):
        if not all(is_web_address(address) for address in addresses):
            raise BadRequest.at(name, "A file must have an http(s) address.")


def _is_there(session: Session, condition: ColumnElement[bool]) -> bool:
    return session.scalar(select(User.id).where(condition).limit(1)) is not None
