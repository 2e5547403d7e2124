"""The forms of tenants."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange

from idp.pages.console.fields import PLAIN, TOO_LONG
from idp.pages.form import Form

LONGEST_CACHE = 86_400
MOST_HOSTS = 100
_HOSTS = MOST_HOSTS * 256


class _NameForm(Form):
    """What every form of a tenant asks for."""

    name = StringField(
        _("Name of the organisation"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    hosts = TextAreaField(
        _("Hosts"),
        [Length(max=_HOSTS, message=TOO_LONG)],
        render_kw=PLAIN | {"rows": "3"},
    )

    @property
    def host_names(self) -> list[str]:
        """The hosts, each once, in the order in which they were typed."""
        lines = (self.hosts.data or "").replace(",", "\n").splitlines()
        return list(dict.fromkeys(host for line in lines if (host := line.strip())))


class NewTenantForm(_NameForm):
    """A tenant to be created; with a type it starts with a bundle and an administrator."""

    type_code = SelectField(_("Type"))
    administrator = StringField(
        _("Administrator"),
        [Length(max=256, message=TOO_LONG)],
        render_kw=PLAIN,
    )


class TenantForm(_NameForm):
    """The settings of a tenant."""

    issuer_host = StringField(
        _("Host of the issuer"),
        [Length(max=255, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    theme = StringField(_("Theme"), [Length(max=100, message=TOO_LONG)], render_kw=PLAIN)
    cache_seconds = IntegerField(
        _("Seconds that others may keep its public data"),
        [
            InputRequired(_("Enter a number.")),
            NumberRange(0, LONGEST_CACHE, _("Enter a number from 0 to 86,400.")),
        ],
    )
    stamp = HiddenField(validators=[Length(max=64)])


class StateForm(Form):
    """The state that was read, which decides whether the tenant is enabled or disabled."""

    stamp = HiddenField(validators=[InputRequired(), Length(max=64)])


class BundleForm(Form):
    """The bundle that a tenant gets."""

    bundle = SelectField(_("Bundle"))
