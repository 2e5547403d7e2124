"""The forms of the account pages."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import FileField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.validators import EqualTo, InputRequired, Length

from idp.directory.users.profile import LONGEST_ADDRESS
from idp.pages.form import Form
from idp.pages.language import LANGUAGES
from idp.pages.signin.forms import LONGEST_PASSWORD, email_field, mobile_field


def _current_password() -> PasswordField:
    return PasswordField(
        _("Current password"),
        [
            InputRequired(_("Enter your current password.")),
            Length(max=LONGEST_PASSWORD, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "current-password"},
    )


class ChangePasswordForm(Form):
    """The current password, and the new one twice."""

    current = _current_password()
    password = PasswordField(
        _("New password"),
        [
            InputRequired(_("Enter a new password.")),
            Length(max=LONGEST_PASSWORD, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "new-password"},
    )
    repeated = PasswordField(
        _("New password again"),
        [EqualTo("password", _("The passwords do not match."))],
        render_kw={"autocomplete": "new-password"},
    )


def _short_text(label: Any, longest: int, autocomplete: str, **options: Any) -> StringField:
    """Return a field for an optional short text."""
    return StringField(
        label,
        [Length(max=longest, message=_("This is too long."))],
        render_kw={"autocomplete": autocomplete, **options},
    )


class NamesForm(Form):
    """What a person is called, and in which language and time zone; named as the claims."""

    name = _short_text(_("Name"), 200, "name")
    given_name = _short_text(_("Given name"), 100, "given-name")
    middle_name = _short_text(_("Middle name"), 100, "additional-name")
    family_name = _short_text(_("Family name"), 100, "family-name")
    nickname = _short_text(_("Nickname"), 200, "nickname")
    locale = SelectField(_("Language"), validate_choice=False)
    zoneinfo = SelectField(_("Time zone"), validate_choice=False)

    def set_choices(self) -> None:
        """Set the choices of the lists; the current value is always one."""
        languages = [(language.tag, language.name) for language in LANGUAGES.values()]
        self.locale.choices = _with_current(self.locale.data, languages)
        self.zoneinfo.choices = _with_current(
            self.zoneinfo.data, [(zone, zone) for zone in _zones()]
        )


class ProfileForm(NamesForm):
    """The details of a person; the fields are named as the claims."""

    gender = _short_text(_("Gender"), 20, "sex")
    birthdate = StringField(
        _("Birthday"), render_kw={"type": "date", "autocomplete": "bday", "min": "1900-01-01"}
    )
    website = _short_text(_("Website"), LONGEST_ADDRESS, "url", type="url")
    profile = _short_text(_("Profile page"), LONGEST_ADDRESS, "off", type="url")
    address = TextAreaField(
        _("Address"),
        [Length(max=1000, message=_("This is too long."))],
        render_kw={"autocomplete": "street-address", "rows": 3},
    )

    def values(self) -> dict[str, str | None]:
        """Return the values by claim."""
        return {field.name: field.data for field in self}


class PictureForm(Form):
    """A picture of the person."""

    file = FileField(
        _("New picture"),
        [InputRequired(_("Choose a picture."))],
        render_kw={"accept": "image/jpeg,image/png"},
    )


class NewEmailForm(Form):
    """The new e-mail address, and the password."""

    address = email_field(_("New e-mail address"))
    current = _current_password()


class NewMobileForm(Form):
    """The new mobile number, and the password."""

    address = mobile_field(_("New mobile number"))
    current = _current_password()


def _with_current(current: str | None, choices: list[tuple[str, str]]) -> list[tuple[str, Any]]:
    offered: list[tuple[str, Any]] = [("", _("Not set")), *choices]
    if current and current not in dict(choices):
        offered.append((current, current))
    return offered


@cache
def _zones() -> list[str]:
    """List UTC and the time zones that are named after places."""
    found = zoneinfo.available_timezones()
    places = [zone for zone in found if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))]
    return ["UTC", *sorted(places)]
