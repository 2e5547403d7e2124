"""Changing the names and the standard claims of an account, while all else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.users import management as people
from idp.directory.users import profile
from idp.directory.users import service as users
from idp.directory.users.management import UserSpec
from idp.directory.users.models import User


@dataclass(frozen=True, slots=True)
class Edit:
    """The names of an account, and its standard claims by their names."""

    username: str | None
    """Empty: the e-mail address."""
    email: str | None
    mobile: str | None
    claims: Mapping[str, str | None]
    concurrency_stamp: str | None = None
    """Stamp of the state that was read; None: not compared."""


def change(session: Session, actor: Actor, user_id: int, edit: Edit) -> User:
    """Change an account in reach by the rules of `management.replace`; its lists stay.

    NotFound where a name or address differs and the actor may not change the person's identity.
    """
    people.get(session, actor, user_id)
    user = users.get(session, user_id, lock=True)
    return people.replace(session, actor, user_id, _spec(session, user, edit), reserved_claims=())


def _spec(session: Session, user: User, edit: Edit) -> UserSpec:
    """Return the account as it is, with what the edit changes."""
    email, shown = edit.email or None, profile.shown(user)
    follows = profile.named_by_email(user) and edit.username == user.username
    on_the_wire = users.mobile_on_the_wire(session, user)
    is_same_mobile = (edit.mobile or None) in {user.mobile, on_the_wire}
    return UserSpec(
        username=email if follows and email else edit.username,
        email=email,
        mobile=on_the_wire if is_same_mobile else edit.mobile,
        password=None,
        email_verified=user.email_verified and email == user.email,
        mobile_verified=user.mobile_verified and is_same_mobile,
        lockout_end=user.lockout_end,
        lockout_enabled=user.lockout_enabled,
        access_failed_count=user.access_failed_count,
        parent_user_id=user.parent_user_id or 0,
        nick_name=user.nick_name,
        avatar=user.avatar,
        gender=user.gender,
        birthday=user.birthday,
        address=user.address,
        stature=user.stature,
        weight=user.weight,
        description=user.description,
        remark=user.remark,
        type_ids=user.type_ids,
        standard={
            name: text
            for name, text in edit.claims.items()
            if (text or "").strip() != shown.get(name, "")
        },
        concurrency_stamp=edit.concurrency_stamp,
    )
