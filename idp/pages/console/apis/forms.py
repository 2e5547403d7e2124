"""The forms of API resources."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from idp.directory.roles.catalogue import LONGEST_CODE
from idp.pages.console.fields import PLAIN, TOO_LONG, DescribedForm
from idp.pages.form import Form

MOST_SCOPES = 100
"""Scopes that one form adds."""


class NewApiForm(DescribedForm):
    """An API to be registered, with its first scopes."""

    name = StringField(
        _("API name"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    scopes = TextAreaField(
        _("Scopes"),
        [Length(max=MOST_SCOPES * 202, message=TOO_LONG)],
        render_kw=PLAIN | {"rows": "4"},
    )

    @property
    def scope_names(self) -> list[str]:
        """The scopes, each once, in the order in which they were typed."""
        return list(dict.fromkeys((self.scopes.data or "").split()))


class ApiForm(DescribedForm):
    """The settings of an API."""

    default_scopes = TextAreaField(
        _("Default scopes"),
        [Length(max=MOST_SCOPES * 202, message=TOO_LONG)],
        render_kw=PLAIN | {"rows": "2"},
    )
    open_to_strangers = BooleanField(_("Open to unregistered applications"))
    enabled = BooleanField(_("Enabled"))
    stamp = HiddenField(validators=[Length(max=64)])

    @property
    def default_scope_names(self) -> list[str]:
        """The default scopes, in the order in which they were typed."""
        return (self.default_scopes.data or "").split()


class ScopeForm(Form):
    """A scope to be added."""

    scope = StringField(
        _("Scope"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    title = StringField(_("Name for people"), [Length(max=200, message=TOO_LONG)], render_kw=PLAIN)


class PrivilegeForm(Form):
    """A privilege to be created."""

    code = StringField(
        _("Privilege code"),
        [InputRequired(_("Enter a code.")), Length(max=LONGEST_CODE, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    title = StringField(
        _("Name for people"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )


class SecretForm(Form):
    """A secret to be generated."""

    purpose = StringField(
        _("What it is for"), [Length(max=1000, message=TOO_LONG)], render_kw=PLAIN
    )
