"""The whole screen: importing a module declares its addresses."""

from __future__ import annotations

from idp.pages.console.clients import consents, new, registration, trial, views

MODULES = (consents, new, registration, trial)
pages = views.pages
