"""Where contents lie: a folder, and a bucket behind a real S3 server; wholly or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
import urllib.request
from io import BytesIO

import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import select

from idp.config import SettingsError
from idp.platform.errors import NotFound, Unavailable
from idp.publishing.files import storage
from idp.publishing.files.bucket import Bucket
from idp.publishing.files.models import StoredFile
from idp.publishing.files.storage import Folder
from tests import protocol, samples
from tests.api import center
from tests.conftest import make_settings
from tests.servers import free_port

pytestmark = pytest.mark.no_database

NAME = "00112233445566778899aabbccddeeff.pdf"
HEADERS = {
    "Content-Type": "application/pdf",
    "Content-Disposition": 'attachment; filename="a.pdf"',
    "Cache-Control": "public, max-age=31536000, immutable",
}


@pytest.fixture(scope="module")
def s3():
    """Run an S3 server with one bucket."""
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{port}"
    put(f"{url}/uploads")
    yield url
    server.stop()


def put(url):
    headers = {"x-amz-acl": "public-read"}
    request = urllib.request.Request(url, method="PUT", headers=headers)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def bucket(s3, bucket_name="uploads"):
    return Bucket.at(
        f"s3://{bucket_name}/files?endpoint={s3}&region=us-east-1&access_key_id=a&secret_access_key=b"
    )


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    if request.param == "folder":
        return Folder(tmp_path / "files")
    return bucket(request.getfixturevalue("s3"))


def test_what_was_put_is_read_and_forgotten(store):
    content = os.urandom(6_000_000)
    store.put(NAME, BytesIO(content), HEADERS)
    assert store.read(NAME) == content
    store.delete(NAME)
    store.delete(NAME)
    with pytest.raises(NotFound):
        store.read(NAME)


def test_a_bucket_knows_how_to_give_a_file_out(s3):
    """The address of the bucket may be the public one."""
    bucket(s3).put(NAME, BytesIO(b"content"), HEADERS)
    with urllib.request.urlopen(f"{s3}/uploads/files/{NAME}") as answer:
        assert answer.read() == b"content"
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "content", [samples.PDF, samples.MP4 + bytes(6_000_000)], ids=["small", "large"]
)
def test_an_upload_goes_to_the_bucket_and_comes_back(client, session, s3, monkeypatch, content):
    ann = center.manager(client, session, username="ann", scopes=["ids4.ms.file.all"])

    def send(store):
        monkeypatch.setattr(storage, "open_store", lambda _: store)
        body = (
            b'--x\r\nContent-Disposition: form-data; name="value"; filename="May.any"\r\n\r\n'
            + content
            + b"\r\n--x--\r\n"
        )
        return client.post(
            "/api/File",
            data=body,
            content_type="multipart/form-data; boundary=x",
            headers=protocol.bearer(ann.token),
        )

    answer = send(bucket(s3)).get_json()
    assert answer["code"] == 200
    name = answer["data"].rpartition("/")[2]
    assert client.get(f"/files/{name}").data == content
    with urllib.request.urlopen(f"{s3}/uploads/files/{name}") as public:
        assert public.read() == content
        assert public.headers["Content-Disposition"].startswith("attachment; filename=May.")
    assert send(bucket(f"http://127.0.0.1:{free_port()}")).status_code == 503
    assert client.get(f"/files/{name}").status_code == 503
    assert len(session.scalars(select(StoredFile)).all()) == 1


def test_a_bucket_that_is_not_there_is_an_answer(s3):
    for store in (bucket(s3, "nowhere"), bucket(f"http://127.0.0.1:{free_port()}")):
        with pytest.raises(Unavailable) as refusal:
            store.put(NAME, BytesIO(b"content"), HEADERS)
        assert "secret" not in f"{refusal.value.detail} {refusal.value.debug}"


def test_settings_name_the_store(tmp_path):
    assert storage.open_store(make_settings(tmp_path)) == Folder(tmp_path / "data" / "files")
    url = "s3://uploads/files?region=us-east-1"
    assert isinstance(storage.open_store(make_settings(tmp_path, files_url=url)), Bucket)
    for wrong in ("ftp://uploads", "s3://uploads?no_such_thing=1"):
        with pytest.raises(SettingsError, match="IDP_FILES_URL"):
            storage.open_store(make_settings(tmp_path, files_url=wrong))


def test_others_cannot_look_into_the_folder(tmp_path):
    store = Folder(tmp_path / "files")
    store.put(NAME, BytesIO(b"content"), HEADERS)
    (path,) = files_below(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@contextlib.contextmanager
def room_for(size):
    """Limit the size of files by the kernel."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_where_the_kernel_refuses_nothing_is_left(tmp_path):
    store = Folder(tmp_path / "files")
    with room_for(100_000), pytest.raises(Unavailable) as refusal:
        store.put(NAME, BytesIO(bytes(1_000_000)), HEADERS)
    assert refusal.value.debug == os.strerror(errno.EFBIG)
    assert files_below(tmp_path) == []
    store.put(NAME, BytesIO(bytes(1_000_000)), HEADERS)
    assert len(store.read(NAME)) == 1_000_000
