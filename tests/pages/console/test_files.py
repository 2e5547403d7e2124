"""Uploaded files in the console: the list, where one is used, and its end."""

from __future__ import annotations

from itertools import count

import pytest
from sqlalchemy import select

from idp.directory.branding.models import Branding
from idp.directory.clients.models import Client
from idp.platform.audit.tags import Tag
from idp.platform.errors import NotFound
from idp.platform.jobs.models import OutboxMessage
from idp.publishing.files import storage
from idp.publishing.files.models import StoredFile
from tests.delivery import deliver_due
from tests.pages.browsing import HTML, csrf_token, events, readable, statements
from tests.protocol import add_person, add_role, register, sign_in

PATH = "/console/platform/files"
HOSTILE = "<b>\u202e'\"&"
_numbers = count(1)


@pytest.fixture
def add(session):
    """Add files that were uploaded."""

    def one(**columns):
        name = f"{next(_numbers):032x}.pdf"
        values = {
            "name": name,
            "original_name": "report.pdf",
            "media_type": "application/pdf",
            "size": 2048,
            "content_hash": bytes(32),
            "client_id": "web",
        }
        row = StoredFile(**values | columns)
        session.add(row)
        session.commit()
        return row

    return one


@pytest.fixture
def send(client):
    """Send a form to an address, with the token of this browser."""

    def post(address, **form):
        token = csrf_token(client.get("/login?prompt=login"))
        return client.post(address, data={"csrf_token": token, **form}, headers=HTML)

    return post


def test_files_are_listed_with_size_kind_and_owner(client, session, root, add):
    ann = add_person(session, nick_name="Ann Lee")
    report = add(user_id=ann.id, tenant_id=1)
    add(original_name="me.png", media_type="image/png", client_id="robot")
    page = readable(client.get(PATH))
    for text in ("report.pdf", "2 kB", "Ann Lee", "robot", f"/files/{report.name}", "5.2 MB"):
        assert text in page
    assert "All files together: 4.1 kB" in page
    rows = readable(client.get(f"{PATH}?kind=image")).partition('id="rows"')[2]
    assert "me.png" in rows
    assert "report.pdf" not in rows
    assert "report.pdf" in readable(client.get(f"{PATH}?q=REPORT"))
    assert client.get(f"{PATH}?kind=program", headers=HTML).status_code == 400


def test_what_senders_wrote_is_shown_as_text(client, root, add):
    row = add(original_name=HOSTILE, client_id=HOSTILE * 20)
    for path in (PATH, f"{PATH}/{row.id}/delete"):
        assert "<b>" not in client.get(path).get_data(as_text=True)


def test_a_file_is_deleted_by_its_name_and_its_content_with_it(
    client, session, root, add, send, runtime
):
    row = add()
    row_id, name = row.id, row.name
    store = storage.open_store(runtime.settings)
    store.root.mkdir(parents=True, exist_ok=True)
    path = store.root / name[:2] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"%PDF-")
    assert send(f"{PATH}/{row_id}/delete", typed="other.pdf").status_code == 400
    assert send(f"{PATH}/{row_id}/delete", typed="x" * 10_000).status_code == 400
    assert send(f"{PATH}/{row_id}/delete", typed="report.pdf").location == PATH
    assert send(f"{PATH}/{row_id}/delete", typed="report.pdf").status_code == 404
    assert client.get(f"{PATH}/{row_id}/delete", headers=HTML).status_code == 404
    (event,) = events(session, Tag.FILE_DELETED)
    assert (event.user_id, event.target) == (root.id, f"file:{name}")
    assert client.get(f"/files/{name}").status_code == 404
    deliver_due(runtime)
    assert not path.exists()
    with pytest.raises(NotFound):
        store.read(name)
    job = session.scalars(select(OutboxMessage).where(OutboxMessage.job == "file-erase")).one()
    assert job.done_at is not None


@pytest.mark.parametrize("use", ["picture", "logo", "branding"])
def test_a_file_that_is_used_stays(client, session, root, add, send, use):
    row = add()
    address = f"https://files.example/files/{row.name}"
    if use == "picture":
        add_person(session, "ann", avatar=address)
    elif use == "branding":
        session.add(Branding(tenant_id=1, logo=row.name))
    else:
        app = register(session, "shop")
        session.get_one(Client, app.row_id).logo_uri = address
    session.commit()
    page = readable(client.get(f"{PATH}/{row.id}/delete"))
    assert "cannot be deleted" in page
    refused = send(f"{PATH}/{row.id}/delete", typed="report.pdf")
    assert refused.status_code == 409
    assert "still in use" in readable(refused)
    session.expire_all()
    assert session.get(StoredFile, row.id) is not None


def test_readers_delete_nothing(client, session, root, add, send, new_client):
    row = add()
    reader, browser = add_person(session, "reader"), new_client()
    add_role(session, reader, "reader", ["ids4.ms.admin.files.read"], tenant_id=None)
    sign_in(browser, session, reader)
    assert "/delete" not in readable(browser.get(PATH)).partition('id="rows"')[2]
    token = csrf_token(browser.get("/login?prompt=login"))
    answer = browser.post(f"{PATH}/{row.id}/delete", data={"csrf_token": token})
    assert answer.status_code == 403


@pytest.mark.parametrize("row_id", ["0", "77", "9" * 25, "x"])
def test_a_file_that_is_not_there_is_not_found(client, root, send, row_id):
    assert client.get(f"{PATH}/{row_id}/delete", headers=HTML).status_code == 404
    assert send(f"{PATH}/{row_id}/delete", typed="x").status_code == 404


def test_the_list_needs_as_many_queries_for_many_as_for_one(client, session, root, add, runtime):
    counts = []
    for number in range(4):
        person = add_person(session, f"person{number}")
        add(user_id=person.id, tenant_id=1)
        if number in {0, 3}:
            counts.append(len(statements(runtime, client, PATH, "stored_file")))
    assert counts[0] == counts[1]
