"""The Chinese catalogue holds every text of pages, and is compiled."""

from __future__ import annotations

import ast
import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel, force_locale

import idp.pages.messages
from idp.directory.users import passwords
from idp.oauth.request import Parameters
from idp.platform.errors import BadRequest, OAuthError

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "idp" / "translations"
KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None}
"""As `make translations` has them."""
PLACE = re.compile(r"%\(\w+\)s")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def catalogue():
    with (FOLDER / "zh" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale="zh")


@pytest.fixture(scope="module")
def texts():
    with (FOLDER / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    found = set()
    for folder in ("idp", "templates"):
        prefixed = [(re.sub(rf"^{folder}/", "", pattern), method) for pattern, method in methods]
        for _, _, message, _, _ in extract_from_dir(
            ROOT / folder, prefixed, options, keywords=KEYWORDS
        ):
            found.add(message if isinstance(message, str) else message[0])
    return found


@pytest.fixture
def chinese():
    app = Flask("idp", root_path=str(ROOT / "idp"))
    Babel(app)
    with app.test_request_context(), force_locale("zh"):
        yield


def test_every_text_is_translated(catalogue, texts):
    assert len(texts) > 100
    missing = {text for text in texts if catalogue.get(text) is None}
    assert missing == set()


def test_the_catalogue_has_no_text_that_is_not_used(catalogue, texts):
    translated = {m.id if isinstance(m.id, str) else m.id[0] for m in catalogue if m.id}
    assert translated - texts == set()


def test_no_translation_is_empty_doubtful_or_lacks_a_value(catalogue):
    for message in catalogue:
        if not message.id:
            continue
        source = message.id if isinstance(message.id, str) else message.id[-1]
        target = message.string if isinstance(message.string, str) else message.string[0]
        assert target, source
        assert not message.fuzzy, source
        assert sorted(PLACE.findall(source)) == sorted(PLACE.findall(target)), source


def test_the_compiled_catalogue_is_this_one(catalogue):
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    assert (FOLDER / "zh" / "LC_MESSAGES" / "messages.mo").read_bytes() == compiled.getvalue()


def test_marks_stand_at_literals_that_the_extraction_can_read(texts):
    marked = []
    for path in (ROOT / "idp").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "N_":
                (argument,) = node.args
                assert isinstance(argument, ast.Constant), f"{path.name}:{node.lineno}"
                marked.append(argument.value)
    assert len(marked) > 40
    assert set(marked) - texts == set()


def test_refused_passwords_are_explained_in_chinese(chinese):
    for password in ("short", "x" * 200, "tab\tulated-one", "password", "annabelle"):
        with pytest.raises(BadRequest) as caught:
            passwords.check_policy(password, ("annabelle",))
        for reason in idp.pages.messages.reasons(caught.value):
            assert CHINESE.search(reason), reason


def test_sentences_about_passwords_name_the_limits():
    for limit, password, by_person in (
        (passwords.SHORTEST, "short", True),
        (passwords.SHORTEST_MIXED, "aB3?", False),
        (passwords.LONGEST, "x" * 200, True),
    ):
        with pytest.raises(BadRequest, match=rf"\b{limit} characters"):
            passwords.check_policy(password, chosen_by_person=by_person)


def test_the_value_after_a_translated_sentence_is_kept(chinese):
    with pytest.raises(OAuthError) as caught:
        Parameters([]).require("client_id")
    (reason,) = idp.pages.messages.reasons(caught.value)
    assert CHINESE.search(reason)
    assert reason.endswith(": client_id")


def test_a_sentence_without_translation_is_shown_as_it_is(chinese):
    for text in ("No catalogue has this: nor this.", "100% of it"):
        assert idp.pages.messages.translate(text) == text
