"""The addresses of the screen; its modules declare them."""

from __future__ import annotations

from idp.directory.scopes import Scope
from idp.pages.console import screens
from idp.pages.console.gate import Pages

READ, WRITE = Scope.ADMIN_USERS_READ, Scope.ADMIN_USERS_WRITE

pages = Pages(screens.USERS)
