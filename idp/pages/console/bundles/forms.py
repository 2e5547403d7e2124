"""The forms of bundles, of their roles, and of types of tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _
from wtforms import BooleanField, HiddenField, IntegerField, SelectField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from idp.directory.bundles.types import LONGEST_CODE
from idp.directory.roles.models import LONGEST_ROLE_NAME
from idp.pages.console.fields import PLAIN, TOO_LONG
from idp.pages.form import Form
from idp.platform.errors import BadRequest
from idp.platform.integers import INT32_MAX, INT64_MAX
from idp.platform.translation import N_

_NAME = [InputRequired(_("Enter a name.")), Length(max=200, message=TOO_LONG)]
_CODE = [InputRequired(_("Enter a code.")), Length(max=LONGEST_CODE, message=TOO_LONG)]


def _limit(label: Any) -> IntegerField:
    checks = [Optional(), NumberRange(0, INT32_MAX, _("Enter a number from 0 to 2,147,483,647."))]
    return IntegerField(label, checks, render_kw=PLAIN)


class BundleForm(Form):
    """A bundle, all but its code, its type and what it contains."""

    name = StringField(_("Bundle name"), _NAME, render_kw=PLAIN)
    comment = StringField(_("Comment"), [Length(max=2000, message=TOO_LONG)], render_kw=PLAIN)
    initialize = BooleanField(_("New organisations of the type start with it"))
    number_of_app = _limit(_("Applications"))
    number_of_concurrent = _limit(_("Calls per second"))
    number_of_invocation = _limit(_("Calls per month"))
    stamp = HiddenField(validators=[Length(max=64)])


class NewBundleForm(BundleForm):
    """A bundle to be created, empty or with what another one contains."""

    code = StringField(_("Bundle code"), _CODE, render_kw=PLAIN)
    tenant_type_code = StringField(_("Code of the type"), _CODE, render_kw=PLAIN)
    contents = SelectField(_("Start with the roles of"))


class RoleForm(Form):
    """A role that tenants with the bundle get."""

    name = StringField(
        _("Role name"),
        [InputRequired(_("Enter a name.")), Length(max=LONGEST_ROLE_NAME, message=TOO_LONG)],
        render_kw=PLAIN,
    )
    is_admin = BooleanField(_("The administrator of a new organisation gets it"))
    stamp = HiddenField(validators=[Length(max=64)])


class NewRoleForm(RoleForm):
    """A role to be added to a bundle."""

    code = StringField(
        _("Role code"),
        [InputRequired(_("Enter a code.")), Length(max=LONGEST_ROLE_NAME, message=TOO_LONG)],
        render_kw=PLAIN,
    )


class StampForm(Form):
    """The state that was read."""

    stamp = HiddenField(validators=[Length(max=64)])


class TypeNameForm(Form):
    """What a type is called."""

    name = StringField(_("Name of the type"), _NAME, render_kw=PLAIN)
    stamp = HiddenField(validators=[Length(max=200)])


class NewTypeForm(Form):
    """A type to be created."""

    code = StringField(_("Code of the type"), _CODE, render_kw=PLAIN)
    name = StringField(_("Name of the type"), _NAME, render_kw=PLAIN)


@dataclass(frozen=True, slots=True)
class Ticks:
    """The privileges that a form showed, and those that are ticked in it."""

    shown: frozenset[int]
    ticked: frozenset[int]


def read_ticks() -> Ticks:
    """Read the privileges of a form; what is none of ours is refused."""
    shown = request.form.get("privileges", "").split(",")
    ids = frozenset(_id(text) for text in shown if text)
    return Ticks(ids, frozenset(map(_id, request.form.getlist("tick"))) & ids)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - digits
        raise BadRequest.at("tick", N_("Unknown value in the form."))
    return min(int(text), INT64_MAX)
