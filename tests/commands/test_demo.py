"""What `idp setup` adds to a new demo: two organisations with people, applications and a past."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.app import create_app
from idp.demo import content
from idp.directory.applications.models import Application, Menu
from idp.directory.bundles.models import Bundle
from idp.directory.clients import kinds
from idp.directory.clients.models import Client
from idp.directory.resources.models import ApiResource
from idp.directory.roles.models import Privilege, Role
from idp.directory.tenants.models import Membership, Tenant
from idp.directory.users import service as users
from idp.directory.users.models import User
from idp.oauth.models import Consent, Grant, Refusal
from idp.pages.console.screens import SCREENS
from idp.platform import clock
from idp.platform.audit.models import AuditEvent
from idp.platform.audit.tags import Tag
from idp.platform.db import Base
from tests.conftest import ADMIN_PASSWORD, make_settings
from tests.demo import GIVEN, Demo, set_up
from tests.demo import demo as demo
from tests.demo import new_database_url as new_database_url
from tests.pages.browsing import HTML

ROOT = Path(__file__).parents[2]


def count(session: Session, model: type[Any], *conditions: Any) -> int:
    return session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


def test_two_organisations_are_there_with_twelve_people(demo):
    with demo.sessions() as session:
        tenants = {row.name: row for row in session.scalars(select(Tenant).where(Tenant.id > 1))}
        assert set(tenants) == {"Acme Trading", "Lakeside Clinic"}
        assert {row.bundle_code for row in tenants.values()} == {"trading-plus", "clinic-standard"}
        names = session.scalars(select(User.username).order_by(User.id)).all()
        assert [*names] == ["admin", "demo", *(person.username for person in content.PEOPLE)]
        assert len(content.PEOPLE) == 12
        members = {
            name: count(session, Membership, Membership.tenant_id == tenant.id)
            for name, tenant in tenants.items()
        }
        assert members == {"Acme Trading": 8, "Lakeside Clinic": 5}, "one person is in both"


def test_there_are_applications_of_every_kind_with_apis_rights_and_menus(demo):
    with demo.sessions() as session:
        own = session.scalars(select(Client).where(Client.tenant_id.is_not(None))).all()
        assert {kinds.kind_of(client) for client in own} == {"web", "spa", "native", "service"}
        assert count(session, Application, Application.tenant_id > 1) == 3
        assert count(session, ApiResource, ApiResource.tenant_id.is_not(None)) == 3
        assert (
            count(
                session,
                Privilege,
                Privilege.group_id.is_not(None),
                ~Privilege.code.startswith("ids4."),
            )
            == 12
        )
        assert count(session, Role, Role.tenant_id.is_not(None)) == 8
        assert count(session, Bundle) == 4
        assert count(session, Menu) >= 10


def test_thirty_days_have_passed(demo):
    with demo.sessions() as session:
        days = {at.date() for at in session.scalars(select(AuditEvent.at))}
        today = clock.now().date()
        assert min(days) == today - timedelta(days=content.DAYS)
        assert len(days) > content.DAYS - 5, "few people work at weekends"
        assert max(session.scalars(select(AuditEvent.at))) <= clock.now()
        found = set(session.scalars(select(AuditEvent.tag)))
        assert found >= {
            Tag.SIGN_IN,
            Tag.SIGN_IN_REFUSED,
            Tag.SIGN_OUT,
            Tag.CONSENT_GIVEN,
            Tag.CONSENT_REVOKED,
            Tag.CODE_ISSUED,
            Tag.TOKEN_ISSUED,
            Tag.TOKEN_REFRESHED,
            Tag.REFRESH_REUSED,
            Tag.CLIENT_REFUSED,
            Tag.CLIENT_SECRET_ADDED,
            Tag.ROLE_CHANGED,
            Tag.ROLE_GIVEN,
            Tag.TENANT_BUNDLE_SET,
            Tag.USER_DISABLED,
            Tag.USER_ENABLED,
            Tag.USER_SIGNED_OUT,
            Tag.SDK_CANCELLED,
        }
        errors = set(session.scalars(select(Refusal.error)))
        assert errors >= {"invalid_client", "invalid_redirect_uri", "invalid_scope"}
        assert count(session, Grant, Grant.expires_at > clock.now()) > 0
        assert count(session, Consent) > 0


def test_what_the_past_did_was_recorded_with_who_did_it(demo):
    with demo.sessions() as session:
        people = {
            name: user_id for user_id, name in session.execute(select(User.id, User.username))
        }
        event = session.scalars(
            select(AuditEvent).where(AuditEvent.tag == Tag.CLIENT_SECRET_ADDED)
        ).one()
        assert event.user_id == people["olivia.chen"]
        assert event.remote_addr
        assert event.request_id not in {None, "-", "setup"}
        reused = session.scalars(
            select(AuditEvent).where(AuditEvent.tag == Tag.REFRESH_REUSED)
        ).one()
        assert reused.client_id == "acme-scanner"


@pytest.mark.parametrize("name", ["demo", *(person.username for person in content.PEOPLE)])
def test_every_account_can_sign_in(demo, name):
    browser = demo.signed_in(name)
    assert browser.get("/account", headers=HTML).status_code == 200


def test_the_printed_accounts_are_those_that_open_the_console(demo):
    assert demo.printed["accounts"] == [
        {
            "username": "olivia.chen",
            "organisation": "Acme Trading",
            "is_admin": True,
            "password": GIVEN,
        },
        {
            "username": "priya.nair",
            "organisation": "Acme Trading",
            "is_admin": False,
            "password": GIVEN,
        },
    ]
    acme = demo.tenant("Acme Trading")
    olivia = demo.signed_in("olivia.chen")
    assert olivia.get("/console").location == f"/console/t/{acme}"
    lakeside = demo.tenant("Lakeside Clinic")
    assert olivia.get(f"/console/t/{lakeside}/overview").status_code == 404
    assert demo.signed_in("priya.nair").get("/console").status_code == 404


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_no_screen_is_empty(demo, screen):
    workspaces = [("admin", ADMIN_PASSWORD, "platform", True)]
    workspaces += [
        (name, GIVEN, f"t/{demo.tenant(tenant)}", False)
        for name, tenant in (("olivia.chen", "Acme Trading"), ("hannah.moore", "Lakeside Clinic"))
    ]
    for name, password, where, platform in workspaces:
        if not screen.is_shown_in(platform=platform):
            continue
        browser = demo.signed_in(name, password)
        answer = browser.get(f"/console/{where}/{screen.name}", headers=HTML)
        assert answer.status_code == 200, (name, screen.name)
        assert 'class="empty-state' not in answer.get_data(as_text=True), (name, screen.name)


FAST_3G = 200_000
"""Bytes that come in a second; each round trip takes 0.15 s."""
ROUND_TRIPS = 3 * 0.15
"""To connect, for the page and for its style sheets; scripts are deferred."""


@pytest.mark.no_database
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_the_first_paint_takes_less_than_a_second_on_fast_3g(demo, screen):
    browser = demo.signed_in("admin", ADMIN_PASSWORD)
    sent = {"Accept-Encoding": "br", **HTML}
    page = browser.get(f"/console/platform/{screen.name}", headers=sent)
    sheets = re.findall(r'<link rel="stylesheet"\s+href="([^"]+)"', page.get_data(as_text=True))
    answers = [browser.get(unescape(path), headers=sent) for path in sheets]
    assert {answer.status_code for answer in (page, *answers)} == {200}
    assert {answer.headers.get("Content-Encoding") for answer in answers[:3]} == {"br"}
    size = sum(len(answer.data) for answer in (page, *answers))
    assert size / FAST_3G + ROUND_TRIPS < 1, size
    assert not re.search(r"<script(?![^>]*(defer|module))", page.get_data(as_text=True))


def test_the_overview_shows_figures_and_what_needs_somebody(demo):
    acme = demo.tenant("Acme Trading")
    page = demo.signed_in("olivia.chen").get(f"/console/t/{acme}/overview", headers=HTML)
    assert "A secret of 1 client expires within 14 days" in page.get_data(as_text=True)
    browser = demo.signed_in("admin", ADMIN_PASSWORD)
    page = browser.get("/console/platform/overview?days=30", headers=HTML)
    text = page.get_data(as_text=True)
    numbers = re.findall(r"<strong>(\d+)</strong>\s*<svg", text)
    assert len(numbers) == 4
    assert all(int(number) > 0 for number in numbers), numbers
    assert "1 message could not be delivered" in text


def rows(demo: Demo) -> dict[str, list[Any]]:
    with demo.sessions() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table))))
            for table in Base.metadata.sorted_tables
        }


def test_a_second_run_changes_nothing(demo):
    before = rows(demo)
    assert json.loads(set_up(demo.settings, "--json")) == demo.printed
    assert rows(demo) == before


def test_a_changed_password_is_not_printed(new_database_url, tmp_path):
    settings = make_settings(tmp_path, database_url=new_database_url(), demo=True)
    text = set_up(settings)
    line = next(line for line in text.splitlines() if "olivia.chen" in line)
    assert re.fullmatch(r"Tenant admin +olivia\.chen +password \S{16} +\(Acme Trading\)", line)
    app = create_app(settings)
    with app.extensions["idp"].sessions() as session:
        user = users.find_by_username(session, "olivia.chen")
        users.set_password(session, user, "something else entirely")
        session.commit()
    app.extensions["idp"].engine.dispose()
    line = next(line for line in set_up(settings).splitlines() if "olivia.chen" in line)
    assert line.endswith("password (was changed)  (Acme Trading)")


@pytest.mark.parametrize(
    "changes",
    [
        {"demo": False},
        {"environment": "production", "public_url": "https://id.example"},
    ],
    ids=["no demo", "production"],
)
def test_only_a_demo_for_development_gets_a_past(new_database_url, tmp_path, changes):
    settings = make_settings(
        tmp_path, **{"database_url": new_database_url(), "demo": True, **changes}
    )
    assert json.loads(set_up(settings, "--json"))["accounts"] == []
    app = create_app(settings)
    with app.extensions["idp"].sessions() as session:
        assert count(session, Tenant) == 1
        assert min(session.scalars(select(AuditEvent.at))) > clock.now() - timedelta(days=1)
    app.extensions["idp"].engine.dispose()


def test_an_installation_that_is_there_gets_no_past(new_database_url, tmp_path):
    url = new_database_url()
    set_up(make_settings(tmp_path, database_url=url))
    again = json.loads(set_up(make_settings(tmp_path, database_url=url, demo=True), "--json"))
    assert again["accounts"] == []
    assert again["demo_password"]


def test_a_demo_can_be_set_up_just_after_midnight(new_database_url, tmp_path):
    settings = make_settings(tmp_path, database_url=new_database_url(), demo=True)
    with time_machine.travel(datetime(2026, 3, 1, 0, 3, tzinfo=UTC)):
        assert json.loads(set_up(settings, "--json"))["accounts"]


@pytest.mark.no_database
def test_only_the_demo_sets_the_clock():
    callers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "idp").rglob("*.py")
        if re.search(r"\bclock\.at\(|from idp\.platform\.clock import", path.read_text())
    }
    assert callers == {"idp/commands/setup.py", "idp/demo/history.py", "idp/demo/organisations.py"}
