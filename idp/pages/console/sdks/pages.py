"""The addresses of the screen, and who acts on them."""

from __future__ import annotations

from dataclasses import replace

from idp.directory.actor import Actor
from idp.directory.resources import service as resources
from idp.directory.resources.models import ApiResource
from idp.pages.console import layout, screens
from idp.pages.console.gate import Pages
from idp.pages.console.workspaces import Workspace
from idp.platform.web.views import database

CLIENT = "console"
"""Takes the place of a client id for what people request here."""

pages = Pages(screens.SDKS)


def acting(workspace: Workspace) -> Actor:
    """Return who requests an SDK."""
    return replace(workspace.actor, client_id=CLIENT)


def get_api(workspace: Workspace, api_id: int) -> ApiResource:
    """Return an API in reach."""
    return resources.get_api(database(), workspace.actor, api_id)


def title(api: ApiResource) -> str:
    """Return the name that people know an API by."""
    return api.display_name or api.name


def crumbs(workspace: Workspace, api: ApiResource, here: str) -> list[layout.Crumb]:
    """Return the way to a page below an API."""
    href = workspace.url("sdks.show", row_id=api.id)
    return [layout.Crumb(title(api), href), layout.Crumb(here)]
