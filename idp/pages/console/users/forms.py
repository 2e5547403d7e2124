"""The forms of the screen."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import (
    FileField,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined] # newer than its types
from wtforms.validators import InputRequired, Length

from idp.directory.users.editing import Edit
from idp.directory.users.management import NewPerson
from idp.directory.users.models import User
from idp.directory.users.names import EMAIL_LENGTH, USERNAME_LENGTH
from idp.pages.account.forms import NamesForm
from idp.pages.console.fields import TOO_LONG
from idp.pages.form import Form
from idp.pages.language import LANGUAGES

FIELDS = {"nick_name": "nickname", "roles[0]": "roles"}
"""Fields of the form by the names that services give them."""
CLAIMS = ("name", "given_name", "middle_name", "family_name", "nickname", "locale", "zoneinfo")
IDENTITY = ("username", "email", "mobile")


class NewUserForm(Form):
    """A new account."""

    username = StringField(
        _("User name"),
        [InputRequired(_("Enter a user name.")), Length(max=USERNAME_LENGTH, message=TOO_LONG)],
        render_kw={"autocomplete": "off"},
    )
    email = StringField(
        _("E-mail"),
        [Length(max=EMAIL_LENGTH, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "type": "email"},
    )
    mobile = StringField(
        _("Mobile number"),
        [Length(max=40, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "type": "tel"},
    )
    nickname = StringField(
        _("Name shown to others"),
        [Length(max=200, message=TOO_LONG)],
        render_kw={"autocomplete": "off"},
    )
    locale = SelectField(
        _("Language"),
        choices=[
            SelectChoice("", _("Not set")),
            *(SelectChoice(one.tag, one.name) for one in LANGUAGES.values()),
        ],
        default="",
    )
    way = RadioField(
        _("How they get in"),
        choices=[
            SelectChoice("link", _("Send a link by e-mail; they choose a password themselves")),
            SelectChoice("password", _("Generate a password, which is shown once")),
        ],
        default="link",
    )
    roles = SelectMultipleField(_("Roles"), validate_choice=False)

    def person(self) -> NewPerson:
        """Return the account as the service takes it."""
        return NewPerson(
            username=self.username.data or "",
            email=self.email.data or None,
            mobile=self.mobile.data or None,
            nick_name=self.nickname.data or None,
            locale=self.locale.data or None,
            roles=self.roles.data or (),
        )


class ProfileForm(NamesForm):
    """The profile of a user, as an administrator changes it."""

    username = StringField(_("User name"), [Length(max=USERNAME_LENGTH, message=TOO_LONG)])
    email = StringField(
        _("E-mail"), [Length(max=EMAIL_LENGTH, message=TOO_LONG)], render_kw={"type": "email"}
    )
    mobile = StringField(
        _("Mobile number"), [Length(max=40, message=TOO_LONG)], render_kw={"type": "tel"}
    )
    stamp = HiddenField(validators=[Length(max=64)])

    def __init__(self, **options: Any) -> None:
        """Fill the form; browsers must not offer the administrator's own values."""
        super().__init__(**options)
        self.set_choices()
        for name in (*CLAIMS, *IDENTITY):
            self[name].render_kw = {**(self[name].render_kw or {}), "autocomplete": "off"}

    def edit(self, user: User) -> Edit:
        """Return the edit as the service takes it; a name that was not sent stays."""
        kept = {name: getattr(user, name) for name in IDENTITY if not self[name].raw_data}
        named = {name: (self[name].data or "").strip() for name in IDENTITY} | kept
        return Edit(
            **named,
            claims={name: self[name].data for name in CLAIMS},
            concurrency_stamp=self.stamp.data,
        )


class ExistingUserForm(Form):
    """The user name of someone who has an account already."""

    existing = StringField(
        _("User name"),
        [InputRequired(_("Enter a user name.")), Length(max=USERNAME_LENGTH, message=TOO_LONG)],
        render_kw={"autocomplete": "off"},
    )


class ImportForm(Form):
    """People as CSV, in a file or pasted."""

    file = FileField(_("CSV file"), render_kw={"accept": ".csv,text/csv"})
    text = TextAreaField(_("Or paste it here"), render_kw={"rows": 8})


class DeleteForm(Form):
    """The name of what is to be deleted, typed."""

    typed = StringField(_("Type the user name to confirm"), render_kw={"autocomplete": "off"})
