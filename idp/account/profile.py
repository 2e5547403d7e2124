"""Changing one's own profile and picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO

from sqlalchemy.orm import Session

from idp.account import events
from idp.directory.users import profile
from idp.directory.users.models import User
from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.issuer import Issuer
from idp.publishing.files import kinds
from idp.publishing.files import service as files
from idp.publishing.files.service import Infected, Sent

PAGES = "account"
"""Takes the place of a client id for files that people upload themselves."""
PICTURES_PER_HOUR = 30
HOUR = 3600


def change(session: Session, issuer: Issuer, user: User, values: Mapping[str, str | None]) -> None:
    """Change the profile; raise BadRequest with the fields that are wrong."""
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
    session: Session, issuer: Issuer, user: User, stream: IO[bytes], unverified_name: str
) -> Iterator[None]:
    """Store a picture and set it in the profile; the block commits.

    The file is scanned and redrawn like every upload: see `files.keep`.
    """
    user_id = user.id
    runtime.of(session).throttle.hit("picture", str(user_id), PICTURES_PER_HOUR, HOUR)
    session.rollback()  # no transaction stays open during the scan
    sent = Sent(stream, unverified_name, PAGES, user_id, issuer.tenant_id)
    try:
        with files.keep(session, sent, kinds.IMAGES) as stored:
            change(session, issuer, user, {"picture": files.address(session, stored, issuer.url)})
            yield
    except Infected:
        events.record(session, Tag.FILE_REFUSED, issuer, user)
        session.commit()
        raise
