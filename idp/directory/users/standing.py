"""The condition in SQL that an account may be used now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, and_, or_

from idp.directory.users.models import User


def is_active(moment: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return the condition that an account is neither deleted, disabled nor locked.

    `User.may_sign_in` is the same for a row.
    """
    return and_(
        User.deleted_at.is_(None),
        User.is_disabled.is_(False),
        or_(User.lockout_end.is_(None), User.lockout_end <= moment),
    )
