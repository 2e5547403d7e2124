"""The forms of the screen."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from wtforms import (
    BooleanField,
    FileField,
    HiddenField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from idp.pages.console.fields import PLAIN, TOO_LONG
from idp.pages.form import Form
from idp.platform.integers import INT32_MAX, INT64_MAX

MOST_TEXT = 20_000
MOST_PRODUCTS = 100


class SourceForm(Form):
    """Where a description comes from: an address, or a file."""

    swagger_url = StringField(
        _("Address of the description"),
        [Length(max=2000, message=TOO_LONG)],
        render_kw=PLAIN | {"inputmode": "url"},
    )
    file = FileField(
        _("Or a file"), render_kw={"accept": ".json,.yaml,.yml,application/json,application/yaml"}
    )


class PublishForm(SourceForm):
    """A publication; what the gateway itself keeps is typed by id."""

    aid = StringField(_("Id at the gateway"), [Length(max=100, message=TOO_LONG)], render_kw=PLAIN)
    suffix = StringField(_("Suffix"), [Length(max=32, message=TOO_LONG)], render_kw=PLAIN)
    name = StringField(_("Name for people"), [Length(max=200, message=TOO_LONG)], render_kw=PLAIN)
    description = TextAreaField(
        _("Description"), [Length(max=MOST_TEXT, message=TOO_LONG)], render_kw={"rows": "3"}
    )
    product_ids = SelectMultipleField(_("Products"), validate_choice=False)
    authorization_server_id = SelectField(
        _("Authorization server"), [Length(max=100, message=TOO_LONG)], validate_choice=False
    )
    scope = SelectField(_("Scope"), [Length(max=200, message=TOO_LONG)], validate_choice=False)
    openid = SelectField(
        _("Authorization server for people"),
        [Length(max=100, message=TOO_LONG)],
        validate_choice=False,
    )
    policy = TextAreaField(
        _("Policy"), [Length(max=MOST_TEXT, message=TOO_LONG)], render_kw={"rows": "4"}
    )

    @property
    def products(self) -> list[str]:
        """The products, each once: picked from a list, or typed with spaces between."""
        typed = " ".join(self.product_ids.data or []).split()
        return list(dict.fromkeys(typed))[: MOST_PRODUCTS + 1]


class ReviseForm(SourceForm):
    """A description for a further revision."""

    note = TextAreaField(
        _("Note"), [Length(max=MOST_TEXT, message=TOO_LONG)], render_kw={"rows": "3"}
    )


class OnlineForm(Form):
    """The state whose breaking changes were shown."""

    seen = HiddenField(validators=[InputRequired(), Length(max=64)])


class VersionForm(Form):
    """A version to be made of a revision."""

    revision_id = SelectField(_("From revision"), validate_choice=False)
    api_version_name = StringField(
        _("Value of api-version"),
        [InputRequired(_("Enter a name.")), Length(max=100, message=TOO_LONG)],
        render_kw=PLAIN,
    )


class ReleaseForm(Form):
    """A note about a revision."""

    revision = SelectField(_("Revision"), validate_choice=False)
    notes = TextAreaField(
        _("Release note"),
        [InputRequired(_("Enter a text.")), Length(max=MOST_TEXT, message=TOO_LONG)],
        render_kw={"rows": "3"},
    )


class ProductForm(Form):
    """What may be changed of a product."""

    name = StringField(
        _("Name for people"),
        [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    description = TextAreaField(
        _("Description"), [Length(max=MOST_TEXT, message=TOO_LONG)], render_kw={"rows": "3"}
    )
    terms = TextAreaField(
        _("Terms of use"), [Length(max=MOST_TEXT, message=TOO_LONG)], render_kw={"rows": "3"}
    )
    scope = StringField(_("Scope"), [Length(max=200, message=TOO_LONG)], render_kw=PLAIN)
    subscription_required = BooleanField(_("Clients must subscribe"), default=True)
    subscriptions_limit = IntegerField(
        _("Maximum subscriptions"),
        [Optional(), NumberRange(1, INT32_MAX, _("Enter a whole number from 1."))],
        render_kw={"inputmode": "numeric"},
    )
    is_published = BooleanField(_("Published"), default=True)
    stamp = HiddenField(validators=[Length(max=64)])


class NewProductForm(ProductForm):
    """A product to be added."""

    pid = StringField(
        _("Id"),
        [InputRequired(_("Enter an id.")), Length(max=80, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    tenant = IntegerField(
        _("Organisation"),
        [Optional(), NumberRange(1, INT64_MAX, _("Enter the id of an organisation."))],
        render_kw={"inputmode": "numeric"},
    )


class SubscribeForm(Form):
    """A client that subscribes to a product."""

    client = StringField(
        _("Client"),
        [InputRequired(_("Enter the id of a client.")), Length(max=200, message=TOO_LONG)],
        render_kw=PLAIN,
    )


class UpstreamForm(Form):
    """An address to be allowed."""

    tenant = IntegerField(
        _("Organisation"),
        [
            InputRequired(_("Enter the id of an organisation.")),
            NumberRange(1, INT64_MAX, _("Enter the id of an organisation.")),
        ],
        render_kw={"inputmode": "numeric"},
    )
    url = StringField(
        _("Address"),
        [InputRequired(_("Enter an address.")), Length(max=500, message=TOO_LONG)],
        render_kw=PLAIN | {"inputmode": "url"},
    )
