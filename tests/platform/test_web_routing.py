"""Routes: what builds their addresses is compiled when it is needed, and builds the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from idp.platform.web.routing import Route

pytestmark = pytest.mark.no_database


def test_what_builds_addresses_is_compiled_when_first_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[bool] = []
    original: Callable[..., Any] = Rule._compile_builder

    def compile_builder(self: Rule, append_unknown: bool = True) -> Any:
        compiled.append(append_unknown)
        return original(self, append_unknown)

    monkeypatch.setattr(Rule, "_compile_builder", compile_builder)
    routes = Map([Route("/users/<int:id>", endpoint="user"), Route("/", endpoint="home")])
    at = routes.bind("login.example")
    assert at.match("/users/7") == ("user", {"id": 7})
    assert compiled == []
    assert at.build("user", {"id": 7}) == at.build("user", {"id": 7}) == "/users/7"
    assert compiled == [True]


@pytest.mark.parametrize("make", [Rule, Route])
def test_addresses_are_those_of_werkzeug(make: type[Rule]) -> None:
    routes = Map(
        [
            make("/a b/<path:rest>", endpoint="files", subdomain="<host>"),
            make("/pages/<name>", endpoint="page", defaults={"name": "first"}),
        ]
    )
    at = routes.bind("login.example", "/idp", subdomain="www")
    built = at.build("files", {"rest": "c/d", "host": "www", "q": "ä", "n": None})
    assert built == "/idp/a%20b/c/d?q=%C3%A4"
    assert at.build("files", {"rest": "c", "host": "x"}, append_unknown=False) == (
        "http://x.login.example/idp/a%20b/c"
    )
    assert at.build("page") == "http://login.example/idp/pages/first"
