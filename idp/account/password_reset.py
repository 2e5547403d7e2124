"""Resetting a forgotten password.

The answer and its timing are the same for known and unknown accounts: the request only adds a job
to the outbox, and the worker looks up the account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy.orm import Session

from idp.account import events, notices
from idp.directory.authentication.service import throttle_keys
from idp.directory.tenants import service as tenants
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest, TooManyRequests, Unprocessable
from idp.platform.issuer import Issuer
from idp.platform.jobs import service as jobs
from idp.platform.notify import service as notify
from idp.platform.onetime import service as onetime
from idp.platform.onetime.models import OneTimeKey
from idp.platform.runtime import RequestContext, Runtime
from idp.platform.sessions import service as sessions
from idp.platform.translation import N_

log = structlog.get_logger("idp.account")

JOB = "password_reset"
PURPOSE = "password-reset"
WAITING = "for"
"""Query parameter of a link: which of the browser's requests it continues."""
MINUTES = 30
PER_HOUR = 5
"""For one account from one address."""
PER_HOUR_FROM_ADDRESS = 20
SENT_WHILE_GOOD = 10
"""Links sent to one person within the lifetime of a link, whoever requests them."""
HOUR = 3600
FIRST_HOURS = 24
"""Lifetime of the link to a new account, whose owner does not wait for it."""


def ask(
    session: Session, issuer: Issuer, login: str, locale: str, waiting: str | None = None
) -> None:
    """Request a link for an account, which may not exist.

    Raise TooManyRequests beyond the limit of the remote address. An account is counted together
    with that address, so that nobody can use up the requests of others. Repeated requests reveal
    nothing more; links that were sent stay valid. `waiting` is the mark, kept by the browser, of
    the authorization request that the link continues.
    """
    throttle = runtime.of(session).throttle
    context = runtime.context_of(session)
    account, address = throttle_keys(session, login)
    throttle.hit("forgot address", address, PER_HOUR_FROM_ADDRESS, HOUR)
    try:
        throttle.hit("forgot account", (account, address), PER_HOUR, HOUR)
    except TooManyRequests:
        return
    payload = {
        "login": login,
        "host": issuer.host,
        "locale": locale,
        "waiting": waiting,
        "request_id": context.request_id,
        "remote_addr": context.remote_addr,
    }
    jobs.enqueue(session, JOB, payload)


def send_link(process: Runtime, payload: Mapping[str, Any]) -> None:
    """Mail the link, if the account exists, has an address and may sign in there."""
    with process.sessions() as session:
        session.info["context"] = RequestContext(payload["request_id"], payload["remote_addr"])
        issuer = tenants.find_issuer(session, payload["host"])
        user = users.find_by_login(session, payload["login"])
        if (
            issuer is None
            or user is None
            or not user.email
            or not _may_reset(session, issuer, user)
        ):
            log.info("password_reset_not_sent", request_id=payload["request_id"])
            return
        try:
            link = _link(session, issuer, user, payload.get("waiting"))
        except TooManyRequests:
            return
        _mail(session, issuer, user, link, payload["locale"])
        session.commit()


def send_link_to(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Send a link to a person, for an administrator who may know the account.

    Raise Unprocessable where the person has no address or cannot sign in there, and TooManyRequests
    while they have enough valid links.
    """
    if not user.email:
        raise Unprocessable.at("email", N_("This person has no e-mail address."))
    if not _may_reset(session, issuer, user):
        raise Unprocessable(N_("This person cannot sign in here."))
    _mail(session, issuer, user, _link(session, issuer, user), locale)


def send_first_link(session: Session, issuer: Issuer, user: User, locale: str) -> None:
    """Send a link by which a person with a new account chooses a password."""
    if not user.email:
        raise BadRequest.at("email", N_("A link can only be sent to an e-mail address."))
    link = _link(session, issuer, user, seconds=FIRST_HOURS * HOUR)
    context = {"service": issuer.name, "link": link, "hours": str(FIRST_HOURS)}
    notify.mail(session, user.email, "account_created", context, locale, brand=issuer.brand)


def _mail(session: Session, issuer: Issuer, user: User, link: str, locale: str) -> None:
    context = {"service": issuer.name, "link": link, "minutes": str(MINUTES)}
    notify.mail(session, str(user.email), "password_reset", context, locale, brand=issuer.brand)


def _link(
    session: Session,
    issuer: Issuer,
    user: User,
    waiting: str | None = None,
    *,
    seconds: int = MINUTES * 60,
) -> str:
    """Return a new link; TooManyRequests when this person has enough valid ones."""
    throttle = runtime.of(session).throttle
    throttle.hit("forgot person", str(user.id), SENT_WHILE_GOOD, MINUTES * 60)
    link = link_of(session, issuer, user, seconds=seconds)
    query = f"?{WAITING}={waiting}" if waiting else ""
    return f"{link}{query}"


def link_of(session: Session, issuer: Issuer, user: User, *, seconds: int) -> str:
    """Return a new link of a person, whom the caller has counted or need not count."""
    token = onetime.issue(
        session,
        PURPOSE,
        user_id=user.id,
        security_stamp=user.security_stamp,
        seconds=seconds,
    )
    audit.record(
        session,
        Tag.PASSWORD_RESET_REQUESTED,
        tenant_id=issuer.tenant_id,
        target=f"user:{user.id}",
    )
    return f"{issuer.url}/forgot/{token}"


def _may_reset(session: Session, issuer: Issuer, user: User) -> bool:
    if not user.may_sign_in:
        return False
    return issuer.is_platform or bool(tenants.memberships(session, user.id, issuer))


def find_user(session: Session, issuer: Issuer, token: str) -> User | None:
    """Return the user of a link without using it up; None when the link is not valid here."""
    return _owner(session, issuer, onetime.peek(session, PURPOSE, token))


def reset(session: Session, issuer: Issuer, token: str, password: str, locale: str) -> User | None:
    """Set the password by a link and return the user; None when the link is not valid.

    The new security stamp ends every session, grant and token of the person. Raise BadRequest for a
    weak password; the link stays valid then. The caller commits, or rolls back on None.
    """
    user = find_user(session, issuer, token)
    session.commit()
    if user is None:
        return None
    stamp = user.security_stamp
    users.set_password(session, user, password)
    user.password_reset_at = user.password_changed_at
    key = onetime.use(session, PURPOSE, token)
    if key is None or key.security_stamp != stamp:
        return None
    sessions.end_all(session, user.id)
    events.record(session, Tag.PASSWORD_RESET_DONE, issuer, user)
    notices.password_changed(session, issuer, user, locale)
    return user


def _owner(session: Session, issuer: Issuer, key: OneTimeKey | None) -> User | None:
    if key is None or key.user_id is None:
        return None
    user = users.find(session, key.user_id)
    if user is None or user.security_stamp != key.security_stamp:
        return None
    return user if _may_reset(session, issuer, user) else None
