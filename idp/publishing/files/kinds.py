"""The kind of a file, detected from its bytes alone.

Its name and its declared type are not trusted. A kind is accepted when the structure that
its readers look for is there, and when no other reader would take the file for something else: no
markup at its head, no archive at its tail, no second document inside.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

VIDEO = 20_000_000
DOCUMENT = 10_000_000
IMAGE = 5_242_880

HEAD = 4096
TAIL = 65_536 + 22
"""Bytes in which the end record of a ZIP archive can be."""
MOST_ENTRIES = 10_000

# What browsers sniff as markup, and servers as programs, in any case.
_MARKUP = re.compile(
    rb"<\s*(?:!doctype|html|head|body|script|iframe|svg|img|style|\?php)", re.IGNORECASE
)
_PDF = b"%PDF-"
_ZIP, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_MP4 = (b"avc1", b"dash", b"f4v ", b"iso", b"M4V", b"mp41", b"mp42", b"MSNV")
"""Beginnings of the brands of video; audio and still images have others."""
_QUICKTIME_ATOMS = frozenset((b"moov", b"mdat", b"wide"))


@dataclass(frozen=True, slots=True)
class Content:
    """A file under examination."""

    stream: IO[bytes]
    size: int
    head: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that is accepted."""

    media_type: str
    extension: str
    largest: int
    """Bytes."""
    matches: Callable[[Content], bool]


def detect(stream: IO[bytes], accepted: Sequence[Kind]) -> Kind | None:
    """Return which of the accepted kinds a file is; None: no kind, or more than one."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(HEAD)
    stream.seek(max(0, size - TAIL))
    content = Content(stream, size, head, stream.read())
    found = next((kind for kind in accepted if kind.matches(content)), None)
    stream.seek(0)
    return None if found is None or _is_something_else(content) else found


def _is_something_else(content: Content) -> bool:
    """Return whether another program would read this file as a kind of its own."""
    head, tail = content.head, content.tail
    is_zip = head.startswith(_ZIP)
    return bool(
        _MARKUP.search(head)
        # Readers of PDF look for its mark in the first kilobyte.
        or _PDF in head[1 : 1024 + len(_PDF)]
        # Readers of ZIP look for its end record from behind, whatever stands before.
        or (_ZIP_END in tail and not is_zip)
    )


def _is_jpeg(content: Content) -> bool:
    return content.head.startswith(b"\xff\xd8\xff")


def _is_png(content: Content) -> bool:
    return content.head.startswith(b"\x89PNG\r\n\x1a\n") and content.head[12:16] == b"IHDR"


def _is_pdf(content: Content) -> bool:
    # ISO 32000-1 7.5.5: the end mark stands in the last kilobyte, or readers call it broken.
    return content.head.startswith(_PDF) and b"%%EOF" in content.tail[-1024:]


def _is_doc(content: Content) -> bool:
    if not content.head.startswith(_OLE):
        return False
    content.stream.seek(0)
    # The directory of the compound file names its main stream.
    return "WordDocument".encode("utf-16-le") in content.stream.read(DOCUMENT)


def _is_docx(content: Content) -> bool:
    """Return whether it is one complete archive with a text document and without macros."""
    end = content.tail.rfind(_ZIP_END)
    if not content.head.startswith(_ZIP) or end < 0 or len(content.tail) < end + 22:
        return False
    entries, comment = struct.unpack_from("<10xH8xH", content.tail, end)
    # Nothing may follow the archive, and reading its directory must stay cheap.
    if end + 22 + comment != len(content.tail) or entries > MOST_ENTRIES:
        return False
    content.stream.seek(0)
    try:
        with zipfile.ZipFile(content.stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OSError):
        return False
    names = {info.filename for info in infos}
    is_from_the_start = bool(infos) and min(info.header_offset for info in infos) == 0
    has_macros = any(name.lower().endswith("vbaproject.bin") for name in names)
    wanted = {"[Content_Types].xml", "word/document.xml"}
    return is_from_the_start and wanted <= names and not has_macros


def _is_avi(content: Content) -> bool:
    return content.head[:4] == b"RIFF" and content.head[8:16] == b"AVI LIST"


def _is_mp4(content: Content) -> bool:
    return content.head[4:8] == b"ftyp" and content.head[8:12].startswith(_MP4)


def _is_quicktime(content: Content) -> bool:
    if content.head[4:8] == b"ftyp":
        return content.head[8:12] == b"qt  "
    return content.head[4:8] in _QUICKTIME_ATOMS


def _is_asf(content: Content) -> bool:
    return content.head.startswith(_ASF)


def _is_flv(content: Content) -> bool:
    # Version 1, the header's reserved bits empty, its length 9.
    head = content.head
    return head[:4] == b"FLV\x01" and head[5:9] == b"\x00\x00\x00\x09" and not head[4] & 0xFA


def _is_ebml(content: Content, document_type: bytes) -> bool:
    # RFC 8794 11.2.6: the element DocType (0x4282) with its length.
    mark = b"\x42\x82" + bytes([0x80 | len(document_type)]) + document_type
    return content.head.startswith(b"\x1a\x45\xdf\xa3") and mark in content.head[:128]


def _is_mpeg(content: Content) -> bool:
    return content.head.startswith((b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"))


def _is_flash(content: Content) -> bool:
    head = content.head
    if len(head) < 8 or head[:3] not in {b"FWS", b"CWS", b"ZWS"} or not 1 <= head[3] <= 50:  # noqa: PLR2004
        return False
    length = int.from_bytes(head[4:8], "little")
    return length == content.size if head[:1] == b"F" else length >= content.size - 12


IMAGES = (
    Kind("image/jpeg", "jpg", IMAGE, _is_jpeg),
    Kind("image/png", "png", IMAGE, _is_png),
)
"""Kinds that `/File/Image` accepts."""

FILES = (
    Kind("video/x-msvideo", "avi", VIDEO, _is_avi),
    Kind("video/mp4", "mp4", VIDEO, _is_mp4),
    Kind("video/quicktime", "mov", VIDEO, _is_quicktime),
    Kind("video/x-ms-asf", "asf", VIDEO, _is_asf),
    Kind("video/x-flv", "flv", VIDEO, _is_flv),
    Kind("video/webm", "webm", VIDEO, lambda content: _is_ebml(content, b"webm")),
    Kind("video/x-matroska", "mkv", VIDEO, lambda content: _is_ebml(content, b"matroska")),
    Kind("video/mpeg", "mpg", VIDEO, _is_mpeg),
    Kind("application/x-shockwave-flash", "swf", VIDEO, _is_flash),
    Kind("application/pdf", "pdf", DOCUMENT, _is_pdf),
    Kind("application/msword", "doc", DOCUMENT, _is_doc),
    Kind(
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
        DOCUMENT,
        _is_docx,
    ),
)
"""Kinds that `/File` accepts: videos, and documents of half the size."""
