"""Audit events in the visitor's language."""

from __future__ import annotations

from flask_babel import lazy_gettext as _

from idp.platform.audit.tags import Tag

NAMES = {
    Tag.BRANDING_CHANGED: _("Branding changed"),
    Tag.CLIENT_CHANGED: _("Client changed"),
    Tag.CLIENT_CREATED: _("Client created"),
    Tag.CLIENT_DELETED: _("Client deleted"),
    Tag.CLIENT_SECRET_ADDED: _("Client secret added"),
    Tag.CLIENT_SECRET_REMOVED: _("Client secret removed"),
}


def in_words(tag: str) -> str:
    """Return what an event is called; one without a name here has its tag."""
    return str(NAMES.get(Tag(tag), tag)) if tag in set(Tag) else tag
