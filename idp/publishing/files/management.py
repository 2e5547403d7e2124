"""Files that were uploaded: the list, where each is used, and deleting one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from idp.directory.branding.models import Branding
from idp.directory.clients.models import Client
from idp.directory.users.models import User, UserFile
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import Conflict, NotFound
from idp.platform.integers import INT64_MAX
from idp.platform.jobs import service as jobs
from idp.platform.runtime import Runtime
from idp.platform.translation import N_
from idp.publishing.files import kinds, storage
from idp.publishing.files.models import StoredFile
from idp.publishing.packages.models import SdkPackage

ERASE_JOB = "file-erase"
GROUPS: Mapping[str, frozenset[str]] = {
    "image": frozenset(kind.media_type for kind in kinds.IMAGES),
    "video": frozenset(kind.media_type for kind in kinds.FILES if kind.largest == kinds.VIDEO),
    "document": frozenset(
        kind.media_type for kind in kinds.FILES if kind.largest == kinds.DOCUMENT
    ),
}
"""Media types by what people call them."""

Check = Callable[[StoredFile], None]
"""Refuses a file that is about to be deleted, by raising."""


@dataclass(frozen=True, slots=True)
class Uses:
    """How many things name the address of a file."""

    people: int
    clients: int
    packages: int
    brandings: int

    @property
    def total(self) -> int:
        """All of them together."""
        return self.people + self.clients + self.packages + self.brandings


def select_files(group: str | None = None) -> Select[StoredFile]:
    """Select the files of all tenants, of one group or of all."""
    query = select(StoredFile)
    return query if group is None else query.where(StoredFile.media_type.in_(GROUPS[group]))


def list_page(session: Session, *, before_id: int | None, limit: int) -> list[StoredFile]:
    """Return a page of the files, the newest first."""
    query = select_files().order_by(StoredFile.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(StoredFile.id < before_id)
    return [*session.scalars(query)]


def get(session: Session, row_id: int, *, lock: bool = False) -> StoredFile:
    """Return a file by the id of its row."""
    query = select(StoredFile).where(StoredFile.id == min(row_id, INT64_MAX))
    row = session.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound
    return row


def total_size(session: Session) -> int:
    """Return how many bytes all files have together."""
    return int(session.scalar(select(func.coalesce(func.sum(StoredFile.size), 0))) or 0)


def uses(session: Session, stored: StoredFile) -> Uses:
    """Count what names a file; its random name is in no other text."""
    return Uses(
        people=_naming(session, stored, User.avatar) + _naming(session, stored, UserFile.files),
        clients=_naming(session, stored, Client.logo_uri),
        packages=_naming(session, stored, SdkPackage.link, SdkPackage.icon),
        brandings=_naming(session, stored, Branding.logo, Branding.icon),
    )


def delete(session: Session, row_id: int, check: Check = lambda _row: None) -> None:
    """Delete a file that nothing names; the worker then removes its content from the store.

    `check` refuses one that is not in the expected state.
    """
    row = get(session, row_id, lock=True)
    check(row)
    if uses(session, row).total:
        raise Conflict(N_("This file is still in use. Remove it there first."))
    name, tenant_id = row.name, row.tenant_id
    details = {"media_type": row.media_type, "size": row.size}
    session.delete(row)
    session.flush()
    jobs.enqueue(session, ERASE_JOB, {"name": name})
    audit.record(
        session, Tag.FILE_DELETED, tenant_id=tenant_id, target=f"file:{name}", details=details
    )


def erase(runtime: Runtime, payload: Mapping[str, Any]) -> None:
    """Remove the content of a deleted file; repeating it changes nothing."""
    storage.open_store(runtime.settings).delete(payload["name"])


def _naming(session: Session, stored: StoredFile, *columns: InstrumentedAttribute[Any]) -> int:
    """Count the rows of a table that name a file in one of its columns."""
    conditions: list[ColumnElement[bool]] = [column.contains(stored.name) for column in columns]
    query = select(func.count()).select_from(columns[0].class_).where(or_(*conditions))
    return session.scalar(query) or 0
