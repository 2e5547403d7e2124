"""Managing the branding of a tenant, with its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Literal

from sqlalchemy.orm import Session

from idp.directory.actor import Actor
from idp.directory.branding import rules
from idp.directory.branding.models import Branding
from idp.directory.branding.rules import BrandingSpec
from idp.directory.branding.snapshot import find_row
from idp.directory.tenants import management as tenants
from idp.platform import runtime, stamps
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.issuer import PLATFORM_TENANT_ID
from idp.platform.translation import N_
from idp.publishing.files import kinds
from idp.publishing.files import service as files
from idp.publishing.files.models import StoredFile
from idp.publishing.files.service import Infected, Sent

Picture = Literal["logo", "icon"]

LARGEST = 512 * 1024
"""Bytes of an uploaded picture; it is on every page."""
PICTURES_PER_HOUR = 60
HOUR = 3600
UNSET = "unset"
"""Stamp of a tenant that has set nothing."""
CONSOLE = "console"
"""Takes the place of a client id for files that are uploaded at a page."""
COLUMNS = (
    *("name", "accent", "accent_dark", "logo", "icon"),
    *("help_uri", "privacy_uri", "imprint_uri", "texts"),
)

NO_SUCH_FILE = N_("There is no such picture among the files of this organisation.")
NO_PICTURE = N_("A picture must be a JPEG or PNG file of at most 500 kB.")


def get(session: Session, actor: Actor, tenant_id: int) -> Branding:
    """Return the branding of a tenant; one without values where nothing was set."""
    tenants.check_served(session, actor, tenant_id)
    return _row(session, tenant_id)


def replace(
    session: Session,
    actor: Actor,
    tenant_id: int,
    spec: BrandingSpec,
    *,
    stamp: str | None = None,
) -> Branding:
    """Replace the branding of a tenant; without a difference nothing changes, not even the stamp.

    Pictures are named by files that were uploaded for this tenant before. `stamp` is that of the
    state that was read; None accepts any.
    """
    tenants.check_served(session, actor, tenant_id, lock=True)
    row = _row(session, tenant_id)
    stamps.check(row.concurrency_stamp, stamp)
    values = rules.checked(spec)
    for kind in ("logo", "icon"):
        values[kind] = _picture(session, actor, row, kind, getattr(spec, kind))
    _write(session, row, values)
    return row


@contextmanager
def new_picture(
    session: Session,
    actor: Actor,
    tenant_id: int,
    kind: Picture,
    stream: IO[bytes],
    unverified_name: str,
) -> Iterator[Branding]:
    """Store a picture and set it in the branding; the block commits.

    The file is scanned and redrawn like every upload: see `files.keep`.
    """
    tenants.check_served(session, actor, tenant_id)
    runtime.of(session).throttle.hit("branding", str(actor.user_id), PICTURES_PER_HOUR, HOUR)
    session.rollback()  # no transaction stays open during the scan
    if stream.seek(0, 2) > LARGEST:
        raise BadRequest.at(kind, NO_PICTURE)
    sent = Sent(stream, unverified_name, CONSOLE, actor.user_id, tenant_id)
    try:
        with files.keep(session, sent, kinds.IMAGES) as stored:
            tenants.check_served(session, actor, tenant_id, lock=True)
            row = _row(session, tenant_id)
            _write(session, row, {**_state_of(row), kind: stored.name})
            yield row
    except Infected:
        session.rollback()
        files.note_infection(session, sent)
        session.commit()
        raise


def remove_picture(session: Session, actor: Actor, tenant_id: int, kind: Picture) -> Branding:
    """Remove a picture from the branding; removing it twice is no error."""
    tenants.check_served(session, actor, tenant_id, lock=True)
    row = _row(session, tenant_id)
    _write(session, row, {**_state_of(row), kind: None})
    return row


def _row(session: Session, tenant_id: int) -> Branding:
    unset = Branding(tenant_id=tenant_id, texts={}, concurrency_stamp=UNSET)
    return find_row(session, tenant_id) or unset


def _state_of(row: Branding) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COLUMNS}


def _write(session: Session, row: Branding, values: dict[str, Any]) -> None:
    before = _state_of(row)
    if before == values:
        return
    for name, value in values.items():
        setattr(row, name, value)
    row.concurrency_stamp = stamps.new_stamp()
    session.add(row)
    session.flush()
    audit.record_change(
        session,
        Tag.BRANDING_CHANGED,
        f"tenant:{row.tenant_id}",
        _recorded(before),
        _recorded(_state_of(row)),
        tenant_id=row.tenant_id,
    )


def _recorded(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with a field for each text, as the audit log names what was changed."""
    texts = {
        f"texts.{language}.{place}": text
        for language, places in state["texts"].items()
        for place, text in places.items()
    }
    return {name: value for name, value in state.items() if name != "texts"} | texts


def _picture(
    session: Session, actor: Actor, row: Branding, kind: str, name: str | None
) -> str | None:
    """Return the name of a picture that this tenant may show; the present one stays."""
    if not name or name == getattr(row, kind):
        return name or None
    stored = files.find(session, name)
    if stored is None or not _is_own(actor, row.tenant_id, stored):
        raise BadRequest.at(kind, NO_SUCH_FILE)
    return stored.name


def _is_own(actor: Actor, tenant_id: int, stored: StoredFile) -> bool:
    """Return whether a picture was uploaded for a tenant, or by the platform's administrators."""
    owners = {tenant_id}
    if actor.is_platform_admin:
        owners.add(PLATFORM_TENANT_ID)
    is_picture = stored.media_type in {kind.media_type for kind in kinds.IMAGES}
    return is_picture and stored.tenant_id in owners
