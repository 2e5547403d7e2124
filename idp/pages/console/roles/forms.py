"""The forms of roles, and the ticks of the matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import request
from flask_babel import lazy_gettext as _
from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from idp.directory.roles.models import LONGEST_ROLE_NAME
from idp.pages.console.fields import TOO_LONG
from idp.pages.form import Form
from idp.platform.errors import BadRequest
from idp.platform.integers import INT64_MAX
from idp.platform.translation import N_

MOST_CELLS = 20_000
MOST_NAMES = 100
"""People whom one form assigns a role."""


class RoleNameForm(Form):
    """What a role is called."""

    name = StringField(
        _("Role name"),
        [InputRequired(_("Enter a name.")), Length(max=LONGEST_ROLE_NAME, message=TOO_LONG)],
        render_kw={"autocomplete": "off"},
    )
    stamp = HiddenField(validators=[Length(max=64)])


class NewRoleForm(Form):
    """A role to be created."""

    name = StringField(
        _("Role name"),
        [InputRequired(_("Enter a name.")), Length(max=LONGEST_ROLE_NAME, message=TOO_LONG)],
        render_kw={"autocomplete": "off"},
    )
    code = StringField(
        _("Role code"),
        [InputRequired(_("Enter a code.")), Length(max=LONGEST_ROLE_NAME, message=TOO_LONG)],
        render_kw={"autocomplete": "off"},
    )


class AssignForm(Form):
    """People who get a role, or lose it."""

    people = TextAreaField(
        _("User names"),
        [InputRequired(_("Enter a user name.")), Length(max=MOST_NAMES * 260, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "rows": "4"},
    )

    @property
    def usernames(self) -> list[str]:
        """The names, each once, in the order in which they were typed."""
        lines = (self.people.data or "").replace(",", "\n").splitlines()
        return list(dict.fromkeys(name for line in lines if (name := line.strip())))


@dataclass(frozen=True, slots=True)
class Ticks:
    """What the form of the matrix showed, and what is ticked in it."""

    stamps: Mapping[int, str]
    """Of the roles that it showed, in the state that was read."""
    privileges: frozenset[int]
    ticked: frozenset[tuple[int, int]]
    """Ids of a role and of a privilege."""

    def shows(self, role_id: int, privilege_id: int) -> bool:
        """Return whether the form had a place for both."""
        return role_id in self.stamps and privilege_id in self.privileges


def read_ticks() -> Ticks:
    """Read the form of the matrix; what is none of ours is refused."""
    cells = request.form.getlist("tick")
    if len(cells) > MOST_CELLS:
        raise BadRequest.at("tick", N_("The form holds too much."))
    roles = [entry.partition(":")[::2] for entry in request.form.getlist("role")]
    privileges = request.form.get("privileges", "")
    return Ticks(
        {_id(role_id): stamp for role_id, stamp in roles},
        frozenset(_id(text) for text in privileges.split(",") if text),
        frozenset((_id(role), _id(right)) for role, right in map(_pair, cells)),
    )


def _pair(text: str) -> tuple[str, str]:
    role_id, _dash, privilege_id = text.partition("-")
    return role_id, privilege_id


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - digits
        raise BadRequest.at("tick", N_("Unknown value in the form."))
    return min(int(text), INT64_MAX)
