"""What pages say about a new password before it is typed."""

from __future__ import annotations

from flask_babel import gettext as _

from idp.directory.policies.rules import Required
from idp.directory.users.passwords import SHORTEST


def hint(required: Required) -> str:
    """Return in the visitor's language what a policy requires of a new password."""
    length = max(SHORTEST, required.password_length)
    if not required.password_classes:
        return str(_("At least %(count)s characters.", count=length))
    text = _(
        "At least %(count)s characters, with %(kinds)s or more of these: lower case letters,"
        " upper case letters, digits, other characters.",
        count=length,
        kinds=required.password_classes,
    )
    return str(text)
