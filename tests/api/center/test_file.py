"""Files: what may be sent, where it lies, how it is served, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import sys
import tempfile
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from idp.api.center import file as operations
from idp.api.center.dialect import center as dialect
from idp.platform.audit import service as audit
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.service import Filters
from idp.platform.audit.tags import Tag
from idp.platform.web import uploads
from idp.publishing.files import kinds, limits, storage
from idp.publishing.files import service as files
from idp.publishing.files.models import StoredFile
from tests import protocol, samples
from tests.api import center

VIDEO, DOCUMENT, IMAGE = 20_000_000, 10_000_000, 5_242_880
FORM = "multipart/form-data; boundary=x"
HEAD = b'--x\r\nContent-Disposition: form-data; name="value"; filename="a"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"
FILES_HOST = "http://files.example.net"
SCANS = "import sys; sys.exit(b'EICAR' in sys.stdin.buffer.read())"
SCANNER = f"{sys.executable} -c {shlex.quote(SCANS)}"


@pytest.fixture
def ann(client, session):
    """Return a person who may send files and has no permission at all."""
    return center.manager(client, session, username="ann", scopes=["ids4.ms.file.all"])


def send(caller, content, name="video.mp4", *, path="/File", **options):
    form = {"value": (BytesIO(content), name)} if content is not None else {}
    headers = protocol.bearer(caller.token) if caller.token else {}
    return caller.browser.post(
        options.pop("prefix", "/api") + path,
        data=options.pop("form", form),
        headers=headers | options.pop("headers", {}),
        content_type=options.pop("content_type", "multipart/form-data"),
        **options,
    )


def kept(caller, content, name="video.mp4", **options):
    """Send a file that is taken; return its address."""
    answer = send(caller, content, name, **options)
    envelope = answer.get_json()
    assert (answer.status_code, envelope["code"]) == (200, 200), envelope
    return envelope["data"]


def refused(caller, content, name="video.mp4", **options):
    """Send a file that is refused; return the reason."""
    envelope = send(caller, content, name, **options).get_json()
    assert (envelope["code"], envelope["data"]) == (422, None), envelope
    return envelope["message"]


def fetch(caller, address, **headers):
    return caller.browser.get(urlsplit(address).path, headers=headers)


def lying(settings):
    """List the contents in the folder."""
    return [path for path in settings.files_dir.rglob("*") if path.is_file()]


# Done


@pytest.mark.parametrize("prefix", ["/api", ""])
def test_every_kind_is_kept_and_given_out_as_it_is(ann, session, settings, prefix):
    for extension, content in samples.FILES.items():
        address = kept(ann, content, "Report of May.any", prefix=prefix)
        assert address.startswith(f"{settings.public_url}/files/")
        assert address.endswith(f".{extension}")
        answer = fetch(ann, address)
        assert (answer.status_code, answer.data) == (200, content)
        stored = files.find(session, address.rpartition("/")[2])
        assert stored.original_name == f"Report of May.{extension}"
        assert stored.content_hash == hashlib.sha256(content).digest()
        assert (stored.user_id, stored.client_id, stored.tenant_id) == (ann.user.id, center.TOOL, 1)
        assert answer.headers["Content-Disposition"] == (
            f'attachment; filename="Report of May.{extension}"'
        )
        assert answer.content_type == stored.media_type


@pytest.mark.parametrize("content", [samples.png(), samples.jpeg()], ids=["png", "jpeg"])
def test_a_picture_is_given_out_without_what_it_told(ann, content):
    assert samples.SECRET.encode() in content
    answer = fetch(ann, kept(ann, content, "me.png", path="/File/Image"))
    assert answer.status_code == 200
    assert samples.SECRET.encode() not in answer.data
    assert answer.content_type in {"image/png", "image/jpeg"}


def test_it_is_given_out_where_it_can_do_no_harm(ann, client):
    address = kept(ann, samples.PDF)
    client.set_cookie("some", "cookie", domain="127.0.0.1")
    answer = fetch(ann, address)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].split("; ")[:2] == [
        "sandbox",
        "default-src 'none'",
    ]
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in answer.headers
    assert fetch(ann, address, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
    part = fetch(ann, address, Range="bytes=0-4")
    assert (part.status_code, part.data) == (206, b"%PDF-")
    head = client.head(urlsplit(address).path)
    assert (head.status_code, head.content_length) == (200, len(samples.PDF))


def test_two_files_of_one_name_and_day_stay_two(ann):
    """The old system wrote the later over the earlier."""
    first, second = (kept(ann, content, "a.any") for content in (samples.PDF, samples.MP4))
    assert fetch(ann, first).data == samples.PDF
    assert fetch(ann, second).data == samples.MP4


def test_a_machine_may_send(client, session):
    robot = protocol.register_machine(session, "robot", ["ids4.ms.file.post"])
    token = protocol.machine_token(client, robot).get_json()["access_token"]
    kept(center.Caller(client, None, token), samples.PDF)
    stored = session.scalars(select(StoredFile)).one()
    assert (stored.user_id, stored.client_id, stored.tenant_id) == (None, "robot", None)


def test_the_trail_tells_who_sent_what(ann, session):
    address = kept(ann, samples.PDF)
    (event,) = audit.search(session, Filters(tag=Tag.FILE_STORED))
    assert (event.user_id, event.client_id, event.tenant_id) == (ann.user.id, center.TOOL, 1)
    assert event.target == f"file:{address.rpartition('/')[2]}"


def test_other_fields_of_the_form_are_nothing(ann):
    form = {"value": (BytesIO(samples.PDF), "a.pdf"), "note": "x", "other": (BytesIO(b"x"), "b")}
    kept(ann, None, form=form)


# Names


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd.pdf"),
        ("/", "file.pdf"),
        ("..", "file.pdf"),
        (".htaccess", "file.pdf"),
        ("invoice.pdf.exe", "invoice.pdf.pdf"),
        ("fdp\u202eexe.pdf", "fdpexe.pdf"),
        ("a\x07b;c.pdf", "ab;c.pdf"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("年度报告.pdf", "年度报告.pdf"),
        ("%2e%2e%2fa.pdf", "%2e%2e%2fa.pdf"),
    ],
)
def test_a_name_is_a_text_and_no_path(ann, session, settings, sent, shown):
    answer = fetch(ann, kept(ann, samples.PDF, sent))
    assert session.scalars(select(StoredFile.original_name)).one() == shown
    (path,) = lying(settings)
    assert files.NAME.fullmatch(path.name)
    assert path.is_relative_to(settings.files_dir.resolve()) or path.is_relative_to(
        settings.files_dir
    )
    assert "\n" not in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("..\\..\\windows\\system.ini", "system.pdf"),
        ('"><script>.pdf', "___script_.pdf"),
        ("a\r\nSet-Cookie: b.pdf", "aSet-Cookie_ b.pdf"),
        ("\ud800.pdf", "file.pdf"),
        ("  .pdf  ", "file.pdf"),
        ("", "file.pdf"),
    ],
)
def test_a_name_says_nothing_to_a_shell_or_a_header(sent, shown):
    assert files.clean_name(sent, "pdf") == shown


def test_a_name_beyond_ascii_is_kept_for_who_can_read_it(ann):
    answer = fetch(ann, kept(ann, samples.PDF, "年报 2026.pdf"))
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\" 2026.pdf\"; filename*=UTF-8''%E5%B9%B4%E6%8A%A5%202026.pdf"
    )


def test_nothing_else_is_given_out(ann, client):
    kept(ann, samples.PDF)
    for name in (
        *("0" * 32 + ".pdf", "A" * 32 + ".pdf", "0" * 32, "", "secret_key"),
        *("../idp.sqlite3", "..%2fidp.sqlite3", "%2e%2e%2f%2e%2e%2fsecret_key"),
    ):
        assert client.get(f"/files/{name}").status_code == 404, name


# Refused


@pytest.mark.parametrize("called", [("a.mp4", "video/mp4"), ("a.pdf", "application/pdf")])
def test_what_a_file_is_its_content_tells(ann, session, settings, called):
    for name, content in samples.REFUSED.items():
        assert "value" in refused(ann, None, form={"value": (BytesIO(content), *called)}), name
    assert session.scalars(select(StoredFile)).all() == []
    assert lying(settings) == []


def test_only_jpeg_and_png_are_pictures(ann, session, settings):
    for content in (
        *(samples.SVG, samples.HTML, samples.GIF, samples.PDF, samples.MP4, b""),
        samples.png()[:40],
        samples.jpeg() + samples.archive("a"),
        b"\xff\xd8\xff" + samples.HTML,
    ):
        form = {"value": (BytesIO(content), "me.png", "image/png")}
        assert "value" in refused(ann, None, path="/File/Image", form=form), content[:40]
    assert session.scalars(select(StoredFile)).all() == []
    assert lying(settings) == []


def test_a_file_is_needed_and_one_is_enough(ann):
    two = {"value": [(BytesIO(samples.PDF), "a.pdf"), (BytesIO(samples.PDF), "b.pdf")]}
    for form in ({}, {"value": "text"}, {"file": (BytesIO(samples.PDF), "a.pdf")}, two):
        assert "value" in refused(ann, None, form=form)


MALFORMED = [
    ("application/json", b"{}"),
    ("application/pdf", samples.PDF),
    ("application/x-www-form-urlencoded", b"value=a"),
    ("multipart/form-data", b"--x\r\n"),
    ("multipart/form-data; boundary=x", b""),
    ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=value"),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="value"; filename="a"\r\n\r\n%PDF-',
    ),
    ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 100_000),
    ("", b"anything"),
]


def test_what_is_no_form_is_refused(ann):
    for content_type, body in MALFORMED:
        assert "value" in refused(ann, None, form=body, content_type=content_type), content_type


def test_a_media_type_that_cannot_be_read_is_refused_before_the_form(ann):
    answer = ann.browser.post(
        "/api/File/Image",
        data=b"--x--",
        content_type="multipart/form-data; boundary=\xe9",
        headers={"Authorization": f"Bearer {ann.token}"},
    )
    assert answer.status_code == 400
    assert answer.get_json()["detail"] == "The Content-Type header is broken"


def test_a_form_of_many_parts_is_refused(ann):
    many = {f"f{number}": "x" for number in range(100)}
    assert "value" in refused(ann, None, form={**many, "value": (BytesIO(samples.PDF), "a")})


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize(
    ("path", "content", "largest"),
    [
        ("/File", samples.MP4, VIDEO),
        ("/File", samples.PDF.removesuffix(b"%%EOF\n"), DOCUMENT),
        ("/File/Image", samples.jpeg(), IMAGE),
    ],
    ids=["video", "document", "picture"],
)
def test_a_file_has_a_largest_size(ann, path, content, largest, extra):
    end = b"%%EOF\n" if content.startswith(b"%PDF") else b""
    whole = content + bytes(largest + extra - len(content) - len(end)) + end
    form = {"form": HEAD + whole + TAIL, "content_type": FORM}
    if extra:
        assert str(largest) in refused(ann, None, path=path, **form)
    else:
        kept(ann, None, path=path, **form)


class Endless:
    """A body that never ends, and counts what is read of it."""

    def __init__(self, head):
        self.head, self.read_so_far = head, 0

    def read(self, size=-1):
        assert size > 0, "the whole of it was asked for"
        piece, self.head = self.head[:size], self.head[size:]
        piece = piece or bytes(size)
        self.read_so_far += len(piece)
        return piece

    def readinto(self, buffer):
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def pour(caller, path, *, length=None):
    """Send what does not end; return the answer and how much of it was read."""
    stream = Endless(HEAD + samples.MP4)
    declared = {"CONTENT_LENGTH": str(length)} if length else {"wsgi.input_terminated": True}
    answer = caller.browser.open(
        f"/api{path}",
        method="POST",
        headers=protocol.bearer(caller.token) if caller.token else {},
        environ_overrides={"wsgi.input": stream, "CONTENT_TYPE": FORM, **declared},
    )
    return answer, stream.read_so_far


@pytest.mark.parametrize(("path", "largest"), [("/File", VIDEO), ("/File/Image", IMAGE)])
def test_reading_stops_at_the_limit(ann, settings, path, largest):
    answer, taken = pour(ann, path)
    assert answer.get_json()["code"] == 422
    assert largest < taken < largest + 2 * uploads.OVERHEAD
    assert lying(settings) == []


def test_what_says_that_it_is_too_large_is_not_read(ann):
    for path in ("/File", "/File/Image"):
        answer, taken = pour(ann, path, length=100_000_000)
        assert (answer.status_code, taken) == (413, 0)


def test_of_a_stranger_nothing_is_read(ann, client, session):
    nobody = center.Caller(client, ann.user, None)
    other = center.manager(client, session, username="ben", scopes=["ids4.ms.role.get"])
    for caller, status in ((nobody, 401), (other, 403)):
        answer, taken = pour(caller, "/File")
        assert (answer.status_code, taken) == (status, 0)


def test_the_rest_of_the_service_takes_no_large_bodies(ann):
    for method, path in (("PUT", "/File"), ("POST", "/File/"), ("POST", "/Role")):
        answer = ann.browser.open(
            f"/api{path}", method=method, data=bytes(2_000_000), headers=protocol.bearer(ann.token)
        )
        assert answer.status_code == 413


def test_nothing_is_locked_while_a_file_arrives(ann, new_client, session, runtime):
    """On SQLite an open transaction would keep everybody else from writing."""

    class Slow(BytesIO):
        def read(self, size=-1):
            with runtime.sessions() as other:
                audit.record(other, Tag.SETUP_DONE)
                other.commit()
            return super().read(size)

        def readinto(self, buffer):
            piece = self.read(len(buffer))
            buffer[: len(piece)] = piece
            return len(piece)

    body = HEAD + samples.PDF + TAIL
    stream = Slow(body)
    declared = {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": str(len(body))}
    answer = ann.browser.open(
        "/api/File",
        method="POST",
        headers=protocol.bearer(ann.token),
        environ_overrides={"wsgi.input": stream, **declared},
    )
    assert answer.get_json()["code"] == 200, answer.get_data()
    assert session.scalars(select(AuditEvent).where(AuditEvent.tag == Tag.SETUP_DONE)).first()


def test_somebody_who_sends_too_much_is_told_to_wait(ann, monkeypatch):
    for _ in range(operations.PER_MINUTE):
        send(ann, b"x")
    answer = send(ann, samples.PDF)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


# When something fails


def test_a_full_disk_is_told_and_nothing_is_left(ann, session, settings, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = center.whole_database(session)
    for module, name in ((storage.shutil, "copyfileobj"), (storage.os, "fsync")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            answer = send(ann, samples.PDF)
        assert answer.status_code == 503
        assert str(settings.data_dir) not in answer.get_data(as_text=True)
        assert lying(settings) == []
    assert center.whole_database(session) == before
    kept(ann, samples.PDF)


def test_no_room_for_the_temporary_copy_is_told(ann, settings, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", fail)
    assert send(ann, samples.PDF).status_code == 503
    assert lying(settings) == []


def test_a_database_that_fails_leaves_no_content(ann, session, settings, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError

    monkeypatch.setattr(files.audit, "record", fail)
    assert send(ann, samples.PDF).get_json()["code"] == 417
    assert lying(settings) == []
    assert session.scalars(select(StoredFile)).all() == []


@pytest.mark.settings(files_scanner=SCANNER)
def test_what_the_scanner_refuses_is_not_kept_and_noted(ann, session, settings):
    assert "virus" in refused(ann, samples.PDF.replace(b"1.7", b"1.7 EICAR"))
    assert lying(settings) == []
    assert session.scalars(select(StoredFile)).all() == []
    (event,) = audit.search(session, Filters(tag=Tag.FILE_REFUSED))
    assert (event.user_id, event.tenant_id) == (ann.user.id, 1)
    kept(ann, samples.PDF)


@pytest.mark.settings(files_scanner="unix:/no/such/socket")
def test_a_scanner_that_is_away_lets_nothing_in(ann, session, settings):
    assert send(ann, samples.PDF).status_code == 503
    assert lying(settings) == []


def test_a_content_that_is_gone_is_not_found(ann, settings):
    address = kept(ann, samples.PDF)
    for path in lying(settings):
        path.unlink()
    assert fetch(ann, address).status_code == 404


# Another origin


@pytest.mark.settings(files_public_url=FILES_HOST)
def test_another_origin_gives_out_files_and_nothing_else(ann, new_client, settings):
    address = kept(ann, samples.PDF)
    assert address.startswith(f"{FILES_HOST}/files/")
    path = urlsplit(address).path
    elsewhere = new_client(FILES_HOST)
    answer = elsewhere.get(path)
    assert (answer.status_code, answer.data) == (200, samples.PDF)
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    moved = fetch(ann, address)
    assert (moved.status_code, moved.location) == (308, address)
    token = protocol.bearer(ann.token)
    for other in ("/login", "/api/File", "/.well-known/openid-configuration", "/", "/static/x"):
        for method in ("GET", "POST"):
            answer = elsewhere.open(other, method=method, headers=token)
            assert answer.status_code in {400, 404}, other
            assert "Set-Cookie" not in answer.headers
    missing = elsewhere.get("/files/" + "0" * 32 + ".pdf", headers={"Accept": "text/html"})
    assert (missing.status_code, missing.mimetype) == (404, "text/plain")


def test_the_kinds_are_those_of_the_contract():
    assert (kinds.VIDEO, kinds.DOCUMENT, kinds.IMAGE) == (VIDEO, DOCUMENT, IMAGE)


def test_addresses_that_take_more_are_those_of_operations_and_the_page_that_take_files():
    taking = {operation.path for operation in dialect.operations if operation.upload is not None}
    uploading = dict(limits.UPLOADS)
    assert uploading.pop(limits.PICTURE) == kinds.IMAGE + uploads.OVERHEAD
    assert {path.removeprefix("/api") for path in uploading} == taking
    assert set(uploading.values()) == {VIDEO + uploads.OVERHEAD}
