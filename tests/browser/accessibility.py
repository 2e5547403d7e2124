"""What axe finds on a page."""

from __future__ import annotations

from dataclasses import dataclass

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# What a page does right stays in the browser: to fetch all of it takes as long as the examination.
_RUN = """
part => typeof axe == 'undefined' ? null
  : axe.run(part || document, {resultTypes: ['violations']}).then(found => ({
    passes: found.passes.length,
    violations: found.violations.map(each => [
      each.id, each.impact, each.nodes.map(node => node.html),
    ]),
  }))
"""


@dataclass(frozen=True)
class Violation:
    """A rule of axe that a page violates."""

    rule: str
    impact: str
    """How bad it is: minor, moderate, serious or critical."""
    places: list[str]
    """The HTML of each element."""


def violations(page: Page, part: str | None = None) -> list[Violation]:
    """Examine the page that is open, or a part of it by its selector."""
    found = page.evaluate(_RUN, part)
    if found is None:
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate(_RUN, part)
    assert found["passes"], "axe has found nothing to examine"
    return [Violation(*each) for each in found["violations"]]
