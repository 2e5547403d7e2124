"""The rules of files: what is stored, under which name, and how it is served."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.http import dump_options_header

from idp.platform import runtime
from idp.platform.audit import service as audit
from idp.platform.audit.tags import Tag
from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled
from idp.publishing.files import images, kinds, scanner, storage
from idp.publishing.files.kinds import Kind
from idp.publishing.files.models import StoredFile

FIELD = "value"
"""Name of the kind in the contract."""
CACHE = "public, max-age=31536000, immutable"
"""The content under a name never changes."""
PATH = "/files/"
NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{2,5}")
LONGEST_NAME = 255


class Infected(BadRequest):
    """The scanner refused a file; the audit log records it."""

    code = "infected"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as it was uploaded; its name is not trusted."""

    stream: IO[bytes]
    unverified_name: str
    client_id: str
    user_id: int | None
    tenant_id: int | None


@contextmanager
def keep(session: Session, sent: Sent, accepted: Sequence[Kind]) -> Iterator[StoredFile]:
    """Store a file whose content is one of the accepted kinds; the block commits.

    When the block fails, the content is removed from the store. Until the content is checked and
    stored, the database has no row of it.
    """
    process = runtime.of(session)
    kind = kinds.detect(sent.stream, accepted)
    if kind is None:
        names = ", ".join(kind.extension for kind in accepted)
        raise BadRequest.at(
            FIELD, filled(N_("The content must be one of: %(names)s."), names=names)
        )
    size = _size(sent.stream)
    if size > kind.largest:
        raise BadRequest.at(
            FIELD,
            filled(N_("A file of this kind may have at most %(most)s bytes."), most=kind.largest),
        )
    if not scanner.is_clean(process.settings.files_scanner, sent.stream):
        raise Infected.at(FIELD, N_("The virus scanner refuses this file."))
    stream = sent.stream
    if accepted is kinds.IMAGES:
        stream = images.redraw(stream, kind.media_type, FIELD)
    stored = StoredFile(
        name=f"{secrets.token_hex(16)}.{kind.extension}",
        original_name=clean_name(sent.unverified_name, kind.extension),
        media_type=kind.media_type,
        size=_size(stream),
        content_hash=hashlib.sha256(stream.read()).digest(),
        user_id=sent.user_id,
        client_id=sent.client_id,
        tenant_id=sent.tenant_id,
    )
    stream.seek(0)
    store = storage.open_store(process.settings)
    store.put(stored.name, stream, headers(stored))
    try:
        session.add(stored)
        session.flush()
        audit.record(
            session,
            Tag.FILE_STORED,
            tenant_id=stored.tenant_id,
            target=f"file:{stored.name}",
            details={"media_type": stored.media_type, "size": stored.size},
        )
        yield stored
    except BaseException:
        store.delete(stored.name)
        raise


def note_infection(session: Session, sent: Sent) -> None:
    """Record in the audit log that the scanner refused a file."""
    audit.record(session, Tag.FILE_REFUSED, tenant_id=sent.tenant_id)


def find(session: Session, name: str) -> StoredFile | None:
    """Find a file by the name under which it is served."""
    if not NAME.fullmatch(name):
        return None
    return session.scalar(select(StoredFile).where(StoredFile.name == name))


def read(session: Session, stored: StoredFile) -> bytes:
    """Return the content of a file."""
    return storage.open_store(runtime.of(session).settings).read(stored.name)


def address(session: Session, stored: StoredFile, issuer_url: str) -> str:
    """Return the public address of a file: at the origin of files, or at the issuer."""
    origin = runtime.of(session).settings.files_public_url or issuer_url
    return f"{origin}{PATH}{stored.name}"


def headers(stored: StoredFile) -> dict[str, str]:
    """Return headers for serving a file: it is saved under its name and never shown as a page."""
    return {
        "Content-Type": stored.media_type,
        "Content-Disposition": disposition(stored.original_name),
        "Cache-Control": CACHE,
    }


def disposition(name: str) -> str:
    """Return a file name for saving: in ASCII, and in full (RFC 6266 4.3)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    options: dict[str, str | None] = {"filename": plain.replace('"', "").replace("%", "") or "file"}
    if name != options["filename"]:
        options["filename*"] = "UTF-8''" + quote(name, safe="")
    return dump_options_header("attachment", options)


def clean_name(unverified_name: str, extension: str) -> str:
    """Return the last part of a name, without control characters, with the true extension."""
    last = re.split(r"[/\\]", unverified_name)[-1]
    # Control and format characters hide an extension, or reverse the text.
    visible = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C")
    stem = visible.rpartition(".")[0] if "." in visible else visible
    stem = re.sub(r'[<>:"|?*]', "_", stem).strip(" .")
    return f"{stem[: LONGEST_NAME - len(extension) - 1] or 'file'}.{extension}"


def _size(stream: IO[bytes]) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    return size
