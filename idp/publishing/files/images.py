"""Images are encoded again: only pixels are kept, and a decompression bomb is not opened."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from io import BytesIO
from typing import IO

from PIL import Image, ImageOps

from idp.platform.errors import BadRequest
from idp.platform.translation import N_, filled

MOST_PIXELS = 40_000_000
"""An image of a good camera; decoded it takes about 120 MB."""
QUALITY = 90
MOST_ICON_PIXELS = 1_000_000
ICON_SIDE = 128
LARGEST = 20 * 1024 * 1024
"""Bytes of the result: an image that was compressed harder grows."""

# One at a time: decoding takes much memory.
_DRAWING = threading.Semaphore(1)
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
_MODES = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "LA", "RGB", "RGBA")}

# Raised by Pillow for malformed files.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def redraw(stream: IO[bytes], media_type: str, field: str) -> IO[bytes]:
    """Return the image without metadata, comments, thumbnails and appended data."""
    kind = _FORMATS[media_type]
    drawn = BytesIO()
    with _DRAWING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(stream, formats=(kind,)) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise _too_many(field)
                _plain(picture, kind).save(drawn, kind, quality=QUALITY)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _too_many(field) from None
        except _BROKEN:
            raise BadRequest.at(field, N_("The image is damaged.")) from None
    if drawn.tell() > LARGEST:
        raise BadRequest.at(field, N_("The image has too much detail for its size."))
    drawn.seek(0)
    return drawn


def icon(content: bytes) -> bytes:
    """Return a small PNG of an image of any kind that browsers show; BadRequest for anything else.

    A stranger's: only its pixels are kept, and a large one is not decoded at all.
    """
    drawn = BytesIO()
    with _DRAWING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as picture:
                if picture.width * picture.height > MOST_ICON_PIXELS:
                    raise BadRequest(N_("The image is damaged."), debug="too large")
                small = picture.convert("RGBA")
                small.thumbnail((ICON_SIDE, ICON_SIDE))
                small.info = {}
                small.save(drawn, "PNG")
        except _BROKEN:
            raise BadRequest(N_("The image is damaged.")) from None
    return drawn.getvalue()


def _plain(picture: Image.Image, kind: str) -> Image.Image:
    """Turn the image upright and keep only its pixels."""
    upright = ImageOps.exif_transpose(picture)
    mode = upright.mode
    if mode not in _MODES[kind]:
        is_transparent = kind == "PNG" and (mode == "PA" or "transparency" in upright.info)
        mode = "RGBA" if is_transparent else "L" if mode.startswith(("I", "F")) else "RGB"
        upright = upright.convert(mode)
    elif "transparency" in upright.info and kind == "PNG":
        upright = upright.convert("LA" if mode == "L" else "RGBA")
    upright.info = {}
    return upright


def _too_many(field: str) -> BadRequest:
    return BadRequest.at(field, filled(N_("The image exceeds %(most)s pixels."), most=MOST_PIXELS))
