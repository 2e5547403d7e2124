"""The rules of a person's own account: only what is his own, and nothing without a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from sqlalchemy.orm import Session

from idp.directory.registration import codes
from idp.directory.registration.codes import Channel, Letter, Sender
from idp.directory.resources import snapshot as resources
from idp.directory.tenants import service as tenants
from idp.directory.users import profile
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.oauth import consents
from idp.oauth.sign_out import revoke_session_grants
from idp.oauth.visitor import Visitor
from idp.pages.account import agents
from idp.pages.consent import describe
from idp.pages.forgot.service import PURPOSE as RESET_LINKS
from idp.pages.forgot.service import tell_of_change, where_and_when
from idp.pages.signin.service import ACR_PASSWORD, AMR_PASSWORD
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Busy, NotFound, TooManyRequests
from idp.platform.issuer import Issuer
from idp.platform.notify import service as notify
from idp.platform.onetime import service as onetime
from idp.platform.sessions import service as sessions
from idp.platform.sessions.models import BrowserSession
from idp.platform.throttle import Address
from idp.publishing.files import kinds
from idp.publishing.files import service as files
from idp.publishing.files.service import Infected, Sent

THROTTLE = "change-password"
PAGES = "account"
"""Stands for a client where people send files themselves."""
HOUR = 3600
PICTURES_PER_HOUR = 30
CODES_PER_HOUR = 10


@dataclass(frozen=True, slots=True)
class NewAddress:
    """An e-mail address or mobile number that a person wants, and what proves that they may."""

    channel: Channel
    address: str
    password: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A live session as its person sees it."""

    id: int
    browser: str | None
    system: str | None
    remote_addr: str | None
    issuer_name: str | None
    """Where it was started, when that was not here."""
    started_at: datetime
    last_seen_at: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """An application that was allowed something for good, as its person sees it."""

    id: int
    client_name: str
    tenant_name: str
    allowed_at: datetime
    scopes: list[str]


def change_password(
    session: Session, issuer: Issuer, visitor: Visitor, current: str, new: str, locale: str
) -> str | None:
    """Change the password and give the new cookie of this session; None when the old one is wrong.

    Every other session, grant and token of the person ends. BadRequest for a weak password,
    TooManyRequests after too many wrong ones, Busy in a crowd. The caller commits in all other
    cases.
    """
    user, browser = visitor.user, visitor.browser
    if not _knows_password(session, visitor, current):
        _record(session, Tag.PASSWORD_CHANGE_REFUSED, issuer, user)
        return None
    users.set_password(session, user, new)
    sessions.end_all(session, user.id, but=browser.id)
    sessions.restamp(session, browser, user.security_stamp)
    value = sessions.start(
        session,
        issuer,
        user.id,
        user.security_stamp,
        acr=ACR_PASSWORD,
        amr=AMR_PASSWORD,
        remember=browser.remember,
        replaces=browser,
    )
    _record(session, Tag.PASSWORD_CHANGED, issuer, user)
    tell_of_change(session, issuer, user, locale)
    return value


def change_profile(
    session: Session, issuer: Issuer, visitor: Visitor, values: Mapping[str, str | None]
) -> None:
    """Change what the person says of themselves; BadRequest names the fields that are wrong."""
    user = visitor.user
    before = profile.state_of(user)
    profile.change(session, user, values)
    after = profile.state_of(user)
    if before != after:
        profile.stamp(session, user)
        audit.record_change(
            session,
            Tag.PROFILE_CHANGED,
            f"user:{user.id}",
            before,
            after,
            private=profile.COLUMNS,
            tenant_id=issuer.tenant_id,
            user_id=user.id,
        )


@contextmanager
def new_picture(
    session: Session, issuer: Issuer, visitor: Visitor, stream: IO[bytes], unverified_name: str
) -> Iterator[None]:
    """Keep a picture and make it the person's; the block commits.

    The file is examined and drawn anew as every file that is sent: see `files.keep`.
    """
    user_id = visitor.user.id
    runtime.of(session).throttle.hit("picture", str(user_id), PICTURES_PER_HOUR, HOUR)
    session.rollback()  # no transaction waits for the examination
    sent = Sent(stream, unverified_name, PAGES, user_id, issuer.tenant_id)
    try:
        with files.keep(session, sent, kinds.IMAGES) as stored:
            address = files.address(session, stored, issuer.url)
            change_profile(session, issuer, visitor, {"picture": address})
            yield
    except Infected:
        _record(session, Tag.FILE_REFUSED, issuer, visitor.user)
        session.commit()
        raise


def ask_for_address(
    session: Session, issuer: Issuer, visitor: Visitor, new: NewAddress, locale: str
) -> bool:
    """Have a code sent to a new address; False when the current password is wrong.

    Whether somebody has the address already makes no difference. BadRequest for what is no
    address, TooManyRequests past the limits. The caller commits in all other cases.
    """
    codes.normal(session, new.channel, new.address)
    user = visitor.user
    if not _knows_password(session, visitor, new.password):
        _record(session, Tag.ADDRESS_CHANGE_REFUSED, issuer, user, {"why": "password"})
        return False
    sender = Sender(f"account {user.id}", CODES_PER_HOUR)
    wait = codes.send(session, new.channel, new.address, sender, Letter(issuer.name, locale))
    if wait is not None and wait.is_for_the_day:
        raise TooManyRequests(wait.seconds)
    # One that was sent a moment ago is as good as a new one.
    return True


