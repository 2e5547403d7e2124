"""What a file is, told from its bytes: every kind, and everything that poses as one."""

from __future__ import annotations

import random
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.publishing.files import kinds
from tests import samples

pytestmark = pytest.mark.no_database


def tell(content, accepted=kinds.FILES):
    found = kinds.detect(BytesIO(content), accepted)
    return found and found.extension


@pytest.mark.parametrize("extension", samples.FILES)
def test_every_kind_is_known_by_its_content(extension):
    assert tell(samples.FILES[extension]) == extension
    assert tell(samples.FILES[extension], kinds.IMAGES) is None


def test_every_kind_has_a_sample():
    assert [kind.extension for kind in kinds.FILES] == [*samples.FILES]


def test_pictures_are_known_by_their_content():
    assert tell(samples.png(), kinds.IMAGES) == "png"
    assert tell(samples.jpeg(), kinds.IMAGES) == "jpg"
    assert tell(samples.OLD_MOV) == "mov"


@pytest.mark.parametrize("name", samples.REFUSED)
def test_what_is_something_else_is_refused(name):
    assert tell(samples.REFUSED[name]) is None


@pytest.mark.parametrize("appended", [samples.archive("a"), b""], ids=["archive", "nothing"])
@pytest.mark.parametrize("picture", [samples.png(), samples.jpeg()], ids=["png", "jpeg"])
def test_a_picture_that_is_an_archive_is_none(picture, appended):
    assert (tell(picture + appended, kinds.IMAGES) is None) is bool(appended)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_examination(content):
    for beginning in (b"", b"PK\x03\x04", b"PK\x05\x06", b"FWS", b"\x1a\x45\xdf\xa3", b"FLV\x01"):
        tell(beginning + content)
        tell(beginning + content, kinds.IMAGES)


def test_what_is_compressed_is_not_mistaken_for_markup():
    source = random.Random(7)
    for _ in range(200):
        assert tell(samples.MP4 + source.randbytes(8192)) == "mp4"
