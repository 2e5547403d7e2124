"""The whole screen: importing a module declares its addresses."""

from __future__ import annotations

from idp.pages.console.policy import applications, views

MODULES = (applications,)
pages = views.pages
