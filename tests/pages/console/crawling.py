"""Walks through the console over its links, as people of the demo and in both languages."""

from __future__ import annotations

import pickle
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

import pytest

from idp.pages.console.screens import Screen
from tests.conftest import IssuerClient, Run
from tests.demo import Demo
from tests.pages.browsing import HTML
from tests.pages.markup import Document

FEW, MANY = 1, 12
"""Pages that are opened of those which differ by numbers or by values of the query."""
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}


@dataclass(frozen=True)
class Walk:
    """Who walks, where and in which language."""

    person: str
    organisation: str | None
    """None: the platform."""
    language: str
    most_alike: int = FEW
    with_queries: bool = True

    @property
    def name(self) -> str:
        """Short for the test's name."""
        return f"{self.organisation or 'platform'}-{self.language}".replace(" ", "-")

    def base(self, demo: Demo) -> str:
        """Return the address of the workspace."""
        if self.organisation is None:
            return "/console/platform"
        return f"/console/t/{demo.tenant(self.organisation)}"


ACME, LAKESIDE = "Acme Trading", "Lakeside Clinic"
PLATFORM_EN, PLATFORM_ZH = (
    Walk("admin", None, "en"),
    Walk("admin", None, "zh", with_queries=False),
)
ACME_EN = Walk("olivia.chen", ACME, "en", most_alike=MANY)
LAKESIDE_EN = Walk("hannah.moore", LAKESIDE, "en", with_queries=False)
WALKS = (PLATFORM_EN, PLATFORM_ZH, ACME_EN, LAKESIDE_EN)


@dataclass
class Page:
    """What was answered at an address."""

    path: str
    came_from: str
    status: int
    location: str | None
    is_html: bool
    text: str

    @cached_property
    def document(self) -> Document:
        """The page as a tree."""
        return Document(self.text)

    @property
    def shape(self) -> str:
        """The address without what tells rows of a kind from each other."""
        return shape_of(self.path)


def shape_of(path: str) -> str:
    """Return an address with numbers left out, and of the query the names alone."""
    parts = urlsplit(path)
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    return re.sub(r"\d+", "0", parts.path) + ("?" + "&".join(names) if names else "")


def is_of(screen: Screen, path: str) -> bool:
    """Return whether an address is one of a screen."""
    return re.match(rf"/console/(platform|t/\d+)/{screen.name}\b", path) is not None


def crawl(browser: IssuerClient, base: str, walk: Walk) -> list[Page]:
    """Open what links of the pages lead to, from the first page of a workspace on.

    Lists have links for each filter, sort and page, and for every combination of them: one at a
    time is enough.
    """
    pages: list[Page] = []
    waiting = deque([(base, "")])
    seen, alike = {base}, Counter[str]()
    while waiting:
        path, came_from = waiting.popleft()
        page = open_page(browser, path, came_from, walk.language)
        pages.append(page)
        for href in _leads_to(page):
            if href in seen or not _is_to_be_opened(href, base, walk):
                continue
            seen.add(href)
            shape = shape_of(href)
            alike[shape] += 1
            is_own = "?" not in href and href.startswith(f"{base}/")
            if alike[shape] <= (walk.most_alike if is_own else FEW) and "&" not in href:
                waiting.append((href, path))
    return pages


def _is_to_be_opened(href: str, base: str, walk: Walk) -> bool:
    is_elsewhere = href.startswith("/console") and not href.startswith((f"{base}/", f"{base}?"))
    if "?" in href and not walk.with_queries:
        return False
    return href.startswith("/") and not is_elsewhere and not href.startswith("/logout")


def open_page(browser: IssuerClient, path: str, came_from: str, language: str) -> Page:
    """Open an address."""
    headers = {**HTML, "Accept-Language": LANGUAGES[language]}
    answer = browser.get(path, headers=headers)
    is_html = answer.mimetype == "text/html"
    text = answer.get_data(as_text=True) if is_html else ""
    return Page(path, came_from, answer.status_code, answer.location, is_html, text)


def _leads_to(page: Page) -> Iterator[str]:
    if page.location is not None:
        yield urljoin(page.path, page.location)
    # What is outside the console has tests of its own.
    if page.is_html and page.path.startswith("/console"):
        document = Document(page.text)  # not kept: a walk has hundreds of thousands of elements
        for href in (*document.links(), *document.searches()):
            yield urldefrag(urljoin(page.path, href)).url


def walked(run: Run, demo: Demo, walk: Walk) -> list[Page]:
    """Return the pages of a walk, which one process of the run makes for all."""
    file = run.folder / f"walk-{walk.name}.pickle"

    def make() -> None:
        pages = crawl(demo.entered(walk.person), walk.base(demo), walk)
        file.write_bytes(pickle.dumps(pages))

    run.once(f"walk-{walk.name}", make)
    pages: list[Page] = pickle.loads(file.read_bytes())  # noqa: S301 - our own file
    assert len(pages) > len(walk.name)
    return pages


@pytest.fixture(scope="module")
def walks(run: Run, demo: Demo) -> dict[Walk, list[Page]]:
    """Return the pages of every walk."""
    return {walk: walked(run, demo, walk) for walk in WALKS}
