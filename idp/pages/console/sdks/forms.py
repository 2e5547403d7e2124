"""The forms of the screen."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import (
    BooleanField,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from idp.pages.console.fields import PLAIN, TOO_LONG
from idp.pages.form import Form
from idp.platform.integers import INT32_MAX
from idp.publishing.codegen import options
from idp.publishing.codegen.options import GithubContent, NpmContent
from idp.publishing.packages.service import LONGEST_NAME, Content

_NEEDED = _("This field is required.")
_TOKEN = {"autocomplete": "new-password"}


def _text(title: Any, longest: int, *, needed: bool = False) -> StringField:
    rules = [InputRequired(_NEEDED)] if needed else []
    return StringField(title, [*rules, Length(max=longest, message=TOO_LONG)], render_kw=PLAIN)


class GenerateForm(Form):
    """An SDK to be generated."""

    generator = SelectField(_("Generator"))
    url = _text(_("Address of the description"), 2000)


class ReleaseForm(Form):
    """An SDK to be generated and published."""

    language = SelectField(_("Package"))
    url = _text(_("Address of the description"), 2000)


class PackageForm(Form):
    """A package to be added to the market."""

    name = _text(_("Package"), LONGEST_NAME, needed=True)
    version = _text(_("Version"), 100)
    publisher = _text(_("Publisher"), 200, needed=True)
    platform = _text(_("Registry or package manager"), 100, needed=True)
    language = _text(_("Language"), 100, needed=True)
    link = _text(_("Link"), 2000, needed=True)
    icon = _text(_("Icon"), 2000, needed=True)
    description = _text(_("Description"), 2000)
    tags = _text(_("Tags"), 1000)
    show_index = IntegerField(
        _("Position"),
        [Optional(), NumberRange(-INT32_MAX, INT32_MAX, _("Enter a whole number."))],
        render_kw={"inputmode": "numeric"},
    )

    def content(self) -> Content:
        """Return the package as the service takes it."""
        values: dict[str, Any] = {entry.name: entry.data or None for entry in self}
        return Content(**values | {"show_index": self.show_index.data or 0})


class NpmForm(Form):
    """How the SDK in a language is published to npm; an empty token keeps the stored one."""

    name = _text(_("Package"), LONGEST_NAME, needed=True)
    sdk_name = _text(_("Name of the SDK"), 100, needed=True)
    version = _text(_("Last version"), 40, needed=True)
    homepage = _text(_("Homepage"), 500, needed=True)
    author = _text(_("Author"), 200)
    keywords = _text(_("Keywords"), 2000)
    description = _text(_("Description"), 1000)
    license = _text(_("License"), 100)
    readme = TextAreaField(
        "README", [Length(max=100_000, message=TOO_LONG)], render_kw={"rows": "6"}
    )
    token = PasswordField(_("Token"), [Length(max=1000, message=TOO_LONG)], render_kw=_TOKEN)

    def content(self) -> NpmContent:
        """Return the options as the service takes them."""
        return NpmContent(
            name=self.name.data or "",
            sdk_name=self.sdk_name.data or "",
            version=self.version.data or "",
            homepage=self.homepage.data or "",
            token=self.token.data or None,
            author=self.author.data or None,
            keywords=(self.keywords.data or "").split(),
            description=self.description.data or None,
            license=self.license.data or "Unlicense",
            readme=self.readme.data or None,
        )


class GithubForm(Form):
    """The repository that is pushed to; an empty token keeps the stored one."""

    owner = _text(_("Owner"), 100)
    repo = _text(_("Repository"), 100)
    user_agent = _text(_("User agent"), 100)
    sync_docs = BooleanField(_("Push documentation"), default=True)
    sync_labels = BooleanField(_("Create labels for operations"), default=True)
    swagger_url = _text(_("Address of the description"), 2000)
    token = PasswordField(_("Token"), [Length(max=1000, message=TOO_LONG)], render_kw=_TOKEN)

    def content(self) -> GithubContent:
        """Return the options as the service takes them."""
        return GithubContent(
            user_agent=self.user_agent.data or options.USUAL_USER_AGENT,
            owner=self.owner.data or None,
            repo=self.repo.data or None,
            token=self.token.data or None,
            swagger_url=self.swagger_url.data or None,
            sync_labels=bool(self.sync_labels.data),
            sync_docs=bool(self.sync_docs.data),
        )
