"""Searches for people: anywhere in names and addresses, or among many what those begin with.

No ordinary index finds a text anywhere, and to read millions of people takes seconds.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from idp.directory.tenants.models import Membership
from idp.directory.users import names
from idp.directory.users.models import User

MOST_SEARCHED = 20_000
"""Among so many people a search finds a text anywhere in names and addresses."""


def are_many(session: Session, tenant_id: int | None) -> bool:
    """Return whether a tenant (None: the platform) has so many people that a search must be narrow.

    Ids are counted instead of people, and members no further than that.
    """
    if tenant_id is None:
        return (session.scalar(select(func.max(User.id))) or 0) > MOST_SEARCHED
    members = select(Membership.user_id).where(Membership.tenant_id == tenant_id)
    return session.scalar(members.offset(MOST_SEARCHED).limit(1)) is not None


def anywhere(text: str) -> list[ColumnElement[bool]]:
    """Return in SQL whose user name, e-mail address or number has a text somewhere."""
    key = names.key(text)
    columns = (User.username_key, User.email_key, User.mobile)
    return [column.contains(key, autoescape=True) for column in columns]


def beginning(text: str) -> list[ColumnElement[bool]]:
    """Return in SQL whose user name, e-mail address or number begins with a text, by indexes."""
    key, number = names.key(text), text if text.startswith("+") else f"+{text}"
    columns = ((User.username_key, key), (User.email_key, key), (User.mobile, number))
    return [column.startswith(typed, autoescape=True) for column, typed in columns]
