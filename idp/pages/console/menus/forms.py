"""The forms of applications and of the entries of their menus."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from idp.directory.applications import editing
from idp.directory.applications.editing import MenuSpec
from idp.directory.applications.service import LONGEST_CODE
from idp.directory.roles import catalogue
from idp.pages.console.fields import PLAIN, TOO_LONG
from idp.pages.form import Form

_CODE = [InputRequired(_("Enter a code.")), Length(max=LONGEST_CODE, message=TOO_LONG)]


class NameForm(Form):
    """What an application is called."""

    name = StringField(
        _("Application name"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    stamp = HiddenField(validators=[Length(max=200)])


class NewApplicationForm(Form):
    """An application to be created."""

    name = StringField(
        _("Application name"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    code = StringField(_("Application code"), _CODE, render_kw=PLAIN)


class EntryForm(Form):
    """An entry of a menu, all but its code and its place."""

    title = StringField(
        _("Title"),
        [
            InputRequired(_("Enter a title.")),
            Length(max=editing.LONGEST_TITLE, message=TOO_LONG),
        ],
        render_kw=PLAIN,
    )
    url = StringField(
        _("Address"), [Length(max=editing.LONGEST_TEXT, message=TOO_LONG)], render_kw=PLAIN
    )
    icon = StringField(
        _("Icon"), [Length(max=editing.LONGEST_ICON, message=TOO_LONG)], render_kw=PLAIN
    )
    privilege = StringField(
        _("Privilege"),
        [Length(max=catalogue.LONGEST_CODE, message=TOO_LONG)],
        render_kw=PLAIN | {"list": "privileges"},
    )
    comment = StringField(
        _("Comment"), [Length(max=editing.LONGEST_TEXT, message=TOO_LONG)], render_kw=PLAIN
    )
    enabled = BooleanField(_("Enabled"))
    stamp = HiddenField(validators=[Length(max=64)])

    @property
    def spec(self) -> MenuSpec:
        """The entry as the service takes it."""
        return MenuSpec(
            title=self.title.data or "",
            icon=self.icon.data,
            url=self.url.data,
            comment=self.comment.data,
            privilege_code=self.privilege.data,
            is_enabled=bool(self.enabled.data),
        )


class NewEntryForm(EntryForm):
    """An entry to be created."""

    code = StringField(_("Code of the entry"), _CODE, render_kw=PLAIN)
    parent = SelectField(_("Below"))

    @property
    def parent_id(self) -> int | None:
        """The entry that the new one stands below; None: the first level."""
        return int(self.parent.data) if self.parent.data else None
