"""The overview: figures by day, what needs somebody, what a new installation lacks."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from idp.directory.clients.models import Client
from idp.directory.users import service as users
from idp.pages.console import charts
from idp.platform import clock
from idp.platform.audit import figures as figures_by_day
from idp.platform.audit.models import AuditEvent, DailyFigure
from idp.platform.audit.tags import Tag
from idp.platform.jobs import service as jobs
from idp.platform.jobs.models import OutboxMessage
from idp.platform.signing.models import SigningKey
from tests.api.center import statements
from tests.pages.browsing import HTML, readable
from tests.protocol import add_person, add_role, add_tenant, register, sign_in

PATH = "/console/platform/overview"
HOSTILE = '<b>"x\u202e</b>'


def count(session, days_ago, tag, number, tenant_id=0):
    """Write a figure, as the worker does."""
    day = clock.now().date() - timedelta(days=days_ago)
    session.add(
        DailyFigure(day=day, tenant_id=tenant_id, tag=tag, count=number, counted_at=clock.now())
    )
    session.commit()


def figure(page, title):
    """Read a figure: its number and what it is compared with."""
    found = re.search(
        rf"<span>{title}</span>\s*<strong>([^<]+)</strong>.*?</svg>\s*<span[^>]*>([^<]+)<",
        page,
        re.DOTALL,
    )
    return found.groups()


def test_figures_are_sums_of_the_days_shown_compared_with_as_many_before(client, session, root):
    for days_ago, number in ((0, 3), (6, 1000), (7, 500), (13, 302), (14, 9000)):
        count(session, days_ago, Tag.SIGN_IN, number)
    count(session, 0, Tag.SIGN_IN_REFUSED, 21)
    count(session, 1, Tag.SIGN_IN_REFUSED, 10)
    count(session, 2, Tag.TOKEN_ISSUED, 4)
    count(session, 2, Tag.TOKEN_REFRESHED, 8)
    page = readable(client.get(PATH))
    assert figure(page, "Sign-ins") == ("1,003", "+25.1 %")
    assert figure(page, "Refused sign-ins") == ("31", "21 today, 10 yesterday")
    assert 'class="card fig is-bad"' in page
    assert figure(page, "Tokens issued") == ("12", "—")
    assert figure(page, "New people") == ("0", "—")
    month = readable(client.get(f"{PATH}?days=30"))
    assert figure(month, "Sign-ins")[0] == "10,805"
    assert month.count('<rect class="a"') == 5 + 2  # columns and meters


def test_the_table_holds_what_the_chart_shows(client, session, root):
    count(session, 2, Tag.SIGN_IN, 41)
    count(session, 2, Tag.SIGN_IN_REFUSED, 7)
    page = readable(client.get(f"{PATH}?as=table"))
    assert "<table" in page
    assert page.count('<th scope="row"') == 7
    table = page[page.index("<table") : page.index("</table")]
    row = table[table.index(">41<") : table.index(">41<") + 200]
    assert ">7<" in row
    assert '<rect class="b"' not in page


def test_a_tenant_sees_its_own_figures_and_nothing_of_the_installation(client, session, boss):
    count(session, 0, Tag.SIGN_IN, 555)
    count(session, 0, Tag.SIGN_IN, 12, tenant_id=boss)
    count(session, 0, Tag.SIGN_IN, 777, tenant_id=add_tenant(session, "Other"))
    jobs.enqueue(session, "notify.mail", {})
    page = readable(client.get(f"/console/t/{boss}/overview"))
    assert figure(page, "Sign-ins")[0] == "12"
    for text in ("555", "777", "Finish the installation", "Database", "Health", "waiting"):
        assert text not in page, text
    assert client.get(PATH).status_code == 404


def test_what_needs_somebody_leads_to_where_it_is_mended(client, session, root):
    app = register(session, "soon", client_name=HOSTILE)
    secrets = session.get_one(Client, app.row_id).secrets
    secrets[0].expires_at = clock.now() + timedelta(days=13)
    late = register(session, "later")
    session.get_one(Client, late.row_id).secrets[0].expires_at = clock.now() + timedelta(days=15)
    jobs.enqueue(session, "notify.mail", {})
    for row in session.query(OutboxMessage):
        row.failed_at = clock.now()
    for key in session.query(SigningKey).where(
        SigningKey.alg == "ES256", SigningKey.status == "active"
    ):
        key.activated_at = clock.now() - timedelta(days=80)
    session.commit()
    page = client.get(PATH).get_data(as_text=True)
    assert "A secret of 1 client expires within 14 days" in page
    assert "<b>" not in page
    assert "/console/platform/messages?state=failed" in page
    assert "1 message could not be delivered" in page
    assert "The key for ES256 rotates in" in page
    assert "RS256 rotates" not in page


def test_an_ended_or_disabled_client_needs_nobody(client, session, root):
    for name, enabled, days in (("ended", True, -1), ("disabled", False, 1)):
        row = session.get_one(Client, register(session, name).row_id)
        row.enabled, row.secrets[0].expires_at = enabled, clock.now() + timedelta(days=days)
    session.commit()
    assert "Nothing needs attention." in readable(client.get(PATH))


def test_secrets_of_clients_that_a_person_does_not_manage_are_not_named(client, session):
    acme = add_tenant(session)
    user = add_person(session, tenant_ids=(acme,))
    add_role(session, user, "clerk", ["ids4.ms.admin.overview.read"], tenant_id=acme)
    row = session.get_one(Client, register(session, "theirs", tenant_id=acme).row_id)
    row.secrets[0].expires_at = clock.now() + timedelta(days=1)
    session.commit()
    sign_in(client, session, user)
    assert "theirs" not in readable(client.get(f"/console/t/{acme}/overview"))


def test_steps_of_a_new_installation_turn_quiet_when_they_are_done(client, session, root):
    page = readable(client.get(PATH))  # there is the administrator of the seeds, too
    assert "There is more than one administrator." in page
    assert "0 of 3 done" not in page
    users.disable(session, users.find_by_username(session, "admin"))
    session.commit()
    page = readable(client.get(PATH))
    assert "If the only one is locked out, nobody can help." in page
    assert "There is more than one administrator." not in page


@pytest.mark.settings(smtp_url="smtp://mail.example", public_url="https://idp.example")
def test_an_installation_with_mail_and_https_lacks_neither(client, session, root):
    page = readable(client.get(PATH, base_url="https://idp.example"))
    assert "A mail server is set." in page
    assert "Pages are served over https." in page


@pytest.mark.parametrize("query", ["days=8", "days=", "days=x", "days=-7", "days=7&days=30"])
def test_an_unknown_period_is_refused_with_its_name(client, root, query):
    answer = client.get(f"{PATH}?{query}", headers=HTML)
    assert answer.status_code == 400, query
    assert "days" in readable(answer)


def test_the_number_of_statements_does_not_grow(client, session, root, runtime):
    client.get(PATH)
    with statements(runtime.engine) as few:
        client.get(f"{PATH}?days=30")
    for days_ago in range(60):
        count(session, days_ago, Tag.SIGN_IN, days_ago)
        jobs.enqueue(session, "notify.mail", {})
    session.commit()
    with statements(runtime.engine) as many:
        assert client.get(f"{PATH}?days=30").status_code == 200
    assert len(many) == len(few) < 40


@pytest.mark.parametrize(
    ("highest", "step"), [(0, 1), (1, 1), (4, 1), (5, 2), (20, 5), (21, 10), (1000, 500)]
)
@pytest.mark.no_database
def test_lines_of_a_chart_stand_at_round_numbers_above_the_highest(highest, step):
    assert charts.step_for(highest) == step
    assert step * charts.STEPS >= highest


@pytest.mark.no_database
def test_columns_stay_within_the_chart_and_nothing_is_drawn_for_nothing():
    chart = charts.columns([(0, 0), (1, 0), (10**9, 10**9), (0, 3)], ["a", None, "c", "d"])
    bars = [bar for column in chart.columns for bar in (column.lower, column.upper) if bar]
    assert len(bars) == 4
    for bar in bars:
        assert bar.height >= charts.LEAST
        assert charts.LEFT <= bar.x < bar.x + bar.width <= charts.WIDTH
        assert bar.y >= 0
    assert charts.spark([]) == ""
    assert charts.spark([5, 5]) == "0.0,25.0 96.0,25.0"


def event(session, tag=Tag.USER_CHANGED, **columns):
    session.add(AuditEvent(tag=tag, at=clock.now(), **columns))
    session.commit()


def recent(page) -> str:
    found = page[page.index('id="recent"') :]
    return found[: found.index("</section>")]


def test_the_last_events_are_shown_and_lead_to_the_audit_log(client, session, root):
    odd = add_person(session, "odd", nick_name=HOSTILE)
    for _ in range(9):
        event(session, user_id=odd.id, target=f"user:{root.id}", tenant_id=1)
    page = client.get(PATH).get_data(as_text=True)
    shown = recent(page)
    assert shown.count("Person changed") == 8
    assert "/console/platform/audit?event=" in shown
    assert 'href="/console/platform/audit"' in shown
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    address = re.search(r'href="(/console/platform/audit\?event=\d+)"', shown)[1]
    assert "Person changed" in readable(client.get(address))


def test_a_tenant_sees_its_own_events_alone(client, session, boss):
    other = add_tenant(session, "Other")
    zelda = add_person(session, "zelda", tenant_ids=(other,))
    event(session, Tag.USER_DISABLED, user_id=zelda.id, target=f"user:{zelda.id}", tenant_id=other)
    event(session, Tag.USER_UNLOCKED, user_id=zelda.id, target="user:1", tenant_id=boss)
    shown = recent(readable(client.get(f"/console/t/{boss}/overview")))
    assert "Person unlocked" in shown
    assert "Person disabled" not in shown
    assert "zelda" not in shown


def test_events_are_for_those_who_may_see_the_audit_log(client, session, reader):
    event(session, Tag.USER_DISABLED, target="user:1", tenant_id=1)
    page = readable(client.get(PATH))
    assert 'id="recent"' not in page
    assert "Person disabled" not in page


def test_every_figure_leads_to_its_list(client, session, root):
    page = client.get(PATH).get_data(as_text=True)
    figures = page[page.index('class="figs"') : page.index('class="grid-2"')]
    assert figures.count('<a class="card fig') == 4
    for address in re.findall(r'href="(/console[^"]+)"', page.replace("&amp;", "&")):
        if "/audit?" in address:
            assert client.get(address).status_code == 200, address
    assert {Tag.SIGN_IN, Tag.SIGN_IN_REFUSED, Tag.USER_CREATED} <= {
        *re.findall(r"tag=([\w%:]+)&", figures.replace("&amp;", "&").replace("%3A", ":"))
    }


def happened(session, tag, hours_ago, number=1, tenant_id=1):
    """Add events that happened some hours ago, in the middle of an hour."""
    at = clock.now().replace(minute=30, second=0, microsecond=0) - timedelta(hours=hours_ago)
    session.add_all(AuditEvent(tag=tag, at=at, tenant_id=tenant_id) for _ in range(number))
    session.commit()


def test_the_last_day_is_shown_by_the_hour_beside_the_day_before(client, session, root):
    for hours_ago, number in ((1, 7), (23, 5), (24, 6), (47, 4), (48, 90)):
        happened(session, Tag.SIGN_IN, hours_ago, number)
    happened(session, Tag.SIGN_IN_REFUSED, 2, 11)
    happened(session, Tag.TOKEN_ISSUED, 3, 2)
    happened(session, Tag.TOKEN_REFRESHED, 3, 3)
    page = readable(client.get(f"{PATH}?days=1"))
    assert figure(page, "Sign-ins") == ("12", "+20.0 %")
    assert figure(page, "Refused sign-ins") == ("11", "—")
    assert figure(page, "Tokens issued") == ("5", "—")
    assert "Sign-ins per hour" in page
    assert "lack some" not in page
    table = readable(client.get(f"{PATH}?days=1&as=table"))
    table = table[table.index("<table") : table.index("</table")]
    assert table.count('<th scope="row"') == 24
    hour = (clock.now() - timedelta(hours=1)).strftime("%H:00")
    row = table[table.index(hour) :]
    assert ">7<" in row[: row.index("</tr>")]


def test_hours_are_those_of_the_visitor_and_of_their_organisation(client, session, boss):
    happened(session, Tag.SIGN_IN, 1, 3, tenant_id=boss)
    happened(session, Tag.SIGN_IN, 1, 40, tenant_id=add_tenant(session, "Other"))
    user = users.find_by_username(session, "boss")
    user.zoneinfo = "Asia/Kathmandu"  # five hours and 45 minutes ahead
    session.commit()
    page = readable(client.get(f"/console/t/{boss}/overview?days=1&as=table"))
    assert figure(page, "Sign-ins")[0] == "3"
    hour = (clock.now() + timedelta(hours=4)).strftime("%H:45")
    row = page[page.index(hour) :]
    assert ">3<" in row[: row.index("</tr>")]


def test_a_page_counts_no_more_than_so_many_events_by_the_hour(client, session, root, monkeypatch):
    monkeypatch.setattr(figures_by_day, "MOST_BY_THE_HOUR", 10)
    happened(session, Tag.SIGN_IN, 1, 9)
    assert "lack some" not in readable(client.get(f"{PATH}?days=1"))
    happened(session, Tag.SIGN_IN, 5, 9)
    page = readable(client.get(f"{PATH}?days=1"))
    assert "the first hours lack some" in page
    assert figure(page, "Sign-ins")[0] == "10"


def test_the_hours_take_one_statement(client, session, root, runtime):
    client.get(f"{PATH}?days=1")
    with statements(runtime.engine) as few:
        client.get(f"{PATH}?days=1")
    for hours_ago in range(30):
        happened(session, Tag.SIGN_IN, hours_ago, 3)
    with statements(runtime.engine) as many:
        assert client.get(f"{PATH}?days=1").status_code == 200
    assert len(many) == len(few)
