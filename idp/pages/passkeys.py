"""What the pages of sign-in and account share about passkeys: names, options, answers."""

from __future__ import annotations

from typing import Any

import orjson
from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from idp.directory.factors import passkeys
from idp.directory.factors.passkeys import Claim
from idp.pages import agents
from idp.pages.form import Form
from idp.platform.notify.messages import one_line
from idp.platform.web import csrf

ANSWER = "answer"
"""Field of a form in which the script sends what the browser answered."""


class NameForm(Form):
    """What a person calls a passkey."""

    passkey_name = StringField(
        _("Name of the passkey"),
        [
            InputRequired(_("Enter a name.")),
            Length(max=passkeys.LONGEST_NAME, message=_("This is too long.")),
        ],
        render_kw={"autocomplete": "off"},
    )

    @property
    def chosen(self) -> str:
        """The name in one line, or one after browser and system."""
        return one_line(self.passkey_name.data or "") or suggested_name()


def suggested_name() -> str:
    """Name a passkey after the browser and the system that make it."""
    browser, system = agents.describe(request.user_agent.string)
    if browser and system:
        return str(gettext("%(browser)s on %(system)s", browser=browser, system=system))
    return browser or system or str(gettext("Passkey"))


def claim_for(owner: str) -> Claim:
    """Return the answer that was sent, to a challenge of this owner."""
    return Claim(owner, request.form.get(ANSWER, ""))


def browser_owner() -> str:
    """Name the owner of challenges where nobody is known yet."""
    return f"browser:{csrf.browser_key()}"


def written(options: dict[str, Any] | None) -> str | None:
    """Write options for the script; None: there are none."""
    return None if options is None else orjson.dumps(options).decode()
