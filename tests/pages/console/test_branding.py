"""The branding screen: form, preview, pictures; for a tenant and for the platform."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from sqlalchemy import delete, select
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from idp.directory.actor import OPERATOR
from idp.directory.branding.models import Branding
from idp.directory.branding.rules import BrandingSpec
from idp.directory.roles.models import UserRole
from idp.directory.tenants.models import Tenant
from idp.platform.audit.tags import Tag
from idp.publishing import branding
from idp.publishing.files.models import StoredFile
from tests import samples
from tests.api.center import statements
from tests.pages.browsing import HTML, csrf_token, events, readable, send
from tests.protocol import add_person, add_role, add_tenant, sign_in

READ = "ids4.ms.admin.branding.read"
WRITE = "ids4.ms.admin.branding.write"
TEAL = "#0f6b5c"
TYPED = {
    "name": "Acme Ltd",
    "accent": TEAL,
    "help_uri": "https://acme.example/help",
    "text_en_sign_in": "Welcome.",
    "text_zh_mail": "艾克米",
}
LINK = re.compile(r'href="([^"]+preview\.css[^"]*)"')


@pytest.fixture
def acme(session):
    return add_tenant(session)


@pytest.fixture
def boss(client, session, acme):
    """Sign in somebody who manages the branding of Acme, and nothing else."""
    user = add_person(session, "boss", tenant_ids=(acme,))
    add_role(session, user, "brand", [READ, WRITE], tenant_id=acme)
    sign_in(client, session, user)
    return user


@pytest.fixture
def screen(acme):
    return f"/console/t/{acme}/branding"


def row_of(session, tenant_id):
    session.rollback()
    session.expire_all()
    return session.scalars(select(Branding).where(Branding.tenant_id == tenant_id)).one_or_none()


def typed_from(page, **changes):
    """Return what a browser would send of the form of a page, with changes."""
    stamp = re.search(r'name="stamp"[^>]*value="([^"]*)"', page.get_data(as_text=True))
    return {**TYPED, "stamp": stamp[1], **changes}


def save(browser, screen, **changes):
    page = browser.get(screen, headers=HTML)
    return send(browser, page, screen, typed_from(page, **changes))


def upload(browser, screen, content, kind="logo", name="logo.png"):
    token = csrf_token(browser.get(screen))
    file = FileStorage(BytesIO(content), name)
    boundary, body = encode_multipart({"csrf_token": token, "kind": kind, "file": file})
    return browser.post(
        f"{screen}/picture",
        data=body,
        content_type=f"multipart/form-data; boundary={boundary}",
        headers=HTML,
    )


def test_what_is_saved_is_on_the_pages_at_once(client, session, boss, acme, screen):
    answer = save(client, screen)
    assert answer.location == f"{screen}?notice=saved"
    page = client.get(answer.location).get_data(as_text=True)
    assert "The branding was saved." in page
    assert "Branding changed" in page
    assert TEAL in page
    row = row_of(session, acme)
    assert (row.name, row.accent, row.help_uri) == ("Acme Ltd", TEAL, TYPED["help_uri"])
    assert row.texts == {"en": {"sign_in": "Welcome."}, "zh": {"mail": "艾克米"}}
    event = events(session, Tag.BRANDING_CHANGED)[0]
    assert (event.user_id, event.tenant_id) == (boss.id, acme)


def test_a_form_without_a_stamp_is_refused(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    assert send(client, page, screen, TYPED).status_code == 400
    assert row_of(session, acme) is None


def test_the_same_form_sent_twice_changes_nothing_the_second_time(client, session, boss, screen):
    page = client.get(screen, headers=HTML)
    assert send(client, page, screen, typed_from(page)).status_code == 303
    again = client.get(screen, headers=HTML)
    assert send(client, again, screen, typed_from(again)).status_code == 303
    assert len(events(session, Tag.BRANDING_CHANGED)) == 1


def test_two_people_at_once_see_both_values(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    theirs = BrandingSpec(name="Acme of theirs")
    branding.replace(session, OPERATOR, acme, theirs)
    session.commit()
    answer = send(client, page, screen, typed_from(page))
    assert answer.status_code == 409
    text = readable(answer)
    assert "Acme of theirs" in text
    assert "Acme Ltd" in text
    assert row_of(session, acme).name == "Acme of theirs"
    assert send(client, answer, screen, typed_from(answer)).status_code == 303
    assert row_of(session, acme).name == "Acme Ltd"


def test_what_is_wrong_is_said_beside_the_field_and_kept(client, session, boss, acme, screen):
    answer = save(
        client,
        screen,
        accent="#ffff00",
        help_uri="javascript:alert(1)",
        text_en_mail="a\u202e",
    )
    assert answer.status_code == 400
    text = answer.get_data(as_text=True)
    for name in ("accent", "help_uri", "text_en_mail"):
        assert f'id="{name}-error"' in text, name
    assert "below 4.5:1" in text
    assert 'value="#ffff00"' in text
    assert 'href="javascript:' not in text
    assert row_of(session, acme) is None


@pytest.mark.no_database
@pytest.mark.parametrize("name", [*TYPED, "accent_dark", "imprint_uri", "privacy_uri"])
@pytest.mark.parametrize(
    "text", ["x" * 10_000, "a\u202eb", "</style><script>alert(1)</script>", "#1f5fbf;}*{color:red"]
)
def test_no_field_takes_what_would_break_a_page(client, session, boss, screen, name, text):
    answer = save(client, screen, **{name: text})
    assert answer.status_code in {400, 303}
    page = client.get(screen).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "\u202e" not in page
    if answer.status_code == 303:
        assert name in {"name", "text_en_sign_in", "text_zh_mail"}
        assert len(text) < 100
    else:
        assert "<script>alert" not in answer.get_data(as_text=True)


def test_a_preview_saves_nothing_and_shows_what_was_typed(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    answer = send(client, page, f"{screen}/preview", typed_from(page, name="Draft Ltd"))
    assert answer.status_code == 200
    text = readable(answer)
    assert "This is a preview." in text
    assert text.count("Draft Ltd") >= 3  # the field and both schemes
    sheet = client.get(LINK.search(text)[1])
    assert sheet.get_data(as_text=True).startswith(".preview[data-bs-theme] {\n  --idp-accent: ")
    assert f"light-dark({TEAL}," in sheet.get_data(as_text=True)
    assert row_of(session, acme) is None
    refused = send(client, page, f"{screen}/preview", typed_from(page, accent="#eeeeee"))
    assert refused.status_code == 400
    assert "below 4.5:1" in readable(refused)


@pytest.mark.parametrize("accent", ["", "red", "%230f6b5c;}", "%230f6b5c&on_dark=x", "%230F6B5C"])
def test_the_colours_of_a_preview_are_colours(client, boss, screen, accent):
    assert client.get(f"{screen}/preview.css?accent={accent}").status_code == 400


def test_the_preview_starts_with_the_colour_of_the_theme(client, session, boss, acme, screen):
    session.get_one(Tenant, acme).theme = "plum"
    session.commit()
    assert "8a2a6b" in LINK.search(client.get(screen).get_data(as_text=True))[1]


def test_a_logo_is_redrawn_stored_for_the_tenant_and_removed(client, session, boss, acme, screen):
    answer = upload(client, screen, samples.png())
    assert answer.status_code == 303, readable(answer)
    stored = session.scalars(select(StoredFile)).one()
    assert (stored.tenant_id, stored.user_id) == (acme, boss.id)
    assert row_of(session, acme).logo == stored.name
    assert f'src="/files/{stored.name}"' in client.get(screen).get_data(as_text=True)
    assert upload(client, screen, samples.jpeg(), "icon", "i.jpg").status_code == 303
    save(client, screen)
    assert row_of(session, acme).logo == stored.name
    page = client.get(screen, headers=HTML)
    for _ in range(2):
        answer = send(client, page, f"{screen}/picture/remove", {"kind": "logo"})
        assert answer.status_code == 303
    assert row_of(session, acme).logo is None
    assert row_of(session, acme).icon is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"GIF89a" + b"x" * 40,
        b"\x89PNG\r\n\x1a\n<svg onload=alert(1)>",
        b"%PDF-1.7",
        samples.png() + b"\0" * 600_000,
    ],
)
def test_what_is_no_picture_or_too_large_is_refused(client, session, boss, acme, screen, content):
    answer = upload(client, screen, content)
    assert answer.status_code == 400
    assert "at most 500 kB" in readable(answer)
    assert 'id="logo-error"' in answer.get_data(as_text=True)
    assert row_of(session, acme) is None
    assert session.scalars(select(StoredFile)).all() == []


def test_a_form_without_a_picture_or_about_another_one_is_refused(client, session, boss, screen):
    assert upload(client, screen, b"", name="").status_code == 400
    assert upload(client, screen, samples.png(), kind="accent").status_code == 400
    page = client.get(screen, headers=HTML)
    assert send(client, page, f"{screen}/picture/remove", {"kind": "x"}).status_code == 400


def test_a_tenant_that_was_deleted_meanwhile_is_not_found(client, session, boss, acme, screen):
    page = client.get(screen, headers=HTML)
    session.execute(delete(UserRole))
    session.delete(session.get_one(Tenant, acme))
    session.commit()
    for path in (screen, f"{screen}/preview", f"{screen}/picture/remove"):
        assert send(client, page, path, {**TYPED, "kind": "logo"}).status_code == 404


def test_others_are_out_of_reach(client, session, boss, acme, screen):
    other = add_tenant(session, "Bluefen")
    page = client.get(screen, headers=HTML)
    for place in (f"/console/t/{other}/branding", "/console/platform/branding"):
        assert client.get(place).status_code == 404
        for path in ("", "/preview", "/picture", "/picture/remove"):
            answer = send(client, page, f"{place}{path}", {**TYPED, "kind": "logo"})
            assert answer.status_code == 404, (place, path)
    assert session.scalars(select(Branding)).all() == []


def test_a_reader_sees_everything_and_changes_nothing(client, session, acme, screen):
    user = add_person(session, "reader", tenant_ids=(acme,))
    add_role(session, user, "reader", [READ], tenant_id=acme)
    sign_in(client, session, user)
    text = readable(client.get(screen))
    assert "Needs the permission ids4.ms.admin.branding.write" in text
    assert "<fieldset" in text
    assert "/branding/picture" not in text
    token = csrf_token(client.get("/login?prompt=login"))
    for path in ("", "/picture", "/picture/remove"):
        answer = client.post(f"{screen}{path}", data={"csrf_token": token, **TYPED})
        assert answer.status_code == 403, path


def test_the_platform_brands_itself_and_every_tenant(client, session, acme, screen):
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    assert save(client, "/console/platform/branding").status_code == 303
    assert row_of(session, 1).name == "Acme Ltd"
    assert save(client, screen, name="Of Acme").status_code == 303
    assert row_of(session, acme).name == "Of Acme"


def test_the_number_of_queries_is_the_same_with_and_without_values(
    client, runtime, session, boss, acme, screen
):
    client.get(screen)
    with statements(runtime.engine) as empty:
        client.get(screen)
    save(client, screen)
    client.get(screen)
    with statements(runtime.engine) as full:
        client.get(screen)
    assert len(full) <= len(empty) + 1  # names of those in the events
    assert len(full) <= 20


def test_the_screen_is_in_chinese(client, boss, screen):
    text = readable(client.get(screen, headers={"Accept-Language": "zh-CN"}))
    assert "品牌设置" in text
    assert "主题色" in text
    assert "Accent" not in text
