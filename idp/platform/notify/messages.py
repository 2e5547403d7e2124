"""Turn a template and its values into the text of a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from idp.platform.files import templates_dir

SUBJECT = "Subject:"


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail without its addresses."""

    subject: str
    body: str


def mail(template: str, context: Mapping[str, str], locale: str) -> Mail:
    """Render `templates/mail/<template>.<language>.txt`, whose first line is the subject."""
    first, _, rest = _source(f"{template}.{language(locale)}.txt").partition("\n")
    if not first.startswith(SUBJECT):
        raise ValueError(f"mail template {template} does not begin with {SUBJECT}")
    subject = _render(first.removeprefix(SUBJECT).strip(), context)
    return Mail(subject, _render(rest.strip("\n"), context) + "\n")


def sms(template: str, context: Mapping[str, str], locale: str) -> str:
    """Render `templates/mail/<template>.sms.<language>.txt`."""
    return _render(_source(f"{template}.sms.{language(locale)}.txt").strip(), context)


def language(locale: str) -> str:
    """Choose the language of a message: Chinese for every kind of `zh`, else English."""
    return "zh" if locale.lower().replace("_", "-").split("-")[0] == "zh" else "en"


def one_line(value: str) -> str:
    """Keep a value on its line, so that it cannot pass for text (or a header) of ours."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


@cache
def _environment() -> Environment:
    # Plain text: there is nothing to escape, and a missing value must not go unnoticed.
    return Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701


@cache
def _source(name: str) -> str:
    # A template's name is written in our code, never taken from a request.
    return Path(templates_dir(), "mail", name).read_text(encoding="utf-8")


def _render(source: str, context: Mapping[str, str]) -> str:
    values = {name: one_line(value) for name, value in context.items()}
    return _environment().from_string(source).render(values)
