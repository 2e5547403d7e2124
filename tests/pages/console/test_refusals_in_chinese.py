"""Refusals that the console shows are Chinese on Chinese pages, those with values in them too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel, force_locale

from idp.directory.clients import addresses, fields
from idp.directory.clients.models import Client
from idp.pages.messages import reasons, translate
from idp.platform.errors import BadRequest, Conflict
from idp.platform.translation import N_, filled

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parents[3]
WALKED = (
    "account",
    "directory/applications",
    "directory/bundles",
    "directory/clients",
    "directory/resources",
    "directory/roles",
    "directory/tenants",
    "directory/users",
    "explain",
    "pages/console",
    "platform",
    "publishing",
)
"""Packages whose refusals the screens show."""
REFUSALS = {"BadRequest", "Busy", "Conflict", "Forbidden", "NotFound", "Outdated"}
REFUSALS |= {"Infected", "TooManyRequests", "Unprocessable"}
ELSEWHERE = {
    # What only programs and commands see.
    "platform/idempotency/service.py": 2,
    "platform/revisions.py": 1,
    "platform/schema.py": 1,
    "platform/signing/service.py": 4,
    "platform/web/principal.py": 5,
    "publishing/gateway/access.py": 4,
}
"""How many refusals of a file stay English."""

MARKERS = {"N_", "filled"}
PLACE = re.compile(r"%\((\w+)\)s")
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
    assert compared > 200
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
def test_an_address_of_a_client_is_refused_in_chinese():
    rules = addresses.Rules(native=False, development=False)
    with pytest.raises(BadRequest) as refusal:
        addresses.redirect_uri("https://a.example/100%25#x", rules)
    assert str(refusal.value.detail) == "'https://a.example/100%25#x' must have no fragment."
    assert reasons(refusal.value) == ["'https://a.example/100%25#x' 不能含有 # 片段。"]


@pytest.mark.usefixtures("chinese")
def test_a_setting_of_a_client_is_refused_in_chinese():
    rules = addresses.Rules(native=False, development=False)
    with pytest.raises(BadRequest) as refusal:
        fields.apply(Client(), {"access_token_lifetime": 0}, rules)
    assert refusal.value.detail == "access_token_lifetime must be between 1 and 2592000."
    chinese = "access_token_lifetime 必须在 1 到 2592000 之间。"
    assert translate(refusal.value.detail) == chinese
    assert reasons(refusal.value) == ["必须在 1 到 2592000 之间。"]


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
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") not in MARKERS:
                continue
            template = call.args[0].args[0] if isinstance(call.args[0], ast.Call) else call.args[0]
            if isinstance(template, ast.Constant) and (names := {*PLACE.findall(template.value)}):
                chinese = catalogue.get(template.value).string
                assert {*PLACE.findall(chinese)} == names, template.value
                given = {keyword.arg for keyword in call.keywords}
                assert not given or given == names, template.value
                found += 1
    assert found > 50
