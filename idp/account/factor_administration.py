"""What administrators do with the second factors of others: look, remove, reset, hand out codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from idp.account import devices, notices, password_reset, second_factors
from idp.directory.actor import Actor
from idp.directory.factors import enrolment, passkeys, recovery
from idp.directory.factors import service as factors
from idp.directory.factors.enrolment import NewCode
from idp.directory.factors.models import Passkey, Totp
from idp.directory.factors.sent_codes import Target
from idp.directory.factors.service import Factor
from idp.directory.tenants import service as tenants
from idp.directory.users import management as people
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.platform import clock
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound, Unprocessable
from idp.platform.issuer import Issuer
from idp.platform.sessions import service as sessions
from idp.platform.translation import N_

RECOVERY_SECONDS = 600
"""Lifetime of the link that recovers an account."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a person gets back into their account with."""

    link: str = field(repr=False)
    """For a new password, once."""
    code: NewCode
    """For a second factor, asked for after the password."""


@dataclass(frozen=True, slots=True)
class FactorsView:
    """The second factors of a person, without what they prove."""

    apps: Sequence[Totp]
    passkeys: Sequence[Passkey]
    recovery_codes_left: int
    needs_code: bool
    """Whether the person signs in with an enrolment code next."""
    code_expires_at: datetime | None
    """Until when the code can be used; None: there is none, or it was used or has expired."""
    targets: Sequence[Target] = ()
    """Where codes are sent where a policy asks for a second step."""

    @property
    def count(self) -> int:
        """Return how many factors are accepted somewhere."""
        return len(self.apps) + sum(row.suspended_at is None for row in self.passkeys)


def show(session: Session, actor: Actor, user_id: int) -> FactorsView:
    """Return the factors of a person whose account the actor manages."""
    user = people.get_managed(session, actor, user_id)
    return _view(session, user)


def remove_app(
    session: Session,
    actor: Actor,
    user_id: int,
    app_id: int,
    locale: str,
    check: Callable[[FactorsView], None] = lambda _view: None,
) -> None:
    """Remove an authenticator app of a person; raise NotFound where they have no such app.

    The last one goes by a reset only, so that no password alone is left. `check` may refuse the
    state that is found.
    """
    user = _lock(session, actor, user_id)
    found = _view(session, user)
    if app_id not in {app.id for app in found.apps}:
        raise NotFound(N_("There is no such second factor."))
    check(found)
    _refuse_last(found.count - 1)
    factors.remove_app(session, user.id, app_id)
    _record(session, actor, user, Tag.USER_FACTOR_REMOVED, factor=Factor.TOTP)
    issuer = tenants.issuer_of(session, actor.tenant_id)
    devices.stop_remembering(session, issuer, user)
    notices.authenticator_removed(session, issuer, user, user.locale or locale)


def remove_passkey(
    session: Session,
    actor: Actor,
    user_id: int,
    passkey_id: int,
    locale: str,
    check: Callable[[FactorsView], None] = lambda _view: None,
) -> None:
    """Remove a passkey of a person, by the rules of `remove_app`."""
    user = _lock(session, actor, user_id)
    found = _view(session, user)
    row = next((row for row in found.passkeys if row.id == passkey_id), None)
    if row is None:
        raise NotFound(N_("There is no such second factor."))
    check(found)
    _refuse_last(found.count - (row.suspended_at is None))
    factors.remove_passkey(
        session, tenants.issuer_of(session, row.issuer_tenant_id), user.id, passkey_id
    )
    _record(session, actor, user, Tag.USER_FACTOR_REMOVED, factor=second_factors.PASSKEY)
    issuer = tenants.issuer_of(session, actor.tenant_id)
    devices.stop_remembering(session, issuer, user)
    notices.passkey_removed(session, issuer, user, user.locale or locale)


def reset(session: Session, actor: Actor, user_id: int, locale: str) -> NewCode:
    """Remove all factors of a person who lost them, end their access, and make an enrolment code.

    They sign in with that code and set up a factor, or not at all.
    """
    user = _lock(session, actor, user_id)
    count = factors.reset(session, user.id)
    users.end_access(session, user)
    sessions.end_all(session, user.id)
    new = enrolment.issue(session, user.id)
    _record(session, actor, user, Tag.USER_FACTORS_RESET, count=count)
    issuer = tenants.issuer_of(session, actor.tenant_id)
    notices.factors_reset(session, issuer, user, user.locale or locale)
    return new


def recover(session: Session, issuer: Issuer, user: User, locale: str) -> Recovery:
    """Restore the access of a person who lost password and factors; what they had ends.

    For operators: it is recorded as an act of the system. Raise Unprocessable for an account that
    cannot be signed in to.
    """
    if not user.may_sign_in:
        raise Unprocessable(N_("This account is disabled or locked. Enable or unlock it first."))
    count = factors.reset(session, user.id)
    users.end_access(session, user)
    sessions.end_all(session, user.id)
    code = enrolment.issue(session, user.id)
    link = password_reset.link_of(session, issuer, user, seconds=RECOVERY_SECONDS)
    audit.record(session, Tag.USER_RECOVERED, target=f"user:{user.id}", details={"count": count})
    notices.factors_reset(session, issuer, user, user.locale or locale)
    return Recovery(link, code)


def make_code(session: Session, actor: Actor, user_id: int, locale: str) -> NewCode:
    """Make an enrolment code of a person without a second factor, in place of the last one."""
    user = _lock(session, actor, user_id)
    if factors.has_any(session, user.id):
        raise Unprocessable(N_("This user has a second factor. Reset the second factors first."))
    new = enrolment.issue(session, user.id)
    _record(session, actor, user, Tag.USER_ENROLMENT_CODE_MADE)
    issuer = tenants.issuer_of(session, actor.tenant_id)
    notices.enrolment_code_made(session, issuer, user, user.locale or locale)
    return new


def _view(session: Session, user: User) -> FactorsView:
    apps, keys = factors.list_apps(session, user.id), passkeys.list_of(session, user.id)
    has_factor = bool(apps or keys)
    code = None if has_factor else enrolment.find(session, user.id)
    is_usable = code is not None and code.used_at is None and code.expires_at > clock.now()
    return FactorsView(
        apps,
        keys,
        recovery.count_left(session, user.id) if has_factor else 0,
        code is not None,
        code.expires_at if code is not None and is_usable else None,
        [] if has_factor else factors.targets_of(session, user),
    )


def _refuse_last(left: int) -> None:
    if left == 0:
        raise Unprocessable(N_("This is the only second factor. Reset the second factors instead."))


def _lock(session: Session, actor: Actor, user_id: int) -> User:
    user = people.get_managed(session, actor, user_id, lock=True)
    if user.id == actor.user_id:
        raise Unprocessable(N_("Change your own second factors in your account."))
    return user


def _record(session: Session, actor: Actor, user: User, tag: Tag, **details: object) -> None:
    audit.record(session, tag, tenant_id=actor.tenant_id, target=f"user:{user.id}", details=details)
