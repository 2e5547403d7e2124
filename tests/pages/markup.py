"""Pages as trees of elements: forms, links, names of controls, and faults of the markup."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser

VOID = {"br", "col", "hr", "img", "input", "link", "meta", "use", "wbr"}
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
SPOKEN = ("alt", "aria-label", "placeholder", "title")
"""Attributes whose text people see or hear."""
CODE = {"code", "kbd", "pre", "script", "style", "textarea"}
NAMELESS = {"button", "hidden", "image", "reset", "submit"}
"""Kinds of inputs without a label."""
REFERENCES = ("aria-controls", "aria-describedby", "aria-labelledby", "for", "form", "list")


@dataclass(eq=False, slots=True)
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return the value of an attribute, empty where there is none."""
        return self.attributes.get(name, "")

    def all(self, *tags: str) -> Iterator[Element]:
        """Return the elements below this one, of these tags or of all, in order."""
        for child in self.children:
            if isinstance(child, Element):
                if not tags or child.tag in tags:
                    yield child
                yield from child.all(*tags)

    def above(self) -> Iterator[Element]:
        """Return what this element is in, from the inside out."""
        if self.parent is not None:
            yield self.parent
            yield from self.parent.above()

    def pieces(self, *without: str) -> Iterator[str]:
        """Return the texts below this element, without some tags or what is in another language."""
        for child in self.children:
            if isinstance(child, str):
                if child.strip():
                    yield " ".join(child.split())
            elif child.tag not in without and not (without and child.is_in_another_language):
                yield from child.pieces(*without)

    @property
    def is_in_another_language(self) -> bool:
        """Whether it says so, other than the page as a whole."""
        return "lang" in self.attributes and self.tag != "html"

    @property
    def text(self) -> str:
        """All that can be read in it."""
        return " ".join(self.pieces())

    @property
    def name(self) -> str:
        """What it is called for those who do not see it."""
        spoken = [self.get("aria-label") or self.get("aria-labelledby"), self.text]
        return " ".join([*spoken, *(each.get("alt") for each in self.all("img"))]).strip()


@dataclass(frozen=True)
class Form:
    """A form that is sent by POST."""

    action: str
    fields: tuple[tuple[str, str], ...]
    """What a browser sends when nothing is changed."""
    texts: tuple[str, ...]
    """Names of what a person types into."""
    choices: tuple[tuple[str, str], ...]
    """Boxes and radio buttons that are not chosen."""
    button: tuple[str, str] | None


