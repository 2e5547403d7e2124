"""Lists of the console: pages follow each other by key, and addresses are checked."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import select

from idp.directory.clients import models as clients
from idp.directory.users import models as users
from idp.pages.console import lists
from idp.platform.sessions.models import BrowserSession
from tests.pages.browsing import HTML
from tests.protocol import add_person, add_role, register, sign_in

PATH = "/console/platform/clients"


@pytest.fixture
def admin(client, session):
    """Sign the administrator of the platform in."""
    user = add_person(session, "root")
    add_role(session, user, "administrators", tenant_id=None)
    sign_in(client, session, user)
    return user


def names(page: str) -> list[str]:
    """Read the client ids of a list."""
    return re.findall(r'<span class="mono">([^<]+)</span>', page)


def link(page: str, rel: str) -> str | None:
    """Find the address of the page before or after."""
    found = re.search(rf'href="([^"]+)"\s+rel="{rel}"', page)
    return unescape(found[1]) if found else None


@pytest.mark.parametrize("few", [lists.FEW, 59])
@pytest.mark.parametrize("sort", ["name", "-name", "created", "-created"])
def test_pages_show_every_row_once_and_lead_back(client, session, admin, monkeypatch, sort, few):
    monkeypatch.setattr(lists, "FEW", few)
    for number in range(60):
        # Many have the same name: the id then decides.
        register(session, f"app-{number}", client_name=f"App {number % 4}")
    forth, address = [], f"{PATH}?q=app-&sort={sort}"
    while address is not None:
        page = client.get(address).get_data(as_text=True)
        forth.append(names(page))
        assert "60 clients" in page
        last, address = page, link(page, "next")
    assert [len(rows) for rows in forth] == [25, 25, 10]
    assert len({name for rows in forth for name in rows}) == 60
    back, address = [forth[-1]], link(last, "prev")
    while address is not None:
        page = client.get(address).get_data(as_text=True)
        back.append(names(page))
        address = link(page, "prev")
    assert [*reversed(back)] == forth


def test_filters_and_search_stay_when_the_sort_changes(client, session, admin):
    register(session, "orders", enabled=False)
    address = f"{PATH}?q=ord&kind=web&state=disabled"
    page = client.get(address).get_data(as_text=True)
    assert names(page) == ["orders"]
    turned = unescape(re.search(r'<th[^>]*aria-sort="ascending">\s*<a href="([^"]+)"', page)[1])
    assert turned == f"{PATH}?q=ord&sort=-name&kind=web&state=disabled"
    assert names(client.get(turned).get_data(as_text=True)) == ["orders"]


def test_a_new_search_keeps_filters_and_sort_but_not_the_page(client, session, admin):
    for number in range(30):
        register(session, f"app-{number:02}")
    page = client.get(f"{PATH}?sort=-name&kind=web").get_data(as_text=True)
    page = client.get(link(page, "next")).get_data(as_text=True)
    form = page[page.index(f'action="{PATH}"') :].partition("</form>")[0]
    hidden = re.findall(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]+)"', form)
    assert hidden == [("sort", "-name"), ("kind", "web")]


def test_a_list_without_rows_offers_to_clear_the_filters(client, admin):
    page = client.get(f"{PATH}?q=nobody-has-this-name").get_data(as_text=True)
    assert f'<a href="{PATH}">Clear filters</a>' in page


@pytest.mark.no_database
@pytest.mark.parametrize(
    "query",
    [
        "sort=secret",
        "sort=--name",
        "sort=name&sort=name",
        "kind=nothing",
        "state=enabled&state=disabled",
        "after=x",
        "after=%20",
        "after=W10",
        "after=WzEsMV0",  # [1, 1]
        "after=WyJhIiwgInMiXQ",  # ["a", "s"]
        "after=WyJhIiwgLTFd",  # ["a", -1]
        "after=WyJhXHUwMDAwIiwgMV0",  # a NUL
        "after=WyJhIiwgOTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0",
        "sort=created&after=WyJhIiwgMV0",
        "sort=created&after=WyIyMDI2LTAxLTAxIiwgMV0",  # a day without a time zone
        "q=" + "x" * 201,
        "before=" + "A" * 5000,
    ],
)
def test_an_address_that_was_made_up_is_refused(client, admin, query):
    assert client.get(f"{PATH}?{query}", headers=HTML).status_code == 400


def test_letters_with_a_meaning_for_like_are_letters(client, session, admin):
    register(session, "percent", client_name="100%")
    assert names(client.get(f"{PATH}?q=0%25").get_data(as_text=True)) == ["percent"]
    assert names(client.get(f"{PATH}?q=_").get_data(as_text=True)) == []


def test_no_more_rows_are_counted_than_a_number(client, session, admin, monkeypatch):
    for number in range(5):
        register(session, f"app-{number}")
    monkeypatch.setattr(lists, "MOST_COUNTED", 5)
    assert "More than" not in client.get(f"{PATH}?q=app-").get_data(as_text=True)
    monkeypatch.setattr(lists, "MOST_COUNTED", 4)
    page = client.get(f"{PATH}?q=app-").get_data(as_text=True)
    assert "More than 4 clients" in page
    assert len(names(page)) == 5


@pytest.mark.parametrize(
    ("order", "key", "index"),
    [
        (users.SORT_NAME, users.User.id, "ix_user_sort_name"),
        (users.User.created_at, users.User.id, "ix_user_created_at_id"),
        (clients.SORT_NAME, clients.Client.id, "ix_client_sort_name"),
        (clients.Client.created_at, clients.Client.id, "ix_client_created_at_id"),
        (BrowserSession.last_seen_at, BrowserSession.id, "ix_browser_session_last_seen_at_id"),
    ],
)
def test_an_index_has_the_order_of_a_list(session, order, key, index):
    query = select(key).order_by(order, key).limit(26)
    dialect = session.get_bind().dialect
    text = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    prefix = "EXPLAIN" if dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    connection = session.connection()
    if dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql("SET LOCAL enable_sort = off")
    plan = str(connection.exec_driver_sql(f"{prefix} {text}").all())
    assert index in plan, plan
