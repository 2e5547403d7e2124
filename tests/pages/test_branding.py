"""Branding on the pages and in the mails of those who sign in for a tenant."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update

from idp.account import notices
from idp.directory.actor import OPERATOR
from idp.directory.branding.rules import BrandingSpec
from idp.directory.tenants import service as tenants
from idp.directory.tenants.models import Tenant
from idp.platform.sessions.models import BrowserSession
from idp.publishing import branding
from tests.api.center import statements
from tests.pages.browsing import page_of_flow, readable, submit
from tests.protocol import add_person, add_role, add_tenant, register, sign_in

TEAL = "#0f6b5c"
LINK = re.compile(r'<link rel="stylesheet" href="(/theme/[^"]+)">')


@pytest.fixture
def acme(session):
    """Make a tenant that signs in at issuer 1."""
    return add_tenant(session)


@pytest.fixture
def login(session):
    """Make a tenant with a host of its own."""
    return add_tenant(session, "Bluefen", hosts=["login.bluefen.example"])


def brand(session, tenant_id, **values):
    branding.replace(session, OPERATOR, tenant_id, BrandingSpec(**values))
    session.commit()


def theme_of(page):
    found = LINK.search(page.get_data(as_text=True))
    return found[1] if found else None


def signature(mail):
    """Return the lines below the mark of a signature; None where there is none."""
    lines = mail.text.splitlines()
    return lines[lines.index("-- ") + 1 :] if "-- " in lines else None


def test_pages_without_branding_are_as_before(client):
    page = client.get("/login")
    assert theme_of(page) is None
    assert "foot-links" not in readable(page)
    assert "idp.svg" in readable(page)


def test_the_issuers_own_branding_is_on_its_pages(client, session):
    brand(
        session,
        1,
        name="Acme Ltd",
        accent=TEAL,
        help_uri="https://acme.example/help?a=1&b=2",
        imprint_uri="https://acme.example/imprint",
        texts={"en": {"sign_in": "Use your <b>staff</b> account.", "register": "For staff only."}},
    )
    for path in ("/login", "/forgot", "/register"):
        page = client.get(path, follow_redirects=True)
        text = page.get_data(as_text=True)
        assert "Acme Ltd</title>" in text, path
        assert 'href="https://acme.example/help?a=1&amp;b=2"' in text
        assert "Imprint" in text
        assert "Privacy" not in text
        assert client.get(theme_of(page)).status_code == 200
        assert " style=" not in text
        assert "<style" not in text
    assert theme_of(client.get("/docs")) == theme_of(client.get("/login"))
    login = client.get("/login").get_data(as_text=True)
    assert "Use your &lt;b&gt;staff&lt;/b&gt; account." in login
    assert "For staff only." in readable(client.get("/register", follow_redirects=True))
    chinese = client.get("/login", headers={"Accept-Language": "zh"}).get_data(as_text=True)
    assert "staff" not in chinese
    assert "帮助" in chinese


def test_the_style_sheet_is_kept_for_a_year_and_changes_its_address(client, session):
    brand(session, 1, accent=TEAL)
    old = theme_of(client.get("/login"))
    assert re.fullmatch(r"/theme/1-[0-9a-f]{12}\.css", old)
    sheet = client.get(old)
    assert sheet.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert sheet.content_type.startswith("text/css")
    assert f"--idp-accent: light-dark({TEAL}, " in sheet.get_data(as_text=True)
    brand(session, 1, accent="#8a2a6b")
    new = theme_of(client.get("/login"))
    assert new != old
    assert "#8a2a6b" in client.get(new).get_data(as_text=True)
    stale = client.get(old)
    assert "#8a2a6b" in stale.get_data(as_text=True)
    assert stale.headers["Cache-Control"] == "no-store"


def test_a_style_sheet_is_served_at_the_issuer_of_its_tenant_alone(
    client, new_client, session, login, acme
):
    brand(session, login, accent=TEAL)
    there = new_client("http://login.bluefen.example")
    address = theme_of(there.get("/login"))
    assert there.get(address).status_code == 200
    assert client.get(address).status_code == 404
    for path in (
        f"/theme/{acme}-000000000000.css",
        "/theme/99999-000000000000.css",
        f"/theme/{10**30}-000000000000.css",
        "/theme/1-000000000000.css",
        "/theme/1-x.css",
        "/theme/x-000000000000.css",
    ):
        assert client.get(path).status_code == 404, path


def test_a_tenant_without_a_host_is_shown_where_its_application_signs_in(client, session, acme):
    brand(session, acme, name="Acme Ltd", accent=TEAL)
    app = register(session, tenant_id=acme)
    address = page_of_flow(client, app, "/login")
    page = client.get(address)
    assert "Acme Ltd</title>" in page.get_data(as_text=True)
    assert theme_of(page).startswith(f"/theme/{acme}-")
    assert client.get(theme_of(page)).status_code == 200
    handle = urlsplit(address).query
    for path in ("/forgot", "/register"):
        page = client.get(f"{path}?{handle}", follow_redirects=True)
        assert "Acme Ltd</title>" in page.get_data(as_text=True), path
    assert "Acme Ltd" not in client.get("/login").get_data(as_text=True)


def test_consent_and_account_show_the_organisation_of_the_sign_in(client, session, acme):
    brand(session, acme, name="Acme Ltd", accent=TEAL)
    user = add_person(session, tenant_ids=(acme,))
    sign_in(client, session, user)
    assert "Acme Ltd" not in client.get("/account/sessions").get_data(as_text=True)
    session.execute(update(BrowserSession).values(tenant_id=acme))
    session.commit()
    assert "Acme Ltd</title>" in client.get("/account/sessions").get_data(as_text=True)
    app = register(session, tenant_id=acme, require_consent=True)
    address = page_of_flow(client, app, "/consent")
    assert "Acme Ltd</title>" in client.get(address).get_data(as_text=True)


def test_a_tenant_of_another_issuer_is_not_shown_here(client, session, login):
    brand(session, login, name="Fake", accent=TEAL)
    user = add_person(session, tenant_ids=(1,))
    sign_in(client, session, user)
    session.execute(update(BrowserSession).values(tenant_id=login))
    session.commit()
    assert "Fake" not in client.get("/account/sessions").get_data(as_text=True)


def test_the_console_keeps_its_own_colours(client, session, acme):
    brand(session, 1, accent=TEAL)
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    assert theme_of(client.get("/console/platform/clients")) is None


def test_logo_and_icon_are_shown_from_our_files(client, session):
    row = branding.get(session, OPERATOR, 1)
    row.logo, row.icon = "a" * 32 + ".png", "b" * 32 + ".png"
    session.add(row)
    session.commit()
    page = client.get("/login")
    text = page.get_data(as_text=True)
    assert f'src="/files/{"a" * 32}.png"' in text
    assert f'<link rel="icon" href="/files/{"b" * 32}.png">' in text
    assert "img-src 'self' data:;" in page.headers["Content-Security-Policy"]


@pytest.mark.settings(files_public_url="https://files.example")
def test_pictures_from_another_origin_are_allowed_by_the_policy(client, session):
    row = branding.get(session, OPERATOR, 1)
    row.logo = "a" * 32 + ".png"
    session.add(row)
    session.commit()
    page = client.get("/login")
    assert f'src="https://files.example/files/{"a" * 32}.png"' in page.get_data(as_text=True)
    assert "https://files.example" in page.headers["Content-Security-Policy"]


@pytest.mark.settings(
    brand_accent="#6b3fb5",
    brand_help_url="https://operator.example/help",
    brand_privacy_url="https://operator.example/privacy",
)
def test_the_operator_sets_what_tenants_leave_empty(client, new_client, session, login):
    brand(session, login, help_uri="https://bluefen.example/help")
    page = new_client("http://login.bluefen.example").get("/login")
    text = page.get_data(as_text=True)
    assert "https://bluefen.example/help" in text
    assert "https://operator.example/privacy" in text
    assert "#6b3fb5" in client.get(theme_of(client.get("/login"))).get_data(as_text=True)
    assert theme_of(page).startswith(f"/theme/{login}-")


@pytest.mark.parametrize(
    ("theme", "colour"),
    [("teal", "#0f6b5c"), ("plum", "#8a2a6b"), ("default", None), ("}body{", None), (None, None)],
)
def test_the_theme_of_a_tenant_names_a_palette(client, session, theme, colour):
    session.execute(update(Tenant).where(Tenant.id == 1).values(theme=theme))
    tenants.change(session, tenants.get(session, 1))
    session.commit()
    address = theme_of(client.get("/login"))
    if colour is None:
        assert address is None
    else:
        assert f"light-dark({colour}," in client.get(address).get_data(as_text=True)
        brand(session, 1, accent="#1f6b3a")
        assert "#1f6b3a" in client.get(theme_of(client.get("/login"))).get_data(as_text=True)


def test_a_palette_is_enough_to_be_shown_where_an_application_signs_in(client, session, acme):
    session.get_one(Tenant, acme).theme = "plum"
    session.commit()
    app = register(session, tenant_id=acme)
    page = client.get(page_of_flow(client, app, "/login"))
    assert "Acme</title>" in page.get_data(as_text=True)
    assert "#8a2a6b" in client.get(theme_of(page)).get_data(as_text=True)


def test_a_page_whose_brand_was_read_before_asks_the_database_nothing_more(
    client, runtime, session, acme
):
    brand(session, acme, name="Acme Ltd", accent=TEAL)
    app = register(session, tenant_id=acme)
    address = page_of_flow(client, app, "/login")
    client.get(address)
    with statements(runtime.engine) as sent:
        page = client.get(address)
    assert "Acme Ltd" in page.get_data(as_text=True)
    assert not [text for text in sent if "branding" in text]
    with statements(runtime.engine) as sent:
        client.get(theme_of(page))
    assert not [text for text in sent if "branding" in text or "FROM tenant" in text]


def test_mails_have_the_name_the_text_and_the_help_address(client, session, outbox):
    brand(
        session,
        1,
        name="Acme Ltd",
        help_uri="https://acme.example/help",
        texts={"en": {"mail": "Acme Ltd, 1 Main Street"}, "zh": {"mail": "艾克米"}},
    )
    add_person(session, email="ann@example.com", email_verified=True)
    submit(client, "/forgot", {"login": "ann"})
    mail = outbox()[-1]
    assert "Acme Ltd" in mail.subject
    assert signature(mail) == ["Acme Ltd, 1 Main Street", "https://acme.example/help"]
    user = add_person(session, "zoe", email="zoe@example.com")
    issuer = tenants.issuer_of(session, 1)
    notices.password_changed(session, issuer, user, "zh-CN")
    session.commit()
    assert signature(outbox()[-1]) == ["艾克米", "https://acme.example/help"]


def test_mails_without_branding_end_as_before(client, session, outbox):
    add_person(session, email="ann@example.com", email_verified=True)
    submit(client, "/forgot", {"login": "ann"})
    assert signature(outbox()[-1]) is None
