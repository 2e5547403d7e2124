"""The whole screen: importing a module declares its addresses."""

from __future__ import annotations

from idp.pages.console.clients import consents, new, views

MODULES = (consents, new)
pages = views.pages
