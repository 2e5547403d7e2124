"""Every form that the pages of the console offer: sent twice, too late, and with hostile texts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import String, text, update
from werkzeug.datastructures import MultiDict

from idp.pages.console.screens import SCREENS, Screen
from idp.platform.db import Base
from tests.conftest import IssuerClient
from tests.demo import Demo
from tests.demo import demo as demo
from tests.demo import new_database_url as new_database_url
from tests.pages.browsing import HTML, csrf_token
from tests.pages.console.crawling import ACME_EN, PLATFORM_EN, Page, Walk, is_of, shape_of
from tests.pages.console.crawling import walks as walks
from tests.pages.markup import Document, Form

pytestmark = pytest.mark.no_database

NO_ROW = "999999999"
MARKUP = "\"'><script>alert(1)</script>{{7777*7}}"
HOSTILE = {"markup": MARKUP, "bidi": "a\u202egnp.exe\u2066", "long": "x" * 10_000, "nul": "a\x00b"}
SHOWN = {"name", "title", "display_name", "description", "client_name", "nick_name", "comment"}
SHOWN |= {"original_name", "last_error", "user_agent", "notes"}
"""Columns whose texts people write and lists show."""
KEPT_BY_EVERY_REQUEST = {"audit_event", "browser_session", "daily_figure", "refusal"}
TYPED = {
    "email": "new@example.com",
    "mobile": "+8613800138001",
    "url": "https://orders.acme.example/openapi.json",
    "username": "new.person",
}
"""What a person types into empty fields; anything else is `new-one`."""
COUNTS = text(
    "SELECT "
    + ", ".join(
        f'(SELECT count(*) FROM "{table.name}") AS "{table.name}"'
        for table in Base.metadata.sorted_tables
        if table.name not in KEPT_BY_EVERY_REQUEST
    )
)


@dataclass
class Desk:
    """The demo with two people at the console, as often as it is needed."""

    demo: Demo
    saved: Path
    browsers: dict[Walk, IssuerClient] = field(default_factory=dict)
    tokens: dict[Walk, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The database."""
        return Path(str(self.demo.app.extensions["idp"].engine.url.database))

    def enter(self, walk: Walk) -> None:
        """Sign a person in, and keep the token of their forms."""
        browser = self.demo.entered(walk.person)
        self.browsers[walk] = browser
        self.tokens[walk] = csrf_token(browser.get(f"{walk.base(self.demo)}/branding"))

    def save(self) -> None:
        """Keep the database as it is."""
        self.demo.app.extensions["idp"].engine.dispose()
        shutil.copyfile(self.file, self.saved)

    def restore(self) -> None:
        """Bring the database back to where it was kept."""
        self.demo.app.extensions["idp"].engine.dispose()
        shutil.copyfile(self.saved, self.file)

    def send(self, walk: Walk, action: str, values: Sequence[tuple[str, str]]) -> Any:
        """Send a form as a browser without scripts does."""
        pairs = [
            (name, self.tokens[walk] if name == "csrf_token" else each) for name, each in values
        ]
        return self.browsers[walk].post(action, data=MultiDict(pairs), headers=HTML)

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of each table that an act may fill."""
        with self.demo.sessions() as session:
            return dict(session.execute(COUNTS).one()._mapping)


@pytest.fixture(scope="module")
def kept_desk(demo, tmp_path_factory):
    desk = Desk(demo, tmp_path_factory.mktemp("desk") / "saved.sqlite3")
    for walk in (PLATFORM_EN, ACME_EN):
        desk.enter(walk)
    desk.save()
    return desk


@pytest.fixture
def desk(kept_desk):
    yield kept_desk
    kept_desk.restore()


@dataclass(frozen=True)
class Offer:
    """A form as a page offers it."""

    walk: Walk
    form: Form
    crumbs: tuple[str, ...]
    """Where the page says that it is."""


@pytest.fixture(scope="module")
def offers(walks) -> Callable[[Screen], Sequence[Offer]]:
    """Find the forms of a screen; its pages are read once."""

    @cache
    def find(screen: Screen) -> Sequence[Offer]:
        return [*forms(walks, screen)]

    return find


def forms(walks: Mapping[Walk, list[Page]], screen: Screen) -> Iterator[Offer]:
    """Return one form of each kind that a screen has in a workspace."""
    for walk in (PLATFORM_EN, ACME_EN):
        seen = set()
        for page in walks[walk]:
            if page.status != 200 or not page.is_html or not is_of(screen, page.path):
                continue
            document = Document(page.text)  # not kept: there are too many elements
            for form in document.forms(urlsplit(page.path).path):
                kind = (shape_of(form.action), form.button and re.sub(r"\d+", "0", form.button[1]))
                if kind not in seen:
                    seen.add(kind)
                    crumbs = [
                        each for each in document.root.all("nav") if each.get("class") == "crumbs"
                    ]
                    yield Offer(walk, form, tuple(crumbs[0].pieces()) if crumbs else ())


def filled(offer: Offer) -> list[tuple[str, str]]:
    """Return what a person sends who has typed something into every empty field."""
    form, steps = offer.form, offer.crumbs
    values = []
    for name, value in form.fields:
        typed = steps[-2] if name == "typed" and len(steps) > 1 else TYPED.get(name, "new-one")
        values.append((name, typed if name in form.texts and not value else value))
    return values + ([form.button] if form.button else [])


def short(form: Form) -> str:
    return re.sub(r"^/console/(platform|t/0)/", "", shape_of(form.action))


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_no_form_that_is_sent_twice_makes_a_second_row(offers, desk, screen):
    twice = {}
    for offer in offers(screen):
        walk, form = offer.walk, offer.form
        values = filled(offer)
        first = desk.send(walk, form.action, values)
        before = desk.counts()
        second = desk.send(walk, form.action, values)
        for answer in (first, second):
            assert answer.status_code < 500, (form.action, answer.status_code)
            assert answer.status_code in {200, 303} or answer.status_code >= 400, form.action
            if answer.status_code == 303 and "/login" not in answer.location:
                assert desk.browsers[walk].get(answer.location, headers=HTML).status_code != 500
            elif answer.status_code != 303 and answer.mimetype == "text/html":
                assert [*Document(answer.get_data(as_text=True)).faults()] == [], form.action
        more = {name for name, count in desk.counts().items() if count > before[name]}
        if more:
            twice[short(form), form.button] = more
        desk.restore()
    assert twice == {}


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_no_form_fails_when_what_it_names_was_deleted(offers, desk, screen):
    for offer in offers(screen):
        walk, form = offer.walk, offer.form
        base = walk.base(desk.demo)
        rest = form.action.removeprefix(base)
        moved = base + re.sub(r"/\d+(?=[/?]|$)", f"/{NO_ROW}", rest)
        values = filled(offer)
        gone = [(name, re.sub(r"\d+", NO_ROW, each)) for name, each in values]
        before = desk.counts()
        if moved != form.action:
            answer = desk.send(walk, moved, values)
            assert answer.status_code in {303, 400, 404}, (moved, answer.status_code)
            assert answer.status_code != 303 or "/login" in answer.location, moved
            assert desk.counts() == before, moved
        answer = desk.send(walk, form.action, gone)
        assert answer.status_code < 500, (form.action, gone)
        desk.restore()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=[*HOSTILE])
def test_no_text_in_a_form_becomes_markup_or_a_fault(offers, desk, screen, hostile):
    for offer in offers(screen):
        walk, form = offer.walk, offer.form
        if not form.texts:
            continue
        values = [(name, hostile if name in form.texts else each) for name, each in form.fields]
        answer = desk.send(walk, form.action, values + ([form.button] if form.button else []))
        assert answer.status_code < 500, form.action
        if answer.status_code == 303 and answer.location.startswith("/console"):
            answer = desk.browsers[walk].get(answer.location, headers=HTML)
            assert answer.status_code < 500, answer.request.path
        if answer.mimetype == "text/html":
            assert_harmless(answer.get_data(as_text=True), form.action)
        desk.restore()


def assert_harmless(page: str, path: str) -> Document:
    """No text became an element, and no template was run; return what was read."""
    assert "<script>alert" not in page, path
    assert "54439" not in page, path
    document = Document(page)
    assert not document.unbalanced, path
    return document


@pytest.mark.parametrize("walk", [PLATFORM_EN, ACME_EN], ids=lambda walk: walk.name)
def test_texts_as_long_as_their_columns_are_shown_as_texts(walks, desk, walk):
    written = 0
    with desk.demo.sessions() as session:
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                if column.name in SHOWN and isinstance(column.type, String):
                    long = MARKUP + "\u202e"
                    long += "x" * ((column.type.length or 10_000) - len(long))
                    if (
                        column.primary_key
                        or column.unique
                        or any(column.name in each.columns for each in table.indexes)
                    ):
                        continue
                    written += session.execute(update(table).values({column: long})).rowcount
        session.commit()
    assert written > 100
    for page in walks[walk]:
        if page.status == 200 and page.path.startswith("/console"):
            answer = desk.browsers[walk].get(page.path, headers=HTML)
            assert answer.status_code in {200, 303}, page.path
            if answer.mimetype == "text/html" and answer.status_code == 200:
                document = assert_harmless(answer.get_data(as_text=True), page.path)
                assert [*document.faults()] == [], page.path
