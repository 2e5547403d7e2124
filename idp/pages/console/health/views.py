"""How the service is, as load balancers and administrators want to know it."""

from __future__ import annotations

from werkzeug.wrappers import Response

from idp.pages.console import layout, screens
from idp.pages.console.gate import Pages
from idp.pages.console.health import condition
from idp.pages.console.workspaces import Workspace
from idp.platform.audit import figures
from idp.platform.web.views import database

pages = Pages(screens.HEALTH)


@pages.get()
def index(workspace: Workspace) -> Response:
    """Show how the service is."""
    session = database()
    return layout.page(
        workspace,
        "health/index.html",
        screen=screens.HEALTH,
        condition=condition.read(session, figures.last_counted_at(session)),
    )
