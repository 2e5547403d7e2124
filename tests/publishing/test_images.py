"""Pictures are drawn anew, and bombs are not opened."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from idp.platform.errors import BadRequest
from idp.publishing.files import images
from tests import samples

pytestmark = pytest.mark.no_database


def redraw(content, media_type="image/png"):
    return images.redraw(BytesIO(content), media_type, "value").read()


@pytest.mark.parametrize(
    ("content", "media_type", "kind"),
    [(samples.png(), "image/png", "PNG"), (samples.jpeg(), "image/jpeg", "JPEG")],
    ids=["png", "jpeg"],
)
def test_nothing_but_pixels_survives(content, media_type, kind):
    assert samples.SECRET.encode() in content
    drawn = redraw(content + samples.HTML, media_type)
    assert samples.SECRET.encode() not in drawn
    assert b"script" not in drawn
    with Image.open(BytesIO(drawn)) as picture:
        # It stands upright now, since nothing tells any more how it lies.
        assert (picture.format, picture.size) == (kind, (3, 4))
        assert not picture.getexif()
        assert not {"comment", "Comment", "exif", "icc_profile", "xmp"} & picture.info.keys()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_is_drawn(mode):
    with Image.open(BytesIO(redraw(samples.png(mode=mode)))) as picture:
        assert picture.size == (3, 4)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_mode_of_jpeg_is_drawn(mode):
    with Image.open(BytesIO(redraw(samples.jpeg(mode=mode), "image/jpeg"))) as picture:
        assert picture.mode == ("L" if mode == "L" else "RGB")


def test_transparency_stays():
    written = BytesIO()
    Image.new("P", (2, 2), 0).save(written, "PNG", transparency=0)
    with Image.open(BytesIO(redraw(written.getvalue()))) as picture:
        assert picture.getpixel((0, 0))[3] == 0


def chunk(kind, content):
    return (
        struct.pack("!I", len(content)) + kind + content
        + struct.pack("!I", zlib.crc32(kind + content))
    )  # fmt: skip


def bomb(width, height):
    """Write a PNG of a few kilobytes that claims to be huge."""
    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = zlib.compress(bytes(1_000_000), 9)
    return samples.png()[:8] + chunk(b"IHDR", head) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (9_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_not_opened(size, monkeypatch):
    content = bomb(*size)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was opened"))
    with pytest.raises(BadRequest, match="pixels"):
        redraw(content)


@pytest.mark.parametrize("cut", [8, 20, 40, 60])
def test_a_broken_picture_is_refused(cut):
    for content, media_type in ((samples.png(), "image/png"), (samples.jpeg(), "image/jpeg")):
        with pytest.raises(BadRequest, match="damaged"):
            redraw(content[:cut], media_type)


def test_a_text_that_unpacks_to_much_is_refused():
    text = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    with pytest.raises(BadRequest, match="damaged"):
        redraw(samples.png()[:33] + chunk(b"zTXt", text) + samples.png()[33:])


def test_a_picture_is_only_what_it_is_taken_for():
    with pytest.raises(BadRequest):
        redraw(samples.GIF)
    with pytest.raises(BadRequest):
        redraw(samples.jpeg(), "image/png")


def test_a_picture_that_grows_when_it_is_drawn_is_refused(monkeypatch):
    content = samples.png((600, 400))
    monkeypatch.setattr(images, "LARGEST", len(redraw(content)))
    redraw(content)
    monkeypatch.setattr(images, "LARGEST", images.LARGEST - 1)
    with pytest.raises(BadRequest, match="detail"):
        redraw(content)
