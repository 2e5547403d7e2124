"""What applications share in a process that makes many of them: routes and compiled templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from flask import Flask
from jinja2 import FileSystemBytecodeCache

from idp import app as application
from idp import early_app
from idp.config import Settings
from idp.platform.web import csrf
from idp.platform.web.routing import Route


class QuickRoute(Route):
    """A route that is compiled once in this process, not once in every application."""

    _compiled: ClassVar[dict[Any, tuple[Any, ...]]] = {}

    def compile(self) -> None:
        """Compile, or take over what the same path and defaults were compiled to."""
        key = (self.rule, self.subdomain, self.host, *(self.defaults or {}).items())
        if key not in self._compiled:
            super().compile()
            builders = (self._build.__func__, self._build_unknown.__func__)
            self._compiled[key] = (self._parts, self._trace, self._converters, *builders)
            return
        self._parts, self._trace, self._converters, build, build_unknown = self._compiled[key]
        self._build = build.__get__(self)
        self._build_unknown = build_unknown.__get__(self)
        self.arguments |= self._converters.keys()


def share_routes() -> None:
    """Let all applications of this process have routes that are compiled once."""
    early_app.Route = QuickRoute


def prepare(folder: Path) -> None:
    """Compile every route, so that forks of this process need not; keep templates in a folder."""
    share_routes()
    app = Flask("idp")
    app.url_rule_class = QuickRoute
    csrf.setup(app, lambda: None)
    application.setup_blueprints(app, Settings.model_construct())
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(folder))}
