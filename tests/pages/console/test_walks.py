"""Walks over all links of the console: what every page of every screen must be like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.directory.tenants.models import Tenant
from idp.directory.users.models import User
from idp.pages.console.screens import SCREENS, Where
from idp.platform.db import Base
from idp.platform.issuer import PLATFORM_TENANT_ID
from tests.demo import demo as demo
from tests.demo import new_database_url as new_database_url
from tests.pages.console import crawling
from tests.pages.console.crawling import (
    ACME,
    ACME_EN,
    LAKESIDE,
    LAKESIDE_EN,
    PLATFORM_EN,
    PLATFORM_ZH,
    WALKS,
    is_of,
)
from tests.pages.console.crawling import walks as walks

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parents[3]
NOT_THERE = {"explain/request?request"}
"""Searches for something that is not there are answered with 404: by the shapes of addresses."""
PLACE = re.compile(r"%\(\w+\)[sd]|%%")
SPECIFIC = 12
"""Letters that a sentence with places has at least besides them."""
SHORTEST = 4
"""Letters that a text has at least which would show whose it is."""
EVERYBODYS = {"S256", "image/png", "signed out", "user:7"}
EVERYBODYS |= {"orders.read", "orders.refund", "http://127.0.0.1:5000"}
"""Values that rows of anybody may have; the last four are examples in fields and code."""
SHARED = {"api_resource", "api_scope", "application", "branding", "menu", "privilege"}
"""What organisations see of the platform."""


@pytest.fixture(scope="module")
def private(demo):
    """Look up once what is private to others than an organisation."""
    return cache(partial(private_to_others, demo))


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_every_screen_is_reached_by_links_in_every_workspace_that_has_it(walks, screen):
    for walk in WALKS:
        pages = [page for page in walks[walk] if is_of(screen, page.path)]
        is_shown = screen.where is Where.EVERYWHERE or (screen.where is Where.PLATFORM) is (
            walk.organisation is None
        )
        assert bool(pages) is is_shown, walk.name


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.name)
def test_every_link_leads_to_a_page(walks, walk):
    for page in walks[walk]:
        expected = {200, 303}
        if any(page.shape.endswith(f"/{name}") for name in NOT_THERE):
            expected = {404}
        assert page.status in expected, (page.path, "from", page.came_from)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.name)
def test_every_page_is_sound_for_those_who_hear_it(walks, walk):
    found = {
        page.path: faults
        for page in own_pages(walks[walk])
        if (faults := [*page.document.faults()])
    }
    assert found == {}


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ("<h1></h1>", "empty: h1"),
        ("<h1>A</h1><h1>B</h1>", "not one h1"),
        ("<h1>A</h1><i id=a></i><i id=a></i>", "twice: id a"),
        ("<h1>A</h1><input name=a>", "has no label"),
        ("<h1>A</h1><a href=/></a>", "has no name: a"),
        ("<h1>A</h1><a href='#b'>B</a>", "leads nowhere: #b"),
        ("<h1>A</h1><label for=b>B</label>", "for names no element: b"),
        ("<h1>A</h1><p>", "not closed or not open: p"),
        ("<h1>A</h1><form><form></form></form>", "a form in a form"),
    ],
)
def test_faults_of_the_markup_are_found(markup, fault):
    page = crawling.Page("/", "", 200, None, is_html=True, text=markup)
    assert any(each.startswith(fault) for each in page.document.faults())


def test_nothing_that_the_catalogue_knows_stays_english(walks, demo):
    sentences, patterns = catalogue()
    with demo.sessions() as session:
        stored = {text for row in every_row(session) for text in texts_of(row)}
    found: dict[str, str] = {}
    for page in own_pages(walks[PLATFORM_ZH]):
        for text in {*page.document.texts()} - stored:
            if text in sentences or any(each.fullmatch(text) for each in patterns):
                found.setdefault(text, page.path)
    assert found == {}


@pytest.mark.parametrize("walk", [PLATFORM_EN, ACME_EN, LAKESIDE_EN], ids=lambda walk: walk.name)
def test_no_chinese_is_on_english_pages_but_what_is_stored(walks, demo, walk):
    with demo.sessions() as session:
        stored = {text for row in every_row(session) for text in texts_of(row)}
    names = sorted((text for text in stored if is_chinese(text)), key=len, reverse=True)
    for page in own_pages(walks[walk]):
        for text in page.document.texts():
            left = text
            for name in ["中文", *names] if is_chinese(text) else []:
                left = left.replace(name, "")
            # A circle shows the first letter of the person's name.
            assert not is_chinese(left) or len(left) == 1, (page.path, text)


@pytest.mark.parametrize(
    ("walk", "other"), [(ACME_EN, LAKESIDE), (LAKESIDE_EN, ACME)], ids=[ACME, LAKESIDE]
)
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_nothing_of_others_is_on_a_page_of_an_organisation(
    walks, demo, private, walk, other, screen
):
    texts, ids = private(walk.organisation)
    assert len(texts) > 100
    with demo.sessions() as session:
        names = session.scalars(select(User.username).where(User.id.in_(ids["user"])))
        assert {other, *filter(is_telling, names)} <= texts
    for page in walks[walk]:
        if is_of(screen, page.path):
            assert leaks(page.document.root.text + " ".join(attributes(page)), texts) == set()
            for table, row_id in linked(page):
                assert row_id not in ids[table], (page.path, table, row_id)


def test_what_is_of_an_organisation_is_recognised_on_its_own_pages(walks, demo, private):
    texts, ids = private(ACME)
    for name in ("users", "clients", "roles", "apis", "menus", "audit"):
        path = f"{LAKESIDE_EN.base(demo)}/{name}"
        (page,) = [page for page in walks[LAKESIDE_EN] if page.path == path]
        assert leaks(page.document.root.text, texts), name
    rows = [row for page in walks[LAKESIDE_EN] if page.is_html for row in linked(page)]
    assert sum(row_id in ids[table] for table, row_id in rows) > 10


def test_every_address_of_another_organisation_is_closed(walks, demo, private):
    olivia = demo.entered(ACME_EN.person)
    texts, _ = private(ACME)
    theirs, ours = LAKESIDE_EN.base(demo), ACME_EN.base(demo)
    tried = 0
    for page in walks[LAKESIDE_EN]:
        if not page.path.startswith(f"{theirs}/"):
            continue
        assert crawling.open_page(olivia, page.path, "", "en").status == 404, page.path
        path = page.path.replace(theirs, ours)
        moved = crawling.open_page(olivia, path, "", "en")
        if re.search(r"/\d+(/|$)", page.path.removeprefix(theirs)):
            tried += 1
            assert moved.status == 404, path
        said = moved.document.root.text + " ".join(attributes(moved))
        assert leaks(said, texts) == set(), path
    assert tried > 30


def own_pages(pages: list[crawling.Page]) -> Iterator[crawling.Page]:
    """Return the pages of the console."""
    for page in pages:
        if page.path.startswith("/console") and page.is_html and page.location is None:
            yield page


def catalogue() -> tuple[set[str], list[re.Pattern[str]]]:
    """Return the English sentences that have another one in Chinese, and those with places."""
    with (ROOT / "idp/translations/zh/LC_MESSAGES/messages.po").open("rb") as file:
        messages = [*read_po(file, locale="zh")]
    sentences, patterns = set(), []
    for message in messages:
        singular = message.id if isinstance(message.id, tuple) else (message.id,)
        for text in filter(None, singular):
            if not re.search(r"[a-z]{2}", PLACE.sub("", text)) or not message.string:
                continue
            if re.fullmatch("[a-z]+", text):
                continue  # also the name of a grant, a scope or a claim
            if text in ([message.string] if isinstance(message.string, str) else message.string):
                continue
            if PLACE.search(text):
                if len(re.findall(r"[a-z]", PLACE.sub("", text))) < SPECIFIC:
                    continue  # "List %(name)s" would be found in any name
                pieces = map(re.escape, PLACE.split(text))
                patterns.append(re.compile("(.+?)".join(pieces)))
            else:
                sentences.add(" ".join(text.split()))
    assert len(sentences) > 1000
    assert len(patterns) > 100
    return sentences, patterns


def is_chinese(text: str) -> bool:
    return re.search(r"[\u4e00-\u9fff]", text) is not None


def attributes(page: crawling.Page) -> Iterator[str]:
    for element in page.document.root.all():
        yield from element.attributes.values()


def every_row(session: Session) -> Iterator[dict[str, Any]]:
    for table in Base.metadata.sorted_tables:
        for row in session.execute(select(table)).mappings():
            yield dict(row)


def texts_of(value: Any) -> Iterator[str]:
    """Return the texts in a value of the database, those in its JSON too."""
    if isinstance(value, str):
        yield value.strip()
        if value[:1] in {"{", "["}:
            try:
                yield from texts_of(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, (list, tuple, set)):
        for each in value:
            yield from texts_of(each)


TABLES = {
    "users": "user",
    "clients": "client",
    "roles": "role",
    "apis": "api_resource",
    "menus": "application",
    "jobs": "sdk_job",
    "audit": "audit_event",
}
"""What the numbers in addresses of a screen are the ids of."""


def linked(page: crawling.Page) -> Iterator[tuple[str, int]]:
    """Return the rows that the links of a page name."""
    for href in page.document.links():
        found = re.match(r"/console/(?:t/\d+|platform)/(\w+)/(\d+)", href)
        if found and found[1] in TABLES:
            yield TABLES[found[1]], int(found[2])


def leaks(said: str, texts: set[str]) -> set[str]:
    """Return which of the texts are said, not only as a part of a longer word."""
    return {text for text in texts if text in said and is_word_of(text, said)}


def is_word_of(text: str, said: str) -> bool:
    return re.search(rf"(?<![\w./:-]){re.escape(text)}(?![\w/:-]|\.\w)", said) is not None


def private_to_others(demo: Any, own: str) -> tuple[set[str], dict[str, set[int]]]:
    """Return texts and ids of rows that belong to another organisation, or to the platform alone.

    A row belongs to the organisation that it names, or whose row it names. Texts that the own
    organisation has too show nothing.
    """
    with demo.sessions() as session:
        tenant = session.scalars(select(Tenant).where(Tenant.name == own)).one()
        rows = {
            table.name: [dict(row) for row in session.execute(select(table)).mappings()]
            for table in Base.metadata.sorted_tables
        }
    members = {row["user_id"] for row in rows["membership"] if row["tenant_id"] == tenant.id}
    ours, theirs = ({name: set[int]() for name in rows} for _ in range(2))
    for owned, is_own in ((ours, True), (theirs, False)):
        owned["tenant"] = {
            row["id"] for row in rows["tenant"] if (row["id"] == tenant.id) is is_own
        }
        owned["user"] = {row["id"] for row in rows["user"] if (row["id"] in members) is is_own}
    theirs["client"] = {row["id"] for row in rows["client"] if row["tenant_id"] is None}
    clients = {row["client_id"] for row in rows["client"] if row["tenant_id"] == tenant.id}
    private, known = set[str](), set[str]()
    for table in Base.metadata.sorted_tables:
        keys = [
            (key.parent.name, key.column.table.name)
            for key in table.foreign_keys
            if key.parent.name != "issuer_tenant_id"  # where it happened, not whose it is
        ]
        for row in rows[table.name]:
            is_of_own_client = row.get("client_id") in clients and table.name != "client"
            if is_of_own_client or (table.name in SHARED and is_of_platform(row, keys, theirs)):
                known.update(texts_of([*row.values()]))
                continue
            for owned, texts in ((theirs, private), (ours, known)):
                if is_owned(table.name, row, keys, owned):
                    owned[table.name] |= {row["id"]} if "id" in row else set()
                    texts.update(texts_of([*without_requests(row)]))
                    break
    everything = "\n".join(known)
    telling = {text for text in private - known if is_telling(text)}
    return telling - leaks(everything, telling) - EVERYBODYS, theirs


def is_owned(
    name: str, row: dict[str, Any], keys: list[tuple[str, str]], owned: dict[str, set[int]]
) -> bool:
    """Return whether a row belongs to those whose rows are given, by its tenant if it has one."""
    if name in {"tenant", "user"}:
        return row["id"] in owned[name]
    if row.get("tenant_id") is not None:
        return row["tenant_id"] in owned["tenant"]
    return row.get("id") in owned[name] or any(row[key] in owned[other] for key, other in keys)


def without_requests(row: dict[str, Any]) -> Iterator[Any]:
    """Return the values of a row; activity of a client has the ids of requests of everybody."""
    return (value for name, value in row.items() if name != "request_id")


def is_of_platform(
    row: dict[str, Any], keys: list[tuple[str, str]], theirs: dict[str, set[int]]
) -> bool:
    """Return whether a row belongs to the platform and hangs on nothing of an organisation."""
    parents = [row[key] in theirs[other] for key, other in keys if other != "tenant"]
    return row.get("tenant_id") in {None, PLATFORM_TENANT_ID} and not any(parents)


def is_telling(text: str) -> bool:
    """Return whether a text is more than a word or a number that any page may have."""
    shortest = 2 if is_chinese(text) else SHORTEST
    return len(text) >= shortest and not re.fullmatch(r"[a-z_:]+|\d+|ids4\.[\w.]+", text)