class Document(HTMLParser):
    """A page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = self.root
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()
        self.unbalanced += [each.tag for each in (self._open, *self._open.above()) if each.tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element."""
        values = {name: value or "" for name, value in attrs}
        if len(values) < len(attrs):
            self.unbalanced.append(f"{tag}: an attribute stands there twice")
        element = Element(tag, values, self._open)
        self._open.children.append(element)
        if tag not in VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add an element without content, as SVG has them."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if self._open.tag != tag or self._open.parent is None:
            self.unbalanced.append(tag)
            return
        self._open = self._open.parent

    def handle_data(self, data: str) -> None:
        """Add a text."""
        self._open.children.append(data)

    @cached_property
    def ids(self) -> list[str]:
        """The ids in the order of the page."""
        return [each.get("id") for each in self.root.all() if "id" in each.attributes]

    def texts(self) -> Iterator[str]:
        """Return what is written in words: texts and the attributes that are read out."""
        yield from self.root.pieces(*CODE)
        for element in self.root.all():
            for name, value in element.attributes.items():
                if value.strip() and (name in SPOKEN or name.startswith("data-unsaved-")):
                    yield " ".join(value.split())
            if element.get("type") == "submit" and element.get("value"):
                yield element.get("value")

    def links(self) -> Iterator[str]:
        """Return the addresses of links that only show something: the others have `nofollow`."""
        for element in self.root.all("a"):
            if "nofollow" not in element.get("rel").split():
                yield element.get("href")

    def searches(self) -> Iterator[str]:
        """Return the addresses of forms that are sent by GET, filled in with a letter."""
        for form in self.root.all("form"):
            if form.get("method").lower() in {"", "get"}:
                kept = [
                    f"{each.get('name')}={each.get('value') or 'a'}"
                    for each in form.all("input")
                    if each.get("type") in {"hidden", "search", "text", ""} and each.get("name")
                ]
                yield form.get("action") + "?" + "&".join(kept)

    def forms(self, path: str) -> Iterator[Form]:
        """Return what each button of the forms sends."""
        for form in self.root.all("form"):
            if form.get("method").lower() == "post":
                yield from self._sent_by(form, path)

    def _sent_by(self, form: Element, path: str) -> Iterator[Form]:
        controls = [*form.all("input", "select", "textarea", "button")]
        if form.get("id"):
            controls += [
                each
                for each in self.root.all("input", "select", "textarea", "button")
                if each.get("form") == form.get("id")
            ]
        controls = [
            each
            for each in controls
            if "disabled" not in each.attributes and each.get("form") in {"", form.get("id")}
        ]
        fields = [pair for each in controls for pair in _values(each)]
        texts = [each.get("name") for each in controls if _is_text(each)]
        choices = [
            (each.get("name"), each.get("value") or "on")
            for each in controls
            if each.get("type") in {"checkbox", "radio"} and "checked" not in each.attributes
        ]
        for each in controls:
            if each.tag == "button" and each.get("type") in {"", "submit"}:
                button = (each.get("name"), each.get("value")) if each.get("name") else None
                action = each.get("formaction") or form.get("action") or path
                yield Form(action, tuple(fields), tuple(texts), tuple(choices), button)

    def faults(self) -> Iterator[str]:
        """Return what is wrong with the markup, whatever the page is about."""
        yield from (f"not closed or not open: {tag}" for tag in self.unbalanced)
        yield from (f"twice: id {id_}" for id_, n in Counter(self.ids).items() if n > 1)
        yield from (f"no id: {id_!r}" for id_ in self.ids if not re.fullmatch(r"\S+", id_))
        headings = [*self.root.all(*HEADINGS)]
        if [each.tag for each in headings].count("h1") != 1:
            yield "not one h1"
        yield from (f"empty: {each.tag}" for each in headings if not each.text)
        known = set(self.ids)
        for element in self.root.all():
            yield from self._faults_of(element, known)

    def _faults_of(self, element: Element, known: set[str]) -> Iterator[str]:
        for name in REFERENCES:
            for id_ in element.get(name).split():
                if id_ not in known:
                    yield f"{name} names no element: {id_}"
        href = element.get("href")
        if element.tag == "a" and href.startswith("#") and href[1:] not in known:
            yield f"leads nowhere: {href}"
        if element.tag in {"a", "button", "summary", "legend", "label", "option"}:
            is_blank_option = element.tag == "option" and not element.get("value")
            if not element.name and not is_blank_option:
                yield f"has no name: {element.tag} {element.attributes}"
        if not self._is_labelled(element):
            yield f"has no label: {element.tag} {element.attributes}"
        if element.tag == "form" and any(each.tag == "form" for each in element.above()):
            yield "a form in a form"

    def _is_labelled(self, element: Element) -> bool:
        if element.tag not in {"input", "select", "textarea"} or element.get("type") in NAMELESS:
            return True
        if element.get("aria-label") or element.get("aria-labelledby"):
            return True
        if any(each.tag == "label" and each.text for each in element.above()):
            return True
        return bool(element.get("id")) and element.get("id") in self._labelled

    @cached_property
    def _labelled(self) -> set[str]:
        return {each.get("for") for each in self.root.all("label") if each.text}


def _is_text(control: Element) -> bool:
    kinds = {"", "email", "number", "password", "search", "tel", "text", "url"}
    is_input = control.tag == "input" and control.get("type") in kinds
    return (is_input or control.tag == "textarea") and bool(control.get("name"))


def _values(control: Element) -> Iterator[tuple[str, str]]:
    name = control.get("name")
    if not name or control.tag == "button" or control.get("type") == "file":
        return
    if control.tag == "select":
        options = [*control.all("option")]
        chosen = [each for each in options if "selected" in each.attributes]
        if not chosen and "multiple" not in control.attributes:
            chosen = options[:1]
        yield from ((name, each.get("value")) for each in chosen)
    elif control.tag == "textarea":
        yield name, "".join(each for each in control.children if isinstance(each, str)).lstrip("\n")
    elif control.get("type") not in {"checkbox", "radio"} or "checked" in control.attributes:
        yield name, control.get("value") or ("on" if control.get("type") == "checkbox" else "")
