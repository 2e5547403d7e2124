"""What WTForms says by itself is Chinese on Chinese pages."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest
import wtforms
from flask import Flask
from flask_babel import Babel, force_locale
from werkzeug.datastructures import MultiDict
from wtforms import SelectField, SelectMultipleField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

import idp.pages
from idp.pages.form import BUILT_IN, Form

pytestmark = pytest.mark.no_database

ROOT = Path(__file__).parents[2]
SAID_BY = {"gettext", "ngettext"}
ELSEWHERE = {"FieldList", "FormField", "CSRFTokenField"}


class Some(Form):
    """A form with a field of each kind that complains by itself."""

    class Meta(Form.Meta):
        csrf = False

    one = SelectField("one", choices=[SelectChoice("x", "X")])
    several = SelectMultipleField("several", choices=[SelectChoice("x", "X")])
    needed = wtforms.StringField("needed", [InputRequired()])


@pytest.fixture
def app():
    app = Flask("idp", root_path=str(ROOT / "idp"))
    app.secret_key = "x"
    Babel(app)
    return app


@pytest.mark.parametrize("several", [["q"], ["q", "r"]])
def test_a_wrong_choice_is_refused_in_chinese(app, several):
    with app.test_request_context(), force_locale("zh"):
        form = Some(formdata=MultiDict([("one", "q"), *(("several", each) for each in several)]))
        assert not form.validate()
        for errors in form.errors.values():
            (text,) = errors
            assert any("\u4e00" <= letter <= "\u9fff" for letter in text), text
        assert all(each in form.errors["several"][0] for each in several)


def forms():
    """Find every class of a form of the pages."""
    for module in pkgutil.walk_packages(idp.pages.__path__, "idp.pages."):
        importlib.import_module(module.name)
    found, queue = set(), [Form]
    while queue:
        for each in queue.pop().__subclasses__():
            if each.__module__.startswith("idp."):
                found.add(each)
            queue.append(each)
    return found


def said_by(kind) -> set[str]:
    """Read what a class of WTForms and those it inherits from say, out of their source."""
    texts = set()
    for each in kind.__mro__:
        if not each.__module__.startswith("wtforms."):
            continue
        module = importlib.import_module(each.__module__)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            if isinstance(node, ast.ClassDef) and node.name == each.__name__:
                texts |= {
                    argument.value
                    for call in ast.walk(node)
                    if isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and call.func.attr in SAID_BY
                    for argument in call.args
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
                }
    return texts


def test_every_field_of_our_forms_says_only_what_is_in_the_catalogue():
    kinds = {entry.field_class for form in forms() for entry in _fields(form)}
    assert SelectField in kinds
    said = {text for kind in kinds if kind.__name__ not in ELSEWHERE for text in said_by(kind)}
    # Said of a field that was built without choices, which no form of ours is.
    said -= {"Choices cannot be None."}
    assert said - {*BUILT_IN} == set()


def test_validators_with_words_of_their_own_are_in_the_catalogue():
    found = set()
    for form in forms():
        for entry in _fields(form):
            for validator in entry.kwargs.get("validators") or entry.args[1:2] or ():
                for each in validator if isinstance(validator, list | tuple) else [validator]:
                    if getattr(each, "message", "") is None:
                        found |= said_by(type(each))
    assert found - {*BUILT_IN} == set()


def _fields(form):
    """Return the unbound fields of a form class."""
    return [
        value
        for name in dir(form)
        if isinstance(value := getattr(form, name, None), wtforms.fields.core.UnboundField)
    ]
