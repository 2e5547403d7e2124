"""The forms of identity resources."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from idp.pages.console.fields import PLAIN, TOO_LONG, DescribedForm

MOST_CLAIMS = 100
"""Claims that one form names."""


class IdentityForm(DescribedForm):
    """An identity resource, all but its name."""

    claims = TextAreaField(
        _("Claims"),
        [Length(max=MOST_CLAIMS * 202, message=TOO_LONG)],
        render_kw=PLAIN | {"rows": "6"},
    )
    enabled = BooleanField(_("Enabled"))
    required = BooleanField(_("Required"))
    emphasize = BooleanField(_("Marked as sensitive"))
    show_in_discovery_document = BooleanField(_("Shown in discovery"))
    stamp = HiddenField(validators=[Length(max=64)])

    @property
    def claim_names(self) -> Sequence[str]:
        """The claims, each once, in the order in which they were typed."""
        return list(dict.fromkeys((self.claims.data or "").split()))


class NewIdentityForm(IdentityForm):
    """An identity resource to be created."""

    name = StringField(
        _("Scope"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
