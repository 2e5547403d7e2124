"""Small files of every kind that is accepted, and files that only look like one."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SECRET = "Shot at 52.3702 N, 4.8952 E"


def png(size: tuple[int, int] = (4, 3), mode: str = "RGB") -> bytes:
    """Draw a PNG with metadata."""
    told = PngInfo()
    told.add_text("Comment", SECRET)
    return _drawn(size, mode, "PNG", pnginfo=told, exif=_exif())


def jpeg(size: tuple[int, int] = (4, 3), mode: str = "RGB") -> bytes:
    """Draw a JPEG with metadata; it lies on its side."""
    return _drawn(size, mode, "JPEG", comment=SECRET.encode(), exif=_exif())


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = SECRET
    return exif


def _drawn(size: tuple[int, int], mode: str, kind: str, **options: object) -> bytes:
    picture = Image.new(mode, size)
    written = BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


def archive(*names: str, before: bytes = b"", after: bytes = b"") -> bytes:
    """Pack empty files, with something around the archive."""
    written = BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name in names:
            packed.writestr(zipfile.ZipInfo(name), "")  # of 1980, whenever it is made
    return before + written.getvalue() + after


DOCX_NAMES = ("[Content_Types].xml", "_rels/.rels", "word/document.xml")
DOCX = archive(*DOCX_NAMES)
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
DOC = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504) + "WordDocument".encode("utf-16-le")
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42" + b"\x00\x00\x00\x08mdat"
MOV = b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  " + b"\x00\x00\x00\x08mdat"
OLD_MOV = b"\x00\x00\x00\x08wide\x00\x00\x00\x08mdat"
AVI = b"RIFF\x24\x00\x00\x00AVI LIST" + bytes(32)
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(64)
FLV = b"FLV\x01\x05\x00\x00\x00\x09" + bytes(16)
WEBM = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d") + bytes(16)
MKV = bytes.fromhex("1a45dfa3a34286810142f7810142f2810442f38108428288") + b"matroska" + bytes(16)
MPG = b"\x00\x00\x01\xba" + bytes(32)
SWF = b"FWS\x0a" + struct.pack("<I", 24) + bytes(16)

FILES = {
    "avi": AVI,
    "mp4": MP4,
    "mov": MOV,
    "asf": ASF,
    "flv": FLV,
    "webm": WEBM,
    "mkv": MKV,
    "mpg": MPG,
    "swf": SWF,
    "pdf": PDF,
    "doc": DOC,
    "docx": DOCX,
}
"""By the extension that each is given."""

HTML = b"<!DOCTYPE html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"

REFUSED = {
    "empty": b"",
    "text": b"hello",
    "html": HTML,
    "html behind a byte order mark": b"\xef\xbb\xbf" + HTML,
    "svg": SVG,
    "svg in xml": b'<?xml version="1.0"?>' + SVG,
    "gif": GIF,
    "gif that is a script": b"GIF89a/*" + HTML + b"*/=1;",
    "program of Linux": b"\x7fELF\x02\x01\x01" + bytes(64),
    "program of Windows": b"MZ" + bytes(64),
    "shell script": b"#!/bin/sh\nid\n",
    "pdf behind junk": b"junk" + PDF,
    "pdf without an end": PDF.replace(b"%%EOF", b""),
    "pdf that is a page": PDF.replace(b"1 0 obj", b"<html><script>alert(1)</script>"),
    "pdf that is an archive": archive("a.class", before=PDF.removesuffix(b"%%EOF\n")) + b"\n%%EOF",
    "video that is a page": MP4 + b"< ScRiPt>alert(1)</script>",
    "video that is a pdf": MP4 + PDF,
    "video that is an archive": archive("a.class", before=MP4),
    "sound in a video's box": MP4.replace(b"ftypisom", b"ftypM4A "),
    "picture in a video's box": MP4.replace(b"ftypisom", b"ftypheic"),
    "plain archive": archive("a.txt"),
    "java archive": archive("META-INF/MANIFEST.MF", "A.class"),
    "spreadsheet": archive("[Content_Types].xml", "xl/workbook.xml"),
    "docx with macros": archive(*DOCX_NAMES, "word/vbaProject.bin"),
    "docx with something before": b"PK\x03\x04" + DOCX,
    "docx with something behind": DOCX + HTML,
    "docx that is cut off": DOCX[:-30],
    "archive of a thousand names too many": DOCX[:-12] + b"\xff\xff\xff\xff" + DOCX[-8:],
    "compound file without a document": DOC[:512],
    "flash that lies about its length": SWF + bytes(8),
    "matroska by the first four bytes": MKV[:4] + bytes(64),
    "picture": png(),
}
"""What `/File` must not take, whatever it is called."""
