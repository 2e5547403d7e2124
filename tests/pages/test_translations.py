"""The Chinese catalogue is complete and compiled."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask_babel import Babel, force_locale

import idp.pages.messages
from idp.directory.users import passwords
from idp.platform.errors import BadRequest

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "idp" / "translations"
PLACE = re.compile(r"%\(\w+\)s")


@pytest.fixture(scope="module")
def catalogue():
    with (FOLDER / "zh" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale="zh")


@pytest.fixture(scope="module")
def texts():
    with (FOLDER / "babel.cfg").open(encoding="utf-8") as file:
        methods, options = parse_mapping_cfg(file)
    keywords = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
    found = set()
    for folder in ("idp/pages", "templates"):
        prefixed = [(re.sub(rf"^{folder}/", "", pattern), method) for pattern, method in methods]
        for _, _, message, _, _ in extract_from_dir(
            ROOT / folder, prefixed, options, keywords=keywords
        ):
            found.add(message if isinstance(message, str) else message[0])
    return found


def test_every_text_is_translated(catalogue, texts):
    assert len(texts) > 100
    missing = {text for text in texts if catalogue.get(text) is None}
    assert missing == set()


def test_nothing_is_translated_that_nobody_says(catalogue, texts):
    said = {m.id if isinstance(m.id, str) else m.id[0] for m in catalogue if m.id}
    assert said - texts == set()


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


def test_what_services_say_about_passwords_is_translated():
    app = Flask("idp", root_path=str(ROOT / "idp"))
    Babel(app)
    problems = []
    for password in ("short", "x" * 200, "tab\tulated-one", "password", "annabelle"):
        with pytest.raises(BadRequest) as caught:
            passwords.check_policy(password, ("annabelle",))
        problems.append(caught.value)
    with app.test_request_context(), force_locale("zh"):
        for problem in problems:
            for reason in idp.pages.messages.reasons(problem):
                assert re.search(r"[\u4e00-\u9fff]", reason), reason