def change_address(
    session: Session, issuer: Issuer, visitor: Visitor, new: NewAddress, locale: str
) -> bool:
    """Set the address that a code proves; False when the code is wrong or too old.

    Whoever had the old address is told there. A user name that was the old address follows.
    Conflict when the address is somebody else's, which is told to nobody but its owner: the
    caller rolls back then, and commits in all other cases.
    """
    user, is_mail = visitor.user, new.channel is Channel.MAIL
    proof = codes.prove(session, new.channel, new.address, new.code)
    if proof is None or not codes.use_up(session, proof):
        _record(session, Tag.ADDRESS_CHANGE_REFUSED, issuer, user, {"why": "code"})
        return False
    old = user.email if is_mail else user.mobile
    follows = is_mail and profile.named_by_email(user)
    users.rename(
        session,
        user,
        username=new.address if follows else user.username,
        email=new.address if is_mail else user.email,
        mobile=user.mobile if is_mail else new.address,
    )
    if is_mail:
        user.email_verified = True
        onetime.withdraw(session, RESET_LINKS, user.id)  # they went to the old address
    else:
        user.mobile_verified = True
    profile.stamp(session, user)
    _record(session, Tag.ADDRESS_CHANGED, issuer, user, {"channel": new.channel.value})
    if old and old != (user.email if is_mail else user.mobile):
        tell = notify.mail if is_mail else notify.sms
        template = "email_changed" if is_mail else "mobile_changed"
        tell(session, old, template, where_and_when(session, issuer), locale)
    return True


def list_sessions(session: Session, issuer: Issuer, visitor: Visitor) -> list[SessionLine]:
    """List where the person is signed in, this browser first."""
    lines = [_line(session, issuer, visitor, row) for row in _own_sessions(session, visitor)]
    return sorted(lines, key=lambda line: not line.is_current)


def end_session(session: Session, issuer: Issuer, visitor: Visitor, session_id: int) -> bool:
    """End one of the person's sessions and what hangs on it; tell whether it is this one."""
    rows = {row.id: row for row in _own_sessions(session, visitor)}
    if session_id not in rows:
        raise NotFound
    _end(session, issuer, visitor, rows[session_id])
    return session_id == visitor.browser.id


def end_other_sessions(session: Session, issuer: Issuer, visitor: Visitor) -> None:
    """End every session of the person but this one."""
    for row in _own_sessions(session, visitor):
        if row.id != visitor.browser.id:
            _end(session, issuer, visitor, row)


def list_applications(session: Session, visitor: Visitor) -> list[ApplicationLine]:
    """List what the person allows which applications, in words."""
    return [
        ApplicationLine(
            id=consent.id,
            client_name=consent.client_name,
            tenant_name=consent.tenant_name,
            allowed_at=consent.created_at,
            scopes=_in_words(session, consent.scopes),
        )
        for consent in consents.list_consents(session, visitor.user.id)
    ]


def _knows_password(session: Session, visitor: Visitor, current: str) -> bool:
    """Compare the password of who is signed in; TooManyRequests after too many wrong ones.

    Busy in a crowd, which is no try. Nothing is under way in the database meanwhile, nor
    afterwards.
    """
    throttle = runtime.of(session).throttle
    keys = (str(visitor.user.id), Address.of(runtime.context_of(session).remote_addr))
    throttle.check_delay(THROTTLE, *keys)
    session.commit()
    try:
        matches = users.verify_password(session, visitor.user, current)
    except Busy:
        throttle.withdraw(THROTTLE, *keys)
        raise
    session.commit()
    (throttle.succeeded if matches else throttle.failed)(THROTTLE, *keys)
    return matches


def _record(
    session: Session, tag: Tag, issuer: Issuer, user: User, details: dict[str, Any] | None = None
) -> None:
    audit.record(
        session,
        tag,
        user_id=user.id,
        tenant_id=issuer.tenant_id,
        target=f"user:{user.id}",
        details=details,
    )


def _in_words(session: Session, names: Sequence[str]) -> list[str]:
    rights, identity = resources.load_scopes(session, names, None)
    lines = {line.name: line.title for line in describe(names, identity, rights)}
    return [lines.get(name, name) for name in names]


def _end(session: Session, issuer: Issuer, visitor: Visitor, row: BrowserSession) -> None:
    if sessions.end(session, row):
        revoke_session_grants(session, row.id)
        audit.record(
            session,
            Tag.SESSION_ENDED,
            user_id=visitor.user.id,
            tenant_id=issuer.tenant_id,
            target=f"session:{row.id}",
        )


def _own_sessions(session: Session, visitor: Visitor) -> list[BrowserSession]:
    # One with an earlier stamp is signed out already.
    rows = sessions.list_for(session, visitor.user.id)
    return [row for row in rows if row.security_stamp == visitor.user.security_stamp]


def _line(session: Session, issuer: Issuer, visitor: Visitor, row: BrowserSession) -> SessionLine:
    browser, system = agents.describe(row.user_agent)
    name = None
    if row.issuer_tenant_id != issuer.tenant_id:
        name = tenants.get(session, row.issuer_tenant_id).name
    return SessionLine(
        id=row.id,
        browser=browser,
        system=system,
        remote_addr=row.remote_addr,
        issuer_name=name,
        started_at=row.auth_time,
        last_seen_at=row.last_seen_at,
        is_current=row.id == visitor.browser.id,
    )
