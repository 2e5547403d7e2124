"""The forms of the branding screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, StringField, TextAreaField

from idp.directory.branding.models import Branding
from idp.directory.branding.rules import LANGUAGES, PLACES, BrandingSpec
from idp.pages.form import Form
from idp.publishing.branding import Picture

NAMES = ("name", "accent", "accent_dark", "help_uri", "privacy_uri", "imprint_uri")
TEXTS = {
    f"text_{language}_{place}": (language, place) for language in LANGUAGES for place in PLACES
}
"""Fields of texts, with language and place."""
FIELDS = {name: name for name in NAMES} | {
    f"texts.{language}.{place}": name for name, (language, place) in TEXTS.items()
}
"""Fields of the form by those of the service."""
PICTURES: dict[str, Any] = {"logo": _("Logo"), "icon": _("Icon of browser tabs")}


def _paragraph(label: Any) -> TextAreaField:
    return TextAreaField(label, render_kw={"rows": 2})


class BrandingForm(Form):
    """All values but the pictures; the service checks them."""

    name = StringField(_("Displayed name"))
    accent = StringField(_("Accent colour"), render_kw={"placeholder": "#1f5fbf"})
    accent_dark = StringField(_("Links on dark pages"), render_kw={"placeholder": "#8db8fa"})
    help_uri = StringField(_("Help"), render_kw={"placeholder": "https://"})
    privacy_uri = StringField(_("Privacy policy"), render_kw={"placeholder": "https://"})
    imprint_uri = StringField(_("Imprint"), render_kw={"placeholder": "https://"})
    text_en_sign_in = _paragraph(_("Sign-in page, in English"))
    text_zh_sign_in = _paragraph(_("Sign-in page, in Chinese"))
    text_en_register = _paragraph(_("Registration page, in English"))
    text_zh_register = _paragraph(_("Registration page, in Chinese"))
    text_en_mail = _paragraph(_("End of every mail, in English"))
    text_zh_mail = _paragraph(_("End of every mail, in Chinese"))
    stamp = HiddenField()

    def to_spec(self, row: Branding) -> BrandingSpec:
        """Return the branding as the service takes it; its pictures stay."""
        texts: dict[str, dict[str, str | None]] = {}
        for name, (language, place) in TEXTS.items():
            texts.setdefault(language, {})[place] = self[name].data
        return BrandingSpec(
            **{name: self[name].data for name in NAMES},
            logo=row.logo,
            icon=row.icon,
            texts=texts,
        )

    def rows(self, row: Branding) -> Iterator[tuple[Any, str, str]]:
        """Yield the title, the stored value and the value of the form of each field."""
        stored = data_of(row)
        for name in (*NAMES, *TEXTS):
            yield self[name].label.text, stored[name], (self[name].data or "").strip()


def data_of(row: Branding) -> dict[str, str]:
    """Return what the form shows of a branding."""
    texts = {
        name: row.texts.get(language, {}).get(place, "")
        for name, (language, place) in TEXTS.items()
    }
    values = {name: getattr(row, name) or "" for name in NAMES}
    return {**values, **texts, "stamp": row.concurrency_stamp}


def picture_of(name: str) -> Picture | None:
    """Return which picture a form is about; None for a name that is unknown."""
    return cast("Picture", name) if name in PICTURES else None
