"""Branding of tenants by our own API: read, replaced, refused."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from idp.directory.branding.models import Branding
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.publishing.files.models import StoredFile
from tests import protocol
from tests.api import admin, center

READ = "ids4.ms.admin.branding.read"
WRITE = "ids4.ms.admin.branding.write"
FULL = {
    "name": "Acme Ltd",
    "accent": "#0f6b5c",
    "accent_dark": "#7fd8c6",
    "logo": None,
    "icon": None,
    "help_uri": "https://acme.example/help?a=b&c=d#top",
    "privacy_uri": "https://acme.example/privacy",
    "imprint_uri": "https://acme.example:8443/imprint",
    "texts": {"en": {"sign_in": "Welcome.", "mail": "Acme"}, "zh": {"register": "欢迎。"}},
}
ANY = {"If-Match": "*"}
EMPTY = {**dict.fromkeys(FULL), "texts": {}}


@pytest.fixture
def acme(session):
    return protocol.add_tenant(session)


@pytest.fixture
def root(client, session):
    return admin.root(client, session)


@pytest.fixture
def boss(client, session, acme):
    """Return somebody who holds the permissions in Acme alone."""
    return center.manager(client, session, READ, WRITE, tenant_id=acme, scopes=[READ, WRITE])


def path(tenant_id):
    return f"/tenants/{tenant_id}/branding"


def put(caller, tenant_id, **changes):
    return admin.data(caller, "PUT", path(tenant_id), {**FULL, **changes}, headers=ANY)


def refused(caller, tenant_id, **changes):
    return admin.refused(caller, "PUT", path(tenant_id), {**FULL, **changes}, headers=ANY)


def with_all_texts(content):
    """Return what an answer holds, without texts that are empty."""
    texts = {
        language: {place: text for place, text in places.items() if text}
        for language, places in content["texts"].items()
    }
    return {**content, "texts": texts}


def changes(session):
    session.rollback()
    query = select(AuditEvent).where(AuditEvent.tag == Tag.BRANDING_CHANGED)
    return list(session.scalars(query.order_by(AuditEvent.id)))


def test_a_tenant_without_branding_answers_with_nothing_set(root, acme):
    assert with_all_texts(admin.data(root, "GET", path(acme))) == EMPTY


def test_what_was_put_is_read_and_recorded(root, session, acme):
    answered = put(root, acme)
    assert with_all_texts(answered) == FULL
    assert admin.data(root, "GET", path(acme)) == answered
    event = changes(session)[0]
    assert (event.target, event.tenant_id, event.user_id) == (f"tenant:{acme}", acme, root.user.id)
    recorded = {row["field"]: row["after"] for row in event.details["changes"]}
    assert recorded["accent"] == "#0f6b5c"
    assert recorded["texts.zh.register"] == "欢迎。"
    assert not {"logo", "texts", "texts.en.register"} & recorded.keys()


def test_putting_what_was_read_changes_nothing(root, session, acme):
    put(root, acme)
    before = center.whole_database(session)
    read = admin.send(root, "GET", path(acme))
    seen = {"If-Match": read.headers["ETag"]}
    again = admin.send(root, "PUT", path(acme), read.get_json(), headers=seen)
    assert (again.get_json(), again.headers["ETag"]) == (read.get_json(), read.headers["ETag"])
    assert center.whole_database(session) == before


def test_what_is_missing_gets_the_default_again(root, acme):
    put(root, acme)
    answered = admin.data(root, "PUT", path(acme), {}, headers=ANY)
    assert with_all_texts(answered) == EMPTY
    blank = {name: " " for name in FULL if name not in {"logo", "icon", "texts"}}
    answered = admin.data(root, "PUT", path(acme), blank, headers=ANY)
    assert with_all_texts(answered) == EMPTY


def test_a_change_that_was_overtaken_is_refused(root, session, acme):
    unset = admin.send(root, "GET", path(acme)).headers["ETag"]
    answered = admin.send(root, "PUT", path(acme), FULL, headers={"If-Match": unset})
    old = answered.headers["ETag"]
    assert answered.status_code == 200
    put(root, acme, name="Acme Inc")
    before = center.whole_database(session)
    for stale in (unset, old, '"made-up"'):
        body = {**FULL, "name": "Acme AG"}
        answer = admin.send(root, "PUT", path(acme), body, headers={"If-Match": stale})
        assert (answer.status_code, answer.get_json()["code"]) == (412, "precondition_failed")
    assert admin.refused(root, "PUT", path(acme), FULL)[0] == 428
    assert center.whole_database(session) == before


def test_branding_of_a_tenant_belongs_to_those_with_the_permission_there(
    client, session, acme, boss
):
    other = protocol.add_tenant(session, "Bluefen")
    assert put(boss, acme)["name"] == "Acme Ltd"
    reader = center.manager(
        client, session, READ, username="reader", tenant_id=acme, scopes=[READ, WRITE]
    )
    before = center.whole_database(session) | {"audit_event": []}
    for tenant_id in (other, 1, 99_999, 10**30):
        for method in ("GET", "PUT"):
            body = None if method == "GET" else FULL
            status, _ = admin.refused(boss, method, path(tenant_id), body, headers=ANY)
            assert status == 403, tenant_id
    assert admin.data(reader, "GET", path(acme))["name"] == "Acme Ltd"
    assert refused(reader, acme)[0] == 403
    assert center.whole_database(session) | {"audit_event": []} == before


def test_the_platform_is_branded_by_those_alone_who_act_for_it(client, session, root):
    first = center.manager(
        client, session, READ, WRITE, username="first", tenant_id=1, scopes=[READ, WRITE]
    )
    assert refused(first, 1)[0] == 403
    assert put(root, 1)["accent"] == "#0f6b5c"


def test_a_tenant_that_is_not_there_is_not_found(root):
    for tenant_id in (99_999, 10**30):
        assert admin.refused(root, "GET", path(tenant_id))[0] == 404
        assert refused(root, tenant_id)[0] == 404


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("field", "value", "at"),
    [
        # A contrast of 4.48, and of 4.54, with white; the dark ground is #151d2a.
        ("accent", "#777777", "accent"),
        ("accent", "#ffff00", "accent"),
        ("accent_dark", "#0f6b5c", "accent_dark"),
        ("accent", "red", "accent"),
        ("accent", "#fff", "accent"),
        ("accent", "#0f6b5;", "accent"),
        ("accent", "url(x)", "accent"),
        ("accent", "#0f6b5c;}body{background:url(//evil.example)}", "accent"),
        ("accent_dark", "*/}", "accent_dark"),
        ("accent", "#\u0660f6b5c", "accent"),
        ("name", "a\u202eb", "name"),
        ("name", "a\nb", "name"),
        ("name", "x" * 201, "name"),
        ("help_uri", "javascript:alert(1)", "help_uri"),
        ("help_uri", "JavaScript:alert(1)", "help_uri"),
        ("help_uri", "\x01javascript:alert(1)", "help_uri"),
        ("help_uri", "java\nscript:alert(1)", "help_uri"),
        ("privacy_uri", "data:text/html,<script>", "privacy_uri"),
        ("privacy_uri", "http://acme.example", "privacy_uri"),
        ("privacy_uri", "//acme.example", "privacy_uri"),
        ("privacy_uri", "https:///x", "privacy_uri"),
        ("imprint_uri", "https://acme.example@evil.example/", "imprint_uri"),
        ("imprint_uri", 'https://acme.example/"onclick="x', "imprint_uri"),
        ("imprint_uri", "https://acme.example/\u202e", "imprint_uri"),
        ("imprint_uri", "https://[::1", "imprint_uri"),
        ("imprint_uri", "https://acme.example:99999/", "imprint_uri"),
        ("imprint_uri", "https://acme.example/" + "x" * 2000, "imprint_uri"),
        ("logo", "../../etc/passwd", "logo"),
        ("logo", "0" * 32 + ".png", "logo"),
        ("icon", "https://evil.example/x.png", "icon"),
        ("texts", {"en": {"sign_in": "x" * 501}}, "texts.en.sign_in"),
        ("texts", {"en": {"mail": "a\r\nBcc: b@evil.example"}}, "texts.en.mail"),
        ("texts", {"zh": {"register": "\u202e"}}, "texts.zh.register"),
        ("texts", {"en": {"style": "x"}}, "texts.en.style"),
        ("texts", {"de": {"sign_in": "x"}}, "texts.de"),
    ],
)
def test_what_must_not_be_on_a_page_is_refused_with_its_field(
    root, session, acme, field, value, at
):
    before = center.whole_database(session)
    status, fields = refused(root, acme, **{field: value})
    assert (status, list(fields)) == (400, [at])
    assert center.whole_database(session) == before


def test_all_that_is_wrong_is_named_at_once(root, acme):
    status, fields = refused(root, acme, accent="#777777", help_uri="ftp://x", name="a\tb")
    assert (status, set(fields)) == (400, {"accent", "help_uri", "name"})
    assert "below 4.5:1" in fields["accent"][0]


def test_markup_in_texts_is_kept_as_text(root, acme):
    text = "</style><script>alert(1)</script>{{ 7*7 }}"
    answered = put(root, acme, texts={"en": {"sign_in": text}})
    assert with_all_texts(answered)["texts"]["en"] == {"sign_in": text}


def stored(session, tenant_id, name="a" * 32 + ".png", media_type="image/png"):
    row = StoredFile(
        name=name,
        original_name="x.png",
        media_type=media_type,
        size=1,
        content_hash=b"0" * 32,
        client_id="web",
        tenant_id=tenant_id,
    )
    session.add(row)
    session.commit()
    return row.name


def test_a_picture_of_the_tenant_is_shown(boss, session, acme):
    name = stored(session, acme)
    assert put(boss, acme, logo=name, icon=name)["logo"] == name


def test_files_of_others_and_files_that_are_no_pictures_are_not_shown(boss, root, session, acme):
    foreign = stored(session, protocol.add_tenant(session, "Bluefen"))
    document = stored(session, acme, "b" * 32 + ".pdf", "application/pdf")
    of_platform = stored(session, 1, "c" * 32 + ".png")
    for caller, names in ((boss, (foreign, document, of_platform)), (root, (foreign, document))):
        for name in names:
            assert refused(caller, acme, logo=name) == (
                400,
                {"logo": ["There is no such picture among the files of this organisation."]},
            )
    assert put(root, acme, logo=of_platform)["logo"] == of_platform
    # What the platform chose stays when the tenant's own administrator changes something else.
    assert put(boss, acme, logo=of_platform, name="New")["name"] == "New"


def test_a_deleted_tenant_takes_its_branding_along(root, session, acme):
    put(root, acme)
    tool = center.manager(
        root.browser, session, username="deleter", scopes=["ids4.ms.tenant.delete"]
    )
    protocol.add_role(session, tool.user, "administrators", tenant_id=None)
    tool.data("DELETE", f"/Tenant/{acme}")
    session.rollback()
    assert session.scalars(select(Branding)).all() == []
