"""Settings as they are in use: value, source, meaning. Nothing here changes them."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response

from idp import config
from idp.config import SettingInUse
from idp.pages.console import layout, lists, screens
from idp.pages.console.gate import Hit, Pages
from idp.pages.console.lists import Filter
from idp.pages.console.workspaces import Workspace
from idp.pages.messages import translate
from idp.platform.secrets import MASK
from idp.platform.web.views import current_runtime

FILTERS = {
    "source": Filter(
        _("Source"),
        {"environment": _("Environment"), "file": _("File"), "default": _("Default")},
    ),
}
MOST_HITS = 5

pages = Pages(screens.SETTINGS)


@pages.get()
def index(workspace: Workspace) -> Response:
    """List every setting by name, for a search; secrets are masked."""
    listing = lists.read({}, FILTERS, usual="name")
    found = _matching(listing.text)
    if "source" in listing.chosen:
        found = [setting for setting in found if setting.source == listing.chosen["source"]]
    return layout.page(
        workspace,
        "settings/index.html",
        screen=screens.SETTINGS,
        listing=listing,
        settings=found,
        mask=MASK,
        meaning=_marked_up,
    )


@pages.search
def find(workspace: Workspace, text: str) -> Sequence[Hit]:
    """Find settings by name or meaning."""
    return [
        Hit(setting.name, _meaning(setting), workspace.url("settings.index") + f"#{setting.name}")
        for setting in _matching(text)[:MOST_HITS]
    ]


def _matching(text: str) -> list[SettingInUse]:
    wanted = text.casefold()
    lines = sorted(config.in_use(current_runtime().settings), key=lambda line: line.name)
    return [
        line
        for line in lines
        if wanted in f"{line.name} {line.description} {_meaning(line)}".casefold()
    ]


def _meaning(setting: SettingInUse) -> str:
    """Return the meaning of a setting in the language of the page."""
    return translate(setting.description)


def _marked_up(setting: SettingInUse) -> Markup:
    """Return the meaning with the values in it, which stand in backticks, as code."""
    pieces = enumerate(_meaning(setting).split("`"))
    templates = (Markup("%s"), Markup("<code>%s</code>"))
    return Markup().join(templates[number % 2] % piece for number, piece in pieces)
