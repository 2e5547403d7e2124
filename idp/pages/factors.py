"""What the pages of sign-in and account share about second factors: forms, QR code, codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import segno
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from markupsafe import Markup
from wtforms import BooleanField, HiddenField, StringField
from wtforms.validators import InputRequired, Length, Regexp

from idp.account.second_factors import Added, ConfirmedApp
from idp.directory.factors import service as factors
from idp.directory.users.models import User
from idp.pages.form import Form
from idp.pages.messages import reasons, retry_message
from idp.pages.passkeys import NameForm
from idp.platform.errors import BadRequest, Conflict, TooManyRequests, Unprocessable
from idp.platform.notify.messages import one_line
from idp.platform.web.views import current_issuer, database

CODES = "recovery-codes"
"""What recovery codes are kept under until their page shows them."""
_CODE = {"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}


class CodeForm(Form):
    """A code of an authenticator app, or a recovery code."""

    code = StringField(
        _("Code"),
        [
            InputRequired(_("Enter the code.")),
            Length(max=factors.LONGEST_CODE, message=_("This is too long.")),
        ],
        render_kw={
            "autocomplete": "one-time-code",
            "autocapitalize": "characters",
            "spellcheck": "false",
        },
    )
    remember_device = BooleanField("")  # what it says depends on the policy


class AppForm(Form):
    """A new authenticator app: its secret, a code that it shows, and its name."""

    key = HiddenField(validators=[Length(max=1000, message=_("This is too long."))])
    code = StringField(
        _("Code"),
        [
            InputRequired(_("Enter the code.")),
            Regexp(r"\A\s*[0-9]{3} ?[0-9]{3}\s*\Z", message=_("Enter the six-digit code.")),
        ],
        render_kw=_CODE,
    )
    name = StringField(
        _("Name of the app or device"),
        [Length(max=factors.LONGEST_NAME, message=_("This is too long."))],
        render_kw={"autocomplete": "off"},
    )

    @property
    def confirmed(self) -> ConfirmedApp:
        """The app and the code that proves it."""
        return ConfirmedApp(
            self.key.data or "", self.code.data or "", one_line(self.name.data or "")
        )


@dataclass(frozen=True, slots=True)
class Shown:
    """A secret as the page shows it."""

    text: str
    """In groups of four, as people read it."""
    picture: Markup
    key: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A form that was not accepted; it shows the reason."""

    status: int
    retry_after: int | None = None


def add_app(form: AppForm, do: Callable[[], Added | None]) -> Added | Refusal:
    """Add the app of a form and commit; show in the form why it is refused."""
    added = add(form, do)
    if added is not None:
        return added
    form.refuse(gettext("This code is wrong. Check the time of your device."), "code")
    return Refusal(400)


def add_passkey(form: NameForm, do: Callable[[], Added | None]) -> Added | Refusal:
    """Add the passkey that came with a form and commit; show in the form why it is refused."""
    added = add(form, do)
    if added is not None:
        return added
    form.refuse(gettext("This passkey was not accepted. Please try again."))
    return Refusal(400)


def add(form: Form, do: Callable[[], Added | None]) -> Added | Refusal | None:
    """Add a factor and commit; None: its proof is wrong. The form shows why else it is refused."""
    if not form.validate():
        return Refusal(400)
    try:
        added = do()
    except TooManyRequests as refusal:
        database().rollback()
        form.refuse(retry_message(refusal))
        return Refusal(refusal.status, refusal.retry_after)
    except (BadRequest, Conflict, Unprocessable) as problem:
        database().rollback()
        form.refuse(reasons(problem)[0])
        return Refusal(400)
    database().commit()
    return added


def show(user: User, form: AppForm) -> Shown:
    """Return the secret of a new app to be shown, the same one while its form is sent again."""
    new = factors.new_app(database(), current_issuer(), user, form.key.data or None)
    form.key.data = new.key
    groups = [new.text[at : at + 4] for at in range(0, len(new.text), 4)]
    picture = segno.make(new.uri, micro=False, error="m")
    return Shown(
        " ".join(groups),
        Markup(picture.svg_inline(omitsize=True, light="#fff")),  # noqa: S704 - drawn here
        new.key,
    )
