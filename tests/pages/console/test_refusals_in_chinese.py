"""Refusals that the console shows are Chinese on Chinese pages, those with values in them too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel, force_locale

from idp.pages.messages import reasons, translate
from idp.platform.errors import BadRequest, Conflict
from idp.platform.translation import N_, filled

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parents[3]
WALKED = ("account", "directory/clients", "directory/users", "pages/console")
"""Packages whose refusals the screens of clients, users and sessions show."""
REFUSALS = {"BadRequest", "Busy", "Conflict", "Forbidden", "NotFound", "Outdated"}
REFUSALS |= {"TooManyRequests", "Unprocessable"}
ELSEWHERE = {
    "directory/clients/presets.py": 1,  # no form of the console leads there
    # These put a value before one of many reasons, which are not sentences by themselves.
    "directory/clients/fields.py": 3,
    "directory/clients/addresses.py": 1,
}
"""How many refusals of a file stay English."""

SENTENCE = "不存在 scope：%s。"  # noqa: RUF001 - Chinese


@pytest.fixture
def chinese():
    app = Flask("idp", root_path=str(ROOT / "idp"))
    Babel(app)
    with app.test_request_context(), force_locale("zh"):
        yield


def sentences(tree: ast.AST) -> Iterator[ast.expr]:
    """Find what refusals say: the first argument, or with `at` the second."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            is_at = isinstance(call.func, ast.Attribute) and call.func.attr == "at"
            named = call.func.value if is_at else call.func
            if getattr(named, "id", None) in REFUSALS:
                yield from call.args[1:2] if is_at else call.args[:1]


def unmarked(path: Path) -> list[str]:
    """Return the sentences of a file that are written out and not marked."""
    source = path.read_text(encoding="utf-8")
    return [
        ast.unparse(each)
        for each in sentences(ast.parse(source))
        if isinstance(each, ast.JoinedStr)
        or (isinstance(each, ast.Constant) and isinstance(each.value, str))
    ]


def test_no_refusal_of_the_console_stays_english():
    found, compared = {}, 0
    for folder in WALKED:
        for path in (ROOT / "idp" / folder).rglob("*.py"):
            compared += len([*sentences(ast.parse(path.read_text(encoding="utf-8")))])
            if texts := unmarked(path):
                found[str(path.relative_to(ROOT / "idp"))] = texts
    assert compared > 100
    assert {name: len(texts) for name, texts in found.items()} == ELSEWHERE, found


def test_the_walk_finds_a_sentence_that_is_not_marked(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text(
        'raise BadRequest.at("a", "Plain.")\n'
        'raise Conflict(f"With {value}.")\n'
        'raise Conflict(N_("Marked."))\n'
        'raise ValueError("of nobody\'s concern")\n'
    )
    assert unmarked(path) == ["'Plain.'", "f'With {value}.'"]


@pytest.mark.usefixtures("chinese")
def test_values_stand_in_the_translated_sentence():
    text = filled(N_("There is no scope %(names)s."), names="a, b")
    assert text == "There is no scope a, b."
    assert translate(text) == SENTENCE % "a, b"
    assert reasons(BadRequest.at("scopes", text)) == [SENTENCE % "a, b"]
    assert reasons(Conflict(text)) == [SENTENCE % "a, b"]


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize("value", ["100% sure", "%(names)s", "<b>", "x" * 10_000])
def test_what_a_person_typed_is_never_read_as_a_place(value):
    text = filled(N_("There is no scope %(names)s."), names=value)
    assert translate(text) == SENTENCE % value


def test_every_filled_sentence_has_its_places_in_chinese():
    with (ROOT / "idp/translations/zh/LC_MESSAGES/messages.po").open("rb") as file:
        catalogue = read_po(file, locale="zh")
    found = 0
    for path in (ROOT / "idp").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "filled":
                template = call.args[0].args[0].value
                assert catalogue.get(template).string, template
                names = {keyword.arg for keyword in call.keywords}
                assert all(f"%({name})s" in template for name in names), template
                found += 1
    assert found > 10
